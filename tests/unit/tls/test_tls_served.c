/* The certificate that a listener shows each client. */
#include "tls/tls_served.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tls_fixture.h"

static const struct tls_settings lax = {.min = TLS_1_0, .max = TLS_1_3, .security_level = -1};

/* ---- names ---- */

static void the_name_chooses(void **state)
{
    (void)state;
    const struct tls_certificate list[] = {{.file = ec.pem},
                                           {.file = star.pem},
                                           {.file = two.pem},
                                           {.file = deep.pem},
                                           {.file = cn.pem}};
    const struct {
        const char *sni;
        const struct cert *cert;
        bool known;
    } cases[] = {
        {"vpn.test", &ec, true},      {"www.test", &ec, true},
        {"VPN.TEST", &ec, true},      {"vpn.test.", &ec, true},
        {"two.test", &two, true}, /* exact, although *.test is first in the list */
        {"other.test", &star, true},  {"test", &star, true},
        {"a.deep.test", &deep, true}, {"deep.test", &star, true},
        {"cn.example", &cn, true},    {"a.b.deep.test", &ec, false}, /* one label only */
        {"a.b.test", &ec, false},     {".test", &ec, false},
        {"vpn.tes", &ec, false},      {"xvpn.test.example", &ec, false},
        {"127.0.0.1", &ec, false}, /* RFC 6066 3: an address is not a name */
        {"ca.pem", &ec, false},       {".", &ec, false},
        {NULL, &ec, false},
    };
    struct tls_ctx *usual = good_ctx(&lax, list, 5, false), *strict = good_ctx(&lax, list, 5, true);
    static const int versions[] = {TLS1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t v = 0; v < 3; v++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const struct ask ask = {.sni = cases[i].sni, .version = versions[v]};
            shows(usual, &ask, cases[i].cert);
            if (cases[i].known) {
                shows(strict, &ask, cases[i].cert);
                continue;
            }
            struct shown refused = meet(strict, &ask);
            assert_false(refused.ok);
            /* RFC 6066 3: unrecognized_name(112) */
            assert_int_equal(refused.reason, SSL_R_TLSV1_UNRECOGNIZED_NAME);
        }
    tls_ctx_free(usual);
    tls_ctx_free(strict);
}

static void one_certificate_without_a_name_serves_everybody(void **state)
{
    (void)state;
    const struct tls_certificate one = {.file = bare.pem};
    struct tls_ctx *ctx = good_ctx(&modern, &one, 1, false);
    shows(ctx, &(struct ask){0}, &bare);
    shows(ctx, &(struct ask){.sni = "vpn.test"}, &bare);
    tls_ctx_free(ctx);
    ctx = good_ctx(&modern, &one, 1, true);
    assert_false(meet(ctx, &(struct ask){.sni = "vpn.test"}).ok);
    tls_ctx_free(ctx);
}

/* ---- kinds of keys ---- */

static void the_client_settles_the_kind_of_key(void **state)
{
    (void)state;
    const struct tls_certificate orders[2][3] = {
        {{.file = ec.pem}, {.file = rsa.pem}, {.file = two.pem}},
        {{.file = rsa.pem}, {.file = two.pem}, {.file = ec.pem}},
    };
    static const char only_rsa[] = "RSA-PSS+SHA256:RSA+SHA256", only_ec[] = "ECDSA+SHA256";
    const struct {
        struct ask ask;
        const struct cert *cert;
    } cases[] = {
        {{.version = TLS1_3_VERSION, .sigalgs = only_rsa}, &rsa},
        {{.version = TLS1_3_VERSION, .sigalgs = only_ec}, &ec},
        {{.version = TLS1_3_VERSION}, &ec},
        {{.version = TLS1_3_VERSION, .status = true, .sigalgs = only_rsa}, &rsa},
        {{.version = TLS1_2_VERSION, .sigalgs = only_rsa}, &rsa},
        {{.version = TLS1_2_VERSION, .sigalgs = only_ec}, &ec},
        {{.version = TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256"}, &rsa},
        {{.version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"}, &ec},
        {{.version = TLS1_2_VERSION, .ciphers = "AES128-SHA256"}, &rsa}, /* signs nothing */
        {{.version = TLS1_VERSION, .ciphers = "AES128-SHA"}, &rsa},
        {{.version = TLS1_VERSION, .ciphers = "ECDHE-RSA-AES128-SHA"}, &rsa},
        {{.version = TLS1_VERSION, .ciphers = "ECDHE-ECDSA-AES128-SHA"}, &ec},
    };
    for (size_t o = 0; o < 2; o++) {
        struct tls_ctx *ctx = good_ctx(&lax, orders[o], 3, false);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct ask ask = cases[i].ask;
            ask.sni = "vpn.test";
            shows(ctx, &ask, cases[i].cert);
            ask.sni = NULL; /* both are the default: they have the first name in common */
            shows(ctx, &ask, cases[i].cert);
            ask.sni = "nowhere.test";
            shows(ctx, &ask, cases[i].cert);
        }
        /* this name has one certificate only */
        shows(ctx, &(struct ask){.sni = "www.test"}, &ec);
        assert_false(meet(ctx, &(struct ask){.sni = "www.test", .sigalgs = only_rsa}).ok);
        shows(ctx, &(struct ask){.sni = "two.test"}, &two);
        tls_ctx_free(ctx);
    }
}

/* ---- certificates that no client is shown ---- */

static void a_certificate_that_no_client_would_see_is_an_error(void **state)
{
    (void)state;
    const struct tls_certificate list[] = {
        {.file = ec.pem}, {.file = rsa.pem}, {.file = ec.pem}, {.file = bare.pem}};
    char *errors = bad_ctx(list, 4);
    assert_non_null(strstr(errors, "2: "));
    assert_non_null(strstr(errors, "certificates above it have the same names"));
    assert_non_null(strstr(errors, "3: it has no name"));
    assert_null(strstr(errors, "1: "));
    free(errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_chooses),
        cmocka_unit_test(one_certificate_without_a_name_serves_everybody),
        cmocka_unit_test(the_client_settles_the_kind_of_key),
        cmocka_unit_test(a_certificate_that_no_client_would_see_is_an_error),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
