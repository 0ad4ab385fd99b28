#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tls/aead.h"
#include "tls/aead_check.h"
#include "vectors.h"

/* Runs a test with each library that this machine has. */
static void with(enum aead_library library, void (*test)(void))
{
    if (!aead_use(library))
        skip();
    test();
}
#define WITH_BOTH(test)                                                                            \
    static void test##_evp(void **state)                                                           \
    {                                                                                              \
        (void)state;                                                                               \
        with(AEAD_EVP, test);                                                                      \
    }                                                                                              \
    static void test##_mb(void **state)                                                            \
    {                                                                                              \
        (void)state;                                                                               \
        with(AEAD_MB, test);                                                                       \
    }
#define BOTH(test) cmocka_unit_test(test##_evp), cmocka_unit_test(test##_mb)

static void starts(void **state)
{
    (void)state;
    char error[AEAD_ERROR_MAX] = "?";

    assert_true(aead_start(error));
    assert_string_equal(error, "");
    assert_true(aead_use(AEAD_EVP));
    assert_int_equal(strncmp(aead_name(), "OpenSSL 3.", 10), 0);
    if (aead_use(AEAD_MB))
        assert_int_equal(strncmp(aead_name(), "ipsec-mb ", 9), 0);
}

/* ---- vectors ---- */

static void seal_and_open(const struct vector *v)
{
    const enum aead_cipher c = (enum aead_cipher)vector_get(v, "cipher").p[0];
    struct aead_key *k = aead_key_new(c, vector_octets(v, "key", aead_key_size(c)));
    const uint8_t *nonce = vector_octets(v, "nonce", AEAD_NONCE);
    const struct span aad = vector_get(v, "aad"), plain = vector_get(v, "plain"),
                      sealed = vector_get(v, "sealed");
    uint8_t *out = malloc(sealed.n);

    assert_int_equal(sealed.n, plain.n + AEAD_TAG);
    aead_seal(k, nonce, aad, plain, out);
    assert_memory_equal(out, sealed.p, sealed.n);
    assert_true(aead_open(k, nonce, aad, span_of(out, sealed.n), out)); /* in place */
    assert_memory_equal(out, plain.p, plain.n);
    aead_seal(k, nonce, aad, span_of(out, plain.n), out);
    assert_memory_equal(out, sealed.p, sealed.n);
    memset(out, 0, sealed.n);
    assert_true(aead_open(k, nonce, aad, sealed, out));
    assert_memory_equal(out, plain.p, plain.n);
    free(out);
    aead_key_free(k);
}

static void vectors(void)
{
    struct vectors all = vectors_read("tests/vectors/aead.txt");

    assert_int_equal(all.count, 7);
    for (size_t i = 0; i < all.count; i++) {
        print_message("# %s\n", all.item[i].name);
        seal_and_open(&all.item[i]);
    }
    vectors_free(&all);
}
WITH_BOTH(vectors)

/* ---- what must be refused ---- */

enum { PLAIN = 100 };

static const uint8_t none[PLAIN];

/* Copies to a block of exactly n bytes, so that a sanitizer detects a read past its end. */
static uint8_t *copy_of(const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n + (n == 0));

    memcpy(copy, p, n);
    return copy;
}

/* Each bit of the ciphertext, the tag, the header and the nonce matters, and no
 * plaintext remains in the output. */
static void each_bit_of(enum aead_cipher c)
{
    uint8_t key[AEAD_KEY_MAX] = {1}, in[AEAD_NONCE + 13 + PLAIN + AEAD_TAG] = {2}, out[PLAIN];
    struct aead_key *k = aead_key_new(c, key);
    const struct span aad = span_of(in + AEAD_NONCE, 13),
                      sealed = span_of(in + AEAD_NONCE + 13, PLAIN + AEAD_TAG);

    memset(in + AEAD_NONCE + 13, 'x', PLAIN);
    aead_seal(k, in, aad, span_of(sealed.p, PLAIN), in + AEAD_NONCE + 13);
    for (size_t bit = 0; bit < sizeof in * 8; bit++) {
        in[bit / 8] ^= (uint8_t)(1u << bit % 8);
        memset(out, 'y', PLAIN);
        assert_false(aead_open(k, in, aad, sealed, out));
        assert_memory_equal(out, none, PLAIN);
        in[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_true(aead_open(k, in, aad, sealed, out));
    assert_int_equal(out[PLAIN - 1], 'x');
    aead_key_free(k);
}

static void each_bit(void)
{
    for (enum aead_cipher c = 0; c < AEAD_CIPHERS; c++)
        each_bit_of(c);
}
WITH_BOTH(each_bit)

/* A message that is shorter than a tag, and one that was cut. */
static void short_messages(void)
{
    for (enum aead_cipher c = 0; c < AEAD_CIPHERS; c++) {
        uint8_t key[AEAD_KEY_MAX] = {1}, sealed[PLAIN + AEAD_TAG] = {0}, out[PLAIN];
        struct aead_key *k = aead_key_new(c, key);
        aead_seal(k, none, span_of(NULL, 0), span_of(sealed, PLAIN), sealed);
        for (size_t n = 0; n < sizeof sealed; n++) {
            uint8_t *cut = copy_of(sealed, n);
            assert_false(aead_open(k, none, span_of(NULL, 0), span_of(cut, n), out));
            free(cut);
        }
        assert_true(aead_open(k, none, span_of(NULL, 0), span_of(sealed, sizeof sealed), out));
        aead_key_free(k);
    }
}
WITH_BOTH(short_messages)

/* ---- equal results of both libraries ---- */

static void fill(uint8_t *p, size_t n, uint32_t seed)
{
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245u + 12345u;
        p[i] = (uint8_t)(seed >> 16);
    }
}

static uint8_t *sealed_with(enum aead_library library, enum aead_cipher c, const uint8_t *material,
                            struct span plain)
{
    uint8_t *out = malloc(plain.n + AEAD_TAG), *again = malloc(plain.n + 1);
    const struct span aad = span_of(material + AEAD_KEY_MAX + AEAD_NONCE, plain.n % 2 ? 5 : 13);

    assert_true(aead_use(library));
    struct aead_key *k = aead_key_new(c, material);
    aead_seal(k, material + AEAD_KEY_MAX, aad, plain, out);
    assert_true(
        aead_open(k, material + AEAD_KEY_MAX, aad, span_of(out, plain.n + AEAD_TAG), again));
    assert_memory_equal(again, plain.p, plain.n);
    aead_key_free(k);
    free(again);
    return out;
}

/* Each length to 1500, which covers each path of the vector code, and some up to a record. */
static void same_result(void **state)
{
    (void)state;
    static uint8_t plain[16640];
    uint8_t material[AEAD_KEY_MAX + AEAD_NONCE + 13];

    if (!aead_use(AEAD_MB))
        skip();
    for (size_t n = 0; n <= sizeof plain; n += n < 1500 ? 1 : n < 16368 ? 521 : 1)
        for (enum aead_cipher c = 0; c < AEAD_CIPHERS; c++) {
            fill(material, sizeof material, (uint32_t)n);
            fill(plain, n, (uint32_t)n + 7);
            uint8_t *a = sealed_with(AEAD_EVP, c, material, span_of(plain, n));
            uint8_t *b = sealed_with(AEAD_MB, c, material, span_of(plain, n));
            assert_memory_equal(a, b, n + AEAD_TAG);
            free(a);
            free(b);
        }
}

/* ---- the known answers at the start ---- */

/* A library with one fault. */
static enum fault {
    FAULT_NONE,
    FAULT_SEAL,     /* one bit of a ciphertext */
    FAULT_LONG,     /* the same, in messages above 1408 bytes only */
    FAULT_TAG,      /* one bit of the tag */
    FAULT_IN_PLACE, /* the same, in place only */
    FAULT_OPEN,     /* one bit of an opened text */
    FAULT_REFUSE,   /* refuses everything */
    FAULT_ACCEPT,   /* accepts everything */
    FAULT_HALF_TAG, /* accepts a tag whose second half is wrong */
    FAULTS
} fault;
static enum aead_cipher faulty;
static enum aead_cipher current;
static const struct aead_library_ops *real;

static struct aead_key *faulty_key_new(enum aead_cipher c, const uint8_t *key)
{
    current = c;
    return real->key_new(c, key);
}

static void faulty_seal(struct aead_key *k, const uint8_t *nonce, struct span aad,
                        struct span plain, uint8_t *out)
{
    const bool in_place = plain.p == out;
    const size_t n = plain.n;

    real->seal(k, nonce, aad, plain, out);
    if (current != faulty)
        return;
    if ((fault == FAULT_SEAL && n > 0) || (fault == FAULT_LONG && n > 1408))
        out[n - 1] ^= 1;
    if (fault == FAULT_TAG || (fault == FAULT_IN_PLACE && in_place))
        out[n + AEAD_TAG - 1] ^= 1;
}

static bool faulty_open(struct aead_key *k, const uint8_t *nonce, struct span aad,
                        struct span sealed, uint8_t *out)
{
    const size_t n = sealed.n - AEAD_TAG;
    uint8_t other[AEAD_TAG];
    bool half = false;

    if (current == faulty && fault == FAULT_HALF_TAG) { /* its first half decides */
        uint8_t *plain = malloc(n + AEAD_TAG);
        real->open(k, nonce, aad, sealed, plain);
        real->seal(k, nonce, aad, span_of(plain, n), plain);
        memcpy(other, plain + n, AEAD_TAG);
        half = memcmp(other, sealed.p + n, AEAD_TAG / 2) == 0;
        free(plain);
    }
    bool right = real->open(k, nonce, aad, sealed, out) || half;
    if (current != faulty)
        return right;
    if (fault == FAULT_OPEN && n > 0)
        out[0] ^= 1;
    if (fault == FAULT_REFUSE || fault == FAULT_ACCEPT)
        right = fault == FAULT_ACCEPT;
    return right;
}

/* Each fault in each cipher is found, and the message names library and cipher. */
static void wrong_answers(void)
{
    static const char *const names[] = {"AES-128-GCM", "AES-256-GCM", "ChaCha20-Poly1305"};
    uint8_t zeros[AEAD_KEY_MAX] = {0};
    struct aead_key *k = aead_key_new(AEAD_AES_128_GCM, zeros);
    char error[AEAD_ERROR_MAX];

    real = *(const struct aead_library_ops **)k; /* its first member */
    aead_key_free(k);
    struct aead_library_ops library = *real;
    library.key_new = faulty_key_new;
    library.seal = faulty_seal;
    library.open = faulty_open;
    fault = FAULT_NONE;
    assert_true(aead_check(&library, error));
    assert_string_equal(error, "");
    for (faulty = 0; faulty < AEAD_CIPHERS; faulty++)
        for (fault = FAULT_NONE + 1; fault < FAULTS; fault++) {
            assert_false(aead_check(&library, error));
            assert_non_null(strstr(error, aead_name()));
            assert_non_null(strstr(error, names[faulty]));
            assert_non_null(strstr(error, "wrong"));
        }
}
WITH_BOTH(wrong_answers)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts),      BOTH(vectors),       BOTH(each_bit), BOTH(short_messages),
        cmocka_unit_test(same_result), BOTH(wrong_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
