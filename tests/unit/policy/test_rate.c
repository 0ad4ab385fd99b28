#include "policy/rate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static void no_limit_allows_all(void **state)
{
    (void)state;
    const struct rate none = {0, 0};
    uint64_t full = 0;
    for (int i = 0; i < 1000; i++) {
        assert_true(rate_allows(&none, full, 5));
        rate_take(&none, &full, 5);
    }
    assert_int_equal(full, 0);
}

/* 3 in a second: three at once, then one for each third of a second. */
static void a_burst_then_a_step_each(void **state)
{
    (void)state;
    const struct rate r = {3, 1000};
    uint64_t full = 0;
    for (int i = 0; i < 3; i++) {
        assert_true(rate_allows(&r, full, 10000));
        rate_take(&r, &full, 10000);
    }
    assert_false(rate_allows(&r, full, 10000));
    assert_false(rate_allows(&r, full, 10333));
    assert_true(rate_allows(&r, full, 10334));
    rate_take(&r, &full, 10334);
    assert_false(rate_allows(&r, full, 10334));
    assert_true(rate_allows(&r, full, 10667));
}

static void a_bucket_fills_up_to_its_size(void **state)
{
    (void)state;
    const struct rate r = {2, 1000};
    uint64_t full = 0;
    rate_take(&r, &full, 1000);
    assert_false(rate_is_full(full, 1499));
    assert_true(rate_is_full(full, 1500));
    for (int i = 0; i < 2; i++) { /* a long pause does not save up more */
        assert_true(rate_allows(&r, full, 100000));
        rate_take(&r, &full, 100000);
    }
    assert_false(rate_allows(&r, full, 100000));
}

static void rates_are_compared(void **state)
{
    (void)state;
    const struct rate a = {2, 1000}, b = {2, 60000}, c = {3, 1000};
    assert_true(rate_equal(&a, &a));
    assert_false(rate_equal(&a, &b));
    assert_false(rate_equal(&a, &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_limit_allows_all),
        cmocka_unit_test(a_burst_then_a_step_each),
        cmocka_unit_test(a_bucket_fills_up_to_its_size),
        cmocka_unit_test(rates_are_compared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
