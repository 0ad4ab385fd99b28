#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/provider.h>

#include "binding/nthash.h"
#include "vectors.h"

static struct nthash *md4;

static void vectors(void **state)
{
    (void)state;
    struct vectors all = vectors_read("tests/vectors/nthash.txt");
    for (size_t i = 0; i < all.count; i++) {
        const struct vector *v = &all.item[i];
        uint8_t out[NT_HASH];
        print_message("# %s\n", v->name);
        assert_int_equal(nthash_from_password(md4, vector_get(v, "password"), out), ERR_OK);
        assert_memory_equal(out, vector_octets(v, "nt_hash_hash", NT_HASH), NT_HASH);
    }
    vectors_free(&all);
}

/* The NtPasswordHash of the documents gives the same result. */
static void published_nt_hashes(void **state)
{
    (void)state;
    struct vectors all = vectors_read("tests/vectors/nthash.txt");
    size_t seen = 0;

    for (size_t i = 0; i < all.count; i++) {
        const struct vector *v = &all.item[i];
        uint8_t out[NT_HASH];
        if (vector_find(v, "nt_hash").p == NULL)
            continue;
        assert_int_equal(nthash_from_hash(md4, vector_octets(v, "nt_hash", NT_HASH), out), ERR_OK);
        assert_memory_equal(out, vector_octets(v, "nt_hash_hash", NT_HASH), NT_HASH);
        seen++;
    }
    assert_true(seen >= 6);
    vectors_free(&all);
}

/* Bytes, as pppd treats a secret: the same for ASCII, and every other byte is a character of
 * Latin-1. */
static void octets(void **state)
{
    (void)state;
    uint8_t a[NT_HASH], b[NT_HASH], longest[NT_PASSWORD_MAX + 1];

    assert_int_equal(nthash_from_octets(md4, span_str("clientPass"), a), ERR_OK);
    assert_int_equal(nthash_from_password(md4, span_str("clientPass"), b), ERR_OK);
    assert_memory_equal(a, b, NT_HASH);
    assert_int_equal(nthash_from_octets(md4, span_str("b\xe4r\xff"), a), ERR_OK);
    assert_int_equal(nthash_from_password(md4, span_str("b\xc3\xa4r\xc3\xbf"), b), ERR_OK);
    assert_memory_equal(a, b, NT_HASH);
    assert_int_equal(nthash_from_octets(md4, span_str("b\xc3\xa4r"), a), ERR_OK);
    assert_memory_not_equal(a, b, NT_HASH);
    memset(longest, 'x', sizeof longest);
    assert_int_equal(nthash_from_octets(md4, span_of(longest, NT_PASSWORD_MAX), a), ERR_OK);
    assert_int_equal(nthash_from_octets(md4, span_of(longest, sizeof longest), a), ERR_TOO_LARGE);
}

static void not_utf8(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\x80", /* a continuation byte at the start */
        "\xbf",
        "a\xc3", /* ends in the middle */
        "\xe2\x82",
        "\xf0\x9f\x94",
        "\xc3(", /* not a continuation byte */
        "\xe2\x28\xa1",
        "\xe2\x82\x28",
        "\xf0\x90\x80\xc0",
        "\xc0\x80",         /* not the shortest form: NUL */
        "\xc1\xbf",         /* U+007F */
        "\xe0\x9f\xbf",     /* U+07FF */
        "\xf0\x8f\xbf\xbf", /* U+FFFF */
        "\xed\xa0\x80",     /* surrogates */
        "\xed\xbf\xbf",
        "\xf4\x90\x80\x80",     /* U+110000 */
        "\xf8\x88\x80\x80\x80", /* five bytes */
        "\xfe",
        "\xff",
        "caf\xe9", /* Latin-1 */
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t out[NT_HASH];
        /* on the heap, without the NUL, so that a sanitizer detects a read past the end */
        const size_t n = strlen(bad[i]);
        uint8_t *exact = malloc(n);
        assert_non_null(exact);
        memcpy(exact, bad[i], n);
        assert_int_equal(nthash_from_password(md4, span_of(exact, n), out), ERR_SYNTAX);
        free(exact);
    }
}

static void edges_of_utf8(void **state)
{
    (void)state;
    static const char *const good[] = {
        "\x7f",         "\xc2\x80",     "\xdf\xbf",         "\xe0\xa0\x80",     "\xed\x9f\xbf",
        "\xee\x80\x80", "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        uint8_t out[NT_HASH];
        assert_int_equal(nthash_from_password(md4, span_str(good[i]), out), ERR_OK);
    }
}

static void length(void **state)
{
    (void)state;
    uint8_t out[NT_HASH];
    char text[4 * NT_PASSWORD_MAX + 1];

    memset(text, 'x', sizeof text);
    assert_int_equal(nthash_from_password(md4, span_of(text, NT_PASSWORD_MAX), out), ERR_OK);
    assert_int_equal(nthash_from_password(md4, span_of(text, NT_PASSWORD_MAX + 1), out),
                     ERR_TOO_LARGE);
    /* a character of two units with room for one */
    memcpy(text + NT_PASSWORD_MAX - 2, "\xf0\x90\x80\x80", 4);
    assert_int_equal(nthash_from_password(md4, span_of(text, NT_PASSWORD_MAX + 2), out), ERR_OK);
    memset(text, 'x', sizeof text);
    memcpy(text + NT_PASSWORD_MAX - 1, "\xf0\x90\x80\x80", 4);
    assert_int_equal(nthash_from_password(md4, span_of(text, NT_PASSWORD_MAX + 3), out),
                     ERR_TOO_LARGE);
}

/* Computing a hash changes nothing for the rest of the process. */
static void process_is_left_alone(void **state)
{
    (void)state;
    uint8_t out[NT_HASH], digest[32];

    ERR_clear_error();
    assert_int_equal(nthash_from_password(md4, span_str("clientPass"), out), ERR_OK);
    assert_int_equal(ERR_peek_error(), 0);
    assert_int_equal(OSSL_PROVIDER_available(NULL, "legacy"), 0);
    assert_int_equal(EVP_Digest("", 0, digest, NULL, EVP_sha256(), NULL), 1);
    EVP_MD *other = EVP_MD_fetch(NULL, "MD4", NULL);
    assert_null(other);
    ERR_clear_error();
}

/* Without the legacy provider MD4 is missing, and nothing is leaked. */
static void without_md4(void **state)
{
    (void)state;

    ERR_clear_error();
    assert_int_equal(setenv("OPENSSL_MODULES", "/nonexistent", 1), 0);
    assert_null(nthash_new());
    assert_int_equal(ERR_peek_error(), 0);
    assert_int_equal(unsetenv("OPENSSL_MODULES"), 0);
    nthash_free(NULL);
}

static int begin(void **state)
{
    (void)state;
    md4 = nthash_new();
    return md4 == NULL;
}

static int end(void **state)
{
    (void)state;
    nthash_free(md4);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(published_nt_hashes),
        cmocka_unit_test(octets),
        cmocka_unit_test(not_utf8),
        cmocka_unit_test(edges_of_utf8),
        cmocka_unit_test(length),
        cmocka_unit_test(process_is_left_alone),
        cmocka_unit_test(without_md4),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
