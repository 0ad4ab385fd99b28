/* Certificates that a listener can load and clients may refuse, each with its only warning. */
#include "tls/tls_doubts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* cmocka needs the first four headers above it */
#include <cmocka.h>

#include "certs.h"
#include "tls/tls_ctx.h"

static struct certs certs;
static struct cert ca, mid, stranger, expired_mid, weak_mid;

static const struct tls_settings modern = {.min = TLS_1_2, .max = TLS_1_3, .security_level = -1};
static const struct tls_settings old = {.min = TLS_1_0, .max = TLS_1_3, .security_level = 0};

static int setup(void **state)
{
    (void)state;
    certs_init(&certs);
    cert_make(&certs, &ca, "ca.pem", &(struct cert_spec){0});
    cert_make(&certs, &mid, "mid.pem", &(struct cert_spec){.issuer = &ca});
    cert_make(&certs, &stranger, "stranger.pem", &(struct cert_spec){0});
    cert_make(&certs, &expired_mid, "expired.pem",
              &(struct cert_spec){.issuer = &ca, .begins = -48, .hours = -24});
    cert_make(&certs, &weak_mid, "weak.pem", &(struct cert_spec){.issuer = &ca, .sha1 = true});
    return 0;
}

static int teardown(void **state)
{
    struct cert *all[] = {&ca, &mid, &stranger, &expired_mid, &weak_mid};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        cert_free(all[i]);
    certs_fini(&certs);
    return 0;
}

static void on_doubt(void *arg, size_t certificate, const char *text)
{
    fprintf(arg, "%zu: %s\n", certificate, strchr(text, ':') + 2);
}

/* Asserts that the file has the doubts, a line for each. */
static void assert_doubts(const struct tls_settings *settings, const char *file,
                          const char *expected)
{
    char error[TLS_ERROR_MAX], *text = NULL;
    size_t n;
    FILE *to = open_memstream(&text, &n);
    struct tls_ctx *ctx = certs_server(settings, file, NULL, error);

    if (ctx == NULL)
        fail_msg("%s", error);
    tls_ctx_doubts(ctx, time(NULL), on_doubt, to);
    assert_int_equal(fclose(to), 0);
    assert_string_equal(text, expected);
    tls_ctx_free(ctx);
    free(text);
}

static void leaves(void **state)
{
    static const struct {
        struct cert_spec spec;
        const char *expected;
    } cases[] = {
        {{.name = "DNS:vpn.test"}, ""},
        {{.name = "DNS:*.test"}, ""},
        {{.name = "DNS:vpn.test", .rsa = true}, ""},
        {{.name = "DNS:vpn.test", .curve = "P-521"}, ""},
        {{.name = "DNS:vpn.test", .issuer = &ca}, ""},
        {{.name = "DNS:vpn.test", .issuer = &mid}, ""},
        {{.name = "DNS:vpn.test", .extension = {{NID_ext_key_usage, "serverAuth,clientAuth"}}}, ""},
        {{.name = "DNS:vpn.test", .extension = {{NID_ext_key_usage, "anyExtendedKeyUsage"}}}, ""},
        {{.name = "DNS:vpn.test", .extension = {{NID_key_usage, "digitalSignature"}}}, ""},
        {{.name = "DNS:vpn.test", .rsa = true, .extension = {{NID_key_usage, "keyEncipherment"}}},
         ""},
        {{.name = "DNS:vpn.test", .extension = {{NID_basic_constraints, "CA:FALSE"}}}, ""},
        {{.name = "DNS:vpn.test", .extension = {{NID_ext_key_usage, "clientAuth"}}},
         "0: its extended key usage does not include server authentication, so clients refuse "
         "it\n"},
        {{.name = "DNS:vpn.test", .extension = {{NID_basic_constraints, "CA:TRUE"}}},
         "0: it is the certificate of a CA (CA:TRUE), which clients may refuse from a server\n"},
        {{.name = "DNS:vpn.test", .extension = {{NID_key_usage, "keyCertSign"}}},
         "0: its key usage does not allow signatures (digitalSignature), so clients refuse it\n"},
        {{.name = "DNS:vpn.test", .extension = {{NID_key_usage, "keyEncipherment"}}},
         "0: its key usage does not allow signatures (digitalSignature), so clients refuse it\n"},
        {{.name = "DNS:vpn.test", .extension = {{NID_tlsfeature, "status_request"}}},
         "0: it requires a staple (OCSP must-staple): set ocsp-file\n"},
        {{.name = "DNS:vpn.test", .curve = "secp256k1"},
         "0: no usual TLS client accepts keys on the curve secp256k1: use P-256 or P-384\n"},
        {{.name = "DNS:vpn.test", .curve = "brainpoolP256r1"},
         "0: no usual TLS client accepts keys on the curve brainpoolP256r1: use P-256 or P-384\n"},
        {{.common = "vpn.test"},
         "0: it has no subjectAltName; many clients ignore the common name\n"},
        {{.name = "DNS:vpn.test", .issuer = &stranger, .alone = true},
         "0: the certificate of its issuer is missing, so clients that do not have it refuse the "
         "chain: append /CN=stranger.pem\n"},
        {{.name = "DNS:vpn.test", .issuer = &expired_mid},
         "0: a certificate of its chain has expired: /CN=expired.pem\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cert cert;
        char file[16];
        snprintf(file, sizeof file, "leaf%zu.pem", i);
        cert_make(&certs, &cert, file, &cases[i].spec);
        assert_doubts(&modern, cert.pem, cases[i].expected);
        cert_free(&cert);
    }
}

static void a_certificate_of_the_future_has_its_date(void **state)
{
    const time_t now = time(NULL);
    char expected[96];
    struct cert cert;
    time_t from;
    struct tm tm;

    (void)state;
    cert_make(&certs, &cert, "future.pem",
              &(struct cert_spec){.name = "DNS:vpn.test", .begins = 48, .hours = 96});
    assert_int_equal(ASN1_TIME_to_tm(X509_get0_notBefore(cert.x509), &tm), 1);
    from = timegm(&tm);
    assert_true(from > now + 47 * 3600);
    strftime(expected, sizeof expected,
             "0: the certificate is not valid before %Y-%m-%d %H:%M:%SZ\n", &tm);
    assert_doubts(&modern, cert.pem, expected);
    cert_free(&cert);
}

/* Settings for old clients let OpenSSL load what new ones refuse. */
static void weak_signatures_and_keys(void **state)
{
    static const char signature[] = "0: it has a signature with SHA1, which clients refuse\n";
    struct cert leaf, below;

    (void)state;
    cert_make(&certs, &leaf, "sha1.pem",
              &(struct cert_spec){.name = "DNS:vpn.test", .issuer = &ca, .sha1 = true});
    assert_doubts(&old, leaf.pem, signature);
    cert_make(&certs, &below, "below.pem",
              &(struct cert_spec){.name = "DNS:vpn.test", .issuer = &weak_mid});
    assert_doubts(&old, below.pem, signature);
    cert_free(&leaf);
    cert_free(&below);
}

/* Writes a file with these certificates and the key of the first. */
static const char *bundle(const char *name, const struct cert *const chain[])
{
    const char *path = certs_path(&certs, name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    for (size_t i = 0; chain[i] != NULL; i++)
        PEM_write_X509(f, chain[i]->x509);
    PEM_write_PrivateKey(f, chain[0]->key, NULL, NULL, 0, NULL, NULL);
    assert_int_equal(fclose(f), 0);
    return path;
}

#define STRAY                                                                                      \
    "0: 1 certificate in it is not part of the chain of /CN=DNS:vpn.test, and is not sent\n"

static void chains(void **state)
{
    struct cert leaf, twin;

    (void)state;
    cert_make(&certs, &leaf, "leaf.pem",
              &(struct cert_spec){.name = "DNS:vpn.test", .issuer = &mid});
    cert_make(&certs, &twin, "twin.pem",
              &(struct cert_spec){.name = "DNS:vpn.test", .issuer = &mid, .same_key = &leaf});
    const struct {
        const struct cert *chain[4];
        const char *expected;
    } cases[] = {
        {{&leaf, &mid}, ""},
        {{&leaf, &mid, &ca}, ""},
        {{&leaf, &ca, &mid}, ""},
        {{&leaf, &stranger},
         "0: the certificate of its issuer is missing, so clients that do not have it refuse the "
         "chain: append /CN=mid.pem\n" STRAY},
        {{&leaf, &ca},
         "0: the certificate of its issuer is missing, so clients that do not have it refuse the "
         "chain: append /CN=mid.pem\n" STRAY},
        {{&leaf, &mid, &stranger}, STRAY},
        {{&leaf, &leaf, &mid}, ""},
        {{&leaf, &twin, &mid},
         "0: 1 more certificate in it fits a key; the first is used: /CN=DNS:vpn.test\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[16];
        snprintf(name, sizeof name, "chain%zu.pem", i);
        assert_doubts(&modern, bundle(name, cases[i].chain), cases[i].expected);
    }
    cert_free(&twin);
    cert_free(&leaf);
}

/* A leaf of a CA that the machine trusts needs no chain. */
static void an_issuer_in_the_machines_store_may_be_missing(void **state)
{
    struct cert leaf;

    (void)state;
    cert_make(&certs, &leaf, "rooted.pem",
              &(struct cert_spec){.name = "DNS:vpn.test", .issuer = &stranger, .alone = true});
    assert_int_equal(setenv("SSL_CERT_FILE", stranger.pem, 1), 0);
    assert_doubts(&modern, leaf.pem, "");
    assert_int_equal(unsetenv("SSL_CERT_FILE"), 0);
    cert_free(&leaf);
}

static void on_listener_doubt(void *arg, size_t certificate, const char *text)
{
    if (certificate == TLS_NO_CERTIFICATE)
        snprintf(arg, TLS_ERROR_MAX, "%s", text);
}

static void strict_sni_needs_a_name(void **state)
{
    char error[TLS_ERROR_MAX] = "", text[TLS_ERROR_MAX] = "";
    struct cert cert;

    (void)state;
    cert_make(&certs, &cert, "nameless.pem", &(struct cert_spec){.common = "no name"});
    const struct tls_certificate one = {.file = cert.pem};
    struct tls_ctx *ctx = tls_ctx_new_server(&modern, &one, 1, true, certs_on_error, error);
    assert_non_null(ctx);
    tls_ctx_doubts(ctx, time(NULL), on_listener_doubt, text);
    assert_string_equal(text, "strict-sni: no certificate has a name, so every client is refused");
    tls_ctx_free(ctx);
    cert_free(&cert);
}

static void names_of_a_listener(void **state)
{
    static const struct {
        const char *host;
        bool expected;
    } cases[] = {{"vpn.test", true},   {"VPN.test", true},    {"a.wild.test", true},
                 {"wild.test", false}, {"other.test", false}, {"192.0.2.1", true},
                 {"192.0.2.2", false}, {"2001:db8::1", true}};
    char error[TLS_ERROR_MAX];
    struct cert cert;

    (void)state;
    cert_make(&certs, &cert, "names.pem",
              &(struct cert_spec){.name = "DNS:vpn.test,DNS:*.wild.test,IP:192.0.2.1,"
                                          "IP:2001:db8::1"});
    struct tls_ctx *ctx = certs_server(&modern, cert.pem, NULL, error);
    assert_non_null(ctx);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(tls_ctx_has_name(ctx, cases[i].host), cases[i].expected);
    tls_ctx_free(ctx);
    cert_free(&cert);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaves),
        cmocka_unit_test(a_certificate_of_the_future_has_its_date),
        cmocka_unit_test(weak_signatures_and_keys),
        cmocka_unit_test(chains),
        cmocka_unit_test(an_issuer_in_the_machines_store_may_be_missing),
        cmocka_unit_test(strict_sni_needs_a_name),
        cmocka_unit_test(names_of_a_listener),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
