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
        {.file = locked, .passphrase_file = write_text("pem-bom", "\xef\xbb\xbfsecret\r\n")},
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
        {{.file = write_text("wide", "-\xc2")}, "neither PEM nor PKCS#12"},
        {{.file = write_text("p7b", "-----BEGIN PKCS7-----\nAAAA\n-----END PKCS7-----\n")},
         "contains no certificate: convert PKCS#7 (.p7b) to PEM"},
        {{.file = write_text("hidden", "\xc2\xa0-----BEGIN CERTIFICATE-----\nAAAA\n"
                                       "-----END CERTIFICATE-----\n")},
         "hidden: contains no certificate (it contains U+00A0 NO-BREAK SPACE, which cannot be "
         "seen)"},
        {{.file = write_text("hidden2", "-----BEGIN CERTIFICATE-----\nAA\xe2\x80\x8b"
                                        "AA\n-----END CERTIFICATE-----\n")},
         " (it contains U+200B ZERO WIDTH SPACE, which cannot be seen)"},
        {{.file = ec.pem,
          .key = write_text("hidden-key", "\xc2\xa0-----BEGIN PRIVATE KEY-----\nAA\n")},
         "hidden-key: unsupported (it contains U+00A0 NO-BREAK SPACE, which cannot be seen)"},
        {{.file = write_text("utf16", "\xff\xfe-")}, "utf16: UTF-16, as PowerShell"},
        {{.file = ec.pem, .key = write_text("utf16-key", "\xfe\xff")},
         "utf16-key: UTF-16, as PowerShell"},
        {{.file = locked, .passphrase_file = write_text("utf16-pass", "\xff\xfes")},
         "utf16-pass: UTF-16, as PowerShell"},
        {{.file = locked, .passphrase_file = write_text("hidden-pass", "secret\xc2\xa0\n")},
         "hidden-pass: the passphrase begins or ends with U+00A0 NO-BREAK SPACE"},
        {{.file = write_text("key-only", "-----BEGIN FOO-----\n-----END FOO-----\n")},
         "contains no certificate"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        is_about(bad_ctx(&bad[i].c, 1), bad[i].text);
}

/* Writes these certificates and keys, in this order, some of them encrypted. */
static const char *write_pem(const char *name, const char *order)
{
    const struct cert *const all[] = {&ca, &mid, &far, &two};
    const char *path = certs_path(&certs, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (; *order != '\0'; order += 2) { /* "c2": the certificate all[2], k: key, K: encrypted */
        const struct cert *c = all[order[1] - '0'];
        fputs("some text\r\n", f);
        if (order[0] == 'c')
            PEM_write_X509(f, c->x509);
        else if (order[0] == 'k')
            PEM_write_PrivateKey(f, c->key, NULL, NULL, 0, NULL, NULL);
        else
            PEM_write_PKCS8PrivateKey(f, c->key, EVP_aes_128_cbc(), "secret", 6, NULL, NULL);
    }
    fclose(f);
    return path;
}

static void pem_may_be_in_any_order(void **state)
{
    (void)state;
    static const struct {
        const char *order;
        int chain; /* that a client gets, with the leaf */
    } rows[] = {
        {"c2c1k2", 2},       {"c2c1c0k2", 2}, {"c0c1c2k2", 2}, {"k2c1c0c2", 2},
        {"c2c0c1k2", 2},     {"c2k3k2", 1},   {"k3c1k2c2", 2}, {"c2c3k2", 1},
        {"c0k0c1k1c2k2", 2}, {"K3c2c1k2", 2}, {"k3c2c1K2", 2}, {"K3K2c2", 1},
    };
    const char *secret = write_text("pem-secret", "secret");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char name[] = "order-00";
        snprintf(name, sizeof name, "order-%zu", i);
        const struct tls_certificate from = {.file = write_pem(name, rows[i].order),
                                             .passphrase_file = secret};
        struct tls_ctx *ctx = good_ctx(&modern, &from, 1, false);
        shows(ctx, &(struct ask){0}, &far);
        struct shown shown = meet(ctx, &(struct ask){0});
        assert_int_equal(shown.chain, rows[i].chain);
        X509_free(shown.leaf);
        tls_ctx_free(ctx);
    }
    const struct tls_certificate none = {.file = write_pem("order-none", "c2c1k3k0")};
    is_about(bad_ctx(&none, 1),
             "order-none: no private key matches a certificate (keys: 2, certificates: 2)");
}

/* Returns a file of n bytes that ends with a key and its certificate. */
static const char *write_long(size_t n)
{
    const char *path = certs_path(&certs, "long");
    char *pem;
    BIO *bio = BIO_new(BIO_s_mem());
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    PEM_write_bio_PrivateKey(bio, ec.key, NULL, NULL, 0, NULL, NULL);
    PEM_write_bio_X509(bio, ec.x509);
    const size_t end = (size_t)BIO_get_mem_data(bio, &pem);
    for (size_t i = end; i < n; i++)
        fputc('\n', f);
    fwrite(pem, 1, end, f);
    fclose(f);
    BIO_free(bio);
    return path;
}

static void every_size_is_read_to_its_end(void **state)
{
    (void)state;
    enum { KIB = 1024 };
    const size_t good[] = {16 * KIB - 1, 16 * KIB,      16 * KIB + 1,  64 * KIB,
                           64 * KIB + 1, 256 * KIB + 1, 1024 * KIB - 1};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const struct tls_certificate from = {.file = write_long(good[i])};
        struct tls_ctx *ctx = good_ctx(&modern, &from, 1, false);
        shows(ctx, &(struct ask){0}, &ec);
        tls_ctx_free(ctx);
    }
    for (size_t n = 1024 * KIB; n <= 1024 * KIB + 1; n++) {
        const struct tls_certificate from = {.file = write_long(n)};
        is_about(bad_ctx(&from, 1), "long: larger than 1 MiB");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_may_be_encrypted),
        cmocka_unit_test(pem_may_be_in_any_order),
        cmocka_unit_test(every_size_is_read_to_its_end),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
