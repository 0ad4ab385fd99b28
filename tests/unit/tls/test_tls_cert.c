#include "tls/tls_cert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tls_fixture.h"

static void keys_may_be_encrypted(void **state)
{
    (void)state;
    const char *right = write_text("pem-right", "secret"), *wrong = write_text("pem-wrong", "sec"),
               *locked = certs_path(&certs, "locked.pem"), *der = certs_path(&certs, "leaf.der"),
               *ca_only = certs_path(&certs, "ca-only.pem");
    FILE *f = fopen(ca_only, "w");
    PEM_write_X509(f, ca.x509);
    fclose(f);
    f = fopen(locked, "w");
    PEM_write_X509(f, ec.x509);
    PEM_write_PKCS8PrivateKey(f, ec.key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
    fclose(f);
    f = fopen(der, "w");
    i2d_X509_fp(f, ec.x509);
    fclose(f);
    const struct tls_certificate good[] = {
        {.file = locked, .passphrase_file = right},
        {.file = der, .key = locked, .passphrase_file = right},
        {.file = der, .key = ec.pem},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct tls_ctx *ctx = good_ctx(&modern, &good[i], 1, false);
        shows(ctx, &(struct ask){0}, &ec);
        tls_ctx_free(ctx);
    }
    const struct {
        struct tls_certificate c;
        const char *text;
    } bad[] = {
        {{.file = locked}, "encrypted: set passphrase-file"},
        {{.file = locked, .passphrase_file = wrong}, "passphrase-file is wrong"},
        {{.file = der}, "contains no private key: set `key`"},
        {{.file = der, .key = der}, "not a private key in PEM"},
        {{.file = ec.pem, .key = rsa.pem}, "rsa.pem: "},
        {{.file = ca_only}, "contains no private key"},
        {{.file = ec.pem, .key = ca_only}, "ca-only.pem: contains no private key"},
        {{.file = "/"}, "/: Is a directory"},
        {{.file = "/dev/zero"}, "/dev/zero: not a regular file"},
        {{.file = write_text("junk", "0 or so")}, "neither PEM nor PKCS#12"},
        {{.file = write_text("half", "-----BEGIN CERTIFICATE-----\nMIIB")}, "half: "},
        {{.file = write_text("key-only", "-----BEGIN FOO-----\n-----END FOO-----\n")},
         "contains no certificate"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        is_about(bad_ctx(&bad[i].c, 1), bad[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_may_be_encrypted),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
