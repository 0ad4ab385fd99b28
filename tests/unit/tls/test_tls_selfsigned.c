#include "tls/tls_selfsigned.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

static X509 *read_certificate(const struct tls_selfsigned *s)
{
    BIO *bio = BIO_new_mem_buf(s->certificate, -1);
    X509 *x = PEM_read_bio_X509(bio, NULL, NULL, NULL);

    BIO_free(bio);
    assert_non_null(x);
    return x;
}

static X509 *make(const char *host)
{
    char error[TLS_ERROR_MAX];
    struct tls_selfsigned s;

    assert_true(tls_selfsigned_make(host, &s, error));
    X509 *x = read_certificate(&s);
    BIO *bio = BIO_new_mem_buf(s.key, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    assert_int_equal(X509_check_private_key(x, key), 1);
    assert_int_equal(X509_verify(x, key), 1);
    EVP_PKEY_free(key);
    BIO_free(bio);
    tls_selfsigned_fini(&s);
    assert_null(s.key);
    return x;
}

static void certificate_is_for_a_server_with_this_name(void **state)
{
    (void)state;
    X509 *x = make("vpn.example.com");
    assert_int_equal(X509_check_host(x, "vpn.example.com", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(x, "other.example.com", 0, 0, NULL), 0);
    assert_int_equal(X509_check_purpose(x, X509_PURPOSE_SSL_SERVER, 0), 1);
    assert_int_equal(X509_check_purpose(x, X509_PURPOSE_SSL_CLIENT, 0), 0);
    assert_int_equal(X509_check_ca(x), 0);
    int days, seconds;
    assert_true(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)));
    assert_in_range(days, TLS_SELFSIGNED_DAYS - 1, TLS_SELFSIGNED_DAYS);
    assert_true(X509_cmp_current_time(X509_get0_notBefore(x)) < 0);
    X509_free(x);
}

static void addresses_are_addresses(void **state)
{
    static const char *const hosts[] = {"192.0.2.1", "2001:db8::1"};

    (void)state;
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        X509 *x = make(hosts[i]);
        assert_int_equal(X509_check_ip_asc(x, hosts[i], 0), 1);
        X509_free(x);
    }
}

static void wildcards_and_long_names(void **state)
{
    static const char name[] =
        "a-name-that-is-longer-than-a-common-name-may-be.in-a-domain.example";

    (void)state;
    X509 *x = make("*.example.com");
    assert_int_equal(X509_check_host(x, "a.example.com", 0, 0, NULL), 1);
    X509_free(x);
    x = make(name);
    assert_int_equal(X509_check_host(x, name, 0, 0, NULL), 1);
    X509_free(x);
}

/* OpenSSL's syntax of extensions would read another name after the comma. */
static void name_is_one_name(void **state)
{
    (void)state;
    X509 *x = make("vpn.example.com,DNS:other.example.com");
    GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
    assert_int_equal(sk_GENERAL_NAME_num(names), 1);
    GENERAL_NAMES_free(names);
    assert_int_equal(X509_check_host(x, "other.example.com", 0, 0, NULL), 0);
    X509_free(x);
}

static void serials_differ(void **state)
{
    (void)state;
    X509 *a = make("vpn.example.com"), *b = make("vpn.example.com");
    assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(a), X509_get0_serialNumber(b)), 0);
    X509_free(a);
    X509_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(certificate_is_for_a_server_with_this_name),
        cmocka_unit_test(addresses_are_addresses),
        cmocka_unit_test(wildcards_and_long_names),
        cmocka_unit_test(name_is_one_name),
        cmocka_unit_test(serials_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
