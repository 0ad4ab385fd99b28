#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "binding/proof.h"
#include "vectors.h"

/* RFC 2759 9.2: the password of tests/vectors/mschap.txt, whose NT-Response each server expects. */
static void rfc_2759_response(void **state)
{
    (void)state;
    static const char *const names[] = {"rfc2759_9_2", "domain_not_hashed"};
    struct vectors all = vectors_read("tests/vectors/mschap.txt");
    struct nthash *h = nthash_new();

    assert_non_null(h);
    for (size_t i = 0; i < 2; i++) {
        const struct vector *v = vectors_named(&all, names[i]);
        uint8_t response[NT_RESPONSE], hash_hash[NT_HASH];
        assert_int_equal(proof_mschapv2(h, vector_get(v, "user"), span_str("clientPass"),
                                        vector_octets(v, "challenge", MSCHAP_CHALLENGE),
                                        vector_octets(v, "peer_challenge", MSCHAP_CHALLENGE),
                                        response, hash_hash),
                         ERR_OK);
        assert_memory_equal(response, vector_octets(v, "nt_response", NT_RESPONSE), NT_RESPONSE);
        assert_memory_equal(hash_hash, vector_octets(v, "nt_hash_hash", NT_HASH), NT_HASH);
    }
    nthash_free(h);
    vectors_free(&all);
}

static void password_is_not_utf8(void **state)
{
    (void)state;
    const uint8_t challenge[MSCHAP_CHALLENGE] = {0};
    uint8_t response[NT_RESPONSE], hash_hash[NT_HASH];
    struct nthash *h = nthash_new();

    assert_non_null(h);
    assert_int_equal(proof_mschapv2(h, span_str("a"), span_str("\xff"), challenge, challenge,
                                    response, hash_hash),
                     ERR_SYNTAX);
    nthash_free(h);
}

/* Computed by hashlib: md5(b"\x07" + b"sesame" + bytes(range(16))). */
static void md5_response(void **state)
{
    (void)state;
    static const uint8_t want[PROOF_MD5] = {0xa3, 0xce, 0xc9, 0xd1, 0x81, 0x38, 0x5e, 0x51,
                                            0xd9, 0xdb, 0xeb, 0x50, 0xa4, 0x12, 0x6d, 0x49};
    uint8_t challenge[16], out[PROOF_MD5];

    for (uint8_t i = 0; i < sizeof challenge; i++)
        challenge[i] = i;
    assert_int_equal(proof_md5(7, span_str("sesame"), span_of(challenge, sizeof challenge), out),
                     ERR_OK);
    assert_memory_equal(out, want, sizeof want);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rfc_2759_response),
                                       cmocka_unit_test(password_is_not_utf8),
                                       cmocka_unit_test(md5_response)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
