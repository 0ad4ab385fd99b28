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

struct parts {
    const struct cert *key[3], *cert[4];
    int cert_pbe, key_pbe; /* -1: not encrypted */
    bool mac;
};

/* Writes a container of these parts, in their order. */
static const char *write_parts(const char *name, const char *passphrase, const struct parts *parts)
{
    STACK_OF(PKCS7) *safes = NULL;
    STACK_OF(PKCS12_SAFEBAG) *certs_bags = NULL, *keys = NULL;
    for (size_t i = 0; parts->cert[i] != NULL; i++)
        assert_non_null(PKCS12_add_cert(&certs_bags, parts->cert[i]->x509));
    for (size_t i = 0; parts->key[i] != NULL; i++)
        assert_non_null(
            PKCS12_add_key(&keys, parts->key[i]->key, 0, 2048, parts->key_pbe, passphrase));
    assert_int_equal(PKCS12_add_safe(&safes, certs_bags, parts->cert_pbe, 2048, passphrase), 1);
    if (keys != NULL)
        assert_int_equal(PKCS12_add_safe(&safes, keys, -1, 0, NULL), 1);
    PKCS12 *p12 = PKCS12_add_safes(safes, 0);
    assert_non_null(p12);
    if (parts->mac)
        assert_int_equal(PKCS12_set_mac(p12, passphrase, -1, NULL, 0, 2048, EVP_sha256()), 1);
    const char *path = certs_path(&certs, name);
    FILE *f = fopen(path, "w");
    assert_int_equal(i2d_PKCS12_fp(f, p12), 1);
    fclose(f);
    PKCS12_free(p12);
    sk_PKCS7_pop_free(safes, PKCS7_free);
    sk_PKCS12_SAFEBAG_pop_free(certs_bags, PKCS12_SAFEBAG_free);
    sk_PKCS12_SAFEBAG_pop_free(keys, PKCS12_SAFEBAG_free);
    return path;
}

static void shows_far(const char *file, const char *passphrase_file, int chain)
{
    const struct tls_certificate from = {.file = file, .passphrase_file = passphrase_file};
    struct tls_ctx *ctx = good_ctx(&modern, &from, 1, false);
    shows(ctx, &(struct ask){.sni = "far.test"}, &far);
    struct shown shown = meet(ctx, &(struct ask){0});
    assert_true(shown.ok);
    assert_int_equal(shown.chain, chain);
    X509_free(shown.leaf);
    tls_ctx_free(ctx);
}

static void the_mac_may_be_missing(void **state)
{
    (void)state;
    const char *right = write_text("right2", "sesame\n"), *wrong = write_text("wrong2", "sesam\n");
    struct parts parts = {.key = {&far},
                          .cert = {&ca, &mid, &far},
                          .cert_pbe = NID_aes_256_cbc,
                          .key_pbe = NID_aes_256_cbc};
    const char *locked = write_parts("no-mac.pfx", "sesame", &parts);
    const struct tls_certificate none = {.file = locked},
                                 bad = {.file = locked, .passphrase_file = wrong};
    shows_far(locked, right, 2);
    is_about(bad_ctx(&bad, 1), "passphrase-file is wrong");
    is_about(bad_ctx(&none, 1), "encrypted: set passphrase-file");
    /* encrypted with an empty passphrase, with none at all, and not encrypted */
    shows_far(write_parts("no-mac-empty.pfx", "", &parts), NULL, 2);
    parts.key_pbe = parts.cert_pbe = NID_pbe_WithSHA1And3_Key_TripleDES_CBC;
    shows_far(write_parts("no-mac-empty-3des.pfx", "", &parts), NULL, 2);
    shows_far(write_parts("no-mac-null-3des.pfx", NULL, &parts), NULL, 2);
    shows_far(write_parts("no-mac-3des.pfx", "sesame", &parts), right, 2);
    parts.key_pbe = parts.cert_pbe = -1;
    shows_far(write_parts("no-mac-open.pfx", NULL, &parts), NULL, 2);
    shows_far(write_parts("no-mac-open2.pfx", NULL, &parts), wrong,
              2); /* nothing to open with it */
}

static void there_may_be_several_keys(void **state)
{
    (void)state;
    const char *right = write_text("right3", "sesame");
    const struct parts
        second = {{&two, &far}, {&mid, &far}, NID_aes_256_cbc, NID_aes_256_cbc, true},
        pairs = {{&two, &far}, {&far, &two, &mid}, NID_aes_256_cbc, NID_aes_256_cbc, true},
        open_keys = {{&far, &two}, {&ca, &far}, NID_aes_256_cbc, -1, true},
        foreign = {{&two, &ec}, {&far, &mid}, NID_aes_256_cbc, NID_aes_256_cbc, true},
        no_key = {{NULL}, {&far, &mid}, NID_aes_256_cbc, NID_aes_256_cbc, true};
    const struct tls_certificate none = {.file = write_parts("foreign.pfx", "sesame", &foreign),
                                         .passphrase_file = right},
                                 keyless = {.file = write_parts("bare.pfx", "sesame", &no_key),
                                            .passphrase_file = right};
    shows_far(write_parts("second.pfx", "sesame", &second), right, 2);
    shows_far(write_parts("pairs.pfx", "sesame", &pairs), right, 2);
    shows_far(write_parts("open-keys.pfx", "sesame", &open_keys), right, 1);
    is_about(bad_ctx(&none, 1), "no private key matches a certificate (keys: 2, certificates: 2)");
    is_about(bad_ctx(&keyless, 1), "it contains no private key");
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
        cmocka_unit_test(the_mac_may_be_missing),
        cmocka_unit_test(there_may_be_several_keys),
        cmocka_unit_test(cut_off_containers_are_refused),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
