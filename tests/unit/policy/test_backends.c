#include "policy/backends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/addr.h"
#include "config/config.h"

enum { START = 1000000, DOWN_TIME = 10000, SLOW = 30000, FALL = 3, RISE = 2 };

static struct addr client_of(unsigned number)
{
    struct addr a = {.family = AF_INET, .port = 4711};
    a.ip[0] = 198;
    a.ip[1] = (uint8_t)(number >> 16);
    a.ip[2] = (uint8_t)(number >> 8);
    a.ip[3] = (uint8_t)number;
    return a;
}

/* A backend whose servers are named a, b, c, ... */
struct backend {
    struct backends_settings c;
    struct backends_server server[BACKENDS_SERVERS_MAX];
    char host[BACKENDS_SERVERS_MAX][2];
};

static void backend_init(struct backend *b, enum backends_balance balance, size_t servers)
{
    *b = (struct backend){.c = {.name = (char *)"b",
                                .balance = balance,
                                .fall = FALL,
                                .rise = RISE,
                                .down_time = DOWN_TIME,
                                .count = servers}};
    b->c.item = b->server;
    for (size_t i = 0; i < servers; i++) {
        b->host[i][0] = (char)('a' + i);
        b->server[i] = (struct backends_server){.host = b->host[i], .port = 443, .weight = 1};
    }
}

/* Chooses a server, and checks that backends_peek() has announced it. */
static bool choose(struct backends_group *g, const struct addr *who, uint64_t *tried, uint64_t now,
                   size_t *at)
{
    uint64_t seen = *tried;
    size_t announced = BACKENDS_SERVERS_MAX;
    const bool expected = backends_peek(g, who, &seen, now, &announced);
    const bool found = backends_choose(g, who, tried, now, at);

    assert_int_equal(found, expected);
    assert_true(seen == *tried);
    if (found)
        assert_int_equal(*at, announced);
    return found;
}

/* ---- courses -------------------------------------------------------------------------------- */

/* servers: a weight for each, with `m` and a digit for max-tunnels and `b` for a backup.
 * course:  c  a call starts and stays       C  a call starts and ends at once
 *          n  the last call tries the next server
 *          -x a call of server x ends       !x server x fails once      +x it succeeds once
 *          dx drain x                       rx end the draining of x
 *          T  down-time passes              t  a second passes
 * chosen:  the server that each c, C and n got, '.' for none. */
static const struct course {
    enum backends_balance balance;
    bool checked;
    const char *servers, *course, *chosen;
} courses[] = {
    {BACKENDS_FIRST, false, "1 1 1", "ccCc", "aaaa"},
    {BACKENDS_FIRST, false, "1 1 1", "cnnn", "abc."},
    {BACKENDS_FIRST, false, "1m2 1m1 1", "cccc-ac", "aabca"},
    {BACKENDS_FIRST, false, "1m1 1m1", "ccc", "ab."},
    /* not yet, down */
    {BACKENDS_FIRST, false, "1 1", "!a!aC!aC", "ab"},
    /* not consecutive */
    {BACKENDS_FIRST, false, "1 1", "!a!a+a!a!aC", "a"},
    /* a server that is down is tried last, and by one call each down-time */
    {BACKENDS_FIRST, false, "1 1", "!a!a!acnn", "ba."},
    {BACKENDS_FIRST, false, "1 1", "!a!a!aCTcCCTC", "babba"},
    /* that call fails again, or finds the server up */
    {BACKENDS_FIRST, false, "1 1", "!a!a!aTC!aCC", "abb"},
    {BACKENDS_FIRST, false, "1 1", "!a!a!aTC+aCC", "aaa"},
    /* a single server is never skipped */
    {BACKENDS_FIRST, false, "1", "!a!a!a!aCCC", "aaa"},
    {BACKENDS_ROUNDROBIN, false, "1 1", "!a!a!a!b!b!bCCcnn", "abab."},
    /* with checks, a server is down until consecutive checks succeed */
    {BACKENDS_FIRST, true, "1 1", "C!aCTCcn", "abbb."},
    {BACKENDS_FIRST, true, "1", "!aC+aC+aC", "..a"},
    {BACKENDS_FIRST, true, "1", "!a+a!a+aC+aC", ".a"},
    /* one failure is enough only for a new server */
    {BACKENDS_FIRST, true, "1 1", "+a!a!aC!aC", "ab"},
    /* backups */
    {BACKENDS_ROUNDROBIN, false, "1b 1 1b 1", "CCCcnnnn", "bdbdbac."},
    {BACKENDS_FIRST, false, "1b 1m1", "ccc-bc", "baab"},
    {BACKENDS_FIRST, true, "1 1b", "!aC+a+aC", "ba"},
    {BACKENDS_FIRST, false, "1b 1 1", "!b!b!bcnnn", "cab."},
    /* draining */
    {BACKENDS_FIRST, false, "1 1", "cdaCraC", "aba"},
    {BACKENDS_FIRST, false, "1", "daCTC", ".."},
    /* in turn, by weight */
    {BACKENDS_ROUNDROBIN, false, "1 1 1", "CCCcccC", "abcabca"},
    {BACKENDS_ROUNDROBIN, false, "3 1", "CCCCCCCC", "aaabaaab"},
    {BACKENDS_ROUNDROBIN, false, "1 2 4", "CCCCCCC", "cbccabc"},
    {BACKENDS_ROUNDROBIN, false, "1 1 1", "CcnC", "abca"},
    {BACKENDS_ROUNDROBIN, false, "1 1m1", "ccc-bccc", "ababaa"},
    /* a server that was down does not catch up */
    {BACKENDS_ROUNDROBIN, true, "1 1", "C!bCCCC+b+bCCCC", "aaaaababa"},
    /* fewest calls for the weight, in turn if these are equal */
    {BACKENDS_LEASTCONN, false, "1 1 1", "CCCC", "abca"},
    {BACKENDS_LEASTCONN, false, "1 1 1", "cccc-bc", "abcab"},
    {BACKENDS_LEASTCONN, false, "1 1", "ccc-a-acc", "abaab"},
    {BACKENDS_LEASTCONN, false, "3 1", "cccccccc", "aaabaaab"},
    {BACKENDS_LEASTCONN, false, "1 1 1b", "ccnn", "abac"},
    {BACKENDS_LEASTCONN, false, "1m1 1m2 9b", "ccccc", "abbcc"},
};

static void parse_servers(struct backend *b, const struct course *c)
{
    size_t n = 0;
    struct backends_server server[BACKENDS_SERVERS_MAX] = {0};

    for (const char *p = c->servers; *p != '\0'; p++) {
        switch (*p) {
        case ' ': n++; break;
        case 'b': server[n].backup = true; break;
        case 'm': server[n].max_tunnels = (unsigned)(*++p - '0'); break;
        default: server[n].weight = (unsigned)(*p - '0');
        }
    }
    backend_init(b, c->balance, n + 1);
    b->c.probed = c->checked;
    for (size_t i = 0; i <= n; i++) {
        b->server[i].weight = server[i].weight;
        b->server[i].max_tunnels = server[i].max_tunnels;
        b->server[i].backup = server[i].backup;
    }
}

static void run_course(const struct course *c, char *out)
{
    struct backend b;
    struct addr who = client_of(1);
    uint64_t now = START, tried = 0;
    size_t at = BACKENDS_SERVERS_MAX;
    unsigned left[BACKENDS_SERVERS_MAX] = {0};

    parse_servers(&b, c);
    struct backends_group *g = backends_join(NULL, &b.c);
    for (const char *p = c->course; *p != '\0'; p++) {
        const size_t x = strchr("-!+dr", *p) != NULL ? (size_t)(p[1] - 'a') : 0;
        switch (*p) {
        case 'n':
            if (at != BACKENDS_SERVERS_MAX) {
                backends_release(backends_place_at(g, at));
                left[at]--;
            }
            goto choose;
        case 'c':
        case 'C':
            tried = 0;
        choose:
            at = BACKENDS_SERVERS_MAX;
            if (!choose(g, &who, &tried, now, &at)) {
                *out++ = '.';
                break;
            }
            *out++ = (char)('a' + at);
            if (*p == 'C')
                backends_release(backends_place_at(g, at));
            else
                left[at]++;
            break;
        case '-':
            backends_release(backends_place_at(g, x));
            left[x]--;
            break;
        case '!': backends_report(g, x, false, "it failed", now); break;
        case '+': backends_report(g, x, true, "it is good", now); break;
        case 'd': assert_true(backends_drain(g, x, true, now)); break;
        case 'r': assert_true(backends_drain(g, x, false, now)); break;
        case 'T': now += DOWN_TIME; break;
        case 't': now += 1000; break;
        default: fail();
        }
        p += strchr("-!+dr", *p) != NULL;
    }
    *out = '\0';
    for (size_t i = 0; i < b.c.count; i++)
        while (left[i]-- > 0)
            backends_release(backends_place_at(g, i));
    backends_leave(g);
}

static void test_courses(void **state)
{
    (void)state;
    bool good = true;
    for (size_t i = 0; i < sizeof courses / sizeof *courses; i++) {
        char chosen[64];
        run_course(&courses[i], chosen);
        if (strcmp(chosen, courses[i].chosen) == 0)
            continue;
        good = false;
        print_error("%zu: [%s] %s: %s instead of %s\n", i, courses[i].servers, courses[i].course,
                    chosen, courses[i].chosen);
    }
    assert_true(good);
}

/* ---- parts ---------------------------------------------------------------------------------- */

/* Counts how many of `calls` calls of different clients each server gets. They end at once. */
static void spread(struct backends_group *g, unsigned calls, uint64_t now, unsigned *got)
{
    for (unsigned n = 0; n < calls; n++) {
        struct addr who = client_of(n);
        uint64_t tried = 0;
        size_t server;
        assert_true(choose(g, &who, &tried, now, &server));
        backends_release(backends_place_at(g, server));
        got[server]++;
    }
}

static void near(unsigned got, unsigned wanted, unsigned percent)
{
    if (got < wanted - wanted * percent / 100 || got > wanted + wanted * percent / 100)
        fail_msg("%u is not within %u%% of %u", got, percent, wanted);
}

static void test_weights(void **state)
{
    static const struct {
        enum backends_balance balance;
        unsigned percent;
    } cases[] = {{BACKENDS_ROUNDROBIN, 0}, {BACKENDS_LEASTCONN, 0}, {BACKENDS_SOURCE, 5}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct backend b;
        unsigned got[3] = {0};
        backend_init(&b, cases[i].balance, 3);
        b.server[0].weight = 10;
        b.server[1].weight = 256;
        b.server[2].weight = 128 - 10;
        struct backends_group *g = backends_join(NULL, &b.c);
        spread(g, 384 * 100, START, got);
        if (cases[i].balance == BACKENDS_LEASTCONN) {
            /* no call stays, so the server with the largest weight is always the best */
            assert_int_equal(got[1], 384 * 100);
        } else {
            near(got[0], 1000, 2 * cases[i].percent);
            near(got[1], 25600, cases[i].percent);
            near(got[2], 11800, cases[i].percent);
        }
        backends_leave(g);
    }
}

/* The share of a server that has come up grows with the time. */
static void test_slow_start(void **state)
{
    (void)state;
    for (int drained = 0; drained < 2; drained++) {
        struct backend b;
        backend_init(&b, BACKENDS_ROUNDROBIN, 2);
        b.c.slow_start = SLOW;
        struct backends_group *g = backends_join(NULL, &b.c);
        unsigned got[2] = {0};
        spread(g, 1000, START, got); /* not at the start */
        assert_int_equal(got[0], 500);
        if (drained) {
            assert_true(backends_drain(g, 1, true, START));
            assert_true(backends_drain(g, 1, false, START));
        } else {
            for (int i = 0; i < FALL; i++)
                backends_report(g, 1, false, "", START);
            assert_int_equal(backends_report(g, 1, true, "", START), BACKENDS_CAME_UP);
        }
        static const struct {
            unsigned after, percent;
        } steps[] = {{SLOW / 10, 9}, {SLOW / 2, 33}, {SLOW, 50}, {3 * SLOW, 50}};
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            unsigned n[2] = {0};
            spread(g, 1000, START + steps[i].after, n);
            near(n[1], 10 * steps[i].percent, 5);
        }
        backends_leave(g);
    }
}

/* ---- source --------------------------------------------------------------------------------- */

enum { CLIENTS = 3000 };

static void places(struct backends_group *g, char *out)
{
    for (unsigned n = 0; n < CLIENTS; n++) {
        struct addr who = client_of(n);
        uint64_t tried = 0;
        size_t server;
        who.port = (uint16_t)n; /* is ignored */
        assert_true(choose(g, &who, &tried, START, &server));
        backends_release(backends_place_at(g, server));
        out[n] = (char)('a' + server);
    }
}

static void test_source_stays(void **state)
{
    (void)state;
    struct backend b;
    static char before[CLIENTS], after[CLIENTS];
    backend_init(&b, BACKENDS_SOURCE, 5);
    struct backends_group *g = backends_join(NULL, &b.c);
    places(g, before);
    places(g, after);
    assert_memory_equal(before, after, CLIENTS);

    /* When one server is down, only its own clients move, and they spread over all others. */
    for (int i = 0; i < FALL; i++)
        backends_report(g, 1, false, "", START);
    unsigned got[5] = {0};
    places(g, after);
    for (size_t n = 0; n < CLIENTS; n++) {
        assert_int_not_equal(after[n], 'b');
        if (before[n] != 'b')
            assert_int_equal(before[n], after[n]);
        else
            got[after[n] - 'a']++;
    }
    for (size_t i = 0; i < 5; i++)
        if (i != 1)
            near(got[i], CLIENTS / 5 / 4, 30);

    /* When it is up again, it gets the same clients. */
    backends_report(g, 1, true, "", START);
    places(g, after);
    assert_memory_equal(before, after, CLIENTS);
    backends_leave(g);

    /* Another order and a new server: only the clients of the new server change. */
    struct backend more;
    backend_init(&more, BACKENDS_SOURCE, 6);
    for (size_t i = 0; i < 6; i++)
        more.server[i].host = more.host[5 - i];
    g = backends_join(NULL, &more.c);
    places(g, after);
    unsigned changed = 0;
    for (size_t n = 0; n < CLIENTS; n++) {
        const char name = *more.server[after[n] - 'a'].host;
        if (name == 'f')
            changed++;
        else
            assert_int_equal(name, before[n]);
    }
    near(changed, CLIENTS / 6, 20);
    backends_leave(g);
}

/* The server of a client is the same in every build and on every machine. */
static void test_source_is_fixed(void **state)
{
    (void)state;
    struct backend b;
    char found[17] = "";
    backend_init(&b, BACKENDS_SOURCE, 4);
    struct backends_group *g = backends_join(NULL, &b.c);
    for (unsigned n = 0; n < 16; n++) {
        struct addr who = client_of(n);
        uint64_t tried = 0;
        size_t server;
        if (n >= 8) {
            who.family = AF_INET6;
            who.ip[15] = (uint8_t)n;
        }
        assert_true(choose(g, &who, &tried, START, &server));
        backends_release(backends_place_at(g, server));
        found[n] = (char)('a' + server);
    }
    assert_string_equal(found, "adacabbcabbcbabc");
    backends_leave(g);
}

/* ---- the state of servers, and its sharing
 * -------------------------------------------------- */

static void test_state(void **state)
{
    (void)state;
    struct backend b;
    struct backends_state s;
    char why[BACKENDS_CAUSE_MAX];
    backend_init(&b, BACKENDS_FIRST, 4);
    b.c.probed = true;
    b.server[1].max_tunnels = b.server[2].max_tunnels = 1;
    struct backends_group *g = backends_join(NULL, &b.c);
    backends_state(g, 0, &s);
    assert_true(s.up && !s.draining && s.tunnels == 0 && s.changed_ms == 0 && *s.cause == '\0');
    assert_true(s.check_ms == UINT64_MAX);
    backends_timed(g, 0, 0);
    backends_state(g, 0, &s);
    assert_int_equal(s.check_ms, 0);
    backends_timed(g, 0, 12);
    backends_state(g, 0, &s);
    assert_int_equal(s.check_ms, 12);

    assert_int_equal(backends_report(g, 0, false, "it burns", START), BACKENDS_WENT_DOWN);
    assert_int_equal(backends_report(g, 0, false, "still", START + 1), BACKENDS_SAME);
    backends_state(g, 0, &s);
    assert_true(!s.up && s.changed_ms == START);
    assert_string_equal(s.cause, "it burns");
    assert_true(backends_drain(g, 3, true, START));
    assert_false(backends_drain(g, 3, true, START));

    struct addr who = client_of(1);
    uint64_t tried = 0;
    size_t one, other;
    assert_true(backends_choose(g, &who, &tried, START, &one));
    assert_true(backends_choose(g, &who, &tried, START, &other));
    assert_true(one == 1 && other == 2 && tried == 6);
    assert_false(backends_choose(g, &who, &tried, START, &other));
    backends_why_none(g, why);
    assert_string_equal(why, "1 drained, 2 full, 1 down");
    backends_state(g, 1, &s);
    assert_int_equal(s.tunnels, 1);
    backends_release(backends_place_at(g, 1));
    backends_release(backends_place_at(g, 2));

    assert_int_equal(backends_report(g, 0, true, "", START + 2), BACKENDS_SAME);
    assert_int_equal(backends_report(g, 0, true, "better", START + 3), BACKENDS_CAME_UP);
    assert_int_equal(backends_report(g, 0, true, "", START + 4), BACKENDS_SAME);
    backends_state(g, 0, &s);
    assert_true(s.up && s.changed_ms == START + 3);
    assert_string_equal(s.cause, "better");
    backends_leave(g);
}

static void test_names(void **state)
{
    (void)state;
    struct backend b;
    char name[BACKENDS_NAME_MAX];
    backend_init(&b, BACKENDS_FIRST, 2);
    b.server[1].host = (char *)"2001:db8::1";
    b.server[1].port = 65535;
    struct backends_group *g = backends_join(NULL, &b.c);
    assert_string_equal(backends_name(g, 0, name), "a:443");
    assert_string_equal(backends_name(g, 1, name), "[2001:db8::1]:65535");
    backends_leave(g);
}

/* A reload: the same name, host and port is the same server; anything else is another. */
static void test_sharing(void **state)
{
    (void)state;
    struct backend b, again;
    struct backends_state s;
    struct backends *all = backends_new();
    struct addr who = client_of(1);
    uint64_t tried = 0;
    size_t at;

    backend_init(&b, BACKENDS_FIRST, 3);
    struct backends_group *old = backends_join(all, &b.c);
    for (int i = 0; i < FALL; i++)
        backends_report(old, 1, false, "gone", START);
    backends_drain(old, 2, true, START);
    assert_true(backends_choose(old, &who, &tried, START, &at) && at == 0);

    backend_init(&again, BACKENDS_ROUNDROBIN, 3);
    again.server[0].host = b.host[2];
    again.server[1].host = b.host[1];
    again.server[2].host = b.host[0];
    again.server[2].max_tunnels = 1;
    struct backends_group *new = backends_join(all, &again.c);
    backends_state(new, 0, &s);
    assert_true(s.draining && s.up);
    backends_state(new, 1, &s);
    assert_true(!s.up);
    backends_state(new, 2, &s);
    assert_true(s.up && s.tunnels == 1);
    tried = 0;
    assert_true(backends_choose(new, &who, &tried, START, &at) && at == 1); /* a is full */
    backends_release(backends_place_at(new, at));
    backends_release(backends_place_at(old, 0));
    tried = 0;
    assert_true(backends_choose(new, &who, &tried, START, &at) && at == 2);
    backends_release(backends_place_at(new, at));

    again.c.name = (char *)"other";
    struct backends_group *other = backends_join(all, &again.c);
    backends_state(other, 1, &s);
    assert_true(s.up);
    again.c.name = (char *)"b";
    again.server[1].port = 444;
    struct backends_group *port = backends_join(all, &again.c);
    backends_state(port, 1, &s);
    assert_true(s.up);
    backends_leave(other);
    backends_leave(port);
    backends_leave(old);
    backends_leave(new);

    struct backends_group *fresh = backends_join(all, &b.c); /* the old state was freed */
    backends_state(fresh, 1, &s);
    assert_true(s.up);
    backends_leave(fresh);
    backends_free(all);
    backends_leave(NULL);
    backends_free(NULL);
}

/* A tunnel stays for days; the configuration that it began with does not. */
static void a_place_outlives_its_group(void **state)
{
    (void)state;
    struct backend b;
    struct backends_state s;
    struct backends *all = backends_new();
    struct addr who = client_of(1);
    char name[BACKENDS_NAME_MAX];
    uint64_t tried = 0;
    size_t at;

    backend_init(&b, BACKENDS_FIRST, 1);
    b.server[0].host = (char *)"2001:db8::1";
    struct backends_group *g = backends_join(all, &b.c);
    assert_true(backends_choose(g, &who, &tried, START, &at));
    struct backends_place *place = backends_place_at(g, at);
    backends_drain(g, at, true, START);
    backends_leave(g);
    memset(&b, 0, sizeof b);
    assert_string_equal(backends_place_name(place, name), "[2001:db8::1]:443");

    backend_init(&b, BACKENDS_FIRST, 1);
    b.server[0].host = (char *)"2001:db8::1";
    g = backends_join(all, &b.c); /* finds the same server */
    backends_state(g, 0, &s);
    assert_true(s.draining);
    assert_int_equal(s.tunnels, 1);
    backends_release(place);
    backends_state(g, 0, &s);
    assert_int_equal(s.tunnels, 0);
    backends_leave(g);
    backends_free(all); /* asserts that no server is left */
}

/* ---- threads -------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 3000 };

struct crowd {
    struct backends_group *g;
    atomic_uint got[3], held, over, down, up;
};

static void *crowd_choose(void *arg)
{
    struct crowd *c = arg;
    struct addr who = client_of(1);
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t tried = 0;
        size_t at;
        assert_true(backends_choose(c->g, &who, &tried, START, &at));
        atomic_fetch_add(&c->got[at], 1);
        if (at == 0 && atomic_fetch_add(&c->held, 1) >= 2)
            atomic_fetch_add(&c->over, 1);
        if (at == 0)
            atomic_fetch_sub(&c->held, 1);
        backends_release(backends_place_at(c->g, at));
    }
    return NULL;
}

static void *crowd_report(void *arg)
{
    struct crowd *c = arg;
    for (int i = 0; i < ROUNDS; i++) {
        const bool good = i / 10 % 2 != 0;
        switch (backends_report(c->g, 0, good, "because", START)) {
        case BACKENDS_WENT_DOWN: atomic_fetch_add(&c->down, 1); break;
        case BACKENDS_CAME_UP: atomic_fetch_add(&c->up, 1); break;
        case BACKENDS_SAME: break;
        }
    }
    return NULL;
}

static void crowd(struct crowd *c, void *(*fn)(void *))
{
    pthread_t thread[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, fn, c), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
}

/* The shares of roundrobin are exact with several threads, too. */
static void test_threads_choose(void **state)
{
    (void)state;
    struct backend b;
    backend_init(&b, BACKENDS_ROUNDROBIN, 3);
    b.server[0].weight = 2;
    struct crowd c = {.g = backends_join(NULL, &b.c)};
    crowd(&c, crowd_choose);
    assert_int_equal(c.got[0], THREADS * ROUNDS / 2);
    assert_int_equal(c.got[1], THREADS * ROUNDS / 4);
    assert_int_equal(c.got[2], THREADS * ROUNDS / 4);
    backends_leave(c.g);
}

/* max-tunnels is never exceeded. */
static void test_threads_full(void **state)
{
    (void)state;
    struct backend b;
    backend_init(&b, BACKENDS_FIRST, 2);
    b.server[0].max_tunnels = 2;
    struct crowd c = {.g = backends_join(NULL, &b.c)};
    crowd(&c, crowd_choose);
    assert_int_equal(c.over, 0);
    assert_int_equal(c.got[0] + c.got[1], THREADS * ROUNDS);
    backends_leave(c.g);
}

/* Up and down alternate, and exactly one thread gets each change. */
static void test_threads_report(void **state)
{
    (void)state;
    struct backend b;
    struct backends_state s;
    backend_init(&b, BACKENDS_ROUNDROBIN, 1);
    struct crowd c = {.g = backends_join(NULL, &b.c)};
    crowd(&c, crowd_report);
    backends_state(c.g, 0, &s);
    assert_true(c.down > 0);
    assert_int_equal(c.down, c.up + !s.up);
    backends_leave(c.g);
}

/* A server that is down and one that is drained stay so in another process. */
static void test_restored(void **state)
{
    (void)state;
    struct backend b;
    struct backends_state s = {.up = false, .changed_ms = 7000, .cause = "refused"};
    backend_init(&b, BACKENDS_ROUNDROBIN, 2);
    b.c.probed = true;
    struct backends_group *g = backends_join(NULL, &b.c);
    uint64_t tried = 0;
    size_t server;

    backends_restore(g, 0, &s);
    memset(&s, 0, sizeof s);
    backends_state(g, 0, &s);
    assert_false(s.up || s.draining);
    assert_int_equal(s.changed_ms, 7000);
    assert_string_equal(s.cause, "refused");
    backends_restore(g, 1, &(struct backends_state){.up = true, .draining = true});
    backends_state(g, 1, &s);
    assert_true(s.up && s.draining);
    assert_false(backends_choose(g, NULL, &tried, 8000, &server));
    backends_leave(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_courses),
        cmocka_unit_test(test_weights),
        cmocka_unit_test(test_slow_start),
        cmocka_unit_test(test_source_stays),
        cmocka_unit_test(test_source_is_fixed),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_sharing),
        cmocka_unit_test(a_place_outlives_its_group),
        cmocka_unit_test(test_threads_choose),
        cmocka_unit_test(test_threads_full),
        cmocka_unit_test(test_threads_report),
        cmocka_unit_test(test_restored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
