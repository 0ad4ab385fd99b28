#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "binding/hlak.h"
#include "vectors.h"

static void check_part(const struct vector *v, const char *key, const uint8_t *have, size_t n)
{
    if (vector_find(v, key).p != NULL)
        assert_memory_equal(have, vector_octets(v, key, n), n);
}

static void mschapv2(void **state)
{
    (void)state;
    struct vectors all = vectors_read("tests/vectors/hlak.txt");
    size_t seen = 0;
    for (size_t i = 0; i < all.count; i++) {
        const struct vector *v = &all.item[i];
        struct hlak k;
        if (vector_find(v, "nt_response").p == NULL)
            continue;
        print_message("# %s\n", v->name);
        memset(&k, 0xa5, sizeof k);
        hlak_mschapv2(&k, vector_octets(v, "nt_hash_hash", HLAK_HASH_HASH),
                      vector_octets(v, "nt_response", HLAK_NT_RESPONSE));
        assert_int_equal(k.kind, HLAK_MSCHAPV2);
        check_part(v, "client_send_key", k.key, 16);
        check_part(v, "client_receive_key", k.key + 16, 16);
        /* the key from a RADIUS server, and the key that the peer has computed */
        check_part(v, "recv_key", k.key, 16);
        check_part(v, "send_key", k.key + 16, 16);
        check_part(v, "peer_msk_prefix", k.key, HLAK_LEN);
        check_part(v, "hlak", k.key, HLAK_LEN);
        if (vector_find(v, "msk").p != NULL)
            assert_memory_equal(k.key, vector_octets(v, "msk", 64), HLAK_LEN);
        seen++;
    }
    assert_int_equal(seen, 4);
    vectors_free(&all);
}

static void mschapv1(void **state)
{
    (void)state;
    struct vectors all = vectors_read("tests/vectors/hlak.txt");
    const struct vector *v = vectors_named(&all, "mschapv1_hlak_accel_ppp");
    struct hlak k;

    hlak_mschapv1(&k, vector_octets(v, "nt_hash_hash", HLAK_HASH_HASH),
                  vector_octets(v, "challenge", 8));
    assert_int_equal(k.kind, HLAK_MSCHAPV1);
    assert_memory_equal(k.key, vector_octets(v, "start_key", 16), 16);
    assert_memory_equal(k.key, vector_octets(v, "hlak", HLAK_LEN), HLAK_LEN);
    vectors_free(&all);
}

static void zero(void **state)
{
    (void)state;
    struct vectors all = vectors_read("tests/vectors/hlak.txt");
    struct hlak k;

    memset(&k, 0xa5, sizeof k);
    hlak_zero(&k);
    assert_int_equal(k.kind, HLAK_ZERO);
    assert_memory_equal(k.key, vector_octets(vectors_named(&all, "pap"), "hlak", HLAK_LEN),
                        HLAK_LEN);
    vectors_free(&all);
}

static void every_input_counts(void **state)
{
    (void)state;
    uint8_t hash_hash[HLAK_HASH_HASH] = {1}, response[HLAK_NT_RESPONSE] = {2}, challenge[8] = {3};
    struct hlak base, k;

    hlak_mschapv2(&base, hash_hash, response);
    for (size_t i = 0; i < sizeof hash_hash + sizeof response; i++) {
        uint8_t *octet = i < sizeof hash_hash ? &hash_hash[i] : &response[i - sizeof hash_hash];
        *octet ^= 0x80;
        hlak_mschapv2(&k, hash_hash, response);
        *octet ^= 0x80;
        assert_memory_not_equal(k.key, base.key, 16);
        assert_memory_not_equal(k.key + 16, base.key + 16, 16);
    }
    hlak_mschapv1(&base, hash_hash, challenge);
    for (size_t i = 0; i < sizeof hash_hash + sizeof challenge; i++) {
        uint8_t *octet = i < sizeof hash_hash ? &hash_hash[i] : &challenge[i - sizeof hash_hash];
        *octet ^= 0x80;
        hlak_mschapv1(&k, hash_hash, challenge);
        *octet ^= 0x80;
        assert_memory_not_equal(k.key, base.key, 16);
    }
}

static void wipe(void **state)
{
    (void)state;
    static const struct hlak zeros;
    const uint8_t hash_hash[HLAK_HASH_HASH] = {1}, response[HLAK_NT_RESPONSE] = {2};
    struct hlak k;

    hlak_mschapv2(&k, hash_hash, response);
    hlak_wipe(&k);
    assert_memory_equal(&k, &zeros, sizeof k);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(hlak_kind_name(HLAK_ZERO), "zero");
    assert_string_equal(hlak_kind_name(HLAK_MSCHAPV2), "ms-chapv2");
    assert_string_equal(hlak_kind_name(HLAK_MSCHAPV1), "ms-chapv1");
    assert_string_equal(hlak_kind_name(HLAK_RADIUS), "radius");
    assert_string_equal(hlak_kind_name(HLAK_SHARED), "shared");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mschapv2),           cmocka_unit_test(mschapv1), cmocka_unit_test(zero),
        cmocka_unit_test(every_input_counts), cmocka_unit_test(wipe),     cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
