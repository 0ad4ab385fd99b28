#include "tls/tls_pbe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/pkcs12.h>
#include <cmocka.h>

#include "tls_fixture.h"

enum { FEW = 0x010101, MANY = 0x7fffff }; /* both are three bytes of DER */

/* Replaces the nth count of FEW iterations by MANY, because writing a file with so many takes too
 * long. */
static bool patch(unsigned char *der, size_t n, unsigned nth)
{
    static const unsigned char few[] = {2, 3, 1, 1, 1};
    for (unsigned char *at = der;
         (at = memmem(at, n - (size_t)(at - der), few, sizeof few)) != NULL; at++)
        if (nth-- == 0) {
            at[2] = 0x7f;
            at[3] = at[4] = 0xff;
            return true;
        }
    return false;
}

static void containers_with_too_many_iterations_are_refused(void **state)
{
    (void)state;
    static const int kinds[] = {0, NID_pbe_WithSHA1And3_Key_TripleDES_CBC}; /* 0: PBES2 */
    const char *right = write_text("slow-right", "secret");
    for (size_t i = 0; i < 2; i++)
        for (unsigned nth = 0;; nth++) {
            unsigned char *der = NULL;
            PKCS12 *p12 = PKCS12_create("secret", "name", ec.key, ec.x509, NULL, kinds[i], kinds[i],
                                        FEW, FEW, 0);
            assert_non_null(p12);
            const int n = i2d_PKCS12(p12, &der);
            const bool patched = patch(der, (size_t)n, nth);
            const char *path = write_file("slow.pfx", der, (size_t)n);
            const struct tls_certificate one = {.file = path, .passphrase_file = right};
            OPENSSL_free(der);
            PKCS12_free(p12);
            if (patched) {
                is_about(bad_ctx(&one, 1), "slow.pfx: its encryption uses more than 4000000");
                continue;
            }
            assert_int_equal(nth, 3); /* of the certificate, the key and the MAC */
            tls_ctx_free(good_ctx(&modern, &one, 1, false));
            break;
        }
}

/* An encrypted key in bags that are encrypted as a whole: its count is readable only after
 * decryption. */
static void hidden_iterations_count(void **state)
{
    (void)state;
    PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(ec.key);
    PKCS12_SAFEBAG *bag = PKCS12_SAFEBAG_create_pkcs8_encrypt(
        NID_pbe_WithSHA1And3_Key_TripleDES_CBC, "secret", 6, NULL, 0, FEW, p8);
    unsigned char *der = NULL;
    int n = i2d_PKCS12_SAFEBAG(bag, &der);
    const unsigned char *at = der;
    assert_true(patch(der, (size_t)n, 0));
    STACK_OF(PKCS12_SAFEBAG) *bags = sk_PKCS12_SAFEBAG_new_null();
    STACK_OF(PKCS7) *parts = NULL;
    sk_PKCS12_SAFEBAG_push(bags, d2i_PKCS12_SAFEBAG(NULL, &at, n));
    assert_int_equal(PKCS12_add_safe(&parts, bags, NID_aes_128_cbc, 2000, "secret"), 1);
    PKCS12 *p12 = PKCS12_add_safes(parts, 0);
    assert_int_equal(PKCS12_set_mac(p12, "secret", 6, NULL, 0, 2000, NULL), 1);
    assert_true(tls_pbe_pkcs12(p12, "secret") == 2000 + 2000 + MANY);
    assert_true(tls_pbe_pkcs12(p12, "wrong") == 2000 + 2000); /* the bags cannot be opened */
    PKCS12_free(p12);
    sk_PKCS7_pop_free(parts, PKCS7_free);
    sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
    PKCS12_SAFEBAG_free(bag);
    PKCS8_PRIV_KEY_INFO_free(p8);
    OPENSSL_free(der);
}

static void write_encrypted_key(const char *path, const X509_ALGOR *kind, bool many)
{
    PKCS8_PRIV_KEY_INFO *p8 = EVP_PKEY2PKCS8(ec.key);
    X509_ALGOR *a = X509_ALGOR_dup(kind);
    X509_SIG *key = PKCS8_set0_pbe("secret", 6, p8, a);
    unsigned char *der = NULL;
    assert_non_null(key);
    const int n = i2d_X509_SIG(key, &der);
    const unsigned char *at = der;
    assert_true(!many || patch(der, (size_t)n, 0));
    X509_SIG_free(key);
    key = d2i_X509_SIG(NULL, &at, n);
    FILE *f = fopen(path, "w");
    PEM_write_X509(f, ec.x509);
    PEM_write_PKCS8(f, key);
    fclose(f);
    X509_SIG_free(key);
    OPENSSL_free(der);
    PKCS8_PRIV_KEY_INFO_free(p8);
}

static void keys_with_too_many_iterations_are_refused(void **state)
{
    (void)state;
    const struct tls_certificate one = {.file = certs_path(&certs, "slow.pem"),
                                        .passphrase_file = write_text("slow-pem", "secret")};
    static unsigned char salt[8];
    X509_ALGOR *pbkdf2 = PKCS5_pbe2_set(EVP_aes_128_cbc(), FEW, salt, sizeof salt);
    X509_ALGOR *scrypt =
        PKCS5_pbe2_set_scrypt(EVP_aes_128_cbc(), salt, sizeof salt, NULL, 1024, 8, 1);
    X509_ALGOR *slow =
        PKCS5_pbe2_set_scrypt(EVP_aes_128_cbc(), salt, sizeof salt, NULL, 1024, 8, 512);
    write_encrypted_key(one.file, pbkdf2, false);
    tls_ctx_free(good_ctx(&modern, &one, 1, false));
    write_encrypted_key(one.file, pbkdf2, true);
    is_about(bad_ctx(&one, 1), "slow.pem: its encryption uses more than 4000000");
    write_encrypted_key(one.file, scrypt, false);
    tls_ctx_free(good_ctx(&modern, &one, 1, false));
    write_encrypted_key(one.file, slow, false);
    is_about(bad_ctx(&one, 1), "slow.pem: its encryption uses more than 4000000");
    X509_ALGOR_free(pbkdf2);
    X509_ALGOR_free(scrypt);
    X509_ALGOR_free(slow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(containers_with_too_many_iterations_are_refused),
        cmocka_unit_test(hidden_iterations_count),
        cmocka_unit_test(keys_with_too_many_iterations_are_refused),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
