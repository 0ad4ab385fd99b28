/* The limits on what a peer's certificates may cost. */
#include "tls/tls_peer.h"

#include "tls_pair.h"

/* More than two primes, because they are quick to find. */
static EVP_PKEY *rsa_key(unsigned bits, unsigned primes, const char *exponent)
{
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
    EVP_PKEY *key = NULL;
    BIGNUM *e = NULL;
    assert_true(BN_hex2bn(&e, exponent) > 0);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, (int)bits), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_primes(ctx, (int)primes), 1);
    assert_int_equal(EVP_PKEY_CTX_set1_rsa_keygen_pubexp(ctx, e), 1);
    assert_int_equal(EVP_PKEY_generate(ctx, &key), 1);
    BN_free(e);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

/* Also with a pin or without verification: the key is used before anything is compared. */
static void keys_that_cost_too_much_are_not_used(void **state)
{
    (void)state;
    static const struct {
        unsigned bits, primes;
        const char *exponent, *error;
    } cases[] = {
        {8208, 5, "10001", "RSA key: 8208 bits, more than 8192"},
        {2048, 2, "10000000000000001", "RSA exponent: 65 bits, more than 64"},
        {2048, 2, "8000000000000001", NULL},
    };
    const char *const trust[] = {NULL, ca.pem};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct cert key = {.key = rsa_key(cases[i].bits, cases[i].primes, cases[i].exponent)};
        char file[16];
        struct cert leaf;
        snprintf(file, sizeof file, "key%zu.pem", i);
        cert_make(&certs, &leaf, file,
                  &(struct cert_spec){.name = "DNS:k.test", .issuer = &ca, .same_key = &key});
        for (size_t k = 0; k < 2; k++) {
            struct tls_ctx *client = client_ctx(&modern, trust[k]);
            struct raw peer;
            struct side ours;
            raw_server(&peer, &ours, client, raw_server_ctx(&leaf), k == 0 ? NULL : "k.test");
            assert_int_equal(ours.done, cases[i].error == NULL);
            if (cases[i].error != NULL && strstr(tls_conn_error(ours.c), cases[i].error) == NULL)
                fail_msg("'%s' is not about '%s'", tls_conn_error(ours.c), cases[i].error);
            assert_int_equal(tls_conn_unverified(ours.c), cases[i].error != NULL);
            raw_client_free(&peer, &ours, client);
        }
        EVP_PKEY_free(key.key);
        cert_free(&leaf);
    }
}

static void lists_of_certificates_have_a_bound(void **state)
{
    (void)state;
    struct tls_ctx *client = client_ctx(&modern, NULL);
    for (int many = 0; many < 2; many++) {
        SSL_CTX *ctx = raw_server_ctx(&ec);
        for (int i = 0; i < (many ? 120 : 20); i++)
            assert_int_equal(SSL_CTX_add1_chain_cert(ctx, other.x509), 1);
        struct raw peer;
        struct side ours;
        raw_server(&peer, &ours, client, ctx, NULL);
        assert_int_equal(ours.done, !many);
        assert_string_equal(tls_conn_error(ours.c), many ? "excessive message size" : "");
        SSL_free(peer.ssl);
        SSL_CTX_free(ctx);
        tls_conn_free(ours.c);
        free(ours.out.p);
    }
    tls_ctx_free(client);
}

static void chains_have_a_bound(void **state)
{
    (void)state;
    enum { LONGEST = TLS_PEER_DEPTH_MAX + 1 };
    struct tls_ctx *client = client_ctx(&modern, ca.pem);
    struct cert link[LONGEST];
    for (size_t i = 0; i < LONGEST; i++) {
        char file[16];
        snprintf(file, sizeof file, "link%zu.pem", i);
        cert_make(&certs, &link[i], file,
                  &(struct cert_spec){.issuer = i == 0 ? &ca : &link[i - 1]});
    }
    for (size_t n = LONGEST - 1; n <= LONGEST; n++) {
        struct cert leaf;
        char file[16];
        snprintf(file, sizeof file, "end%zu.pem", n);
        cert_make(&certs, &leaf, file,
                  &(struct cert_spec){.name = "DNS:l.test", .issuer = &link[n - 1]});
        SSL_CTX *ctx = raw_server_ctx(&leaf);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(SSL_CTX_add1_chain_cert(ctx, link[n - 1 - i].x509), 1);
        struct raw peer;
        struct side ours;
        raw_server(&peer, &ours, client, ctx, "l.test");
        assert_int_equal(ours.done, n < LONGEST);
        if (n == LONGEST)
            assert_non_null(strstr(tls_conn_error(ours.c), "chain too long"));
        SSL_free(peer.ssl);
        SSL_CTX_free(ctx);
        tls_conn_free(ours.c);
        free(ours.out.p);
        cert_free(&leaf);
    }
    for (size_t i = 0; i < LONGEST; i++)
        cert_free(&link[i]);
    tls_ctx_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_that_cost_too_much_are_not_used),
        cmocka_unit_test(lists_of_certificates_have_a_bound),
        cmocka_unit_test(chains_have_a_bound),
    };
    const int failed = cmocka_run_group_tests_name("openssl", tests, setup, teardown);
    own = true;
    return failed + cmocka_run_group_tests_name("gate", tests, setup, teardown);
}
