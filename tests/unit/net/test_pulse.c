#include "net/pulse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

enum { SECOND = 1000000 };

static struct pulse pulse_begun(void)
{
    struct pulse p;
    pulse_init(&p);
    pulse_beat(&p, 10 * SECOND, 11 * SECOND);
    return p;
}

static void a_loop_turns_before_its_start_and_after_its_end(void **state)
{
    (void)state;
    struct pulse p;
    pulse_init(&p);
    assert_true(pulse_is_turning(&p, 1000000ull * SECOND));
    assert_int_equal(pulse_lag(&p, 1000000ull * SECOND), 0);
    pulse_beat(&p, 10 * SECOND, 11 * SECOND);
    pulse_end(&p);
    assert_true(pulse_is_turning(&p, 1000000ull * SECOND));
    assert_int_equal(pulse_lag(&p, 1000000ull * SECOND), 0);
}

/* A second until the sweep is due, and four more. */
static void a_loop_without_sweep_for_five_seconds_does_not_turn(void **state)
{
    (void)state;
    struct pulse p = pulse_begun();
    assert_true(pulse_is_turning(&p, 10 * SECOND));
    assert_true(pulse_is_turning(&p, 15 * SECOND - 1));
    assert_false(pulse_is_turning(&p, 15 * SECOND));
    pulse_beat(&p, 16 * SECOND, 17 * SECOND);
    assert_true(pulse_is_turning(&p, 16 * SECOND));
}

static void an_overdue_sweep_is_a_lag_before_it_comes(void **state)
{
    (void)state;
    struct pulse p = pulse_begun();
    assert_int_equal(pulse_lag(&p, 11 * SECOND), 0);
    assert_int_equal(pulse_lag(&p, 11 * SECOND + 250), 250);
    assert_int_equal(pulse_lag(&p, 11 * SECOND), 0); /* nothing is noted by reading */
}

/* The peak is there for at least 15 seconds, for all readers, and then it goes. */
static void the_largest_lag_lasts_for_a_scrape(void **state)
{
    (void)state;
    struct pulse p = pulse_begun();
    uint64_t now = 11 * SECOND;

    pulse_beat(&p, now + 700, now + SECOND);
    for (unsigned i = 1; i <= 15; i++) {
        now += SECOND;
        pulse_beat(&p, now + 3, now + SECOND);
        assert_int_equal(pulse_lag(&p, now + 3), 700);
        assert_int_equal(pulse_lag(&p, now + 3), 700);
    }
    for (unsigned i = 16; i <= 31; i++) {
        now += SECOND;
        pulse_beat(&p, now + 3, now + SECOND);
    }
    assert_int_equal(pulse_lag(&p, now + 3), 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_turns_before_its_start_and_after_its_end),
        cmocka_unit_test(a_loop_without_sweep_for_five_seconds_does_not_turn),
        cmocka_unit_test(an_overdue_sweep_is_a_lag_before_it_comes),
        cmocka_unit_test(the_largest_lag_lasts_for_a_scrape),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
