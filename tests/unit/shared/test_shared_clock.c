#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "shared/shared_clock.h"

enum { STORE = 5000000 }; /* the clock of the store minus that of the gate */

/* Handles an answer that took `there` microseconds to the store and `back` from it. */
static void answer(struct shared_clock *c, uint64_t sent, uint64_t there, uint64_t back,
                   uint64_t ahead)
{
    shared_clock_take(c, sent, sent + there + back, sent + there + ahead);
}

static void the_fastest_question_sets_the_bound(void **state)
{
    (void)state;
    struct shared_clock c = {0};

    answer(&c, 1000, 700, 0, STORE);
    assert_int_equal(shared_clock_at(&c, 2000), 2000 + STORE + 701);
    answer(&c, 3000, 100, 900, STORE);
    assert_int_equal(shared_clock_at(&c, 4000), 4000 + STORE + 101);
    answer(&c, 5000, 2000000, 0, STORE); /* the store was stopped meanwhile */
    assert_int_equal(shared_clock_at(&c, 6000), 6000 + STORE + 101);
}

static void a_clock_that_was_set_is_followed(void **state)
{
    (void)state;
    struct shared_clock c = {0};

    answer(&c, 1000, 100, 100, STORE);
    answer(&c, 2000, 100, 100, STORE + 60000000);
    assert_int_equal(shared_clock_at(&c, 3000), 3000 + STORE + 60000000 + 101);
    answer(&c, 4000, 100, 100, 0);
    assert_int_equal(shared_clock_at(&c, 5000), 5000 + 101);
}

/* Neither a store whose clock is behind nor one that reports 0 makes a time of 0 or less. */
static void times_are_positive(void **state)
{
    (void)state;
    struct shared_clock c = {0};

    shared_clock_take(&c, 9000, 9100, 50);
    assert_int_equal(shared_clock_at(&c, 9000), 51);
    assert_int_equal(shared_clock_at(&c, 10), 1);
    shared_clock_take(&c, 10000, 10100, 0);
    assert_int_equal(shared_clock_at(&c, 10000), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_fastest_question_sets_the_bound),
        cmocka_unit_test(a_clock_that_was_set_is_followed),
        cmocka_unit_test(times_are_positive),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
