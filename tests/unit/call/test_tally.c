#include "call/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "binding/hlak.h"
#include "call/record.h"
#include "config/config.h"

static struct config_backend backends[] = {{.name = (char *)"one"}, {.name = (char *)"two"}};
static struct config_route route = {.backend = &backends[1]};

/* A configuration with listeners of these names; the first has a route to the second backend. */
static struct config *config_of(const char *a, const char *b)
{
    static struct config_listener listener[2];
    static struct config c;

    listener[0] = (struct config_listener){
        .name = (char *)a, .backend = &backends[0], .route = &route, .route_count = 1};
    listener[1] = (struct config_listener){.name = (char *)b, .backend = &backends[1]};
    c = (struct config){.listener = listener, .listener_count = b == NULL ? 1 : 2};
    return &c;
}

static void counters_of_a_name_survive_a_switch(void **state)
{
    struct tally t;

    (void)state;
    tally_init(&t);
    tally_switch(&t, config_of("a", "b"));
    struct tally_listener *a = t.of[0], *b = t.of[1];
    tally_add(&b->calls.login_failures, 3);
    tally_switch(&t, config_of("c", NULL)); /* neither a nor b, whose calls go on */
    assert_string_equal(t.of[0]->name, "c");
    tally_add(&b->calls.login_failures, 1);
    tally_switch(&t, config_of("b", "a"));
    assert_ptr_equal(t.of[0], b);
    assert_ptr_equal(t.of[1], a);
    assert_int_equal(tally_get(&b->calls.login_failures), 4);
    assert_int_equal(tally_get(&a->calls.login_failures), 0);
    tally_fini(&t);
}

static void a_listener_counts_its_tunnels_by_backend(void **state)
{
    struct tally t;

    (void)state;
    tally_init(&t);
    tally_switch(&t, config_of("a", "b"));
    struct tally_tunnels *one = tally_tunnels_at(t.of[0], "one");
    struct tally_tunnels *two = tally_tunnels_at(t.of[0], "two"); /* of the route */
    assert_ptr_not_equal(one, two);
    assert_ptr_not_equal(two, tally_tunnels_at(t.of[1], "two"));
    tally_switch(&t, config_of("a", "b"));
    assert_ptr_equal(one, tally_tunnels_at(t.of[0], "one"));
    tally_fini(&t);
}

/* The sum has each listener once, in whatever order the workers have them. */
static void sums_are_by_name(void **state)
{
    struct tally w[2], sum;

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        tally_init(&w[i]);
        tally_switch(&w[i], i == 0 ? config_of("a", "b") : config_of("b", "a"));
        struct tally_listener *a = w[i].of[i], *b = w[i].of[1 - i];
        tally_add(&a->calls.bytes[TALLY_UP], 10);
        tally_add(&a->calls.denials[TALLY_DRY_RUN], 1);
        tally_add(&b->calls.ended[REASON_LIMIT][OUTCOME_REFUSED], 2 + i);
        tally_add(&tally_tunnels_at(a, i == 0 ? "one" : "two")->now, 1);
        tally_add(&w[i].gate.leaf_unknown, 7);
    }
    tally_init(&sum);
    tally_sum(&sum, &w[0]);
    tally_sum(&sum, &w[1]);
    const struct tally_listener *a = sum.listener, *b = a->next;
    assert_string_equal(a->name, "a");
    assert_string_equal(b->name, "b");
    assert_null(b->next);
    assert_int_equal(tally_get(&a->calls.bytes[TALLY_UP]), 20);
    assert_int_equal(tally_get(&a->calls.bytes[TALLY_DOWN]), 0);
    assert_int_equal(tally_get(&a->calls.denials[TALLY_DRY_RUN]), 2);
    assert_int_equal(tally_get(&b->calls.ended[REASON_LIMIT][OUTCOME_REFUSED]), 5);
    assert_int_equal(tally_get(&sum.gate.leaf_unknown), 14);
    assert_string_equal(a->tunnels->backend, "one");
    assert_int_equal(tally_get(&a->tunnels->now), 1);
    tally_fini(&sum);
    tally_fini(&w[0]);
    tally_fini(&w[1]);
}

/* A bound belongs to its bucket, as in Prometheus. */
static void times_fall_into_their_buckets(void **state)
{
    struct tally_histogram h = {0};

    (void)state;
    for (unsigned i = 1; i < TALLY_BUCKETS; i++)
        assert_true(tally_bounds_ms[i - 1] < tally_bounds_ms[i]);
    tally_time(&h, 0);
    tally_time(&h, tally_bounds_ms[0]);
    tally_time(&h, tally_bounds_ms[0] + 1);
    tally_time(&h, tally_bounds_ms[TALLY_BUCKETS - 1] + 1);
    assert_int_equal(tally_get(&h.bucket[0]), 2);
    assert_int_equal(tally_get(&h.bucket[1]), 1);
    assert_int_equal(tally_get(&h.bucket[TALLY_BUCKETS]), 1);
    assert_int_equal(tally_times(&h), 4);
    assert_int_equal(tally_get(&h.sum_ms),
                     2 * tally_bounds_ms[0] + 1 + tally_bounds_ms[TALLY_BUCKETS - 1] + 1);
}

static void handshakes_count_by_version(void **state)
{
    static const char *const names[] = {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"};
    struct tally t;

    (void)state;
    tally_init(&t);
    tally_switch(&t, config_of("a", NULL));
    for (unsigned i = 0; i < TALLY_TLS_VERSIONS; i++) {
        assert_string_equal(tally_tls_name((enum tally_tls)i), names[i]);
        tally_handshake(&t, t.of[0], names[i], 20);
        assert_int_equal(tally_get(&t.of[0]->calls.handshakes[i]), 1);
    }
    assert_int_equal(tally_times(&t.gate.handshake), TALLY_TLS_VERSIONS);
    tally_fini(&t);
}

static void handshakes_count_by_side_and_records(void **state)
{
    static const char *const sides[] = {"client", "server"}, *const words[] = {"gate", "openssl"};
    struct tally t;

    (void)state;
    tally_init(&t);
    for (enum tally_side side = TALLY_CLIENT; side < TALLY_SIDES; side++)
        for (unsigned i = 0; i < TALLY_RECORDS; i++) {
            assert_string_equal(tally_side_name(side), sides[side]);
            assert_string_equal(tally_records_name(i), words[i]);
            tally_records(&t, side, words[i]);
            assert_int_equal(tally_get(&t.gate.records[side][i]), 1);
        }
    tally_fini(&t);
}

static void bindings_count_by_verdict_key_and_hash(void **state)
{
    static const char *const hashes[] = {NULL, "sha1", "sha256"};
    struct tally t;

    (void)state;
    tally_init(&t);
    for (unsigned v = RECORD_BINDING_VERIFIED; v < TALLY_BINDINGS; v++)
        for (unsigned key = 0; key < TALLY_KEYS; key++)
            for (unsigned hash = 0; hash < TALLY_HASHES; hash++) {
                const struct record r = {
                    .binding = (enum record_binding)v,
                    .key = key == 0 ? NULL : hlak_kind_name((enum hlak_kind)(key - 1)),
                    .hash = hashes[hash]};
                tally_binding(&t, &r);
                assert_int_equal(tally_get(&t.gate.bindings[v][key][hash]), 1);
            }
    assert_int_equal(RECORD_BINDING_FAILED, TALLY_BINDINGS - 1);
    assert_int_equal(HLAK_SHARED + 1, TALLY_KEYS - 1); /* no kind is left out */
    tally_fini(&t);
}

static void labels_have_the_words_of_the_log_and_of_the_keys(void **state)
{
    static const char *const actions[] = {"reset", "drop", "decoy", "disconnect", "dry-run"};
    static const char *const limits[] = {
        "ban-points",     "max-tunnels-per-address", "handshake-rate-per-address",
        "handshake-rate", "max-tunnels-per-user",    "max-tunnels",
        "open-files",     "handshakes-at-once",      "server-max-tunnels"};
    (void)state;
    assert_int_equal(TALLY_ACTIONS, 5);
    for (unsigned i = 0; i < TALLY_ACTIONS; i++)
        assert_string_equal(tally_action_name((enum tally_action)i), actions[i]);
    for (unsigned i = LIMITS_OK + 1; i < TALLY_LIMITS; i++)
        assert_string_equal(tally_limit_name((enum tally_limit)i), limits[i - 1]);
    assert_string_equal(tally_key_name(0), "none");
    assert_string_equal(tally_hash_name(0), "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_of_a_name_survive_a_switch),
        cmocka_unit_test(a_listener_counts_its_tunnels_by_backend),
        cmocka_unit_test(sums_are_by_name),
        cmocka_unit_test(times_fall_into_their_buckets),
        cmocka_unit_test(handshakes_count_by_version),
        cmocka_unit_test(handshakes_count_by_side_and_records),
        cmocka_unit_test(bindings_count_by_verdict_key_and_hash),
        cmocka_unit_test(labels_have_the_words_of_the_log_and_of_the_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
