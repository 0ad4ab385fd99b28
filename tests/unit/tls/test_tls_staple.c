/* Staples: the files that can be used, and the clients that get a staple. */
#include "tls/tls_staple.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/ocsp.h>
#include <cmocka.h>

#include "tls_fixture.h"

static OCSP_RESPONSE *response(const struct cert *about, int status, long from, long until)
{
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, about->x509, ca.x509);
    ASN1_TIME *this_update = X509_gmtime_adj(NULL, from);
    ASN1_TIME *next_update = until == 0 ? NULL : X509_gmtime_adj(NULL, until);
    ASN1_TIME *revoked = status == V_OCSP_CERTSTATUS_REVOKED ? X509_gmtime_adj(NULL, from) : NULL;
    assert_non_null(
        OCSP_basic_add1_status(basic, id, status, 0, revoked, this_update, next_update));
    assert_int_equal(OCSP_basic_sign(basic, ca.x509, ca.key, EVP_sha256(), NULL, 0), 1);
    OCSP_RESPONSE *r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    assert_non_null(r);
    OCSP_CERTID_free(id);
    OCSP_BASICRESP_free(basic);
    ASN1_TIME_free(this_update);
    ASN1_TIME_free(next_update);
    ASN1_TIME_free(revoked);
    return r;
}

/* Takes ownership of r. */
static const char *write_response(const char *name, OCSP_RESPONSE *r, const char *behind)
{
    unsigned char *der = NULL;
    const int n = i2d_OCSP_RESPONSE(r, &der);
    assert_true(n > 0);
    unsigned char *all = malloc((size_t)n + strlen(behind));
    memcpy(all, der, (size_t)n);
    memcpy(all + n, behind, strlen(behind));
    const char *path = write_file(name, all, (size_t)n + strlen(behind));
    free(all);
    OPENSSL_free(der);
    OCSP_RESPONSE_free(r);
    return path;
}

struct states {
    enum tls_staple_state state[4];
    char text[4][TLS_ERROR_MAX];
    size_t n;
};

static void on_states(void *arg, const struct tls_expiry *e)
{
    struct states *s = arg;
    s->state[s->n] = e->staple;
    if (tls_staple_text(e, s->text[s->n]) == NULL)
        s->text[s->n][0] = '\0';
    s->n++;
}

static void a_fresh_staple_is_sent_on_request(void **state)
{
    (void)state;
    const long hour = 3600;
    const struct {
        const char *file;
        enum tls_staple_state state;
    } cases[] = {
        {NULL, TLS_STAPLE_NONE},
        {write_response("fresh.der", response(&rsa, V_OCSP_CERTSTATUS_GOOD, -hour, hour), ""),
         TLS_STAPLE_FRESH},
        {write_response("open.der", response(&rsa, V_OCSP_CERTSTATUS_GOOD, -hour, 0), ""),
         TLS_STAPLE_FRESH},
        {write_response("stale.der", response(&rsa, V_OCSP_CERTSTATUS_GOOD, -2 * hour, -hour), ""),
         TLS_STAPLE_STALE},
        {write_response("early.der", response(&rsa, V_OCSP_CERTSTATUS_GOOD, hour, 2 * hour), ""),
         TLS_STAPLE_STALE},
        {write_response("revoked.der", response(&rsa, V_OCSP_CERTSTATUS_REVOKED, -hour, hour), ""),
         TLS_STAPLE_REVOKED},
    };
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct tls_certificate list[] = {
            {.file = two.pem}, {.file = rsa.pem, .ocsp_file = cases[i].file}, {.file = ec.pem}};
        struct tls_ctx *ctx = good_ctx(&modern, list, 3, false);
        struct states s = {0};
        tls_ctx_expiry(ctx, time(NULL), on_states, &s);
        assert_int_equal(s.n, 3);
        assert_int_equal(s.state[0], TLS_STAPLE_NONE);
        assert_int_equal(s.state[1], cases[i].state);
        const bool warned =
            cases[i].state == TLS_STAPLE_STALE || cases[i].state == TLS_STAPLE_REVOKED;
        assert_true((s.text[1][0] != '\0') == warned);
        assert_true(!warned || strstr(s.text[1], cases[i].file) != NULL);
        for (size_t v = 0; v < 2; v++) {
            struct ask ask = {.sni = "vpn.test",
                              .version = versions[v],
                              .sigalgs = "RSA-PSS+SHA256",
                              .status = true};
            struct shown shown = meet(ctx, &ask);
            assert_true(shown.ok);
            assert_true((shown.staple_n > 0) == (cases[i].state == TLS_STAPLE_FRESH));
            if (shown.staple_n > 0) {
                unsigned char octets[4096];
                FILE *f = fopen(cases[i].file, "r");
                assert_int_equal(fread(octets, 1, sizeof octets, f), shown.staple_n);
                fclose(f);
                assert_memory_equal(octets, shown.staple, shown.staple_n);
            }
            X509_free(shown.leaf);
            ask.sigalgs = "ECDSA+SHA256"; /* the other certificate of the name */
            shown = meet(ctx, &ask);
            assert_true(shown.ok && shown.staple_n <= 0);
            X509_free(shown.leaf);
            ask.sigalgs = NULL;
            ask.status = false;
            shown = meet(ctx, &ask);
            assert_true(shown.ok && shown.staple_n <= 0);
            X509_free(shown.leaf);
        }
        tls_ctx_free(ctx);
    }
}

static void a_file_without_a_staple_is_warned_about(void **state)
{
    (void)state;
    OCSP_RESPONSE *later = OCSP_response_create(OCSP_RESPONSE_STATUS_TRYLATER, NULL);
    const struct {
        const char *file, *text;
    } cases[] = {
        {write_text("text.der", "hello"), "not an OCSP response"},
        {write_text("empty.der", ""), "not an OCSP response"},
        {ec.pem, "not an OCSP response"},
        {certs_path(&certs, "nowhere.der"), "No such file"},
        {write_response("behind.der", response(&ec, V_OCSP_CERTSTATUS_GOOD, 0, 60), "x"),
         "not an OCSP response"},
        {write_response("other.der", response(&two, V_OCSP_CERTSTATUS_GOOD, 0, 60), ""),
         "not for this certificate"},
        {write_response("later.der", later, ""), "trylater"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct tls_certificate list[] = {{.file = two.pem},
                                               {.file = ec.pem, .ocsp_file = cases[i].file}};
        struct tls_ctx *ctx = good_ctx(&modern, list, 2, false);
        struct states s = {0};
        tls_ctx_expiry(ctx, time(NULL), on_states, &s);
        assert_int_equal(s.state[1], TLS_STAPLE_UNUSABLE);
        assert_ptr_equal(strstr(s.text[1], cases[i].file), s.text[1]);
        assert_non_null(strstr(s.text[1], cases[i].text));
        struct ask ask = {.sni = "vpn.test", .status = true};
        struct shown shown = meet(ctx, &ask);
        assert_true(shown.ok && shown.staple_n <= 0);
        X509_free(shown.leaf);
        tls_ctx_free(ctx);
    }
}

/* Returns a response with the serial number of ec about a certificate of this issuer. */
static OCSP_RESPONSE *response_of(const EVP_MD *md, const X509_NAME *name, EVP_PKEY *key)
{
    X509 *issuer = X509_new();
    X509_set_subject_name(issuer, name);
    X509_set_pubkey(issuer, key);
    OCSP_CERTID *id = OCSP_cert_id_new(md, name, X509_get0_pubkey_bitstr(issuer),
                                       X509_get0_serialNumber(ec.x509));
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    ASN1_TIME *from = X509_gmtime_adj(NULL, -60), *until = X509_gmtime_adj(NULL, 3600);
    assert_non_null(
        OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, NULL, from, until));
    assert_int_equal(OCSP_basic_sign(basic, ca.x509, ca.key, EVP_sha256(), NULL, 0), 1);
    OCSP_RESPONSE *r = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    ASN1_TIME_free(from);
    ASN1_TIME_free(until);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    X509_free(issuer);
    return r;
}

static enum tls_staple_state state_with(const char *pem, const char *key, const char *staple)
{
    const struct tls_certificate list[] = {{.file = pem, .key = key, .ocsp_file = staple}};
    struct tls_ctx *ctx = good_ctx(&modern, list, 1, false);
    struct states s = {0};
    tls_ctx_expiry(ctx, time(NULL), on_states, &s);
    tls_ctx_free(ctx);
    return s.state[0];
}

/* Two certificates of different issuers may have the same serial number. */
static void the_issuer_of_a_staple_is_compared(void **state)
{
    const X509_NAME *ours = X509_get_subject_name(ca.x509);
    const X509_NAME *theirs = X509_get_subject_name(mid.x509);
    (void)state;
    const struct {
        const EVP_MD *md;
        const X509_NAME *name;
        EVP_PKEY *key;
        enum tls_staple_state with_issuer, alone; /* with and without the issuer in the file */
    } cases[] = {
        {EVP_sha1(), ours, ca.key, TLS_STAPLE_FRESH, TLS_STAPLE_FRESH},
        {EVP_sha256(), ours, ca.key, TLS_STAPLE_FRESH, TLS_STAPLE_FRESH},
        {EVP_sha1(), theirs, ca.key, TLS_STAPLE_UNUSABLE, TLS_STAPLE_UNUSABLE},
        {EVP_sha1(), theirs, mid.key, TLS_STAPLE_UNUSABLE, TLS_STAPLE_UNUSABLE},
        {EVP_sha1(), ours, mid.key, TLS_STAPLE_UNUSABLE, TLS_STAPLE_FRESH},
        {EVP_sha256(), ours, mid.key, TLS_STAPLE_UNUSABLE, TLS_STAPLE_FRESH},
    };
    const char *alone = certs_path(&certs, "alone.pem");
    FILE *f = fopen(alone, "w");
    assert_non_null(f);
    PEM_write_X509(f, ec.x509);
    assert_int_equal(fclose(f), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *staple =
            write_response("issuer.der", response_of(cases[i].md, cases[i].name, cases[i].key), "");
        assert_int_equal(state_with(ec.pem, NULL, staple), cases[i].with_issuer);
        assert_int_equal(state_with(alone, ec.pem, staple), cases[i].alone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_fresh_staple_is_sent_on_request),
        cmocka_unit_test(a_file_without_a_staple_is_warned_about),
        cmocka_unit_test(the_issuer_of_a_staple_is_compared),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
