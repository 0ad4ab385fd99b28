#include "tls/tls_library.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>

#include "certs.h"
#include "tls/tls_settings.h"

/* Returns whether this OpenSSL needs the library context. */
static bool is_needed(void)
{
    return OpenSSL_version_num() < 0x30200000L;
}

static void only_old_versions_have_it(void **state)
{
    (void)state;
    assert_int_equal(tls_library() != NULL, is_needed());
    assert_ptr_equal(tls_library(), tls_library());
    assert_int_equal(ERR_peek_error(), 0);
}

/* ---- keys ---- */

static EVP_PKEY *key_explicit(void)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char[]){"P-256"}, 0),
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_EC_ENCODING,
                                         (char[]){OSSL_PKEY_EC_ENCODING_EXPLICIT}, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;

    assert_int_equal(EVP_PKEY_keygen_init(c), 1);
    assert_int_equal(EVP_PKEY_CTX_set_params(c, params), 1);
    assert_int_equal(EVP_PKEY_generate(c, &key), 1);
    EVP_PKEY_CTX_free(c);
    return key;
}

static EVP_PKEY *key_pss(void)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
    EVP_PKEY *key = NULL;

    assert_int_equal(EVP_PKEY_keygen_init(c), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(c, 2048), 1);
    assert_int_equal(EVP_PKEY_generate(c, &key), 1);
    EVP_PKEY_CTX_free(c);
    return key;
}

static EVP_PKEY *key_dsa(void)
{
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "DSA", NULL);
    EVP_PKEY *params = NULL, *key = NULL;
    OSSL_PARAM bits[] = {
        OSSL_PARAM_construct_size_t(OSSL_PKEY_PARAM_FFC_PBITS, &(size_t){1024}),
        OSSL_PARAM_construct_size_t(OSSL_PKEY_PARAM_FFC_QBITS, &(size_t){160}),
        OSSL_PARAM_construct_end(),
    };

    assert_int_equal(EVP_PKEY_paramgen_init(c), 1);
    assert_int_equal(EVP_PKEY_CTX_set_params(c, bits), 1);
    assert_int_equal(EVP_PKEY_generate(c, &params), 1);
    EVP_PKEY_CTX_free(c);
    c = EVP_PKEY_CTX_new_from_pkey(NULL, params, NULL);
    assert_int_equal(EVP_PKEY_keygen_init(c), 1);
    assert_int_equal(EVP_PKEY_generate(c, &key), 1);
    EVP_PKEY_CTX_free(c);
    EVP_PKEY_free(params);
    return key;
}

/* Returns a certificate with this key, signed by it, as DER. Frees the key. */
static unsigned char *certificate(EVP_PKEY *key, int *n)
{
    X509 *x = X509_new();
    unsigned char *der = NULL;
    const bool no_digest = EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448");

    assert_non_null(key);
    assert_int_equal(X509_set_pubkey(x, key), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    assert_true(X509_sign(x, key, no_digest ? NULL : EVP_sha256()) > 0);
    *n = i2d_X509(x, &der);
    assert_true(*n > 0);
    X509_free(x);
    EVP_PKEY_free(key);
    return der;
}

/* Parses the certificate as a handshake does, and verifies its signature. */
static X509 *parsed(OSSL_LIB_CTX *library, const unsigned char *der, int n)
{
    X509 *x = X509_new_ex(library, NULL);

    assert_non_null(d2i_X509(&x, &der, n));
    assert_non_null(X509_get0_pubkey(x));
    assert_int_equal(X509_verify(x, X509_get0_pubkey(x)), 1);
    return x;
}

static void every_kind_of_key_is_parsed(void **state)
{
    (void)state;
    EVP_PKEY *keys[] = {EVP_RSA_gen(2048),
                        key_pss(),
                        key_dsa(),
                        EVP_EC_gen("P-256"),
                        EVP_EC_gen("P-384"),
                        EVP_EC_gen("P-521"),
                        EVP_EC_gen("secp256k1"),
                        EVP_EC_gen("brainpoolP256r1"),
                        key_explicit(),
                        EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"),
                        EVP_PKEY_Q_keygen(NULL, NULL, "ED448")};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        int n;
        unsigned char *der = certificate(keys[i], &n);
        X509 *usual = parsed(NULL, der, n), *few = parsed(tls_library(), der, n);
        assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(usual), X509_get0_pubkey(few)), 1);
        X509_free(usual);
        X509_free(few);
        OPENSSL_free(der);
    }
}

static void count_decoder(OSSL_DECODER *decoder, void *n)
{
    (void)decoder;
    (*(size_t *)n)++;
}

static void it_has_few_decoders(void **state)
{
    (void)state;
    size_t all = 0, few = 0;

    if (!is_needed())
        skip();
    OSSL_DECODER_do_all_provided(NULL, count_decoder, &all);
    OSSL_DECODER_do_all_provided(tls_library(), count_decoder, &few);
    assert_in_range(few, 1, all / 3);
}

/* ---- TLS contexts ---- */

static SSL_CTX *tls_ctx_of(OSSL_LIB_CTX *library)
{
    SSL_CTX *ctx = SSL_CTX_new_ex(library, NULL, TLS_client_method());

    assert_non_null(ctx);
    SSL_CTX_set_security_level(ctx, 0);
    assert_int_equal(SSL_CTX_set_cipher_list(ctx, "ALL:COMPLEMENTOFALL"), 1);
    assert_int_equal(SSL_CTX_set_ciphersuites(ctx,
                                              "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:"
                                              "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_CCM_SHA256:"
                                              "TLS_AES_128_CCM_8_SHA256"),
                     1);
    assert_int_equal(SSL_CTX_set1_groups_list(ctx, TLS_GROUPS ":ffdhe2048:brainpoolP256r1"), 1);
    return ctx;
}

static void it_has_the_suites_and_groups_of_the_default(void **state)
{
    (void)state;
    SSL_CTX *usual = tls_ctx_of(NULL), *few = tls_ctx_of(tls_library());
    const STACK_OF(SSL_CIPHER) *expected = SSL_CTX_get_ciphers(usual),
                               *is = SSL_CTX_get_ciphers(few);

    assert_true(sk_SSL_CIPHER_num(expected) > 100);
    assert_int_equal(sk_SSL_CIPHER_num(is), sk_SSL_CIPHER_num(expected));
    for (int i = 0; i < sk_SSL_CIPHER_num(expected); i++)
        assert_ptr_equal(sk_SSL_CIPHER_value(is, i), sk_SSL_CIPHER_value(expected, i));
    SSL_CTX_free(usual);
    SSL_CTX_free(few);
}

/* OpenSSL uses these where it has them, and two ciphers in their place where it has not. */
static void it_has_the_ciphers_that_contain_a_mac(void **state)
{
    (void)state;
    static const char *const names[] = {"AES-128-CBC-HMAC-SHA1", "AES-256-CBC-HMAC-SHA1",
                                        "AES-128-CBC-HMAC-SHA256", "AES-256-CBC-HMAC-SHA256"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        EVP_CIPHER *usual = EVP_CIPHER_fetch(NULL, names[i], NULL),
                   *few = EVP_CIPHER_fetch(tls_library(), names[i], NULL);
        assert_int_equal(few != NULL, usual != NULL);
        EVP_CIPHER_free(usual);
        EVP_CIPHER_free(few);
    }
    ERR_clear_error();
}

/* ---- the condition ---- */

static bool fits(struct certs *files, const char *text)
{
    const char *path = certs_path(files, "openssl.cnf");
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    return tls_library_fits(path);
}

static void a_special_configuration_keeps_the_default_context(void **state)
{
    (void)state;
    struct certs files;
    static const struct {
        const char *text;
        bool fits;
    } cases[] = {
        {"", true},
        {"openssl_conf = o\n[o]\nproviders = p\nssl_conf = s\n[p]\n[s]\n", true},
        {"openssl_conf = o\n[o]\nproviders = p\n[p]\ndefault = d\n[d]\nactivate = 1\n", true},
        {"openssl_conf = missing\n", true},
        {"openssl_conf = o\n[o]\nalg_section = a\n[a]\ndefault_properties = fips=yes\n", false},
        {"openssl_conf = o\n[o]\nengines = e\n[e]\n", false},
        {"openssl_conf = o\n[o]\nproviders = p\nrandom = r\n[p]\n[r]\n", false},
        {"no [ configuration", false},
    };

    certs_init(&files);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(fits(&files, cases[i].text), cases[i].fits);
    assert_true(tls_library_fits(NULL));
    assert_true(tls_library_fits("/nonexistent/openssl.cnf"));
    certs_fini(&files);
    assert_int_equal(ERR_peek_error(), 0);
}

/* The last test, because it changes the default context. */
static void another_provider_keeps_the_default_context(void **state)
{
    (void)state;
    OSSL_PROVIDER *other = OSSL_PROVIDER_load(NULL, "null");

    assert_non_null(other);
    assert_false(tls_library_fits(NULL));
    assert_int_equal(OSSL_PROVIDER_unload(other), 1);
    assert_true(tls_library_fits(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_old_versions_have_it),
        cmocka_unit_test(every_kind_of_key_is_parsed),
        cmocka_unit_test(it_has_few_decoders),
        cmocka_unit_test(it_has_the_suites_and_groups_of_the_default),
        cmocka_unit_test(it_has_the_ciphers_that_contain_a_mac),
        cmocka_unit_test(a_special_configuration_keeps_the_default_context),
        cmocka_unit_test(another_provider_keeps_the_default_context),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
