/* What is reported about a certificate, and how much it matters. */
#include "tls/tls_inspect.h"

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

#include <openssl/err.h>

#include "base/memo.h"
#include "certs.h"

enum { DAY_HOURS = 24, WARN_DAYS = 30 };

static struct certs certs;
static struct cert ca, mid, known;

static int setup(void **state)
{
    (void)state;
    certs_init(&certs);
    cert_make(&certs, &known, "known.pem", &(struct cert_spec){.hours = 24 * 3650});
    cert_make(&certs, &ca, "ca.pem", &(struct cert_spec){.hours = 24 * 3650});
    cert_make(&certs, &mid, "mid.pem", &(struct cert_spec){.issuer = &known, .hours = 24 * 3650});
    /* the CAs of this machine */
    return setenv("SSL_CERT_FILE", known.pem, 1) | setenv("SSL_CERT_DIR", "/nonexistent", 1);
}

static int teardown(void **state)
{
    (void)state;
    cert_free(&ca);
    cert_free(&mid);
    cert_free(&known);
    certs_fini(&certs);
    return 0;
}

static char *findings_text(const struct tls_findings *f)
{
    struct memo m;

    memo_open(&m);
    for (size_t i = 0; i < f->count; i++)
        fprintf(m.file, "%c %s\n", "-WE"[f->item[i].level], f -> item[i].text);
    return memo_take(&m);
}

static void inspect(const struct tls_certificate *from, struct tls_inspection *i)
{
    char error[TLS_ERROR_MAX];

    if (!tls_inspect(from, time(NULL), WARN_DAYS, i, error))
        fail_msg("%s", error);
    assert_int_equal(ERR_peek_error(), 0);
}

static void assert_findings(const struct tls_certificate *from, const char *expected)
{
    struct tls_inspection i;

    inspect(from, &i);
    char *text = findings_text(&i.findings);
    assert_string_equal(text, expected);
    free(text);
    tls_inspection_fini(&i);
}

static void each_finding_has_its_level(void **state)
{
    static const struct {
        struct cert_spec spec;
        const char *expected;
    } cases[] = {
        {{.name = "DNS:vpn.test", .issuer = &mid, .hours = 90 * DAY_HOURS}, ""},
        {{.name = "DNS:vpn.test", .issuer = &mid, .hours = 20 * DAY_HOURS + 1, .begins = -1920},
         "W the certificate expires in 20 days\n"},
        {{.name = "DNS:vpn.test", .issuer = &mid, .hours = 6 * DAY_HOURS}, ""}, /* a short one */
        {{.name = "DNS:vpn.test", .issuer = &mid, .hours = DAY_HOURS - 1, .begins = -120},
         "W the certificate expires in less than 1 day\n"},
        {{.name = "DNS:vpn.test", .issuer = &mid, .hours = -1, .begins = -24},
         "E the certificate has expired\n"},
        {{.name = "DNS:vpn.test", .issuer = &mid, .hours = 400 * DAY_HOURS},
         "- it is valid for 401 days; browsers refuse more than 398 of a public CA\n"},
        {{.name = "DNS:vpn.test", .issuer = &mid, .hours = 900 * DAY_HOURS},
         "- it is valid for 901 days; Apple's systems refuse more than 825\n"},
        {{.name = "DNS:vpn.test", .issuer = &ca, .hours = 400 * DAY_HOURS},
         "- only clients that have the CA /CN=ca.pem accept it\n"
         "- the file has the root CA /CN=ca.pem, which is not sent\n"},
        {{.name = "DNS:vpn.test", .issuer = &ca, .hours = 90 * DAY_HOURS, .alone = true},
         "W the certificate of its issuer is missing, so clients that do not have it refuse the "
         "chain: append /CN=ca.pem\n"},
        {{.name = "DNS:vpn.test", .issuer = &known, .hours = 90 * DAY_HOURS, .alone = true}, ""},
        {{.name = "DNS:vpn.test", .hours = 90 * DAY_HOURS},
         "- it is self-signed: only clients that have it as a CA accept it\n"},
        {{.common = "vpn.test", .issuer = &mid, .hours = 90 * DAY_HOURS},
         "W it has no subjectAltName; many clients ignore the common name\n"},
        {{.name = "DNS:vpn.test",
          .issuer = &mid,
          .hours = 90 * DAY_HOURS,
          .extension = {{NID_ext_key_usage, "clientAuth"}}},
         "E its extended key usage does not include server authentication, so clients refuse "
         "it\n"},
        {{.name = "DNS:vpn.test", .issuer = &mid, .hours = 90 * DAY_HOURS, .sha1 = true},
         "E it has a signature with SHA1, which clients refuse\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cert cert;
        char file[16];
        snprintf(file, sizeof file, "leaf%zu.pem", i);
        cert_make(&certs, &cert, file, &cases[i].spec);
        assert_findings(&(struct tls_certificate){.file = cert.pem}, cases[i].expected);
        cert_free(&cert);
    }
}

static const char *write_pem(const char *name, const struct cert *const *cert, size_t n)
{
    const char *path = certs_path(&certs, name);
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(PEM_write_X509(f, cert[i]->x509), 1);
    assert_int_equal(PEM_write_PrivateKey(f, cert[0]->key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(f), 0);
    return path;
}

static void the_order_of_the_file_is_a_remark(void **state)
{
    struct cert low, leaf;
    struct tls_inspection i;

    (void)state;
    cert_make(&certs, &low, "low.pem", &(struct cert_spec){.issuer = &mid, .hours = 24 * 3650});
    cert_make(&certs, &leaf, "order.pem",
              &(struct cert_spec){.name = "DNS:vpn.test", .issuer = &low, .hours = 24 * 90 + 1});
    const struct cert *const right[] = {&leaf, &low, &mid}, *const wrong[] = {&leaf, &mid, &low},
                             *const ends[] = {&leaf, &low};
    assert_findings(&(struct tls_certificate){.file = write_pem("right.pem", right, 3)}, "");
    assert_findings(&(struct tls_certificate){.file = write_pem("wrong.pem", wrong, 3)},
                    "- the certificates in the file are not in the order of the chain, in which "
                    "the gate sends them; other programs may not\n");
    assert_findings(&(struct tls_certificate){.file = write_pem("ends.pem", ends, 2)},
                    "- the chain ends below /CN=mid.pem, which this machine does not have: it is "
                    "a private CA, or an intermediate certificate is missing\n");
    inspect(&(struct tls_certificate){.file = write_pem("right.pem", right, 3)}, &i);
    assert_true(i.verified);
    assert_null(i.why_not);
    assert_int_equal(i.chain_count, 2);
    assert_string_equal(i.chain[0], "CN=low.pem");
    assert_string_equal(i.chain[1], "CN=mid.pem");
    assert_int_equal(i.days_left, 90);
    tls_inspection_fini(&i);
    inspect(&(struct tls_certificate){.file = write_pem("ends.pem", ends, 2)}, &i);
    assert_false(i.verified);
    assert_string_equal(i.why_not, "unable to get local issuer certificate");
    tls_inspection_fini(&i);
    cert_free(&low);
    cert_free(&leaf);
}

static void names_are_covered_as_clients_compare_them(void **state)
{
    static const struct {
        const char *host;
        bool covered;
    } cases[] = {{"vpn.test", true},    {"VPN.test", true},       {"a.wild.test", true},
                 {"*.wild.test", true}, {"a.b.wild.test", false}, {"192.0.2.1", true},
                 {"192.0.2.2", false},  {"other.test", false}};
    struct tls_inspection i;
    struct cert cert;

    (void)state;
    cert_make(
        &certs, &cert, "names.pem",
        &(struct cert_spec){.name = "DNS:vpn.test,DNS:*.wild.test,IP:192.0.2.1", .issuer = &mid});
    inspect(&(struct tls_certificate){.file = cert.pem}, &i);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++)
        assert_int_equal(tls_inspection_covers(&i, cases[k].host), cases[k].covered);
    tls_inspection_fini(&i);
    cert_free(&cert);
}

/* The report about the certificate does not depend on its key. */
static void a_key_that_cannot_be_used_is_a_finding(void **state)
{
    struct tls_inspection i;
    struct cert cert;

    (void)state;
    cert_make(&certs, &cert, "keyless.pem",
              &(struct cert_spec){.name = "DNS:vpn.test", .issuer = &mid, .hours = 24 * 90 + 1});
    inspect(&(struct tls_certificate){.file = cert.pem, .key = ca.pem}, &i);
    assert_int_equal(i.findings.count, 1);
    assert_int_equal(i.findings.item[0].level, TLS_REFUSED);
    assert_non_null(strstr(i.findings.item[0].text, "no private key matches a certificate"));
    assert_string_equal(i.facts.subject, "CN=DNS:vpn.test");
    tls_inspection_fini(&i);
    /* a device is not opened */
    assert_findings(&(struct tls_certificate){.file = cert.pem, .key = "pkcs11:object=x"}, "");
    cert_free(&cert);
}

static void a_file_that_is_no_certificate_is_an_error(void **state)
{
    char error[TLS_ERROR_MAX];
    struct tls_inspection i;

    (void)state;
    assert_false(tls_inspect(&(struct tls_certificate){.file = "/nonexistent"}, time(NULL),
                             WARN_DAYS, &i, error));
    assert_string_equal(error, "/nonexistent: No such file or directory");
    assert_null(i.cert);
}

static void cas_of_a_backend(void **state)
{
    struct tls_findings f = {0};
    struct cert old;

    (void)state;
    cert_make(&certs, &old, "old.pem", &(struct cert_spec){.begins = -48, .hours = -24});
    tls_inspect_cas(old.pem, time(NULL), &f);
    tls_inspect_cas(ca.pem, time(NULL), &f);
    tls_inspect_cas("/nonexistent", time(NULL), &f);
    char *text = findings_text(&f);
    assert_string_equal(text, "W a CA has expired: /CN=old.pem\nE No such file or directory\n");
    free(text);
    tls_findings_fini(&f);
    cert_free(&old);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_finding_has_its_level),
        cmocka_unit_test(the_order_of_the_file_is_a_remark),
        cmocka_unit_test(names_are_covered_as_clients_compare_them),
        cmocka_unit_test(a_key_that_cannot_be_used_is_a_finding),
        cmocka_unit_test(a_file_that_is_no_certificate_is_an_error),
        cmocka_unit_test(cas_of_a_backend),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
