#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "base/hex.h"
#include "base/log.h"
#include "binding/vault.h"
#include "gate/shared_logins.h"
#include "radius/keyring_entry.h"

#define SECRET "a secret that only the gates have"
#define OTHER "another secret, which is too long"

enum { TEXT = 2 * (KEYRING_ENTRY_MAX + VAULT_OVERHEAD) + 1 };

static struct shared_logins logins;
static struct keyring *keyring;
static struct vault *vault; /* of the other gate */

static const uint8_t response[16] = "an NT-Response";

static int setup(void **state)
{
    (void)state;
    shared_logins_init(&logins, span_str(SECRET));
    keyring = keyring_new();
    shared_logins_start(&logins, keyring, NULL, 50);
    vault = vault_new(span_str(SECRET));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    vault_free(vault);
    keyring_free(keyring);
    shared_logins_fini(&logins);
    return 0;
}

static struct keyring_login login(void)
{
    return (struct keyring_login){.user = span_str("alice"),
                                  .marks.proof =
                                      keyring_proof(keyring, span_of(response, sizeof response))};
}

/* Returns the label that keyring.c gives this login. */
static struct keyring_label label(void)
{
    const struct keyring_login l = login();

    return (struct keyring_label){.radius = keyring_hash(keyring, span_str("home")),
                                  .user = keyring_hash(keyring, span_str("alice")),
                                  .bare = keyring_hash(keyring, span_str("alice")),
                                  .marks = l.marks};
}

/* An entry in the store, of the time now + offset_ms. */
struct stored {
    char name[SHARED_NAME_MAX], text[TEXT];
};

static uint64_t wall_ms(int offset_ms)
{
    return (uint64_t)((int64_t)time(NULL) * 1000 + offset_ms);
}

static void seal(struct stored *out, const struct vault *v, enum vault_purpose purpose,
                 const struct keyring_label *l, struct span entry)
{
    uint8_t key[KEYRING_KEYS_MAX][KEYRING_KEY], name[VAULT_NAME];
    uint8_t sealed[KEYRING_ENTRY_MAX + VAULT_OVERHEAD];

    *out = (struct stored){.name = ""};
    assert_int_equal(keyring_keys(keyring, l, key), 1);
    vault_name(v, purpose, span_of(key[0], KEYRING_KEY), name);
    memcpy(out->name, purpose == VAULT_LOGIN ? "k:" : "a:", 2);
    hex_write(out->name + 2, name, sizeof name);
    vault_seal(v, purpose, name, entry, sealed);
    hex_write(out->text, sealed, entry.n + VAULT_OVERHEAD);
}

static void outcome(struct stored *out, const struct vault *v, int offset_ms)
{
    const struct keyring_outcome o = {
        .label = label(), .verdict = KEYRING_ACCEPTED, .n = 1, .key = {{.key = {7}}}};
    uint8_t entry[KEYRING_ENTRY_MAX];

    const size_t n = keyring_entry_of_outcome(&o, wall_ms(offset_ms), entry);
    seal(out, v, VAULT_LOGIN, &o.label, span_of(entry, n));
}

static void client(struct stored *out, const struct vault *v, int offset_ms)
{
    const struct keyring_label l = label();
    uint8_t entry[KEYRING_ENTRY_MAX];
    struct addr a;

    assert_int_equal(addr_parse("192.0.2.7:1", 0, &a), ERR_OK);
    const size_t n = keyring_entry_of_client(&l, &a, wall_ms(offset_ms), entry);
    seal(out, v, VAULT_CLIENT, &l, span_of(entry, n));
}

static bool takes(const struct stored *s)
{
    return shared_logins_entry(&logins, s->name, span_str(s->text));
}

static unsigned long long count(enum shared_logins_count c)
{
    return atomic_load(&logins.count[c]);
}

static size_t keys_of_alice(void)
{
    struct hlak keys[4];
    uint64_t ids[4];
    const struct keyring_login l = login();
    struct keyring_search s = {.radius = "home", .login = &l, .keys = keys, .ids = ids, .max = 4};

    const size_t n = keyring_find(keyring, &s, uv_hrtime() / 1000000);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(keys[i].kind, HLAK_SHARED);
        assert_int_equal(keys[i].key[0], 7);
    }
    return n;
}

static void an_outcome_is_taken_once(void **state)
{
    struct stored s;

    (void)state;
    outcome(&s, vault, 0);
    assert_true(takes(&s));
    assert_int_equal(keys_of_alice(), 1);
    assert_false(takes(&s));
    outcome(&s, vault, 0); /* the same, sealed again */
    assert_false(takes(&s));
    assert_int_equal(keys_of_alice(), 1);
    assert_int_equal(count(SHARED_LOGINS_FOUND), 1);
    assert_int_equal(count(SHARED_LOGINS_AGAIN), 2);
}

static void a_client_is_taken(void **state)
{
    const struct keyring_login l = login();
    struct addr a;
    struct stored s;

    (void)state;
    client(&s, vault, 0);
    assert_true(takes(&s));
    assert_true(keyring_client_of(keyring, "home", &l, uv_hrtime() / 1000000, &a));
    assert_int_equal(a.ip[3], 7);
    assert_int_equal(count(SHARED_LOGINS_SEEN), 1);
}

/* The clocks of two gates may be a minute apart, in either direction; the entry lives ten seconds.
 */
static void the_age_of_an_entry(void **state)
{
    static const struct {
        int offset_ms;
        bool taken;
    } cases[] = {{-68000, true}, {68000, true},     {-72000, false},
                 {72000, false}, {-3600000, false}, {3600000, false}};
    struct stored s;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        client(&s, vault, cases[i].offset_ms);
        assert_int_equal(takes(&s), cases[i].taken);
    }
    assert_int_equal(count(SHARED_LOGINS_OLD), 4);
    outcome(&s, vault, -72000);
    assert_false(takes(&s));
    outcome(&s, vault, -60000);
    assert_true(takes(&s));
}

static void what_is_altered_is_refused(void **state)
{
    struct stored s;
    unsigned long long refused = 0;

    (void)state;
    outcome(&s, vault, 0);
    for (size_t i = 0; s.text[i] != '\0'; i++) {
        const char was = s.text[i];
        s.text[i] = was == '0' ? '1' : '0';
        assert_false(takes(&s));
        s.text[i] = 'x';
        assert_false(takes(&s));
        s.text[i] = was;
        assert_false(shared_logins_entry(&logins, s.name, span_of(s.text, i)));
        refused += 3;
    }
    assert_int_equal(count(SHARED_LOGINS_FOREIGN), refused);
    assert_int_equal(keys_of_alice(), 0);
    assert_true(takes(&s));
}

static void what_is_not_of_this_login_is_refused(void **state)
{
    struct vault *stranger = vault_new(span_str(OTHER));
    struct stored s, other;

    (void)state;
    outcome(&s, stranger, 0);
    assert_false(takes(&s));
    outcome(&other, vault, 0);
    memcpy(s.name, other.name, sizeof s.name); /* another secret under the right name */
    assert_false(takes(&s));
    s = other;
    s.name[5] = s.name[5] == '0' ? '1' : '0'; /* under the name of another login */
    assert_false(takes(&s));
    client(&s, vault, 0);
    memcpy(s.name, other.name, sizeof s.name); /* another purpose */
    assert_false(takes(&s));
    /* a genuine seal of this name around the label of another login, which no gate makes */
    struct keyring_outcome o = {.label = label(), .verdict = KEYRING_ACCEPTED};
    const struct keyring_label mine = o.label;
    uint8_t entry[KEYRING_ENTRY_MAX];
    o.label.marks.proof ^= 1;
    const size_t n = keyring_entry_of_outcome(&o, wall_ms(0), entry);
    seal(&s, vault, VAULT_LOGIN, &mine, span_of(entry, n));
    assert_false(takes(&s));
    assert_int_equal(count(SHARED_LOGINS_FOREIGN), 5);
    assert_int_equal(count(SHARED_LOGINS_FOUND), 0);
    vault_free(stranger);
}

static void a_gate_with_another_secret(void **state)
{
    char info[SHARED_INFO_MAX];

    (void)state;
    shared_logins_gate(&logins, "b.1", "name=b version=1 tunnels=0 state=serving");
    (void)snprintf(info, sizeof info, "name=b state=serving secret=%s", logins.print);
    shared_logins_gate(&logins, "b.1", info);
    assert_int_equal(logins.strangers, 0);
    shared_logins_gate(&logins, "b.1", "name=b secret=0011223344556677");
    shared_logins_gate(&logins, "b.1", "name=b secret=0011223344556677");
    assert_int_equal(logins.strangers, 1);
    shared_logins_gate(&logins, "c.1", "name=c secret=");
    assert_int_equal(logins.strangers, 2);
}

static void without_a_secret(void **state)
{
    struct shared_logins none = {0};
    struct keyring *k = keyring_new();

    (void)state;
    shared_logins_start(&none, k, NULL, 50);
    assert_false(keyring_is_shared(k));
    assert_false(shared_logins_entry(&none, "k:00", span_str("")));
    shared_logins_gate(&none, "b.1", "name=b secret=0011223344556677");
    shared_logins_fini(&none);
    keyring_free(k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_outcome_is_taken_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(the_age_of_an_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_altered_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_of_this_login_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_gate_with_another_secret, setup, teardown),
        cmocka_unit_test(without_a_secret),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
