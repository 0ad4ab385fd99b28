/* Helpers for the tests of limits.c and limits_bans.c: settings, tables of steps, and checks of the
 * counts and lists of the object. */
#ifndef SSTPGATE_TESTS_LIMITS_STEPS_H
#define SSTPGATE_TESTS_LIMITS_STEPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "policy/limits.h"
#include "policy/limits_bans.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, START = 5 * MINUTE };

static const struct limits_settings none = {
    .prefix_ipv4 = 32, .prefix_ipv6 = 64, .ban_time = 10 * MINUTE, .ban_reset = 10 * MINUTE};

static inline struct addr address(const char *text)
{
    char whole[ADDR_TEXT_MAX];
    struct addr a;

    snprintf(whole, sizeof whole, strchr(text, ':') != NULL ? "[%s]:4711" : "%s:4711", text);
    assert_int_equal(addr_parse(whole, 0, &a), ERR_OK);
    return a;
}

static inline struct cidr network(const char *text)
{
    struct cidr net;
    assert_int_equal(cidr_parse(text, &net), ERR_OK);
    return net;
}

static inline enum limits_verdict enter(struct limits *l, const char *who, uint64_t now)
{
    const struct addr a = address(who);
    const struct limits_state seen = limits_look(l, &a, span_of(NULL, 0), now);
    const enum limits_verdict v = limits_enter(l, &a, now);

    assert_int_equal(seen.verdict, v); /* an explanation has announced it, and changed nothing */
    return v;
}

static inline void leave(struct limits *l, const char *who)
{
    const struct addr a = address(who);
    limits_leave(l, &a);
}

static inline bool points(struct limits *l, const char *who, unsigned n, uint64_t now)
{
    const struct addr a = address(who);
    return limits_points(l, &a, n, now);
}

static inline enum limits_verdict user_enter(struct limits *l, const char *name)
{
    const struct addr a = address("192.0.2.250");
    const struct limits_state seen = limits_look(l, &a, span_str(name), 0);
    const enum limits_verdict v = limits_user_enter(l, span_str(name));

    assert_int_equal(seen.user_full, v == LIMITS_PER_USER);
    return v;
}

static inline void assert_counts(struct limits *l, size_t addresses, size_t idle, size_t users,
                                 size_t bans)
{
    struct limits_counts c;
    limits_count(l, &c);
    assert_int_equal(c.addresses, addresses);
    assert_int_equal(c.idle, idle);
    assert_int_equal(c.users, users);
    assert_int_equal(c.bans, bans);
}

static inline struct limits_settings with_bans(void)
{
    struct limits_settings c = none;
    c.ban_points = 10;
    return c;
}

static inline struct addr numbered(uint32_t n)
{
    return (struct addr){.family = AF_INET,
                         .ip = {10, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n}};
}

struct seen {
    struct limits *l;
    size_t count;
    char text[8][ADDR_TEXT_MAX];
    uint64_t left[8];
};

static inline void see(void *user, const struct limits_ban *ban)
{
    struct seen *seen = user;
    struct limits_counts counts;

    assert_true(seen->count < 8);
    cidr_format(&ban->net, seen->text[seen->count]);
    seen->left[seen->count++] = ban->left_ms;
    limits_count(seen->l, &counts); /* the lock is not held */
}

static inline void assert_bans(struct limits *l, uint64_t now, const char *want)
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

enum what { END, ENTER, LEAVE, POINTS, SWEEP };

struct step {
    enum what what;
    unsigned at; /* ms */
    const char *who;
    unsigned want; /* a verdict; the points of POINTS */
    bool banned;   /* POINTS */
};

static inline void play(const struct limits_settings *c, const struct step *step)
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

#endif
