#include "limits_steps.h"

#include <pthread.h>

static void without_limits(void **state)
{
    struct limits *l = limits_new(&none);

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_int_equal(enter(l, "192.0.2.1", START), LIMITS_OK);
    assert_false(points(l, "192.0.2.1", 100000, START));
    assert_counts(l, 1, 0, 0, 0);
    for (int i = 0; i < 1000; i++)
        leave(l, "192.0.2.1");
    assert_counts(l, 0, 0, 0, 0); /* nothing is remembered, without a sweep */
    limits_free(l);
}

static void per_address(void **state)
{
    struct limits_settings c = none;
    const struct step steps[] = {
        {ENTER, 0, "192.0.2.1", LIMITS_OK, 0},
        {ENTER, 0, "192.0.2.1", LIMITS_OK, 0},
        {ENTER, 0, "192.0.2.1", LIMITS_PER_ADDRESS, 0},
        {ENTER, 0, "192.0.2.2", LIMITS_OK, 0},
        {ENTER, 0, "::ffff:192.0.2.1", LIMITS_PER_ADDRESS, 0},
        {LEAVE, 0, "192.0.2.1", 0, 0},
        {ENTER, 0, "192.0.2.1", LIMITS_OK, 0},
        {ENTER, 0, "192.0.2.1", LIMITS_PER_ADDRESS, 0},
        /* one /64 */
        {ENTER, 0, "2001:db8:0:1::1", LIMITS_OK, 0},
        {ENTER, 0, "2001:db8:0:1:ffff:ffff:ffff:ffff", LIMITS_OK, 0},
        {ENTER, 0, "2001:db8:0:1:8000::", LIMITS_PER_ADDRESS, 0},
        {ENTER, 0, "2001:db8:0:2::1", LIMITS_OK, 0},
        /* the bytes of 192.0.2.1, another family */
        {ENTER, 0, "c000:201::", LIMITS_OK, 0},
        {LEAVE, 0, "2001:db8:0:1::7", 0, 0}, /* by any address of the prefix */
        {ENTER, 0, "2001:db8:0:1:8000::", LIMITS_OK, 0},
        {END, 0, NULL, 0, 0},
    };

    (void)state;
    c.tunnels_per_address = 2;
    play(&c, steps);
}

static void prefixes(void **state)
{
    struct limits_settings c = none;
    const struct step steps[] = {
        {ENTER, 0, "10.1.15.255", LIMITS_OK, 0},
        {ENTER, 0, "10.1.0.1", LIMITS_PER_ADDRESS, 0},
        {ENTER, 0, "10.1.16.0", LIMITS_OK, 0},
        {ENTER, 0, "2001:db8:70::", LIMITS_OK, 0},
        {ENTER, 0, "2001:db8:7f::1", LIMITS_PER_ADDRESS, 0},
        {ENTER, 0, "2001:db8:80::1", LIMITS_OK, 0},
        {END, 0, NULL, 0, 0},
    };
    const struct step whole[] = {
        {ENTER, 0, "2001:db8::1", LIMITS_OK, 0},
        {ENTER, 0, "2001:db8::2", LIMITS_OK, 0},
        {ENTER, 0, "2001:db8::1", LIMITS_PER_ADDRESS, 0},
        {END, 0, NULL, 0, 0},
    };

    (void)state;
    c.tunnels_per_address = 1;
    c.prefix_ipv4 = 20;
    c.prefix_ipv6 = 44;
    play(&c, steps);
    c.prefix_ipv6 = 128;
    play(&c, whole);
}

static void rate_in_all(void **state)
{
    struct limits_settings c = none;
    const struct step steps[] = {
        {ENTER, 0, "192.0.2.1", LIMITS_OK, 0},
        {ENTER, 0, "192.0.2.2", LIMITS_OK, 0},
        {ENTER, 0, "192.0.2.3", LIMITS_OK, 0},
        {ENTER, 0, "192.0.2.4", LIMITS_RATE, 0},
        /* one each third of a second; refusals use no token */
        {ENTER, 333, "192.0.2.4", LIMITS_RATE, 0},
        {ENTER, 334, "192.0.2.4", LIMITS_OK, 0},
        {ENTER, 335, "192.0.2.4", LIMITS_RATE, 0},
        {ENTER, 667, "192.0.2.4", LIMITS_OK, 0},
        /* at most a full bucket, however long the pause */
        {ENTER, 3600000, "192.0.2.1", LIMITS_OK, 0},
        {ENTER, 3600000, "192.0.2.1", LIMITS_OK, 0},
        {ENTER, 3600000, "192.0.2.1", LIMITS_OK, 0},
        {ENTER, 3600000, "192.0.2.1", LIMITS_RATE, 0},
        /* a thread whose clock is a little behind */
        {ENTER, 3599990, "192.0.2.1", LIMITS_RATE, 0},
        {END, 0, NULL, 0, 0},
    };

    (void)state;
    c.rate = (struct rate){3, SECOND};
    play(&c, steps);
}

/* A rate of N admits exactly N at once, for any N. */
static void rate_is_exact(void **state)
{
    static const uint32_t counts[] = {1, 2, 7, 999, 30011};
    static const uint32_t periods[] = {SECOND, MINUTE, 60 * MINUTE};

    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (size_t k = 0; k < sizeof periods / sizeof *periods; k++) {
            struct limits_settings c = none;
            c.rate = (struct rate){counts[i], periods[k]};
            struct limits *l = limits_new(&c);
            const struct addr a = address("192.0.2.1");
            uint32_t n = 0;
            while (limits_enter(l, &a, START) == LIMITS_OK)
                n++;
            assert_int_equal(n, counts[i]);
            for (n = 0; limits_enter(l, &a, START + periods[k]) == LIMITS_OK;)
                n++;
            assert_int_equal(n, counts[i]);
            limits_free(l);
        }
    }
}

static void rate_of_one(void **state)
{
    struct limits_settings c = none;
    const struct step steps[] = {
        {ENTER, 0, "192.0.2.1", LIMITS_OK, 0},
        {LEAVE, 0, "192.0.2.1", 0, 0},
        {ENTER, 0, "192.0.2.1", LIMITS_OK, 0},
        {LEAVE, 0, "192.0.2.1", 0, 0},
        {SWEEP, 0, "", 0, 0},
        {ENTER, 0, "192.0.2.1", LIMITS_RATE_PER_ADDRESS, 0}, /* remembered without tunnels */
        {ENTER, 0, "192.0.2.2", LIMITS_OK, 0},
        {ENTER, 29999, "192.0.2.1", LIMITS_RATE_PER_ADDRESS, 0},
        {ENTER, 30000, "192.0.2.1", LIMITS_OK, 0},
        {ENTER, 30000, "2001:db8::1", LIMITS_OK, 0},
        {ENTER, 30000, "2001:db8::2", LIMITS_OK, 0},
        {ENTER, 30000, "2001:db8::3", LIMITS_RATE_PER_ADDRESS, 0},
        {END, 0, NULL, 0, 0},
    };

    (void)state;
    c.rate_per_address = (struct rate){2, MINUTE};
    play(&c, steps);
}

/* A refusal by the rate of an address uses no token of the common rate, and vice versa. */
static void rates_apart(void **state)
{
    struct limits_settings c = none;
    const struct step steps[] = {
        {ENTER, 0, "192.0.2.1", LIMITS_OK, 0},
        {ENTER, 0, "192.0.2.1", LIMITS_RATE_PER_ADDRESS, 0},
        {ENTER, 0, "192.0.2.1", LIMITS_RATE_PER_ADDRESS, 0},
        {ENTER, 0, "192.0.2.2", LIMITS_OK, 0},
        {ENTER, 0, "192.0.2.3", LIMITS_RATE, 0},
        {ENTER, 500, "192.0.2.3", LIMITS_OK, 0},
        {END, 0, NULL, 0, 0},
    };

    (void)state;
    c.rate = (struct rate){2, SECOND};
    c.rate_per_address = (struct rate){1, MINUTE};
    play(&c, steps);
}

static void users(void **state)
{
    struct limits_settings c = none;
    char name[1000];
    struct limits *l;

    (void)state;
    c.tunnels_per_user = 2;
    l = limits_new(&c);
    assert_int_equal(user_enter(l, "alice"), LIMITS_OK);
    assert_int_equal(user_enter(l, "ALICE"), LIMITS_OK);
    assert_int_equal(user_enter(l, "Alice"), LIMITS_PER_USER);
    assert_int_equal(user_enter(l, "CORP\\alice"), LIMITS_OK);
    assert_int_equal(user_enter(l, "alicE "), LIMITS_OK);
    assert_counts(l, 0, 0, 3, 0);
    limits_user_leave(l, span_str("aLICE"));
    assert_int_equal(user_enter(l, "alice"), LIMITS_OK);
    limits_user_leave(l, span_str("corp\\ALICE"));
    assert_counts(l, 0, 0, 2, 0);
    assert_int_equal(user_enter(l, "J\xc3\x9cRGEN"), LIMITS_OK);
    assert_int_equal(user_enter(l, "j\xc3\xbcrgen"), LIMITS_OK);
    assert_int_equal(user_enter(l, "J\xc3\xbcrgen"), LIMITS_PER_USER);
    limits_user_leave(l, span_str("J\xc3\x9cRGEN"));
    limits_user_leave(l, span_str("J\xc3\x9cRGEN"));
    /* any bytes of the wire */
    memset(name, 0, sizeof name);
    assert_int_equal(limits_user_enter(l, span_of(name, sizeof name)), LIMITS_OK);
    limits_user_leave(l, span_of(name, sizeof name));
    assert_counts(l, 0, 0, 2, 0);
    c.tunnels_per_user = 0;
    limits_configure(l, &c);
    assert_int_equal(user_enter(l, "alice"), LIMITS_OK);
    limits_free(l);
}

static void what_an_explanation_sees(void **state)
{
    struct limits_settings c = with_bans();
    const struct addr a = address("192.0.2.1");

    (void)state;
    c.tunnels_per_address = 2;
    c.tunnels_per_user = 1;
    struct limits *l = limits_new(&c);
    struct limits_state s = limits_look(l, &a, span_str("alice"), START);
    assert_int_equal(s.points, 0);
    assert_int_equal(s.tunnels, 0);
    assert_int_equal(s.user_tunnels, 0);
    assert_false(s.user_full);
    assert_counts(l, 0, 0, 0, 0); /* remembers nothing */
    assert_int_equal(enter(l, "192.0.2.1", START), LIMITS_OK);
    assert_int_equal(user_enter(l, "alice"), LIMITS_OK);
    assert_false(points(l, "192.0.2.1", 1, START));
    s = limits_look(l, &a, span_str("ALICE"), START);
    assert_int_equal(s.points, 1);
    assert_int_equal(s.ban_points, c.ban_points);
    assert_int_equal(s.tunnels, 1);
    assert_int_equal(s.tunnels_max, 2);
    assert_int_equal(s.user_tunnels, 1);
    assert_int_equal(s.user_tunnels_max, 1);
    assert_true(s.user_full);
    assert_int_equal(limits_look(l, &a, span_of(NULL, 0), START + c.ban_reset * 2).points, 0);
    assert_true(points(l, "192.0.2.1", c.ban_points, START));
    s = limits_look(l, &a, span_of(NULL, 0), START + 1000);
    assert_int_equal(s.verdict, LIMITS_BANNED);
    assert_int_equal(s.ban_left_ms, c.ban_time - 1000);
    assert_false(s.exempt);
    limits_leave(l, &a);
    limits_user_leave(l, span_str("alice"));
    limits_free(l);
}

/* A refused call is not counted; when the other calls have left, every count is 0. */
static void unused(void **state)
{
    struct limits_settings c = none;
    struct addr who = address("192.0.2.1");

    (void)state;
    c.tunnels_per_user = c.tunnels_per_address = 1;
    struct limits *l = limits_new(&c);
    assert_true(limits_unused(l));
    assert_int_equal(limits_enter(l, &who, 0), LIMITS_OK);
    assert_int_equal(limits_enter(l, &who, 0), LIMITS_PER_ADDRESS);
    assert_false(limits_unused(l));
    assert_int_equal(user_enter(l, "alice"), LIMITS_OK);
    assert_int_equal(user_enter(l, "alice"), LIMITS_PER_USER);
    limits_leave(l, &who);
    assert_false(limits_unused(l));
    limits_user_leave(l, span_str("alice"));
    assert_true(limits_unused(l));
    limits_free(l);
}

static void forgotten(void **state)
{
    struct limits_settings c = with_bans();
    struct limits *l;

    (void)state;
    c.rate_per_address = (struct rate){6, MINUTE};
    l = limits_new(&c);
    assert_int_equal(enter(l, "192.0.2.1", START), LIMITS_OK);
    leave(l, "192.0.2.1");
    assert_false(points(l, "192.0.2.2", 1, START));
    assert_true(points(l, "192.0.2.3", 10, START));
    assert_int_equal(enter(l, "192.0.2.4", START), LIMITS_OK);
    assert_counts(l, 1, 2, 0, 1);
    limits_sweep(l, START + 9999);
    assert_counts(l, 1, 2, 0, 1);
    limits_sweep(l, START + 10000); /* the rate of .1 */
    assert_counts(l, 1, 1, 0, 1);
    limits_sweep(l, START + 10 * MINUTE - 1);
    assert_counts(l, 1, 1, 0, 1);
    limits_sweep(l, START + 10 * MINUTE); /* the ban of .3 */
    assert_counts(l, 1, 1, 0, 0);
    limits_sweep(l, START + 10 * MINUTE * 9 / 8); /* the points of .2 */
    assert_counts(l, 1, 0, 0, 0);
    leave(l, "192.0.2.4"); /* its rate has expired; the next sweep removes it */
    assert_counts(l, 0, 1, 0, 0);
    limits_sweep(l, START + 10 * MINUTE * 9 / 8);
    assert_counts(l, 0, 0, 0, 0);
    limits_free(l);
}

static void reconfigured(void **state)
{
    struct limits_settings c = with_bans();
    struct cidr net = network("192.0.2.3");
    struct limits *l;

    (void)state;
    c.rate = (struct rate){100, 60 * MINUTE};
    c.rate_per_address = (struct rate){2, 60 * MINUTE};
    l = limits_new(&c);
    assert_int_equal(enter(l, "192.0.2.1", START), LIMITS_OK);
    assert_int_equal(enter(l, "192.0.2.1", START), LIMITS_OK);
    assert_false(points(l, "192.0.2.2", 9, START));
    assert_true(points(l, "192.0.2.3", 10, START));

    /* nothing has changed */
    limits_configure(l, &c);
    assert_int_equal(enter(l, "192.0.2.1", START), LIMITS_RATE_PER_ADDRESS);
    assert_counts(l, 1, 1, 0, 1);

    /* tunnels are counted with and without a limit; the prefixes do not change */
    c.tunnels_per_address = 2;
    c.prefix_ipv4 = 8;
    c.prefix_ipv6 = 8;
    limits_configure(l, &c);
    assert_int_equal(enter(l, "192.0.2.1", START), LIMITS_PER_ADDRESS);
    assert_int_equal(enter(l, "192.0.2.2", START), LIMITS_OK);
    leave(l, "192.0.2.2");

    /* another rate begins with a full bucket */
    c.tunnels_per_address = 0;
    c.rate_per_address = (struct rate){1, SECOND};
    limits_configure(l, &c);
    assert_int_equal(enter(l, "192.0.2.1", START), LIMITS_OK);
    assert_int_equal(enter(l, "192.0.2.1", START), LIMITS_RATE_PER_ADDRESS);
    c.rate = (struct rate){1, 60 * MINUTE};
    limits_configure(l, &c);
    assert_int_equal(enter(l, "192.0.2.4", START), LIMITS_OK);
    assert_int_equal(enter(l, "192.0.2.5", START), LIMITS_RATE);
    c.rate = (struct rate){0, 0};

    /* exempt from now on, although banned */
    c.ban_exempt = (struct cidrs){&net, 1};
    limits_configure(l, &c);
    assert_int_equal(enter(l, "192.0.2.3", START), LIMITS_OK);
    c.ban_exempt = (struct cidrs){NULL, 0};

    /* another ban-reset: points start from zero, bans stay */
    c.ban_reset = 5 * MINUTE;
    limits_configure(l, &c);
    assert_false(points(l, "192.0.2.2", 9, START));
    assert_int_equal(enter(l, "192.0.2.3", START), LIMITS_BANNED);
    assert_int_equal(limits_lift(l, NULL, START), 1);
    assert_true(points(l, "192.0.2.6", 10, START));

    /* no bans at all */
    c.ban_points = 0;
    const uint64_t changes = limits_changes(l);
    limits_configure(l, &c);
    assert_int_equal(limits_changes(l), changes + 1);
    assert_int_equal(enter(l, "192.0.2.6", START), LIMITS_OK);
    assert_bans(l, START, "");
    limits_free(l);
}

/* ---- threads -------------------------------------------------------------------------------- */

enum { THREADS = 4, TURNS = 5000, MAX_EACH = 3 };

static void *work(void *user)
{
    struct limits *l = user;
    unsigned missed = 0;

    for (uint32_t i = 0; i < TURNS; i++) {
        const struct addr a = numbered(i % 7);
        const struct span name = span_str(i % 2 == 0 ? "alice" : "BOB");
        if (limits_enter(l, &a, START + i) != LIMITS_OK) {
            missed++;
            continue;
        }
        if (limits_user_enter(l, name) == LIMITS_OK)
            limits_user_leave(l, name);
        limits_leave(l, &a);
        const struct addr bad = numbered(100 + i % 50);
        limits_points(l, &bad, 1, START + i);
        if (i % 100 == 0)
            limits_sweep(l, START + i);
        if (i % 1000 == 0)
            limits_lift(l, NULL, START + i);
    }
    return missed == TURNS ? NULL : user;
}

static void threads(void **state)
{
    struct limits_settings c = with_bans();
    pthread_t thread[THREADS];
    struct limits *l;

    (void)state;
    c.tunnels_per_address = MAX_EACH;
    c.tunnels_per_user = MAX_EACH;
    l = limits_new(&c);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, work, l), 0);
    for (size_t i = 0; i < THREADS; i++) {
        void *done;
        assert_int_equal(pthread_join(thread[i], &done), 0);
        assert_ptr_equal(done, l);
    }
    limits_lift(l, NULL, START);
    limits_sweep(l, START + 60 * MINUTE);
    assert_counts(l, 0, 0, 0, 0);
    limits_free(l);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(limits_key(LIMITS_OK), "-");
    assert_string_equal(limits_key(LIMITS_BANNED), "ban-points");
    assert_string_equal(limits_key(LIMITS_PER_ADDRESS), "max-tunnels-per-address");
    assert_string_equal(limits_key(LIMITS_PER_USER), "max-tunnels-per-user");
    assert_string_equal(limits_key(LIMITS_RATE), "handshake-rate");
    assert_string_equal(limits_key(LIMITS_RATE_PER_ADDRESS), "handshake-rate-per-address");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_limits),
        cmocka_unit_test(per_address),
        cmocka_unit_test(prefixes),
        cmocka_unit_test(rate_in_all),
        cmocka_unit_test(rate_is_exact),
        cmocka_unit_test(rate_of_one),
        cmocka_unit_test(rates_apart),
        cmocka_unit_test(users),
        cmocka_unit_test(what_an_explanation_sees),
        cmocka_unit_test(unused),
        cmocka_unit_test(forgotten),
        cmocka_unit_test(reconfigured),
        cmocka_unit_test(threads),
        cmocka_unit_test(names),
    };
    limits_free(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
