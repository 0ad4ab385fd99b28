#include "tls/tls_expiry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tls_fixture.h"

struct days {
    int left, due;
    char text[TLS_ERROR_MAX];
};

static time_t until;

static void on_days(void *arg, const struct tls_expiry *e)
{
    struct days *d = arg;
    *d = (struct days){.left = e->days_left, .due = e->due};
    until = e->until;
    assert_int_equal(e->certificate, 0);
    assert_int_equal(e->staple, TLS_STAPLE_NONE);
    char text[TLS_ERROR_MAX];
    if (tls_expiry_text(e, text) != NULL)
        memcpy(d->text, strrchr(text, ':') + 2, strlen(strrchr(text, ':') + 2) + 1);
}

static void the_end_is_seen_coming(void **state)
{
    (void)state;
    const struct tls_certificate one = {.file = ec.pem};
    struct tls_ctx *ctx = good_ctx(&modern, &one, 1, false);
    struct tm tm;
    assert_int_equal(ASN1_TIME_to_tm(X509_get0_notAfter(ec.x509), &tm), 1);
    const time_t end = timegm(&tm), day = 24 * 3600;
    static const struct {
        int before_days, before_seconds;
        struct days expected;
    } cases[] = {
        {400, 0, {400, -1, ""}},
        {30, 0, {30, -1, ""}},
        {30, -1, {29, 30, "the certificate expires in 29 days"}},
        {7, 0, {7, 30, "the certificate expires in 7 days"}},
        {7, -1, {6, 7, "the certificate expires in 6 days"}},
        {1, 0, {1, 7, "the certificate expires in 1 day"}},
        {1, -1, {0, 1, "the certificate expires in less than 1 day"}},
        {0, 0, {0, 1, "the certificate expires in less than 1 day"}},
        {0, -1, {-1, 0, "the certificate has expired"}},
        {-2, 0, {-2, 0, "the certificate has expired"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct days d;
        tls_ctx_expiry(ctx, end - cases[i].before_days * day - cases[i].before_seconds, on_days,
                       &d);
        assert_int_equal(until, end);
        assert_int_equal(d.left, cases[i].expected.left);
        assert_int_equal(d.due, cases[i].expected.due);
        assert_string_equal(d.text, cases[i].expected.text);
    }
    tls_ctx_free(ctx);
}

static void staples_and_large_keys_are_warned_about(void **state)
{
    char text[TLS_ERROR_MAX];
    struct tls_expiry e = {.file = "a.pem", .ocsp_file = "a.ocsp", .rsa_bits = TLS_RSA_USUAL};

    (void)state;
    assert_null(tls_key_text(&e, text));
    assert_null(tls_staple_text(&e, text));
    e.staple = TLS_STAPLE_FRESH;
    assert_null(tls_staple_text(&e, text));
    e.staple = TLS_STAPLE_STALE;
    assert_string_equal(
        tls_staple_text(&e, text),
        "a.ocsp: the OCSP response is stale or not yet valid, so no OCSP response is sent");
    e.staple = TLS_STAPLE_REVOKED;
    assert_string_equal(
        tls_staple_text(&e, text),
        "a.ocsp: the OCSP response does not report the certificate as good, so no OCSP response is "
        "sent");
    e.staple = TLS_STAPLE_UNUSABLE;
    e.unusable = "trylater";
    assert_string_equal(tls_staple_text(&e, text), "a.ocsp: trylater, so no OCSP response is sent");
    e.rsa_bits = 8192;
    assert_string_equal(tls_key_text(&e, text),
                        "a.pem: its RSA key has 8192 bits, so each handshake takes about 64 times "
                        "the CPU time of a 2048-bit key");
}

static void a_staple_has_a_word(void **state)
{
    (void)state;
    assert_string_equal(tls_staple_word(TLS_STAPLE_FRESH), "good");
    assert_string_equal(tls_staple_word(TLS_STAPLE_STALE), "expired");
    assert_string_equal(tls_staple_word(TLS_STAPLE_REVOKED), "revoked");
    assert_string_equal(tls_staple_word(TLS_STAPLE_UNUSABLE), "none");
    assert_string_equal(tls_staple_word(TLS_STAPLE_NONE), "none");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_end_is_seen_coming),
        cmocka_unit_test(staples_and_large_keys_are_warned_about),
        cmocka_unit_test(a_staple_has_a_word),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
