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
        cmocka_unit_test(the_leaf_of_a_bundle_is_described),
        cmocka_unit_test(a_file_without_a_certificate_is_an_error),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
