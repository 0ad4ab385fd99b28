#include "policy/points.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static void slots_cover_the_window(void **state)
{
    (void)state;
    assert_int_equal(points_slot_ms(8000), 1000);
    assert_int_equal(points_slot_ms(8001), 1001);
    assert_int_equal(points_slot_ms(1), 1);
    assert_int_equal(points_slot_ms(0), 1);
    assert_int_equal(points_slot_ms(UINT32_MAX), 536870912);
}

static void points_expire(void **state)
{
    (void)state;
    struct points p = {0};
    points_turn(&p, 1000, 100000);
    points_add(&p, 3);
    points_turn(&p, 1000, 104000);
    points_add(&p, 4);
    assert_int_equal(points_sum(&p), 7);
    points_turn(&p, 1000, 108999); /* for the window and up to a slot longer */
    assert_int_equal(points_sum(&p), 7);
    points_turn(&p, 1000, 109000);
    assert_int_equal(points_sum(&p), 4);
    points_turn(&p, 1000, 112999);
    assert_int_equal(points_sum(&p), 4);
    points_turn(&p, 1000, 113000);
    assert_int_equal(points_sum(&p), 0);
}

static void a_long_pause_empties_all(void **state)
{
    (void)state;
    struct points p = {0};
    for (uint64_t t = 0; t < POINTS_SLOTS; t++) {
        points_turn(&p, 10, 10 * t);
        points_add(&p, 1);
    }
    assert_int_equal(points_sum(&p), POINTS_SLOTS);
    points_turn(&p, 10, UINT64_MAX);
    assert_int_equal(points_sum(&p), 0);
}

/* The clock of another thread may be a little behind. */
static void time_may_step_back(void **state)
{
    (void)state;
    struct points p = {0};
    points_turn(&p, 1000, 100000);
    points_add(&p, 1);
    points_turn(&p, 1000, 99999);
    points_add(&p, 2);
    points_turn(&p, 1000, 108999);
    assert_int_equal(points_sum(&p), 3);
    points_turn(&p, 1000, 109000);
    assert_int_equal(points_sum(&p), 0);
}

static void a_slot_does_not_overflow(void **state)
{
    (void)state;
    struct points p = {0};
    points_add(&p, 65530);
    points_add(&p, 10);
    assert_int_equal(points_sum(&p), UINT16_MAX);
    points_add(&p, UINT32_MAX);
    assert_int_equal(points_sum(&p), UINT16_MAX);
    points_clear(&p);
    assert_int_equal(points_sum(&p), 0);
}

static void raised_to_those_of_another(void **state)
{
    (void)state;
    struct points a = {0}, b = {0};
    points_turn(&a, 1000, 5000);
    points_turn(&b, 1000, 5000);
    points_add(&a, 3);
    points_add(&b, 5);
    points_raise(&a, &b);
    assert_int_equal(points_sum(&a), 5);
    points_raise(&b, &a);
    assert_int_equal(points_sum(&b), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slots_cover_the_window),   cmocka_unit_test(points_expire),
        cmocka_unit_test(a_long_pause_empties_all), cmocka_unit_test(time_may_step_back),
        cmocka_unit_test(a_slot_does_not_overflow), cmocka_unit_test(raised_to_those_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
