#include "tls/tls_pkcs12.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <cmocka.h>

#include "tls_fixture.h"

/* Writes a container with far and its issuers, not in the order of the chain. old: in the format of
 * Windows Server 2008. */
static const char *write_pfx(const char *name, const char *passphrase, bool old, bool with_key)
{
    OSSL_LIB_CTX *lib = OSSL_LIB_CTX_new();
    OSSL_PROVIDER *usual = OSSL_PROVIDER_load(lib, "default"),
                  *legacy = OSSL_PROVIDER_load(lib, "legacy");
    STACK_OF(X509) *others = sk_X509_new_null();
    assert_true(usual != NULL && legacy != NULL);
    sk_X509_push(others, ca.x509);
    sk_X509_push(others, two.x509);
    sk_X509_push(others, mid.x509);
    PKCS12 *p12 =
        PKCS12_create_ex(passphrase, "name", with_key ? far.key : NULL, far.x509, others,
                         old ? NID_pbe_WithSHA1And3_Key_TripleDES_CBC : 0,
                         old ? NID_pbe_WithSHA1And40BitRC2_CBC : 0, 0, old ? -1 : 0, 0, lib, NULL);
    assert_non_null(p12);
    if (old)
        assert_int_equal(PKCS12_set_mac(p12, passphrase, -1, NULL, 0, 0, EVP_sha1()), 1);
    const char *path = certs_path(&certs, name);
    FILE *f = fopen(path, "w");
    assert_int_equal(i2d_PKCS12_fp(f, p12), 1);
    fclose(f);
    PKCS12_free(p12);
    sk_X509_free(others);
    OSSL_PROVIDER_unload(legacy);
    OSSL_PROVIDER_unload(usual);
    OSSL_LIB_CTX_free(lib);
    return path;
}

static void pkcs12_old_and_new(void **state)
{
    (void)state;
    const char *right = write_text("right", "s\303\251same\r\nsecond line\n"),
               *wrong = write_text("wrong", "s\303\251sam\n"), *none = write_text("none", ""),
               *missing = certs_path(&certs, "missing-passphrase");
    for (int old = 0; old < 2; old++) {
        const char *locked = write_pfx(old ? "old.pfx" : "new.pfx", "s\303\251same", old, true);
        const char *open = write_pfx(old ? "old-open.pfx" : "new-open.pfx", "", old, true);
        const char *keyless = write_pfx(old ? "old-bare.p12" : "new-bare.p12", "", old, false);
        const struct tls_certificate good[] = {{.file = locked, .passphrase_file = right},
                                               {.file = open},
                                               {.file = open, .passphrase_file = none}};
        const struct {
            struct tls_certificate c;
            const char *text;
        } bad[] = {
            {{.file = locked}, "encrypted: set passphrase-file"},
            {{.file = locked, .passphrase_file = wrong}, "passphrase-file is wrong"},
            {{.file = locked, .passphrase_file = none}, "passphrase-file is wrong"},
            {{.file = locked, .passphrase_file = missing}, "missing-passphrase: No such file"},
            {{.file = open, .key = rsa.pem}, "`key` has no effect"},
            {{.file = keyless}, "no private key"},
        };
        for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
            struct tls_ctx *ctx = good_ctx(&modern, &good[i], 1, false);
            shows(ctx, &(struct ask){.sni = "far.test"}, &far);
            struct shown shown = meet(ctx, &(struct ask){0});
            assert_true(shown.ok);
            assert_int_equal(shown.chain, 2); /* the leaf and its issuer, without the root */
            X509_free(shown.leaf);
            tls_ctx_free(ctx);
        }
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            is_about(bad_ctx(&bad[i].c, 1), bad[i].text);
    }
    /* the legacy provider is not visible to the rest of the process */
    assert_int_equal(OSSL_PROVIDER_available(NULL, "legacy"), 0);
    assert_null(EVP_CIPHER_fetch(NULL, "RC2-40-CBC", NULL));
    ERR_clear_error();
}

static void cut_off_containers_are_refused(void **state)
{
    (void)state;
    unsigned char octets[8192];
    const char *path = write_pfx("whole.pfx", "", false, true), *cut = certs_path(&certs, "cut");
    FILE *f = fopen(path, "r");
    const size_t n = fread(octets, 1, sizeof octets, f);
    fclose(f);
    for (size_t i = 0; i < n; i += 97) {
        f = fopen(cut, "w");
        fwrite(octets, 1, i, f);
        fclose(f);
        is_about(bad_ctx(&(struct tls_certificate){.file = cut}, 1), "neither PEM nor PKCS#12");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pkcs12_old_and_new),
        cmocka_unit_test(cut_off_containers_are_refused),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
