/* Properties of a whole context: ALPN, groups, cipher suites, reports of errors. The choice of a
 * certificate is in test_tls_served.c. */
#include "tls/tls_ctx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tls_fixture.h"
#include "tls/tls_internal.h"

/* ---- ALPN ---- */

static void alpn_is_http_1_1_or_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *offer, *chosen;
    } cases[] = {
        {NULL, ""},     {"\x08http/1.1", "http/1.1"},    {"\x02h2\x08http/1.1", "http/1.1"},
        {"\x02h2", ""}, {"\x08http/1.0\x07http/1.", ""},
    };
    const struct tls_certificate list[] = {{.file = ec.pem}, {.file = two.pem}};
    struct tls_ctx *ctx = good_ctx(&modern, list, 2, false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int other = 0; other < 2; other++) {
            const struct ask ask = {.alpn = cases[i].offer, .sni = other ? "two.test" : "vpn.test"};
            struct shown shown = meet(ctx, &ask);
            assert_true(shown.ok);
            assert_string_equal(shown.alpn, cases[i].chosen);
            X509_free(shown.leaf);
        }
    tls_ctx_free(ctx);
}

/* ---- groups and cipher suites ---- */

/* RFC 7919 and CVE-2022-40735 */
static void a_finite_field_is_refused(void **state)
{
    (void)state;
    const struct tls_certificate one = {.file = ec.pem};
    struct tls_ctx *ctx = good_ctx(&modern, &one, 1, false);
    static const char *const fields[] = {"ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144",
                                         "ffdhe8192"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct shown shown =
            meet(ctx, &(struct ask){.version = TLS1_3_VERSION, .groups = fields[i]});
        assert_false(shown.ok);
        assert_int_equal(shown.reason, SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
    }
    static const char *const curves[] = {"X25519", "P-256", "X448", "P-521", "P-384"};
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        shows(ctx, &(struct ask){.groups = curves[i]}, &ec);
    tls_ctx_free(ctx);
}

static void a_listener_takes_the_groups_it_is_given(void **state)
{
    (void)state;
    const struct tls_certificate one = {.file = ec.pem};
    struct tls_settings s = modern;
    s.groups = "P-384:X448";
    struct tls_ctx *ctx = good_ctx(&s, &one, 1, false);
    assert_false(meet(ctx, &(struct ask){.groups = "X25519:P-256"}).ok);
    shows(ctx, &(struct ask){.groups = "X25519:X448"}, &ec);
    tls_ctx_free(ctx);
}

static size_t count_kind(const struct tls_ctx *ctx, int kx, int auth, int cipher)
{
    const STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ctx->ssl);
    size_t n = 0;
    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        const SSL_CIPHER *c = sk_SSL_CIPHER_value(all, i);
        n += SSL_CIPHER_get_kx_nid(c) == kx || SSL_CIPHER_get_auth_nid(c) == auth ||
             SSL_CIPHER_get_cipher_nid(c) == cipher;
    }
    return n;
}

static void no_list_offers_dhe_or_what_protects_nothing(void **state)
{
    (void)state;
    static const char *const lists[] = {NULL,
                                        "DEFAULT",
                                        "ALL",
                                        "HIGH",
                                        "ALL:COMPLEMENTOFALL",
                                        "DHE:aNULL:eNULL:AES128-SHA256",
                                        "ALL:@SECLEVEL=0"};
    const struct tls_certificate one = {.file = rsa.pem};
    char error[TLS_ERROR_MAX];

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const struct tls_settings s = {
            .min = TLS_1_0, .max = TLS_1_3, .security_level = -1, .ciphers = lists[i]};
        struct tls_ctx *both[] = {good_ctx(&s, &one, 1, false),
                                  tls_ctx_new_client(&s, NULL, error)};
        for (size_t k = 0; k < 2; k++) {
            assert_non_null(both[k]);
            assert_int_equal(count_kind(both[k], NID_kx_dhe, NID_auth_null, NID_undef), 0);
            assert_true(count_kind(both[k], NID_kx_rsa, -1, -1) > 0);
            tls_ctx_free(both[k]);
        }
    }
}

/* Returns the CPU time of a server for a ClientHello with a share of this group, in ns: the least
 * of several, because other programs can only increase it. */
static uint64_t cost_of(struct tls_ctx *ctx, const char *group)
{
    SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
    SSL *client = client_new(client_ctx, &(struct ask){.groups = group});
    uint64_t least = UINT64_MAX;
    char *hello;

    assert_int_equal(SSL_do_handshake(client), -1);
    ERR_clear_error();
    const long n = BIO_get_mem_data(SSL_get_wbio(client), &hello);
    for (int i = 0; i < 7; i++) {
        BIO *bin = BIO_new(BIO_s_mem());
        struct tls_conn *server = tls_conn_new_server(ctx, sink, bin);
        struct timespec from, to;
        tls_conn_feed(server, span_of(hello, (size_t)n));
        assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from), 0);
        assert_int_not_equal(tls_conn_handshake(server), ERR_OK);
        assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to), 0);
        const int64_t ns =
            (int64_t)(to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
        least = (uint64_t)ns < least ? (uint64_t)ns : least;
        tls_conn_free(server);
        BIO_free(bin);
    }
    SSL_free(client);
    SSL_CTX_free(client_ctx);
    return least;
}

/* Measured: P-384 12, P-521 6, X448 3, P-256 1.3; ffdhe8192 would be 800. */
static void no_group_costs_more_than_twenty_times_x25519(void **state)
{
    (void)state;
    static const char *const groups[] = {"P-256", "X448",      "P-521",
                                         "P-384", "ffdhe2048", "ffdhe8192"};
    const struct tls_certificate one = {.file = ec.pem};
    struct tls_ctx *ctx = good_ctx(&modern, &one, 1, false);
    const uint64_t usual = cost_of(ctx, "X25519");
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        const uint64_t ns = cost_of(ctx, groups[i]);
        if (ns > 20 * usual)
            fail_msg("%s: %zu ns, X25519: %zu ns", groups[i], (size_t)ns, (size_t)usual);
    }
    tls_ctx_free(ctx);
}

/* ---- errors ---- */

static void each_certificate_that_is_wrong_is_named(void **state)
{
    (void)state;
    const char *missing = certs_path(&certs, "missing.pem"), *empty = write_text("empty.pem", "");
    const struct tls_certificate list[] = {
        {.file = missing}, {.file = ec.pem}, {.file = empty}, {.file = ec.pem, .key = missing}};
    char *expected, *errors = bad_ctx(list, 4);
    assert_true(asprintf(&expected,
                         "0: %s: No such file or directory\n2: %s: neither PEM nor PKCS#12\n"
                         "3: %s: No such file or directory\n",
                         missing, empty, missing) > 0);
    assert_string_equal(errors, expected);
    free(errors);
    free(expected);

    const struct tls_settings nonsense = {
        .min = TLS_1_2, .max = TLS_1_3, .security_level = -1, .ciphers = "NO-SUCH-CIPHER"};
    assert_null(try_ctx(&nonsense, list, 4, false, &errors));
    assert_true(strncmp(errors, "-: ciphers: ", 12) == 0);
    free(errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alpn_is_http_1_1_or_nothing),
        cmocka_unit_test(a_finite_field_is_refused),
        cmocka_unit_test(a_listener_takes_the_groups_it_is_given),
        cmocka_unit_test(no_list_offers_dhe_or_what_protects_nothing),
        cmocka_unit_test(no_group_costs_more_than_twenty_times_x25519),
        cmocka_unit_test(each_certificate_that_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
