#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "radius/keyring.h"

enum { START = 1000000 };

static struct keyring_login login(const char *user, const char *proof)
{
    return (struct keyring_login){.user = span_str(user), .proof = span_str(proof)};
}

/* A key that is told from others by its first octet. */
static struct hlak key(uint8_t n)
{
    return (struct hlak){.kind = HLAK_RADIUS, .key = {n}};
}

static void put(struct keyring *k, const char *radius, const char *user, const char *proof,
                uint8_t n, uint64_t now)
{
    const struct keyring_login l = login(user, proof);
    const struct hlak one = key(n);
    keyring_put(k, radius, &l, &one, 1, now);
}

/* The first octets of what is found, as text; only what was put later than *latest. */
static const char *find_later(struct keyring *k, const char *radius, const char *user,
                              const char *proof, uint64_t now, uint64_t *latest)
{
    static char text[64];
    struct hlak keys[16];
    uint64_t id[16];
    const struct keyring_login l = login(user, proof);
    size_t n = keyring_find(k, radius, &l, now, latest, keys, id, 16);
    int end = 0;

    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(keys[i].kind, HLAK_RADIUS);
        end += snprintf(text + end, sizeof text - (size_t)end, "%s%u", i > 0 ? " " : "",
                        keys[i].key[0]);
    }
    return text;
}

static const char *find(struct keyring *k, const char *radius, const char *user, const char *proof,
                        uint64_t now)
{
    uint64_t latest = 0;
    return find_later(k, radius, user, proof, now, &latest);
}

#define RESPONSE_1 "an NT-Response has 24 1."
#define RESPONSE_2 "an NT-Response has 24 2."
#define SHORT_1 "\x02\x08\x01\x06\x0d\x01"
#define SHORT_2 "\x02\x09\x01\x06\x0d\x01"

/* What one login has, and who finds it. */
static void kinship(void **state)
{
    static const struct {
        const char *user, *proof, *asks, *with;
        bool found;
    } cases[] = {
        {"alice", RESPONSE_1, "alice", RESPONSE_1, true},
        {"alice", RESPONSE_1, "ALICE", RESPONSE_1, true},
        {"alice", RESPONSE_1, "bob", RESPONSE_1, true}, /* the server has changed the name */
        {"", RESPONSE_1, "alice", RESPONSE_1, true},
        {"alice", RESPONSE_1, "", RESPONSE_1, true},
        {"alice", RESPONSE_1, "alice", RESPONSE_2, false}, /* her other call's */
        {"alice", RESPONSE_1, "alice", "", true},          /* two were seen, or a long one */
        {"alice", RESPONSE_1, "alice", SHORT_1, true},
        {"alice", SHORT_1, "alice", SHORT_2, true},
        {"alice", SHORT_1, "alice", SHORT_1, true},
        {"alice", SHORT_1, "bob", SHORT_1, false}, /* the same six octets for everybody */
        {"alice", RESPONSE_1, "bob", RESPONSE_2, false},
        {"alice", "", "bob", "", false},
        {"", "", "", "", false},
        {"", SHORT_1, "", SHORT_1, false},
        {"CORP\\alice", SHORT_1, "alice", SHORT_1, true},
        {"alice", SHORT_1, "alice@corp.example", SHORT_2, true},
        {"CORP\\alice", SHORT_1, "HOME\\alice", SHORT_1, false},
        {"CORP\\alice", SHORT_1, "alice@corp.example", SHORT_1, false},
        {"CORP\\", SHORT_1, "alice", SHORT_1, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct keyring *k = keyring_new();
        put(k, "home", cases[i].user, cases[i].proof, 1, START);
        if ((*find(k, "home", cases[i].asks, cases[i].with, START) != '\0') != cases[i].found)
            fail_msg("case %zu", i);
        assert_string_equal(find(k, "away", cases[i].asks, cases[i].with, START), "");
        keyring_free(k);
    }
}

static void best_first(void **state)
{
    struct keyring *k = keyring_new();

    (void)state;
    assert_string_equal(find(k, "home", "alice", RESPONSE_1, START), "");
    put(k, "home", "alice", RESPONSE_1, 1, START);
    put(k, "home", "alice", "", 2, START);
    put(k, "home", "other name", RESPONSE_1, 3, START);
    put(k, "home", "alice", SHORT_1, 4, START);
    put(k, "home", "alice", RESPONSE_1, 5, START);
    put(k, "home", "bob", RESPONSE_2, 6, START);
    assert_string_equal(find(k, "home", "alice", RESPONSE_1, START), "5 1 3 4 2");
    assert_string_equal(find(k, "home", "alice", SHORT_1, START), "4 5 2 1");
    assert_string_equal(find(k, "home", "bob", RESPONSE_2, START), "6");
    keyring_free(k);
}

static void no_more_than_asked_for(void **state)
{
    struct keyring *k = keyring_new();
    struct hlak keys[KEYRING_PER_LOGIN + 2];
    const struct keyring_login l = login("alice", RESPONSE_1);
    uint64_t id[KEYRING_PER_LOGIN + 2], latest = 0;

    (void)state;
    for (uint8_t i = 0; i < KEYRING_PER_LOGIN + 2; i++)
        keys[i] = key(i);
    keyring_put(k, "home", &l, keys, KEYRING_PER_LOGIN + 2, START);
    memset(keys, 0, sizeof keys);
    assert_int_equal(keyring_find(k, "home", &l, START, &latest, keys, id, 2), 2);
    assert_int_equal(keys[1].key[0], 1);
    assert_int_equal(keys[2].kind, HLAK_ZERO);
    latest = 0;
    assert_int_equal(keyring_find(k, "home", &l, START, &latest, keys, id, KEYRING_PER_LOGIN + 2),
                     KEYRING_PER_LOGIN);
    keyring_free(k);
}

static void later_ones_only(void **state)
{
    struct keyring *k = keyring_new();
    uint64_t latest = 0;

    (void)state;
    put(k, "home", "alice", RESPONSE_1, 1, START);
    assert_string_equal(find_later(k, "home", "alice", RESPONSE_1, START, &latest), "1");
    assert_string_equal(find_later(k, "home", "alice", RESPONSE_1, START, &latest), "");
    put(k, "home", "bob", RESPONSE_2, 2, START);
    put(k, "home", "alice", RESPONSE_1, 3, START);
    assert_string_equal(find_later(k, "home", "alice", RESPONSE_1, START, &latest), "3");
    assert_string_equal(find_later(k, "home", "alice", RESPONSE_1, START, &latest), "");
    keyring_free(k);
}

static void spent(void **state)
{
    struct keyring *k = keyring_new();
    struct hlak keys[2];
    const struct keyring_login l = login("alice", RESPONSE_1);
    uint64_t id[2], latest = 0;

    (void)state;
    keys[0] = key(1);
    keys[1] = key(2);
    keyring_put(k, "home", &l, keys, 2, START);
    put(k, "home", "bob", RESPONSE_2, 3, START);
    assert_int_equal(keyring_find(k, "home", &l, START, &latest, keys, id, 2), 2);
    assert_int_equal(id[0], id[1]);
    keyring_spend(k, id[0]);
    assert_string_equal(find(k, "home", "alice", RESPONSE_1, START), "");
    keyring_spend(k, id[0]); /* of two calls that knew it the other one may be later */
    keyring_spend(k, 4711);
    assert_string_equal(find(k, "home", "bob", RESPONSE_2, START), "3");
    keyring_free(k);
}

static void too_old(void **state)
{
    struct keyring *k = keyring_new();

    (void)state;
    put(k, "home", "alice", RESPONSE_1, 1, START);
    put(k, "home", "alice", "", 2, START + 1);
    assert_string_equal(find(k, "home", "alice", RESPONSE_1, START - 5), "1 2"); /* another clock */
    assert_string_equal(find(k, "home", "alice", RESPONSE_1, START + KEYRING_MS), "1 2");
    assert_string_equal(find(k, "home", "alice", RESPONSE_1, START + KEYRING_MS + 1), "2");
    keyring_sweep(k, START + KEYRING_MS + 2);
    assert_string_equal(find(k, "home", "alice", RESPONSE_1, START), "");
    keyring_free(k);
}

static void too_many(void **state)
{
    struct keyring *k = keyring_new();
    char user[16];

    (void)state;
    for (unsigned i = 0; i < 2 * KEYRING_MAX; i++) {
        snprintf(user, sizeof user, "user%u", i);
        put(k, "home", user, "", 7, START);
    }
    for (unsigned i = 0; i < 2 * KEYRING_MAX; i++) {
        snprintf(user, sizeof user, "user%u", i);
        assert_string_equal(find(k, "home", user, "", START), i < KEYRING_MAX ? "" : "7");
    }
    keyring_free(k);
}

/* ---- where a login comes from ---------------------------------------------------------------- */

static void saw(struct keyring *k, const char *radius, const char *user, const char *proof,
                const char *from, uint64_t now)
{
    const struct keyring_login l = login(user, proof);
    struct addr a;
    assert_int_equal(addr_parse(from, 0, &a), 0);
    keyring_saw(k, radius, &l, &a, now);
}

static const char *whence(struct keyring *k, const char *radius, const char *user,
                          const char *proof, uint64_t now)
{
    static char text[ADDR_TEXT_MAX];
    const struct keyring_login l = login(user, proof);
    struct addr a;
    return keyring_whence(k, radius, &l, now, &a) ? addr_format(&a, text) : "?";
}

static void by_proof_or_user(void **state)
{
    struct keyring *k = keyring_new();

    (void)state;
    assert_string_equal(whence(k, "home", "alice", RESPONSE_1, START), "?");
    saw(k, "home", "alice", RESPONSE_1, "192.0.2.1:1001", START);
    saw(k, "home", "bob", "", "192.0.2.2:1002", START);
    saw(k, "home", "", "", "192.0.2.3:1003", START);
    assert_string_equal(whence(k, "home", "alice", RESPONSE_1, START), "192.0.2.1:1001");
    assert_string_equal(whence(k, "home", "stripped", RESPONSE_1, START), "192.0.2.1:1001");
    assert_string_equal(whence(k, "home", "alice", RESPONSE_2, START), "?");
    assert_string_equal(whence(k, "home", "alice", "", START), "?");
    assert_string_equal(whence(k, "home", "Bob", "", START), "192.0.2.2:1002");
    assert_string_equal(whence(k, "home", "CORP\\bob", "", START), "192.0.2.2:1002");
    assert_string_equal(whence(k, "home", "", "", START), "?");
    assert_string_equal(whence(k, "away", "bob", "", START), "?");
    keyring_free(k);
}

/* The last packets of EAP-TLS and EAP-MSCHAPv2 are the same six octets for everybody. */
static void a_proof_of_many(void **state)
{
    struct keyring *k = keyring_new();

    (void)state;
    saw(k, "home", "alice", "p", "192.0.2.1:1001", START);
    saw(k, "home", "bob", "p", "192.0.2.2:1002", START);
    assert_string_equal(whence(k, "home", "alice", "p", START), "192.0.2.1:1001");
    assert_string_equal(whence(k, "home", "bob", "p", START), "192.0.2.2:1002");
    assert_string_equal(whence(k, "home", "carol", "p", START), "?");
    keyring_free(k);
}

static void from_two_places(void **state)
{
    struct keyring *k = keyring_new();

    (void)state;
    saw(k, "home", "bob", "", "192.0.2.1:1001", START);
    saw(k, "home", "bob", "", "192.0.2.1:1002", START + 1);
    assert_string_equal(whence(k, "home", "bob", "", START + 1), "192.0.2.1:1002");
    saw(k, "home", "bob", "", "192.0.2.9:1001", START + 2);
    assert_string_equal(whence(k, "home", "bob", "", START + 2), "?");
    assert_string_equal(whence(k, "home", "bob", "", START + 2 + KEYRING_MS), "192.0.2.9:1001");
    assert_string_equal(whence(k, "home", "bob", "", START + 3 + KEYRING_MS), "?");
    keyring_free(k);
}

/* One who says the same over and over pushes nobody out, and stays known. */
static void repeated(void **state)
{
    struct keyring *k = keyring_new();

    (void)state;
    saw(k, "home", "alice", RESPONSE_1, "192.0.2.1:1001", START);
    for (unsigned i = 0; i < 2 * KEYRING_SEEN_MAX; i++)
        saw(k, "home", "bob", "", "192.0.2.2:1002", START + i);
    assert_string_equal(whence(k, "home", "alice", RESPONSE_1, START), "192.0.2.1:1001");
    assert_string_equal(whence(k, "home", "bob", "", START + 2 * KEYRING_SEEN_MAX + 5000),
                        "192.0.2.2:1002");
    keyring_free(k);
}

static void many_clients(void **state)
{
    struct keyring *k = keyring_new();
    char user[16];

    (void)state;
    for (unsigned i = 0; i < 3 * KEYRING_SEEN_MAX; i++) {
        snprintf(user, sizeof user, "user%u", i);
        saw(k, "home", user, i % 2 ? SHORT_1 : "", "192.0.2.1:1001", START);
    }
    for (unsigned i = KEYRING_SEEN_MAX; i < 3 * KEYRING_SEEN_MAX; i++) {
        snprintf(user, sizeof user, "user%u", i);
        assert_string_equal(whence(k, "home", user, i % 2 ? SHORT_1 : "", START),
                            i < 2 * KEYRING_SEEN_MAX ? "?" : "192.0.2.1:1001");
    }
    keyring_free(k);
}

/* ---- threads --------------------------------------------------------------------------------- */

enum { THREADS = 4, TURNS = 1000 };

struct told {
    struct keyring *k;
    unsigned times; /* by the one thread that puts */
};

/* It may call the keyring: no lock is held. */
static void on_put(void *arg)
{
    struct told *t = arg;
    t->times++;
    keyring_sweep(t->k, START);
}

static void *give(void *arg)
{
    char user[16];

    for (unsigned i = 0; i < TURNS; i++) {
        snprintf(user, sizeof user, "user%u", i % 10);
        put(arg, "home", user, "p", (uint8_t)(i % 10), START + i);
        whence(arg, "home", user, "", START + i);
    }
    return NULL;
}

static void *take(void *arg)
{
    uint64_t latest = 0;
    struct hlak keys[4];
    uint64_t id[4];
    const struct keyring_login l = login("user7", "");

    for (unsigned i = 0; i < TURNS; i++) {
        saw(arg, "home", "user7", "p", "192.0.2.1:1001", START + i);
        if (keyring_find(arg, "home", &l, START + i, &latest, keys, id, 4) > 0)
            keyring_spend(arg, id[0]);
    }
    return NULL;
}

static void threads(void **state)
{
    pthread_t thread[THREADS];
    struct told told = {.k = keyring_new()};

    (void)state;
    keyring_on_put(told.k, on_put, &told);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, i == 0 ? give : take, told.k), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_int_equal(told.times, TURNS);
    keyring_free(told.k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinship),
        cmocka_unit_test(best_first),
        cmocka_unit_test(no_more_than_asked_for),
        cmocka_unit_test(later_ones_only),
        cmocka_unit_test(spent),
        cmocka_unit_test(too_old),
        cmocka_unit_test(too_many),
        cmocka_unit_test(by_proof_or_user),
        cmocka_unit_test(a_proof_of_many),
        cmocka_unit_test(from_two_places),
        cmocka_unit_test(repeated),
        cmocka_unit_test(many_clients),
        cmocka_unit_test(threads),
    };
    keyring_free(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
