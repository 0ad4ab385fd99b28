#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/limits.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, START = 5 * MINUTE };

static const struct limits_settings none = {
    .prefix_ipv4 = 32, .prefix_ipv6 = 64, .ban_time = 10 * MINUTE, .ban_reset = 10 * MINUTE};

static struct addr address(const char *text)
{
    char whole[ADDR_TEXT_MAX];
    struct addr a;

    snprintf(whole, sizeof whole, strchr(text, ':') != NULL ? "[%s]:4711" : "%s:4711", text);
    assert_int_equal(addr_parse(whole, 0, &a), ERR_OK);
    return a;
}

static struct cidr network(const char *text)
{
    struct cidr net;
    assert_int_equal(cidr_parse(text, &net), ERR_OK);
    return net;
}

static enum limits_verdict enter(struct limits *l, const char *who, uint64_t now)
{
    const struct addr a = address(who);
    const struct limits_state seen = limits_look(l, &a, span_of(NULL, 0), now);
    const enum limits_verdict v = limits_enter(l, &a, now);

    assert_int_equal(seen.verdict, v); /* an explanation has announced it, and changed nothing */
    return v;
}

static void leave(struct limits *l, const char *who)
{
    const struct addr a = address(who);
    limits_leave(l, &a);
}

static bool points(struct limits *l, const char *who, unsigned n, uint64_t now)
{
    const struct addr a = address(who);
    return limits_points(l, &a, n, now);
}

static enum limits_verdict user_enter(struct limits *l, const char *name)
{
    const struct addr a = address("192.0.2.250");
    const struct limits_state seen = limits_look(l, &a, span_str(name), 0);
    const enum limits_verdict v = limits_user_enter(l, span_str(name));

    assert_int_equal(seen.user_full, v == LIMITS_PER_USER);
    return v;
}

static void assert_counts(struct limits *l, size_t addresses, size_t idle, size_t users,
                          size_t bans)
{
    struct limits_counts c;
    limits_count(l, &c);
    assert_int_equal(c.addresses, addresses);
    assert_int_equal(c.idle, idle);
    assert_int_equal(c.users, users);
    assert_int_equal(c.bans, bans);
}

/* ---- steps as a table ----------------------------------------------------------------------- */

enum what { END, ENTER, LEAVE, POINTS, SWEEP };

struct step {
    enum what what;
    unsigned at; /* ms */
    const char *who;
    unsigned want; /* a verdict; the points of POINTS */
    bool banned;   /* POINTS */
};

static void play(const struct limits_settings *c, const struct step *step)
{
    struct limits *l = limits_new(c);

    for (size_t i = 0; step[i].what != END; i++) {
        const struct step *s = &step[i];
        print_message("  %zu: %s at %u\n", i, s->who, s->at);
        switch (s->what) {
        case ENTER: assert_int_equal(enter(l, s->who, START + s->at), s->want); break;
        case LEAVE: leave(l, s->who); break;
        case POINTS: assert_int_equal(points(l, s->who, s->want, START + s->at), s->banned); break;
        case SWEEP: limits_sweep(l, START + s->at); break;
        case END: break;
        }
    }
    limits_free(l);
}

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

/* A refused call is not counted; when the other calls have left, every count is 0. */
static struct limits_settings with_bans(void)
{
    struct limits_settings c = none;
    c.ban_points = 10;
    return c;
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

/* ---- points and bans ------------------------------------------------------------------------ */

static void a_ban(void **state)
{
    struct limits_settings c = with_bans();
    const struct step steps[] = {
        {ENTER, 0, "192.0.2.1", LIMITS_OK, 0},
        {POINTS, 0, "192.0.2.1", 9, false},
        {ENTER, 0, "192.0.2.1", LIMITS_OK, 0},
        {POINTS, 5000, "192.0.2.2", 9, false},
        {POINTS, 5000, "192.0.2.1", 0, false},
        {POINTS, 5000, "192.0.2.1", 1, true},
        {ENTER, 5000, "192.0.2.1", LIMITS_BANNED, 0},
        {ENTER, 5000, "192.0.2.2", LIMITS_OK, 0},
        {POINTS, 6000, "192.0.2.1", 100, false}, /* the ban is neither extended nor repeated */
        {LEAVE, 6000, "192.0.2.1", 0, 0},        /* a tunnel that was up */
        {SWEEP, 5000 + 10 * MINUTE - 1, "", 0, 0},
        {ENTER, 5000 + 10 * MINUTE - 1, "192.0.2.1", LIMITS_BANNED, 0},
        {ENTER, 5000 + 10 * MINUTE, "192.0.2.1", LIMITS_OK, 0},
        {POINTS, 5000 + 10 * MINUTE, "192.0.2.1", 9, false}, /* from zero again */
        {POINTS, 5000 + 10 * MINUTE, "192.0.2.1", 5, true},
        {ENTER, 5000 + 10 * MINUTE, "192.0.2.1", LIMITS_BANNED, 0},
        {SWEEP, 5000 + 20 * MINUTE, "", 0, 0},
        {ENTER, 5000 + 20 * MINUTE, "192.0.2.1", LIMITS_OK, 0},
        {LEAVE, 0, "192.0.2.1", 0, 0},
        {LEAVE, 0, "192.0.2.1", 0, 0},
        {LEAVE, 0, "192.0.2.1", 0, 0},
        {POINTS, 0, "2001:db8::1", 10, true},
        {ENTER, 0, "2001:db8::2", LIMITS_BANNED, 0},
        {POINTS, 0, "192.0.2.9", 4000000000u, true}, /* more than a slot holds */
        {END, 0, NULL, 0, 0},
    };

    (void)state;
    play(&c, steps);
}

static void points_grow_old(void **state)
{
    struct limits_settings c = with_bans();
    const unsigned reset = 10 * MINUTE;
    const struct step within[] = {
        /* START is the start of a slot: points expire as early as possible */
        {POINTS, 0, "192.0.2.1", 3, false},
        {POINTS, reset - 2, "192.0.2.1", 6, false},
        {POINTS, reset - 1, "192.0.2.1", 1, true},
        {END, 0, NULL, 0, 0},
    };
    const struct step late[] = {
        {POINTS, reset / 8 - 1, "192.0.2.1", 3, false},
        {POINTS, reset + reset / 8, "192.0.2.1", 6, false},
        {POINTS, reset + reset / 8, "192.0.2.1", 3, false},
        {POINTS, reset + reset / 8 - 50, "192.0.2.1", 0, false}, /* a clock behind */
        {POINTS, reset + reset / 8 - 50, "192.0.2.1", 1, true},
        {END, 0, NULL, 0, 0},
    };
    struct step slow[1001] = {{END, 0, NULL, 0, 0}};

    (void)state;
    play(&c, within);
    play(&c, late);
    /* With a point every two minutes, only five are within ban-reset, so there is never a
     * ban. */
    for (unsigned i = 0; i < 1000; i++)
        slow[i] = (struct step){POINTS, i * 2 * MINUTE, "192.0.2.1", 1, false};
    c.ban_points = 7;
    play(&c, slow);
    c.ban_reset = 1; /* shorter than its slots */
    c.ban_points = 2;
    play(&c, slow);
}

static void exempt(void **state)
{
    struct limits_settings c = with_bans();
    struct cidr nets[] = {network("198.51.100.0/24"), network("2001:db8::5/128")};
    const struct step steps[] = {
        {POINTS, 0, "198.51.100.7", 1000, false},
        {ENTER, 0, "198.51.100.7", LIMITS_OK, 0},
        /* a neighbour in the same /64 is banned */
        {POINTS, 0, "2001:db8::5", 1000, false},
        {POINTS, 0, "2001:db8::6", 10, true},
        {ENTER, 0, "2001:db8::7", LIMITS_BANNED, 0},
        {ENTER, 0, "2001:db8::5", LIMITS_OK, 0},
        {LEAVE, 0, "2001:db8::5", 0, 0},
        {ENTER, 0, "2001:db8::7", LIMITS_BANNED, 0},
        {END, 0, NULL, 0, 0},
    };

    (void)state;
    c.ban_exempt = (struct cidrs){nets, 2};
    play(&c, steps);
    /* the same for trusted-proxies, with ban-exempt or alone */
    c.ban_exempt = (struct cidrs){nets, 1};
    c.proxies = (struct cidrs){nets + 1, 1};
    play(&c, steps);
    c.ban_exempt = (struct cidrs){NULL, 0};
    c.proxies = (struct cidrs){nets, 2};
    play(&c, steps);
}

struct seen {
    struct limits *l;
    size_t count;
    char text[8][ADDR_TEXT_MAX];
    uint64_t left[8];
};

static void see(void *user, const struct limits_ban *ban)
{
    struct seen *seen = user;
    struct limits_counts counts;

    assert_true(seen->count < 8);
    cidr_format(&ban->net, seen->text[seen->count]);
    seen->left[seen->count++] = ban->left_ms;
    limits_count(seen->l, &counts); /* the lock is not held */
}

static void assert_bans(struct limits *l, uint64_t now, const char *want)
{
    struct seen seen = {.l = l};
    char text[1000] = "";

    const size_t count = limits_bans(l, now, see, &seen);
    assert_int_equal(count, seen.count);
    for (size_t i = 0; i < seen.count; i++) {
        const size_t n = strlen(text);
        snprintf(text + n, sizeof text - n, "%s%s %u", i > 0 ? ", " : "", seen.text[i],
                 (unsigned)seen.left[i]);
    }
    assert_string_equal(text, want);
}

static uint64_t banned(struct limits *l)
{
    struct limits_counts counts;
    limits_count(l, &counts);
    return counts.banned;
}

static void listed_and_lifted(void **state)
{
    struct limits_settings c = with_bans();
    struct limits *l = limits_new(&c);
    struct cidr net;

    (void)state;
    assert_bans(l, START, "");
    assert_int_equal(limits_lift(l, NULL, START), 0);
    assert_int_equal(limits_changes(l), 0);
    assert_int_equal(enter(l, "192.0.2.1", START), LIMITS_OK);
    assert_true(points(l, "192.0.2.1", 10, START));
    assert_int_equal(limits_changes(l), 1);
    assert_true(points(l, "2001:db8::1", 10, START + 1000));
    assert_true(points(l, "192.0.2.77", 10, START + 2000));
    assert_false(points(l, "192.0.2.78", 9, START + 2000));
    assert_bans(l, START + 3000, "192.0.2.1 597000, 2001:db8::/64 598000, 192.0.2.77 599000");
    assert_bans(l, START + 10 * MINUTE, "2001:db8::/64 1000, 192.0.2.77 2000");
    assert_counts(l, 1, 1, 0, 3);

    net = network("192.0.2.2");
    assert_int_equal(limits_lift(l, &(struct limits_target){.net = &net}, START + 3000), 0);
    net = network("192.0.2.1");
    assert_int_equal(limits_lift(l, &(struct limits_target){.net = &net}, START + 3000), 1);
    assert_int_equal(enter(l, "192.0.2.1", START + 3000), LIMITS_OK);
    net = network("2001:db8:0:0:1::/80"); /* a part of the prefix */
    assert_int_equal(limits_lift(l, &(struct limits_target){.net = &net}, START + 3000), 1);
    assert_int_equal(enter(l, "2001:db8::1", START + 3000), LIMITS_OK);
    net = network("192.0.0.0/16");
    assert_int_equal(limits_lift(l, &(struct limits_target){.net = &net}, START + 3000), 1);
    assert_bans(l, START + 3000, "");

    assert_true(points(l, "192.0.2.1", 10, START + 4000));
    assert_true(points(l, "2001:db8::1", 10, START + 5000));
    assert_int_equal(limits_lift(l, NULL, START + 4000 + 10 * MINUTE), 1); /* one has expired */
    assert_int_equal(banned(l), 5);
    assert_counts(l, 2, 1, 0, 0);
    limits_free(l);
}

static bool ban(struct limits *l, const char *net, uint64_t left_ms)
{
    const struct cidr n = network(net);
    return limits_restore(l, &n, left_ms, START);
}

/* Bans of an earlier process are restored, and do not count as changes. */
static void bans_of_before(void **state)
{
    struct limits_settings c = with_bans();
    struct limits *l = limits_new(&c);

    (void)state;
    assert_true(ban(l, "192.0.2.1", 1000));
    assert_true(ban(l, "2001:db8:1:2::/64", 10 * MINUTE));
    assert_true(ban(l, "192.0.2.2", 10 * MINUTE + 1)); /* longer than ban-time */
    assert_true(ban(l, "192.0.2.3", UINT64_MAX));
    assert_true(ban(l, "192.0.2.1", 2000)); /* again */
    assert_false(ban(l, "192.0.2.0/24", 1000));
    assert_false(ban(l, "2001:db8::/48", 1000));
    assert_false(ban(l, "2001:db8::1", 1000));
    assert_bans(l, START,
                "192.0.2.1 2000, 2001:db8:1:2::/64 600000, 192.0.2.2 600000, 192.0.2.3 600000");
    assert_int_equal(limits_changes(l), 0);
    assert_int_equal(banned(l), 0);
    assert_int_equal(enter(l, "192.0.2.1", START + 1999), LIMITS_BANNED);
    assert_int_equal(enter(l, "192.0.2.1", START + 2000), LIMITS_OK);
    leave(l, "192.0.2.1");
    limits_free(l);

    l = limits_new(&none); /* without ban-points */
    assert_true(ban(l, "192.0.2.1", 1000));
    assert_counts(l, 0, 0, 0, 0);
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

/* ---- memory --------------------------------------------------------------------------------- */

static struct addr numbered(uint32_t n)
{
    return (struct addr){.family = AF_INET,
                         .ip = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

static void flood_of_points(void **state)
{
    struct limits_settings c = with_bans();
    struct limits *l = limits_new(&c);
    const uint32_t more = LIMITS_IDLE_MAX + 1000;

    (void)state;
    /* a tunnel, a ban and a tunnel with points survive it */
    assert_int_equal(enter(l, "192.0.2.1", START), LIMITS_OK);
    assert_int_equal(enter(l, "192.0.2.2", START), LIMITS_OK);
    assert_false(points(l, "192.0.2.2", 9, START));
    assert_true(points(l, "192.0.2.3", 10, START));
    for (uint32_t n = 0; n < more; n++) {
        const struct addr a = numbered(n);
        assert_false(limits_points(l, &a, 9, START));
    }
    assert_counts(l, 2, LIMITS_IDLE_MAX, 0, 1);
    assert_int_equal(enter(l, "192.0.2.3", START), LIMITS_BANNED);
    assert_true(points(l, "192.0.2.2", 1, START));
    const struct addr first = numbered(0), last = numbered(more - 1);
    assert_true(limits_points(l, &last, 1, START));   /* remembered */
    assert_false(limits_points(l, &first, 1, START)); /* forgotten */
    assert_counts(l, 2, LIMITS_IDLE_MAX, 0, 3);
    limits_sweep(l, START + 30 * MINUTE);
    assert_counts(l, 2, 0, 0, 0);
    limits_free(l);
}

static void flood_of_bans(void **state)
{
    struct limits_settings c = with_bans();
    struct limits *l;
    const uint32_t more = LIMITS_BANS_MAX + 1000;

    (void)state;
    c.rate_per_address = (struct rate){10, MINUTE};
    l = limits_new(&c);
    const struct addr first = numbered(0), second = numbered(1), last = numbered(more - 1);
    assert_int_equal(limits_enter(l, &first, START), LIMITS_OK);
    for (uint32_t n = 0; n < more; n++) {
        const struct addr a = numbered(n);
        assert_true(limits_points(l, &a, 10, START));
    }
    assert_counts(l, 1, 0, 0, LIMITS_BANS_MAX);
    assert_int_equal(limits_enter(l, &first, START), LIMITS_OK);
    assert_int_equal(limits_enter(l, &second, START), LIMITS_OK);
    assert_int_equal(limits_enter(l, &last, START), LIMITS_BANNED);
    limits_leave(l, &first);
    limits_leave(l, &first);
    assert_int_equal(limits_lift(l, NULL, START), LIMITS_BANS_MAX);
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

struct points_list {
    struct limits_points item[4];
    size_t n;
};

static void note_points(void *user, const struct limits_points *p)
{
    struct points_list *l = user;
    assert_true(l->n < 4);
    l->item[l->n++] = *p;
}

/* The points that one object lists continue in another one, which may have some already. */
static void points_of_another(void **state)
{
    (void)state;
    const struct limits_settings c = with_bans();
    struct limits_settings other = c;
    struct limits *l = limits_new(&c), *m = limits_new(&c);
    struct points_list list = {.n = 0};
    struct limits_counts counts;
    struct addr a;

    assert_int_equal(addr_parse("192.0.2.1", 0, &a), ERR_OK);
    assert_false(limits_points(l, &a, c.ban_points - 1, 50000));
    limits_points_each(l, 50000, note_points, &list);
    assert_int_equal(list.n, 1);
    limits_points_restore(m, &list.item[0], 50000);
    limits_points_restore(m, &list.item[0], 50000); /* the second time changes nothing */
    assert_true(limits_points(m, &a, 1, 50000));
    limits_points_restore(m, &list.item[0], 50000); /* the ban stays */
    limits_count(m, &counts);
    assert_int_equal(counts.bans, 1);
    list.n = 0;
    limits_points_each(m, 50000, note_points, &list); /* a banned prefix has none */
    assert_int_equal(list.n, 0);
    limits_free(m);

    limits_points_each(l, 50000, note_points, &list);
    struct limits_points odd[4] = {list.item[0], list.item[0], list.item[0], list.item[0]};
    odd[0].net.bits = 24;
    odd[1].slot_ms++;
    odd[2].points.newest = UINT64_MAX; /* of the future */
    memset(&odd[3].points.in, 0, sizeof odd[3].points.in);
    m = limits_new(&c);
    for (size_t i = 0; i < 4; i++)
        limits_points_restore(m, &odd[i], 50000);
    limits_points_restore(m, &list.item[0], 50000 + 100 * (uint64_t)c.ban_reset); /* too old */
    limits_count(m, &counts);
    assert_int_equal(counts.idle, 0);
    limits_free(m);
    other.ban_points = 0;
    m = limits_new(&other);
    limits_points_restore(m, &list.item[0], 50000);
    limits_count(m, &counts);
    assert_int_equal(counts.idle, 0);
    limits_free(m);
    limits_free(l);
}

/* The events that the observer got, one on each line. */
struct observed {
    char text[512];
};

static void observe(void *arg, const char *what, const struct cidr *net, const char *user,
                    uint64_t n)
{
    struct observed *h = arg;
    char text[ADDR_TEXT_MAX];
    const size_t used = strlen(h->text);

    snprintf(h->text + used, sizeof h->text - used, "%s %s %llu\n", what,
             net != NULL    ? cidr_format(net, text)
             : user != NULL ? user
                            : "all",
             (unsigned long long)n);
}

static void observe_points(void *arg, const struct cidr *net, unsigned points)
{
    observe(arg, "points", net, NULL, points);
}

static void observe_ban(void *arg, const struct limits_ban *ban)
{
    observe(arg, ban->manual ? "manual" : "ban", ban->user == NULL ? &ban->net : NULL, ban->user,
            ban->left_ms);
}

static void observe_lift(void *arg, const struct limits_target *target)
{
    observe(arg, "lift", target == NULL ? NULL : target->net, target == NULL ? NULL : target->user,
            0);
}

/* Changes of this gate are reported to the observer; changes of other gates are not. */
static void the_observer_gets_changes_of_this_gate(void **state)
{
    (void)state;
    struct limits_settings c = none;
    struct observed h = {""};
    const struct addr a = address("192.0.2.1"), six = address("2001:db8::1");
    const struct cidr net = network("198.51.100.0/24"), one = network("192.0.2.1");
    const struct limits_target target = {.net = &net}, user = {.user = "alice"};
    const struct limits_ban by_points = {.net = one, .left_ms = MINUTE},
                            manual = {.net = net, .manual = true, .left_ms = MINUTE},
                            of_user = {.user = "bob", .manual = true, .left_ms = MINUTE};

    c.ban_points = 10;
    struct limits *l = limits_new(&c);
    limits_observe(l, &(struct limits_observer){&h, observe_points, observe_ban, observe_lift});
    assert_false(limits_points(l, &a, 0, START));
    assert_false(limits_points(l, &six, 5, START));
    assert_false(limits_points(l, &a, 5, START));
    assert_true(limits_points(l, &a, 5, START));
    assert_false(limits_points(l, &a, 5, START));
    assert_int_equal(limits_ban(l, &target, MINUTE, START), LIMITS_BAN_DONE);
    assert_int_equal(limits_ban(l, &user, MINUTE, START), LIMITS_BAN_DONE);
    assert_int_equal(limits_lift(l, &user, START), 1);
    assert_int_equal(limits_lift(l, NULL, START), 2);
    assert_string_equal(h.text, "points 2001:db8::/64 5\npoints 192.0.2.1 5\nban 192.0.2.1 600000\n"
                                "manual 198.51.100.0/24 60000\nmanual alice 60000\nlift alice 0\n"
                                "lift all 0\n");
    h.text[0] = '\0';
    assert_int_equal(limits_ban(l, &target, MINUTE, START), LIMITS_BAN_DONE);
    const struct cidr part = network("198.51.100.7"), wide = network("198.51.0.0/16");
    assert_int_equal(limits_lift(l, &(struct limits_target){.net = &part}, START), 1);
    assert_int_equal(limits_ban(l, &target, MINUTE, START), LIMITS_BAN_DONE);
    assert_int_equal(limits_ban(l, &user, MINUTE, START), LIMITS_BAN_DONE);
    assert_int_equal(limits_lift(l, &(struct limits_target){.net = &wide}, START), 1);
    assert_int_equal(limits_lift(l, NULL, START), 1);
    assert_string_equal(h.text, "manual 198.51.100.0/24 60000\nlift 198.51.100.0/24 0\n"
                                "lift 198.51.100.7 0\nmanual 198.51.100.0/24 60000\n"
                                "manual alice 60000\nlift 198.51.100.0/24 0\n"
                                "lift 198.51.0.0/16 0\nlift all 0\n");
    h.text[0] = '\0';
    assert_true(limits_take(l, &manual, START));
    assert_int_equal(limits_take_lift(l, &(struct limits_target){.net = &part}, START), 0);
    assert_int_equal(limits_take_lift(l, &(struct limits_target){.net = &wide}, START), 0);
    assert_int_equal(limits_take_lift(l, &target, START), 1);
    const uint64_t changes = limits_changes(l);
    assert_true(limits_take(l, &by_points, START));
    assert_true(limits_take(l, &manual, START));
    assert_true(limits_take(l, &of_user, START));
    assert_int_equal(limits_changes(l), changes + 3);
    assert_false(limits_take(l, &by_points, START));
    assert_false(limits_take(l, &manual, START));
    assert_false(limits_take(l, &of_user, START));
    assert_int_equal(limits_enter(l, &a, START), LIMITS_BANNED);
    assert_true(limits_user_banned(l, span_str("bob"), span_str("bob"), START));
    assert_int_equal(limits_take_lift(l, &target, START), 1);
    assert_int_equal(limits_take_lift(l, NULL, START), 2);
    assert_string_equal(h.text, "");
    limits_free(l);
}

/* A ban by points of another gate is ignored if its length of prefixes differs. */
static void a_ban_of_another_length(void **state)
{
    (void)state;
    struct limits_settings c = none;
    const struct limits_ban ban = {.net = network("192.0.2.0/24"), .left_ms = MINUTE};
    const struct addr a = address("192.0.2.77");

    c.ban_points = 10;
    struct limits *l = limits_new(&c);
    assert_false(limits_take(l, &ban, START));
    assert_int_equal(limits_look(l, &a, span_of(NULL, 0), START).verdict, LIMITS_OK);
    const struct cidr net = limits_net(l, &a);
    char text[ADDR_TEXT_MAX];
    assert_string_equal(cidr_format(&net, text), "192.0.2.77");
    assert_int_equal(limits_ban_settings(l).points, 10);
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
        cmocka_unit_test(a_ban),
        cmocka_unit_test(points_grow_old),
        cmocka_unit_test(exempt),
        cmocka_unit_test(listed_and_lifted),
        cmocka_unit_test(forgotten),
        cmocka_unit_test(reconfigured),
        cmocka_unit_test(flood_of_points),
        cmocka_unit_test(flood_of_bans),
        cmocka_unit_test(bans_of_before),
        cmocka_unit_test(threads),
        cmocka_unit_test(points_of_another),
        cmocka_unit_test(the_observer_gets_changes_of_this_gate),
        cmocka_unit_test(a_ban_of_another_length),
        cmocka_unit_test(names),
    };
    limits_free(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
