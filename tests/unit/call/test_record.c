#include "call/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static void expect_rates(const struct record *r, uint64_t now, uint64_t up, uint64_t down)
{
    uint64_t is_up, is_down;

    record_rates(r, now, &is_up, &is_down);
    assert_int_equal(is_up, up);
    assert_int_equal(is_down, down);
}

/* Moves bytes at a time, as the relay does. */
static void move(struct record *r, uint64_t now, uint64_t up, uint64_t down)
{
    r->up.octets += up;
    r->down.octets += down;
    record_sample(r, now);
}

static void rates_are_those_of_the_last_seconds(void **state)
{
    (void)state;
    struct record r = {.up.octets = 1000, .down.octets = 5000}; /* of the negotiation */

    record_sample_begin(&r, 100000);
    expect_rates(&r, 100000, 0, 0);
    for (uint64_t now = 100100; now <= 110000; now += 100)
        move(&r, now, 100, 200);
    expect_rates(&r, 110000, 1000, 2000);
    move(&r, 110050, 0, 0);
    /* silence: the rates sink, and are 0 after some seconds */
    expect_rates(&r, 118100, 0, 0);
}

/* A burst after an hour of silence has its own rate. */
static void silence_does_not_dilute_a_rate(void **state)
{
    (void)state;
    struct record r = {0};

    record_sample_begin(&r, 100000);
    move(&r, 3700000, 4000, 0);
    expect_rates(&r, 3700000, 2000, 0);
    expect_rates(&r, 3700500, 1600, 0);
}

static void a_tunnel_of_the_last_second(void **state)
{
    (void)state;
    struct record r = {0};

    record_sample_begin(&r, 100000);
    move(&r, 100010, 500, 900);
    expect_rates(&r, 100010, 500, 900); /* as of a whole second */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_those_of_the_last_seconds),
        cmocka_unit_test(silence_does_not_dilute_a_rate),
        cmocka_unit_test(a_tunnel_of_the_last_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
