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
#include "wire_octets.h"

enum { START = 1000000 };

/* Returns a login. mark: the bytes of a proof; "#" and a name for a chain; "" for PAP. */
static struct keyring_login login(const struct keyring *k, const char *user, const char *mark)
{
    struct keyring_login l = {.user = span_str(user)};
    if (*mark == '#')
        l.marks.chain = keyring_hash(k, span_str(mark));
    else
        l.marks.proof = keyring_proof(k, span_str(mark));
    return l;
}

/* Returns a key with this number as its first byte. */
static struct hlak key(uint8_t n)
{
    return (struct hlak){.kind = HLAK_RADIUS, .key = {n}};
}

static void put(struct keyring *k, const char *radius, const char *user, const char *proof,
                uint8_t n, uint64_t now)
{
    const struct keyring_login l = login(k, user, proof);
    const struct hlak one = key(n);
    keyring_put(k, radius, &l, &one, 1, now);
}

/* Returns the numbers of the keys that were put later than *latest, as text. */
static const char *find_later(struct keyring *k, const char *radius, const char *user,
                              const char *proof, uint64_t now, uint64_t *latest)
{
    static char text[64];
    struct hlak keys[16];
    uint64_t ids[16];
    const struct keyring_login l = login(k, user, proof);
    struct keyring_search s = {
        .radius = radius, .login = &l, .latest = *latest, .keys = keys, .ids = ids, .max = 16};
    size_t n = keyring_find(k, &s, now);
    int end = 0;

    *latest = s.latest;
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

/* The marks of a login, and the logins that find its key. */
static void keys_of_users_and_marks(void **state)
{
    static const struct {
        const char *user, *mark, *asks, *with;
        bool found;
    } cases[] = {
        {"alice", RESPONSE_1, "alice", RESPONSE_1, true},
        {"alice", RESPONSE_1, "ALICE", RESPONSE_1, true},
        {"j\xc3\xbcrgen", "#1", "CORP\\J\xc3\x9cRGEN", "#1", true},
        {"alice", RESPONSE_1, "bob", RESPONSE_1, true}, /* the server has changed the name */
        {"", RESPONSE_1, "alice", RESPONSE_1, true},
        {"alice", RESPONSE_1, "", RESPONSE_1, true},
        {"alice", RESPONSE_1, "alice", RESPONSE_2, false}, /* another call of alice */
        /* bob logs in with alice's name outside of EAP-TTLS; the last answer is a short one */
        {"alice", "#of bob", "alice", RESPONSE_1, false},
        {"alice", RESPONSE_1, "alice", "#of bob", false},
        {"alice", "#1", "alice", "#1", true},
        {"alice", "#1", "Alice", "#1", true},
        {"alice", "#1", "alice", "#2", false},
        {"alice", "#1", "bob", "#1", false},
        {"", "#1", "", "#1", false},
        {"CORP\\alice", "#1", "alice", "#1", true},
        {"alice", "#1", "alice@corp.example", "#1", true},
        {"CORP\\alice", "#1", "corp\\alice", "#1", true},
        {"CORP\\alice", "#1", "HOME\\alice", "#1", false},
        {"CORP\\alice", "#1", "alice@corp.example", "#1", false},
        {"CORP\\", "#1", "alice", "#1", false},
        /* PAP has no keys */
        {"alice", "", "alice", "", false},
        {"alice", "", "alice", RESPONSE_1, false},
        {"alice", RESPONSE_1, "alice", "", false},
        {"alice", "15 octets of it", "alice", "15 octets of it", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct keyring *k = keyring_new();
        put(k, "home", cases[i].user, cases[i].mark, 1, START);
        if ((*find(k, "home", cases[i].asks, cases[i].with, START) != '\0') != cases[i].found)
            fail_msg("case %zu", i);
        assert_string_equal(find(k, "away", cases[i].asks, cases[i].with, START), "");
        keyring_free(k);
    }
}

static void newest_first(void **state)
{
    struct keyring *k = keyring_new();

    (void)state;
    assert_string_equal(find(k, "home", "alice", RESPONSE_1, START), "");
    put(k, "home", "alice", RESPONSE_1, 1, START);
    put(k, "home", "alice", "#1", 2, START);
    put(k, "home", "other name", RESPONSE_1, 3, START);
    put(k, "home", "bob", RESPONSE_2, 4, START);
    put(k, "home", "alice", RESPONSE_1, 5, START);
    assert_string_equal(find(k, "home", "alice", RESPONSE_1, START), "5 3 1");
    assert_string_equal(find(k, "home", "alice", "#1", START), "2");
    assert_string_equal(find(k, "home", "bob", RESPONSE_2, START), "4");
    keyring_free(k);
}

/* ---- logins by EAP ---- */

#define IDENTITY "02 01 0009 01 'User'"
#define CHALLENGE                                                                                  \
    "01 02 001e 1a 01 07 0019 10 'a challenge, 16.' 'peer'" /* EAP-MSCHAPv2, [MS-CHAP] 2.2 */
#define OTHER_CHALLENGE "01 02 001e 1a 01 07 0019 10 'challenge no. 2.' 'peer'"
#define RESPONSE_OF(nt) "02 02 003f 1a 02 07 003a 31 'peer challenge..reserved' " nt " 00 'User'"
#define NT_1 "'NT-Response no. 1, of 24'"
#define NT_2 "'NT-Response no. 2, of 24'"
#define ACCEPTED "01 03 000a 1a 03 07 0005 'S'"
#define FAILED "01 03 000a 1a 04 07 0005 'E'"
#define DONE "02 03 0006 1a 03"

static struct keyring_marks follow(const struct keyring *k, const char *const *packets)
{
    struct keyring_marks m = {0};
    for (size_t i = 0; packets[i] != NULL; i++) {
        const struct span s = octets_hex(packets[i]);
        keyring_follow(k, &m, s);
        octets_free(s);
    }
    return m;
}

enum { PACKETS_MAX = 8 };

/* Tests whether two sides that have seen these packets recognize the same login. */
static void chains(void **state)
{
    static const struct {
        const char *what, *ppp[PACKETS_MAX], *radius[PACKETS_MAX];
        bool same;
    } cases[] = {
        {"the same", {IDENTITY, CHALLENGE, DONE}, {IDENTITY, CHALLENGE, DONE}, true},
        {"the VPN server asks for the name itself",
         {"01 01 0005 01", IDENTITY, CHALLENGE, DONE},
         {IDENTITY, CHALLENGE, DONE},
         true},
        {"and answers RADIUS itself",
         {IDENTITY, CHALLENGE},
         {"02 77 000d 01 'User@hub'", CHALLENGE},
         true},
        {"other identifiers", {IDENTITY, "01 02 0006 0d 20"}, {IDENTITY, "01 09 0006 0d 20"}, true},
        {"padding", {IDENTITY, "01 02 0006 0d 20"}, {IDENTITY, "01 02 0006 0d 20 0000"}, true},
        {"another challenge", {IDENTITY, CHALLENGE}, {IDENTITY, OTHER_CHALLENGE}, false},
        {"octets behind an acknowledgement",
         {IDENTITY, CHALLENGE, "02 03 0016 1a 03 'octets of a mark'"},
         {IDENTITY, OTHER_CHALLENGE, "02 03 0016 1a 03 'octets of a mark'"},
         false},
        {"one packet more", {IDENTITY, CHALLENGE, DONE}, {IDENTITY, CHALLENGE}, false},
        {"a question is not an answer",
         {IDENTITY, "01 02 0006 0d 20"},
         {IDENTITY, "02 02 0006 0d 20"},
         false},
        {"what cannot be read counts",
         {IDENTITY, CHALLENGE, "02 03 0063 1a"},
         {IDENTITY, CHALLENGE},
         false},
        {"a login starts over",
         {IDENTITY, OTHER_CHALLENGE, "01 04 0005 01", IDENTITY, CHALLENGE},
         {IDENTITY, CHALLENGE},
         true},
        {"without a name nothing is followed", {CHALLENGE, DONE}, {CHALLENGE, DONE}, false},
        {"the server has had no part in it", {IDENTITY}, {IDENTITY}, false},
    };
    const struct hlak one = key(1);
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct keyring *k = keyring_new();
        struct keyring_login l = {.user = span_str("User"), .marks = follow(k, cases[i].radius)};
        struct hlak found[1];
        uint64_t ids[1];
        struct keyring_search s = {
            .radius = "home", .login = &l, .keys = found, .ids = ids, .max = 1};
        l.marks.proof = 0;
        keyring_put(k, "home", &l, &one, 1, START);
        l.marks = follow(k, cases[i].ppp);
        l.marks.proof = 0;
        if ((keyring_find(k, &s, START) == 1) != cases[i].same)
            fail_msg("%s", cases[i].what);
        keyring_free(k);
    }
}

/* The NT-Response inside EAP-MSCHAPv2 is the same proof as in MS-CHAPv2. */
static void proofs_in_eap(void **state)
{
    static const struct {
        const char *what, *packets[PACKETS_MAX], *proof;
    } cases[] = {
        {"a response", {IDENTITY, CHALLENGE, RESPONSE_OF(NT_1)}, NT_1},
        {"accepted", {IDENTITY, CHALLENGE, RESPONSE_OF(NT_1), ACCEPTED, DONE}, NT_1},
        {"said twice", {IDENTITY, CHALLENGE, RESPONSE_OF(NT_1), RESPONSE_OF(NT_1)}, NT_1},
        {"a second try",
         {IDENTITY, CHALLENGE, RESPONSE_OF(NT_2), FAILED, RESPONSE_OF(NT_1), ACCEPTED, DONE},
         NT_1},
        {"refused", {IDENTITY, CHALLENGE, RESPONSE_OF(NT_1), FAILED}, NULL},
        {"another answer behind the Success",
         {IDENTITY, CHALLENGE, RESPONSE_OF(NT_2), ACCEPTED, RESPONSE_OF(NT_1)},
         NULL},
        {"two answers, one of them twice",
         {IDENTITY, CHALLENGE, RESPONSE_OF(NT_1), RESPONSE_OF(NT_2), RESPONSE_OF(NT_1)},
         NULL},
        {"another method", {IDENTITY, CHALLENGE, RESPONSE_OF(NT_1), "01 03 0006 0d 20"}, NULL},
        {"the name once more", {IDENTITY, CHALLENGE, RESPONSE_OF(NT_1), IDENTITY}, NULL},
        {"no challenge, no name", {RESPONSE_OF(NT_1)}, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct keyring *k = keyring_new();
        const struct span nt = octets_hex(NT_1);
        const uint64_t proof = follow(k, cases[i].packets).proof;
        if ((proof == keyring_proof(k, nt)) != (cases[i].proof != NULL))
            fail_msg("%s", cases[i].what);
        octets_free(nt);
        keyring_free(k);
    }
}

static void marks_are_of_one_keyring(void **state)
{
    struct keyring *a = keyring_new(), *b = keyring_new();

    (void)state;
    assert_true(keyring_hash(a, span_str("x")) != keyring_hash(b, span_str("x")));
    assert_int_equal(keyring_hash(a, span_of(NULL, 0)), 0);
    keyring_free(a);
    keyring_free(b);
}

/* ---- limits and expiry ---- */

static void no_more_than_asked_for(void **state)
{
    struct keyring *k = keyring_new();
    struct hlak keys[KEYRING_PER_LOGIN + 2];
    const struct keyring_login l = login(k, "alice", RESPONSE_1);
    uint64_t ids[KEYRING_PER_LOGIN + 2];
    struct keyring_search s = {.radius = "home", .login = &l, .keys = keys, .ids = ids, .max = 2};

    (void)state;
    for (uint8_t i = 0; i < KEYRING_PER_LOGIN + 2; i++)
        keys[i] = key(i);
    keyring_put(k, "home", &l, keys, KEYRING_PER_LOGIN + 2, START);
    memset(keys, 0, sizeof keys);
    assert_int_equal(keyring_find(k, &s, START), 2);
    assert_int_equal(keys[1].key[0], 1);
    assert_int_equal(keys[2].kind, HLAK_ZERO);
    s.latest = 0;
    s.max = KEYRING_PER_LOGIN + 2;
    assert_int_equal(keyring_find(k, &s, START), KEYRING_PER_LOGIN);
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
    const struct keyring_login l = login(k, "alice", RESPONSE_1);
    uint64_t ids[2];
    struct keyring_search s = {.radius = "home", .login = &l, .keys = keys, .ids = ids, .max = 2};

    (void)state;
    keys[0] = key(1);
    keys[1] = key(2);
    keyring_put(k, "home", &l, keys, 2, START);
    put(k, "home", "bob", RESPONSE_2, 3, START);
    assert_int_equal(keyring_find(k, &s, START), 2);
    assert_int_equal(ids[0], ids[1]);
    keyring_spend(k, ids[0]);
    assert_string_equal(find(k, "home", "alice", RESPONSE_1, START), "");
    keyring_spend(k, ids[0]); /* two calls may find the same key */
    keyring_spend(k, 4711);
    assert_string_equal(find(k, "home", "bob", RESPONSE_2, START), "3");
    keyring_free(k);
}

static void too_old(void **state)
{
    struct keyring *k = keyring_new();

    (void)state;
    put(k, "home", "alice", RESPONSE_1, 1, START);
    put(k, "home", "bob", RESPONSE_1, 2, START + 1);
    assert_string_equal(find(k, "home", "alice", RESPONSE_1, START - 5),
                        "2 1"); /* by the clock of another thread */
    assert_string_equal(find(k, "home", "alice", RESPONSE_1, START + KEYRING_MS), "2 1");
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
        put(k, "home", user, "#1", 7, START);
    }
    for (unsigned i = 0; i < 2 * KEYRING_MAX; i++) {
        snprintf(user, sizeof user, "user%u", i);
        assert_string_equal(find(k, "home", user, "#1", START), i < KEYRING_MAX ? "" : "7");
    }
    keyring_free(k);
}

/* ---- the client of a login ---- */

static void saw(struct keyring *k, const char *radius, const char *user, const char *proof,
                const char *from, uint64_t now)
{
    const struct keyring_login l = login(k, user, proof);
    struct addr a;
    assert_int_equal(addr_parse(from, 0, &a), 0);
    keyring_saw(k, radius, &l, &a, now);
}

static const char *client_of(struct keyring *k, const char *radius, const char *user,
                             const char *proof, uint64_t now)
{
    static char text[ADDR_TEXT_MAX];
    const struct keyring_login l = login(k, user, proof);
    struct addr a;
    return keyring_client_of(k, radius, &l, now, &a) ? addr_format(&a, text) : "?";
}

static void by_proof_or_user(void **state)
{
    struct keyring *k = keyring_new();

    (void)state;
    assert_string_equal(client_of(k, "home", "alice", RESPONSE_1, START), "?");
    saw(k, "home", "alice", RESPONSE_1, "192.0.2.1:1001", START);
    saw(k, "home", "bob", "", "192.0.2.2:1002", START);
    saw(k, "home", "", "", "192.0.2.3:1003", START);
    assert_string_equal(client_of(k, "home", "alice", RESPONSE_1, START), "192.0.2.1:1001");
    assert_string_equal(client_of(k, "home", "stripped", RESPONSE_1, START), "192.0.2.1:1001");
    assert_string_equal(client_of(k, "home", "alice", RESPONSE_2, START), "?");
    assert_string_equal(client_of(k, "home", "alice", "", START), "?");
    assert_string_equal(client_of(k, "home", "Bob", "", START), "192.0.2.2:1002");
    assert_string_equal(client_of(k, "home", "CORP\\bob", "", START), "192.0.2.2:1002");
    assert_string_equal(client_of(k, "home", "", "", START), "?");
    assert_string_equal(client_of(k, "away", "bob", "", START), "?");
    keyring_free(k);
}

/* All EAP logins begin with the same chain, so the name identifies the first packet; the chain
 * identifies later ones. */
static void by_chain(void **state)
{
    static const char *const begun[] = {IDENTITY, NULL}, *const followed[] = {IDENTITY, CHALLENGE,
                                                                              NULL};
    struct keyring *k = keyring_new();
    struct keyring_login alice = {.user = span_str("alice"), .marks = follow(k, begun)};
    struct keyring_login bob = {.user = span_str("bob"), .marks = follow(k, begun)};
    struct addr a, b, found;

    (void)state;
    assert_int_equal(addr_parse("192.0.2.1:1001", 0, &a), 0);
    assert_int_equal(addr_parse("192.0.2.2:1002", 0, &b), 0);
    keyring_saw(k, "home", &alice, &a, START);
    keyring_saw(k, "home", &bob, &b, START);
    assert_true(keyring_client_of(k, "home", &alice, START, &found) && addr_equal(&found, &a));
    assert_true(keyring_client_of(k, "home", &bob, START, &found) && addr_equal(&found, &b));
    bob.user = span_str("alice");
    keyring_saw(k, "home", &bob, &b, START);
    assert_false(keyring_client_of(k, "home", &alice, START, &found));
    alice.marks = follow(k, followed);
    assert_false(keyring_client_of(k, "home", &alice, START, &found));
    keyring_saw(k, "home", &alice, &a, START);
    assert_true(keyring_client_of(k, "home", &alice, START, &found) && addr_equal(&found, &a));
    assert_string_equal(client_of(k, "home", "alice", "", START), "?");
    keyring_free(k);
}

/* A VPN server that uses EAP-MSCHAPv2 with the client and MS-CHAPv2 with RADIUS, or vice versa.
 */
static void by_either_mark(void **state)
{
    struct keyring *k = keyring_new();
    struct keyring_login both = login(k, "alice", RESPONSE_1);

    (void)state;
    both.marks.chain = keyring_hash(k, span_str("#1"));
    struct addr a, found;
    assert_int_equal(addr_parse("192.0.2.1:1001", 0, &a), 0);
    keyring_saw(k, "home", &both, &a, START);
    assert_string_equal(client_of(k, "home", "alice", RESPONSE_1, START), "192.0.2.1:1001");
    assert_string_equal(client_of(k, "home", "alice", "#1", START), "192.0.2.1:1001");
    saw(k, "home", "alice", RESPONSE_2, "192.0.2.2:1002", START);
    both = login(k, "alice", RESPONSE_2);
    both.marks.chain = keyring_hash(k, span_str("of the VPN server"));
    assert_true(keyring_client_of(k, "home", &both, START, &found));
    keyring_free(k);
}

static void from_two_places(void **state)
{
    struct keyring *k = keyring_new();

    (void)state;
    saw(k, "home", "bob", "", "192.0.2.1:1001", START);
    saw(k, "home", "bob", "", "192.0.2.1:1002", START + 1);
    assert_string_equal(client_of(k, "home", "bob", "", START + 1), "192.0.2.1:1002");
    saw(k, "home", "bob", "", "192.0.2.9:1001", START + 2);
    assert_string_equal(client_of(k, "home", "bob", "", START + 2), "?");
    assert_string_equal(client_of(k, "home", "bob", "", START + 2 + KEYRING_MS), "192.0.2.9:1001");
    assert_string_equal(client_of(k, "home", "bob", "", START + 3 + KEYRING_MS), "?");
    keyring_free(k);
}

/* Repetitions of one login replace no note of another login, and its own note stays. */
static void repeated(void **state)
{
    struct keyring *k = keyring_new();

    (void)state;
    saw(k, "home", "alice", RESPONSE_1, "192.0.2.1:1001", START);
    for (unsigned i = 0; i < 2 * KEYRING_SEEN_MAX; i++)
        saw(k, "home", "bob", "", "192.0.2.2:1002", START + i);
    assert_string_equal(client_of(k, "home", "alice", RESPONSE_1, START), "192.0.2.1:1001");
    assert_string_equal(client_of(k, "home", "bob", "", START + 2 * KEYRING_SEEN_MAX + 5000),
                        "192.0.2.2:1002");
    keyring_free(k);
}

/* The number of notes is bounded. A replaced note may have been another client's, so its name finds
 * no client for as long as the note would have been kept. */
static void many_clients(void **state)
{
    struct keyring *k = keyring_new();
    char user[16];

    (void)state;
    saw(k, "home", "alice", "", "192.0.2.66:1001", START);
    for (unsigned i = 0; i < KEYRING_SEEN_MAX - 1; i++) {
        snprintf(user, sizeof user, "user%u", i);
        saw(k, "home", user, "", "192.0.2.1:1001", START);
    }
    assert_string_equal(client_of(k, "home", "alice", "", START), "192.0.2.66:1001");
    assert_string_equal(client_of(k, "home", "user7", "", START), "192.0.2.1:1001");
    saw(k, "home", "alice", "", "192.0.2.8:1001", START + 1);
    assert_string_equal(client_of(k, "home", "alice", "", START + 1), "?");
    assert_string_equal(client_of(k, "home", "alice", "", START + KEYRING_MS), "?");
    assert_string_equal(client_of(k, "home", "alice", "", START + 1 + KEYRING_MS),
                        "192.0.2.8:1001");
    keyring_free(k);
}

/* ---- threads ---- */

enum { THREADS = 4, TURNS = 1000 };

struct counted {
    struct keyring *k;
    unsigned times; /* counted by the one thread that puts */
};

/* The callback may call the keyring, because no lock is held. */
static void on_put(void *arg)
{
    struct counted *t = arg;
    t->times++;
    keyring_sweep(t->k, START);
}

static void *give(void *arg)
{
    char user[16];

    for (unsigned i = 0; i < TURNS; i++) {
        snprintf(user, sizeof user, "user%u", i % 10);
        put(arg, "home", user, RESPONSE_1, (uint8_t)(i % 10), START + i);
        client_of(arg, "home", user, "", START + i);
    }
    return NULL;
}

static void *take(void *arg)
{
    struct hlak keys[4];
    uint64_t ids[4];
    const struct keyring_login l = login(arg, "user7", RESPONSE_1);
    struct keyring_search s = {.radius = "home", .login = &l, .keys = keys, .ids = ids, .max = 4};

    for (unsigned i = 0; i < TURNS; i++) {
        saw(arg, "home", "user7", RESPONSE_1, "192.0.2.1:1001", START + i);
        if (keyring_find(arg, &s, START + i) > 0)
            keyring_spend(arg, ids[0]);
    }
    return NULL;
}

static void judge(struct keyring *k, const char *user, const char *mark, enum keyring_verdict v)
{
    const struct keyring_login l = login(k, user, mark);
    keyring_judge(k, "home", &l, v, START);
}

static enum keyring_verdict verdict(struct keyring *k, const char *user, const char *mark,
                                    uint64_t now)
{
    const struct keyring_login l = login(k, user, mark);
    return keyring_take_verdict(k, "home", &l, 0, now);
}

/* A verdict is that of the login's own marks first; a Reject also of the user, and only once. */
static void verdicts(void **state)
{
    struct keyring *k = keyring_new();

    (void)state;
    assert_int_equal(verdict(k, "alice", "", START), KEYRING_UNDECIDED);
    judge(k, "alice", RESPONSE_1, KEYRING_REJECTED);
    judge(k, "alice", RESPONSE_2, KEYRING_LOST);
    judge(k, "bob", "#chain", KEYRING_ACCEPTED);
    assert_int_equal(verdict(k, "alice", RESPONSE_2, START), KEYRING_LOST);
    assert_int_equal(verdict(k, "alice", RESPONSE_1, START), KEYRING_REJECTED);
    assert_int_equal(verdict(k, "alice", RESPONSE_1, START), KEYRING_UNDECIDED);
    assert_int_equal(verdict(k, "bob", "#chain", START), KEYRING_ACCEPTED);
    assert_int_equal(verdict(k, "bob", "#other", START), KEYRING_UNDECIDED);
    judge(k, "bob", "#chain", KEYRING_REJECTED);
    assert_int_equal(verdict(k, "HOME\\Bob", "#other", START), KEYRING_REJECTED);
    judge(k, "erin", "", KEYRING_REJECTED);
    judge(k, "erin", "", KEYRING_ACCEPTED); /* the verdict on another login, if it is older */
    const struct keyring_login erin = login(k, "erin", "");
    assert_int_equal(keyring_take_verdict(k, "home", &erin, START, START), KEYRING_ACCEPTED);
    assert_int_equal(keyring_take_verdict(k, "home", &erin, START + 1, START), KEYRING_REJECTED);
    assert_int_equal(keyring_take_verdict(k, "home", &erin, START + 1, START), KEYRING_UNDECIDED);
    judge(k, "carol", "", KEYRING_LOST);
    assert_int_equal(verdict(k, "carol", "", START + KEYRING_MS), KEYRING_LOST);
    assert_int_equal(verdict(k, "carol", "", START + KEYRING_MS + 1), KEYRING_UNDECIDED);
    for (unsigned i = 0; i < 2 * KEYRING_VERDICTS_MAX; i++)
        judge(k, "dave", "", KEYRING_ACCEPTED);
    assert_int_equal(verdict(k, "dave", "", START), KEYRING_ACCEPTED);
    keyring_free(k);
}

static void threads(void **state)
{
    pthread_t thread[THREADS];
    struct counted counted = {.k = keyring_new()};

    (void)state;
    keyring_on_put(counted.k, on_put, &counted);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, i == 0 ? give : take, counted.k), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    assert_int_equal(counted.times, TURNS);
    keyring_free(counted.k);
}

/* ---- other gates ---- */

/* What a keyring has offered and asked. */
struct peers {
    struct keyring *k;
    unsigned outcomes, clients, wanted, searches, forgotten;
    bool all;
    uint32_t ms;
    struct keyring_outcome outcome;
    struct keyring_label label;
    struct addr client;
};

static void on_outcome(void *arg, const struct keyring_outcome *o)
{
    struct peers *p = arg;
    p->outcomes++;
    p->outcome = *o;
}

static void on_client(void *arg, const struct keyring_label *label, const struct addr *client)
{
    struct peers *p = arg;
    p->clients++;
    p->label = *label;
    p->client = *client;
}

static void on_want(void *arg, const struct keyring_label *label, uint32_t ms)
{
    struct peers *p = arg;
    p->wanted++;
    p->label = *label;
    p->ms = ms;
}

static void *on_want_client(void *arg, const struct keyring_label *label, bool all,
                            struct worker *from, void (*on_answer)(void *to), void *to)
{
    struct peers *p = arg;
    (void)label, (void)from, (void)on_answer, (void)to;
    p->searches++;
    p->all = all;
    return p;
}

static void on_forget(void *search)
{
    struct peers *p = search;
    p->forgotten++;
}

static const struct keyring_others others = {.give_outcome = on_outcome,
                                             .give_client = on_client,
                                             .want_outcome = on_want,
                                             .want_client = on_want_client,
                                             .forget_client = on_forget};

static const uint8_t shared_secret[16] = "one secret";

static void share(struct peers *p, const uint8_t *secret)
{
    *p = (struct peers){.k = keyring_new()};
    assert_false(keyring_is_shared(p->k));
    keyring_share(p->k, secret, &others, p);
    assert_true(keyring_is_shared(p->k));
}

static struct addr address(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(text, 0, &a), ERR_OK);
    return a;
}

static void an_outcome_reaches_another_gate(void **state)
{
    static const char *const marks[] = {RESPONSE_1, "#1"};
    struct peers a, b;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        share(&a, shared_secret);
        share(&b, shared_secret);
        put(a.k, "home", "CORP\\alice", marks[i], 7, START);
        judge(a.k, "CORP\\alice", marks[i], KEYRING_ACCEPTED);
        assert_int_equal(a.outcomes, 1);
        assert_int_equal(a.outcome.n, 1);
        const struct keyring_login l = login(b.k, "alice", marks[i]);
        assert_false(keyring_accepted(b.k, "home", &l, START));
        keyring_take_outcome(b.k, &a.outcome, START + 100);
        assert_true(keyring_accepted(b.k, "home", &l, START + 100));
        assert_false(keyring_accepted(b.k, "away", &l, START + 100));
        struct hlak key;
        uint64_t id;
        struct keyring_search s = {
            .radius = "home", .login = &l, .keys = &key, .ids = &id, .max = 1};
        assert_int_equal(keyring_find(b.k, &s, START + 100), 1);
        assert_int_equal(key.kind, HLAK_SHARED);
        assert_int_equal(key.key[0], 7);
        const struct keyring_login another = login(b.k, "alice", "a response of another login");
        assert_false(keyring_accepted(b.k, "home", &another, START + 100));
        assert_int_equal(b.outcomes, 0); /* what was taken is not offered again */
        keyring_free(a.k);
        keyring_free(b.k);
    }
}

static void marks_need_one_secret(void **state)
{
    struct peers a, b, c;

    (void)state;
    share(&a, shared_secret);
    share(&b, shared_secret);
    share(&c, (const uint8_t *)"another secret..");
    const uint64_t mark = keyring_proof(a.k, span_str(RESPONSE_1));
    assert_true(mark == keyring_proof(b.k, span_str(RESPONSE_1)));
    assert_true(mark != keyring_proof(c.k, span_str(RESPONSE_1)));
    keyring_free(a.k);
    keyring_free(b.k);
    keyring_free(c.k);
}

/* An outcome is offered unless the call of this very login is here, which no client of another
 * gate can pretend. */
static void only_outcomes_of_calls_elsewhere_are_offered(void **state)
{
    const struct addr client = address("192.0.2.1:1000");
    struct peers p;

    (void)state;
    share(&p, shared_secret);
    const struct keyring_login here = login(p.k, "alice", RESPONSE_1);
    const struct keyring_login pap = login(p.k, "alice", "");
    keyring_saw(p.k, "home", &here, &client, START);
    keyring_saw(p.k, "home", &pap, &client, START);
    judge(p.k, "alice", RESPONSE_1, KEYRING_ACCEPTED);
    assert_int_equal(p.outcomes, 0);
    judge(p.k, "alice", RESPONSE_2, KEYRING_REJECTED);
    assert_int_equal(p.outcomes, 1);
    assert_int_equal(p.outcome.verdict, KEYRING_REJECTED);
    assert_int_equal(p.outcome.n, 0);
    judge(p.k, "alice", "", KEYRING_ACCEPTED); /* a name is no mark */
    assert_int_equal(p.outcomes, 2);
    judge(p.k, "alice", RESPONSE_2, KEYRING_CHALLENGED);
    judge(p.k, "alice", RESPONSE_2, KEYRING_LOST);
    assert_int_equal(p.outcomes, 2);
    /* a note of another gate does not say that the call is here */
    struct keyring_login there = login(p.k, "alice", "#there");
    keyring_offer_client(p.k, "home", &there, &client);
    assert_int_equal(p.clients, 1);
    keyring_take_client(p.k, &p.label, &p.client, START);
    judge(p.k, "alice", "#there", KEYRING_ACCEPTED);
    assert_int_equal(p.outcomes, 3);
    keyring_free(p.k);
}

static void other_gates_are_asked_for_a_client(void **state)
{
    const struct addr a = address("192.0.2.1:1000"), b = address("192.0.2.2:1000");
    struct addr found;
    struct peers p;

    (void)state;
    share(&p, shared_secret);
    const struct keyring_login eap = login(p.k, "alice", "#1"), pap = login(p.k, "alice", "");
    assert_ptr_equal(keyring_want_client(p.k, "home", &eap, START, NULL, NULL, NULL), &p);
    assert_false(p.all);
    keyring_forget_client(p.k, &p);
    keyring_forget_client(p.k, NULL);
    assert_int_equal(p.forgotten, 1);
    keyring_offer_client(p.k, "home", &eap, &a);
    keyring_take_client(p.k, &p.label, &p.client, START);
    assert_true(keyring_client_of(p.k, "home", &eap, START, &found));
    assert_true(addr_same_host(&found, &a));
    /* this login alone has the mark; many have the name */
    assert_null(keyring_want_client(p.k, "home", &eap, START, NULL, NULL, NULL));
    keyring_saw(p.k, "home", &pap, &a, START);
    assert_ptr_equal(keyring_want_client(p.k, "home", &pap, START, NULL, NULL, NULL), &p);
    assert_true(p.all);
    keyring_offer_client(p.k, "home", &pap, &b);
    keyring_take_client(p.k, &p.label, &p.client, START);
    assert_false(keyring_client_of(p.k, "home", &pap, START, &found));
    keyring_want_outcome(p.k, "home", &eap, 1234);
    assert_int_equal(p.wanted, 1);
    assert_int_equal(p.ms, 1234);
    keyring_free(p.k);
}

static void without_others_nothing_is_asked(void **state)
{
    const struct addr a = address("192.0.2.1:1000");
    struct keyring *k = keyring_new();
    const struct keyring_login l = login(k, "alice", "#1");

    (void)state;
    keyring_want_outcome(k, "home", &l, 1);
    keyring_offer_client(k, "home", &l, &a);
    assert_null(keyring_want_client(k, "home", &l, START, NULL, NULL, NULL));
    keyring_free(k);
}

/* Both sides of a login compute the same labels for their search, whatever name they know. */
static void labels_of_a_search(void **state)
{
    uint8_t mine[KEYRING_KEYS_MAX][KEYRING_KEY], theirs[KEYRING_KEYS_MAX][KEYRING_KEY];
    struct peers p;

    (void)state;
    share(&p, shared_secret);
    const struct addr a = address("192.0.2.1:1000");
    struct keyring_login l = login(p.k, "alice", RESPONSE_1);
    l.marks.chain = login(p.k, "", "#1").marks.chain;
    keyring_offer_client(p.k, "home", &l, &a);
    assert_int_equal(keyring_keys(p.k, &p.label, mine), 2);
    l.user = span_str("another name");
    keyring_offer_client(p.k, "home", &l, &a);
    assert_int_equal(keyring_keys(p.k, &p.label, theirs), 2);
    assert_memory_equal(mine, theirs, sizeof mine);
    assert_memory_not_equal(mine[0], mine[1], KEYRING_KEY);
    keyring_offer_client(p.k, "away", &l, &a);
    assert_int_equal(keyring_keys(p.k, &p.label, theirs), 2);
    assert_memory_not_equal(mine[0], theirs[0], KEYRING_KEY);
    assert_memory_not_equal(mine[1], theirs[1], KEYRING_KEY);
    l = login(p.k, "Alice", "");
    keyring_offer_client(p.k, "home", &l, &a);
    assert_int_equal(keyring_keys(p.k, &p.label, mine), 1);
    l.user = span_str("CORP\\alice");
    keyring_offer_client(p.k, "home", &l, &a);
    assert_int_equal(keyring_keys(p.k, &p.label, theirs), 1);
    assert_memory_equal(mine[0], theirs[0], KEYRING_KEY);
    keyring_free(p.k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_of_users_and_marks),
        cmocka_unit_test(newest_first),
        cmocka_unit_test(chains),
        cmocka_unit_test(proofs_in_eap),
        cmocka_unit_test(marks_are_of_one_keyring),
        cmocka_unit_test(no_more_than_asked_for),
        cmocka_unit_test(later_ones_only),
        cmocka_unit_test(spent),
        cmocka_unit_test(too_old),
        cmocka_unit_test(too_many),
        cmocka_unit_test(by_proof_or_user),
        cmocka_unit_test(by_chain),
        cmocka_unit_test(by_either_mark),
        cmocka_unit_test(from_two_places),
        cmocka_unit_test(repeated),
        cmocka_unit_test(many_clients),
        cmocka_unit_test(verdicts),
        cmocka_unit_test(threads),
        cmocka_unit_test(an_outcome_reaches_another_gate),
        cmocka_unit_test(marks_need_one_secret),
        cmocka_unit_test(only_outcomes_of_calls_elsewhere_are_offered),
        cmocka_unit_test(other_gates_are_asked_for_a_client),
        cmocka_unit_test(without_others_nothing_is_asked),
        cmocka_unit_test(labels_of_a_search),
    };
    keyring_free(NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
