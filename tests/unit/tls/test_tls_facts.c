#include "tls/tls_facts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tls/tls_time.h"
#include "tls_fixture.h"

static void a_certificate_is_described(void **state)
{
    const struct {
        const struct cert *cert;
        const char *key;
    } rows[] = {{&ec, "EC prime256v1"}, {&rsa, "RSA 2048"}};
    char error[TLS_ERROR_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct cert *c = rows[i].cert;
        const struct tls_certificate from = {.file = c->pem};
        struct tls_facts f;
        uint8_t sha1[20], sha256[32];

        assert_true(tls_facts_read(&from, &f, error));
        assert_string_equal(f.key, rows[i].key);
        assert_string_equal(f.issuer, "CN=ca.pem");
        assert_int_equal(f.from, tls_time(X509_get0_notBefore(c->x509)));
        assert_int_equal(f.until, tls_time(X509_get0_notAfter(c->x509)));
        assert_int_equal(X509_digest(c->x509, EVP_sha1(), sha1, NULL), 1);
        assert_int_equal(X509_digest(c->x509, EVP_sha256(), sha256, NULL), 1);
        assert_memory_equal(f.sha1, sha1, sizeof sha1);
        assert_memory_equal(f.sha256, sha256, sizeof sha256);
        assert_string_equal(f.name[0], "vpn.test");
        tls_facts_fini(&f);
    }
}

static void characters_that_are_not_printable_are_escaped(void **state)
{
    struct cert odd;
    struct tls_facts f;
    char error[TLS_ERROR_MAX];

    (void)state;
    cert_make(&certs, &odd, "odd.pem", &(struct cert_spec){.common = "a\033[2Jb", .issuer = &ca});
    assert_true(tls_facts_read(&(struct tls_certificate){.file = odd.pem}, &f, error));
    assert_string_equal(f.subject, "CN=a\\1B[2Jb");
    assert_int_equal(f.name_count, 0);
    tls_facts_fini(&f);
    cert_free(&odd);
}

/* The name has an invalid string, here invalid UTF-8. */
static void certificate_with_an_invalid_name_is_refused(void **state)
{
    struct cert odd;
    struct tls_facts f;
    unsigned char *der = NULL;
    bool named = true;

    (void)state;
    cert_make(&certs, &odd, "utf8.pem", &(struct cert_spec){.common = "abcdef", .issuer = &ca});
    const int n = i2d_X509(odd.x509, &der);
    assert_true(n > 0);
    for (int i = 0; i + 6 <= n; i++)
        if (memcmp(der + i, "abcdef", 6) == 0) {
            der[i - 2] = V_ASN1_UTF8STRING;
            der[i] = 0xff;
        }
    assert_false(tls_facts_from_der(span_of(der, (size_t)n), "vpn.test", &f, &named));
    assert_false(named);
    OPENSSL_free(der);
    cert_free(&odd);
}

static void certificate_of_a_server(void **state)
{
    struct tls_facts f;
    unsigned char *der = NULL;
    bool named;

    (void)state;
    const int n = i2d_X509(ec.x509, &der);
    assert_true(tls_facts_from_der(span_of(der, (size_t)n), "vpn.test", &f, &named));
    assert_string_equal(f.key, "EC prime256v1");
    assert_string_equal(f.name[0], "vpn.test");
    assert_true(named);
    tls_facts_fini(&f);
    assert_true(tls_facts_from_der(span_of(der, (size_t)n), "10.0.0.1", &f, &named));
    assert_false(named);
    tls_facts_fini(&f);
    assert_false(tls_facts_from_der(span_of(der, (size_t)n - 1), "vpn.test", &f, &named));
    assert_false(tls_facts_from_der(span_of(NULL, 0), "vpn.test", &f, &named));
    OPENSSL_free(der);
}

/* Writes the certificates, without a key. */
static const char *write_bundle(const char *name, const struct cert *const *all)
{
    const char *path = certs_path(&certs, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (; *all != NULL; all++)
        PEM_write_X509(f, (*all)->x509);
    fclose(f);
    return path;
}

static void the_leaf_of_a_bundle_is_described(void **state)
{
    const struct {
        const struct cert *all[5];
        const char *key, *subject;
        bool ca;
        size_t rivals;
    } rows[] = {
        {{&ca, &mid, &far}, NULL, "CN=DNS:far.test", false, 0},
        {{&far, &ca, &mid}, NULL, "CN=DNS:far.test", false, 0},
        {{&ca, &mid}, NULL, "CN=mid.pem", true, 0},
        {{&ca, &two, &far}, NULL, "CN=DNS:two.test\\,IP:127.0.0.1", false, 1},
        {{&ca, &two, &far}, far.pem, "CN=DNS:far.test", false, 0},
        {{&ca, &two, &far}, ec.pem, "CN=DNS:two.test\\,IP:127.0.0.1", false, 1},
        {{&ca, &two, &far}, "/nowhere", "CN=DNS:two.test\\,IP:127.0.0.1", false, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[] = "bundle-0", error[TLS_ERROR_MAX];
        struct tls_facts f;
        snprintf(name, sizeof name, "bundle-%zu", i);
        const struct tls_certificate from = {.file = write_bundle(name, rows[i].all),
                                             .key = rows[i].key};
        assert_true(tls_facts_read(&from, &f, error));
        assert_string_equal(f.subject, rows[i].subject);
        assert_int_equal(f.ca, rows[i].ca);
        assert_int_equal(f.rivals, rows[i].rivals);
        tls_facts_fini(&f);
    }
}

static void a_file_without_a_certificate_is_an_error(void **state)
{
    struct tls_facts f;
    char error[TLS_ERROR_MAX];

    (void)state;
    const struct tls_certificate from = {.file = write_text("facts", "nothing")};
    assert_false(tls_facts_read(&from, &f, error));
    assert_non_null(strstr(error, "facts: neither PEM nor PKCS#12"));
    assert_null(f.subject);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_certificate_is_described),
        cmocka_unit_test(characters_that_are_not_printable_are_escaped),
        cmocka_unit_test(certificate_with_an_invalid_name_is_refused),
        cmocka_unit_test(certificate_of_a_server),
        cmocka_unit_test(the_leaf_of_a_bundle_is_described),
        cmocka_unit_test(a_file_without_a_certificate_is_an_error),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
