/* Objects that are loaded once serve many contexts, even if their files change. */
#include "tls/tls_loaded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>
#include <cmocka.h>

#include "tls_fixture.h"

static struct tls_pair *load(const char *file)
{
    char error[TLS_ERROR_MAX];
    struct tls_pair *pair = tls_pair_load(&(struct tls_certificate){.file = file}, error);
    if (pair == NULL)
        fail_msg("%s", error);
    return pair;
}

static char *copy_file(const char *from, const char *name)
{
    char octets[16384];
    FILE *f = fopen(from, "r");
    assert_non_null(f);
    const size_t n = fread(octets, 1, sizeof octets, f);
    fclose(f);
    return (char *)write_file(name, octets, n);
}

static void a_pair_outlives_its_file(void **state)
{
    const struct cert *kinds[] = {&ec, &rsa};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        const char *file = copy_file(kinds[i]->pem, "pair.pem");
        struct tls_pair *pair = load(file);
        assert_int_equal(unlink(file), 0);
        const struct tls_certificate list[] = {{.file = file, .pair = pair}};
        struct tls_ctx *first = good_ctx(&modern, list, 1, false);
        struct tls_ctx *second = good_ctx(&modern, list, 1, false);
        tls_pair_free(pair);
        for (int k = 0; k < 2; k++) {
            const struct ask ask = {.sni = "vpn.test"};
            struct shown shown = meet(second, &ask);
            assert_true(shown.ok);
            assert_int_equal(X509_cmp(shown.leaf, kinds[i]->x509), 0);
            assert_int_equal(shown.chain, 1); /* without the root */
            X509_free(shown.leaf);
            tls_ctx_free(first); /* the other one keeps its objects */
            first = NULL;
        }
        tls_ctx_free(second);
    }
}

static void a_pair_must_match(void **state)
{
    char error[TLS_ERROR_MAX];
    (void)state;
    const struct tls_certificate wrong = {.file = ec.pem, .key = two.pem};
    assert_null(tls_pair_load(&wrong, error));
    assert_ptr_equal(strstr(error, two.pem), error);
    assert_non_null(
        strstr(error, ": no private key matches a certificate (keys: 1, certificates: 2)"));
    const char *nowhere = certs_path(&certs, "nowhere.pem");
    assert_null(tls_pair_load(&(struct tls_certificate){.file = nowhere}, error));
    assert_ptr_equal(strstr(error, nowhere), error);
    tls_pair_free(NULL);
}

static enum tls_staple_state staple;

static void note_staple(void *arg, const struct tls_expiry *e)
{
    char text[TLS_ERROR_MAX];
    (void)arg;
    staple = e->staple;
    assert_non_null(tls_staple_text(e, text));
    assert_ptr_equal(strstr(text, e->ocsp_file), text);
}

static void a_response_that_cannot_be_read_is_none(void **state)
{
    const char *files[] = {certs_path(&certs, "nowhere.der"), write_text("empty.der", ""), "/tmp"};
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct tls_response *response = tls_response_load(files[i]);
        assert_non_null(response);
        const struct tls_certificate list[] = {
            {.file = ec.pem, .ocsp_file = files[i], .response = response}};
        struct tls_ctx *ctx = good_ctx(&modern, list, 1, false);
        tls_response_free(response);
        tls_ctx_expiry(ctx, time(NULL), note_staple, NULL);
        assert_int_equal(staple, TLS_STAPLE_UNUSABLE);
        tls_ctx_free(ctx);
    }
    tls_response_free(NULL);
}

static void trusted_certificates_are_loaded_or_the_file_is_named(void **state)
{
    const char *bad[] = {certs_path(&certs, "nowhere.ca"), write_text("text.ca", "hello"), "/tmp"};
    char error[TLS_ERROR_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(tls_ca_load(bad[i], error));
        assert_ptr_equal(strstr(error, bad[i]), error);
        assert_int_equal(ERR_peek_error(), 0);
    }
    const char *good[] = {ca.pem, "system"};
    for (size_t i = 0; i < 2; i++) {
        struct tls_ca *trusted = tls_ca_load(good[i], error);
        assert_non_null(trusted);
        struct tls_ctx *one = tls_ctx_new_client(&modern, trusted, error);
        struct tls_ctx *other = tls_ctx_new_client(&modern, trusted, error);
        tls_ca_free(trusted);
        assert_true(one != NULL && other != NULL);
        tls_ctx_free(one);
        tls_ctx_free(other);
    }
    tls_ca_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pair_outlives_its_file),
        cmocka_unit_test(a_pair_must_match),
        cmocka_unit_test(a_response_that_cannot_be_read_is_none),
        cmocka_unit_test(trusted_certificates_are_loaded_or_the_file_is_named),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
