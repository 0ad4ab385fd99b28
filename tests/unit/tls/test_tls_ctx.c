/* Which certificate of a listener a client is shown, out of which files it comes, and what goes
 * with it. The client is OpenSSL itself; whatever the test is about, the leaf that it received is
 * the one that tls_conn_leaf() tells of. */
#include "tls/tls_ctx.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/pkcs12.h>
#include <openssl/provider.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* cmocka wants the four above before it */
#include <cmocka.h>

#include "certs.h"
#include "tls/tls_conn.h"
#include "tls/tls_internal.h"
#include "tls/tls_pbe.h"

static struct certs certs;
static struct cert ca, ec, rsa, two, star, deep, cn, bare, mid, far;

static const struct tls_settings modern = {TLS_1_2, TLS_1_3, -1, NULL, NULL, NULL};
static const struct tls_settings lax = {TLS_1_0, TLS_1_3, -1, NULL, NULL, NULL};

static int setup(void **state)
{
    (void)state;
    certs_init(&certs);
    cert_make(&certs, &ca, "ca.pem", &(struct cert_spec){0});
    cert_make(&certs, &mid, "mid.pem", &(struct cert_spec){.issuer = &ca});
    cert_make(&certs, &ec, "ec.pem",
              &(struct cert_spec){.name = "DNS:vpn.test,DNS:www.test", .issuer = &ca});
    cert_make(&certs, &rsa, "rsa.pem",
              &(struct cert_spec){.name = "DNS:VPN.test.", .rsa = true, .issuer = &ca});
    cert_make(&certs, &two, "two.pem",
              &(struct cert_spec){.name = "DNS:two.test,IP:127.0.0.1", .issuer = &ca});
    cert_make(&certs, &star, "star.pem",
              &(struct cert_spec){.name = "DNS:*.test,DNS:test", .issuer = &ca});
    cert_make(&certs, &deep, "deep.pem",
              &(struct cert_spec){.name = "DNS:*.deep.test", .issuer = &ca});
    cert_make(&certs, &cn, "cn.pem", &(struct cert_spec){.common = "cn.example", .issuer = &ca});
    cert_make(&certs, &bare, "bare.pem", &(struct cert_spec){.common = "no name", .issuer = &ca});
    cert_make(&certs, &far, "far.pem",
              &(struct cert_spec){.name = "DNS:far.test", .issuer = &mid, .same_key = &rsa});
    return 0;
}

static int teardown(void **state)
{
    struct cert *all[] = {&ca, &ec, &rsa, &two, &star, &deep, &cn, &bare, &mid, &far};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        cert_free(all[i]);
    certs_fini(&certs);
    return 0;
}

/* ---- contexts ---- */

/* All that is reported, as "INDEX: TEXT" lines; the settings are '-'. */
static void on_error(void *arg, size_t certificate, const char *text)
{
    FILE *f = arg;
    if (certificate == TLS_NO_CERTIFICATE)
        fprintf(f, "-: %s\n", text);
    else
        fprintf(f, "%zu: %s\n", certificate, text);
}

static struct tls_ctx *try_ctx(const struct tls_settings *s, const struct tls_certificate *c,
                               size_t n, bool strict, char **errors)
{
    size_t size;
    FILE *f = open_memstream(errors, &size);
    assert_non_null(f);
    struct tls_ctx *ctx = tls_ctx_new_server(s, c, n, strict, on_error, f);
    fclose(f);
    assert_int_equal(ERR_peek_error(), 0);
    assert_true((ctx == NULL) == (**errors != '\0'));
    return ctx;
}

static struct tls_ctx *good_ctx(const struct tls_settings *s, const struct tls_certificate *c,
                                size_t n, bool strict)
{
    char *errors;
    struct tls_ctx *ctx = try_ctx(s, c, n, strict, &errors);
    if (ctx == NULL)
        fail_msg("%s", errors);
    free(errors);
    return ctx;
}

/* What is said about c, which cannot be used. */
static char *bad_ctx(const struct tls_certificate *c, size_t n)
{
    char *errors;
    assert_null(try_ctx(&modern, c, n, false, &errors));
    return errors;
}

static void is_about(char *errors, const char *text)
{
    if (strstr(errors, text) == NULL)
        fail_msg("'%s' is not about '%s'", errors, text);
    free(errors);
}

static const char *write_file(const char *name, const void *octets, size_t n)
{
    const char *path = certs_path(&certs, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(octets, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}

static const char *write_text(const char *name, const char *text)
{
    return write_file(name, text, strlen(text));
}

/* ---- a client ---- */

struct ask {
    const char *sni;
    int version; /* 0: the newest */
    const char *sigalgs, *ciphers;
    const char *alpn; /* as on the wire */
    const char *groups;
    bool status;
};

struct shown {
    bool ok;
    int reason; /* of the client's failure */
    X509 *leaf;
    size_t chain; /* certificates that came */
    char alpn[32];
    unsigned char staple[4096];
    long staple_n; /* -1: none */
};

static void sink(void *arg, struct span octets)
{
    assert_int_equal(BIO_write(arg, octets.p, (int)octets.n), octets.n);
}

static SSL *client_new(SSL_CTX *ctx, const struct ask *ask)
{
    SSL *ssl = SSL_new(ctx);
    assert_non_null(ssl);
    SSL_set_security_level(ssl, 0);
    if (ask->version != 0) {
        SSL_set_min_proto_version(ssl, ask->version);
        SSL_set_max_proto_version(ssl, ask->version);
    }
    if (ask->sni != NULL)
        assert_int_equal(SSL_set_tlsext_host_name(ssl, ask->sni), 1);
    if (ask->sigalgs != NULL)
        assert_int_equal(SSL_set1_sigalgs_list(ssl, ask->sigalgs), 1);
    if (ask->ciphers != NULL)
        assert_int_equal(SSL_set_cipher_list(ssl, ask->ciphers), 1);
    if (ask->groups != NULL)
        assert_int_equal(SSL_set1_groups_list(ssl, ask->groups), 1);
    if (ask->alpn != NULL)
        SSL_set_alpn_protos(ssl, (const unsigned char *)ask->alpn, (unsigned)strlen(ask->alpn));
    if (ask->status)
        SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl);
    return ssl;
}

static int on_status(SSL *ssl, void *arg)
{
    struct shown *shown = arg;
    const unsigned char *der;
    shown->staple_n = SSL_get_tlsext_status_ocsp_resp(ssl, &der);
    if (shown->staple_n > 0) {
        assert_true((size_t)shown->staple_n <= sizeof shown->staple);
        memcpy(shown->staple, der, (size_t)shown->staple_n);
    }
    return 1;
}

/* Lets a client with these wishes meet a server of ctx. */
static struct shown meet(struct tls_ctx *ctx, const struct ask *ask)
{
    struct shown shown = {.staple_n = -1};
    SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_tlsext_status_cb(client_ctx, on_status);
    SSL_CTX_set_tlsext_status_arg(client_ctx, &shown);
    SSL *client = client_new(client_ctx, ask);
    struct tls_conn *server = tls_conn_new_server(ctx, sink, SSL_get_rbio(client));
    tls_conn_set_time(server, time(NULL));
    enum err e = ERR_MORE;
    int r = 0;

    for (int turn = 0; turn < 6; turn++) {
        char *out;
        ERR_clear_error();
        r = SSL_do_handshake(client);
        if (r <= 0 && SSL_get_error(client, r) != SSL_ERROR_WANT_READ)
            shown.reason = ERR_GET_REASON(ERR_peek_error());
        ERR_clear_error();
        const long n = BIO_get_mem_data(SSL_get_wbio(client), &out);
        tls_conn_feed(server, span_of(out, (size_t)n));
        if (e == ERR_MORE)
            e = tls_conn_handshake(server);
        if (e == ERR_OK && n > 0) {
            uint8_t none[1];
            size_t got;
            assert_int_equal(tls_conn_read(server, none, sizeof none, &got), ERR_MORE);
        }
        if (e == ERR_OK || e == ERR_MORE)
            BIO_reset(SSL_get_wbio(client));
        else
            break;
    }
    if (e == ERR_TLS && shown.reason == 0) { /* the alert */
        r = SSL_do_handshake(client);
        shown.reason = ERR_GET_REASON(ERR_peek_error());
        ERR_clear_error();
    }
    shown.ok = e == ERR_OK && r == 1;
    if (shown.ok) {
        const unsigned char *alpn;
        unsigned n;
        shown.leaf = SSL_get1_peer_certificate(client);
        shown.chain = (size_t)sk_X509_num(SSL_get_peer_cert_chain(client));
        SSL_get0_alpn_selected(client, &alpn, &n);
        snprintf(shown.alpn, sizeof shown.alpn, "%.*s", (int)n, n == 0 ? "" : (const char *)alpn);
        struct span ours = tls_conn_leaf(server);
        assert_true(cert_is(&(struct cert){.x509 = shown.leaf}, ours));
        free((void *)ours.p);
        assert_true(span_eq(tls_conn_sni(server), span_str(ask->sni == NULL ? "" : ask->sni)));
    }
    tls_conn_free(server);
    SSL_free(client);
    SSL_CTX_free(client_ctx);
    return shown;
}

static void shows(struct tls_ctx *ctx, const struct ask *ask, const struct cert *expected)
{
    struct shown shown = meet(ctx, ask);
    if (!shown.ok)
        fail_msg("%s: no handshake: %s", ask->sni == NULL ? "-" : ask->sni,
                 ERR_reason_error_string(ERR_PACK(ERR_LIB_SSL, 0, shown.reason)));
    if (X509_cmp(shown.leaf, expected->x509) != 0)
        fail_msg("%s: another certificate than %s", ask->sni == NULL ? "-" : ask->sni,
                 expected->pem);
    X509_free(shown.leaf);
}

/* ---- names ---- */

static void the_name_chooses(void **state)
{
    (void)state;
    const struct tls_certificate list[] = {{.file = ec.pem},
                                           {.file = star.pem},
                                           {.file = two.pem},
                                           {.file = deep.pem},
                                           {.file = cn.pem}};
    const struct {
        const char *sni;
        const struct cert *cert;
        bool known;
    } cases[] = {
        {"vpn.test", &ec, true},      {"www.test", &ec, true},
        {"VPN.TEST", &ec, true},      {"vpn.test.", &ec, true},
        {"two.test", &two, true}, /* its own, although *.test stands above it */
        {"other.test", &star, true},  {"test", &star, true},
        {"a.deep.test", &deep, true}, {"deep.test", &star, true},
        {"cn.example", &cn, true},    {"a.b.deep.test", &ec, false}, /* one label only */
        {"a.b.test", &ec, false},     {".test", &ec, false},
        {"vpn.tes", &ec, false},      {"xvpn.test.example", &ec, false},
        {"127.0.0.1", &ec, false}, /* RFC 6066 3: no names */
        {"ca.pem", &ec, false},       {".", &ec, false},
        {NULL, &ec, false},
    };
    struct tls_ctx *usual = good_ctx(&lax, list, 5, false), *strict = good_ctx(&lax, list, 5, true);
    static const int versions[] = {TLS1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t v = 0; v < 3; v++)
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            const struct ask ask = {.sni = cases[i].sni, .version = versions[v]};
            shows(usual, &ask, cases[i].cert);
            if (cases[i].known) {
                shows(strict, &ask, cases[i].cert);
                continue;
            }
            struct shown refused = meet(strict, &ask);
            assert_false(refused.ok);
            /* RFC 6066 3: unrecognized_name(112) */
            assert_int_equal(refused.reason, SSL_R_TLSV1_UNRECOGNIZED_NAME);
        }
    tls_ctx_free(usual);
    tls_ctx_free(strict);
}

static void one_certificate_without_a_name_serves_everybody(void **state)
{
    (void)state;
    const struct tls_certificate one = {.file = bare.pem};
    struct tls_ctx *ctx = good_ctx(&modern, &one, 1, false);
    shows(ctx, &(struct ask){0}, &bare);
    shows(ctx, &(struct ask){.sni = "vpn.test"}, &bare);
    tls_ctx_free(ctx);
    ctx = good_ctx(&modern, &one, 1, true);
    assert_false(meet(ctx, &(struct ask){.sni = "vpn.test"}).ok);
    tls_ctx_free(ctx);
}

/* ---- kinds of keys ---- */

static void the_client_settles_the_kind_of_key(void **state)
{
    (void)state;
    const struct tls_certificate orders[2][3] = {
        {{.file = ec.pem}, {.file = rsa.pem}, {.file = two.pem}},
        {{.file = rsa.pem}, {.file = two.pem}, {.file = ec.pem}},
    };
    static const char only_rsa[] = "RSA-PSS+SHA256:RSA+SHA256", only_ec[] = "ECDSA+SHA256";
    const struct {
        struct ask ask;
        const struct cert *cert;
    } cases[] = {
        {{.version = TLS1_3_VERSION, .sigalgs = only_rsa}, &rsa},
        {{.version = TLS1_3_VERSION, .sigalgs = only_ec}, &ec},
        {{.version = TLS1_3_VERSION}, &ec},
        {{.version = TLS1_3_VERSION, .status = true, .sigalgs = only_rsa}, &rsa},
        {{.version = TLS1_2_VERSION, .sigalgs = only_rsa}, &rsa},
        {{.version = TLS1_2_VERSION, .sigalgs = only_ec}, &ec},
        {{.version = TLS1_2_VERSION, .ciphers = "ECDHE-RSA-AES128-GCM-SHA256"}, &rsa},
        {{.version = TLS1_2_VERSION, .ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"}, &ec},
        {{.version = TLS1_2_VERSION, .ciphers = "AES128-SHA256"}, &rsa}, /* signs nothing */
        {{.version = TLS1_VERSION, .ciphers = "AES128-SHA"}, &rsa},
        {{.version = TLS1_VERSION, .ciphers = "ECDHE-RSA-AES128-SHA"}, &rsa},
        {{.version = TLS1_VERSION, .ciphers = "ECDHE-ECDSA-AES128-SHA"}, &ec},
    };
    for (size_t o = 0; o < 2; o++) {
        struct tls_ctx *ctx = good_ctx(&lax, orders[o], 3, false);
        for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
            struct ask ask = cases[i].ask;
            ask.sni = "vpn.test";
            shows(ctx, &ask, cases[i].cert);
            ask.sni = NULL; /* both are the default: they have the first name in common */
            shows(ctx, &ask, cases[i].cert);
            ask.sni = "nowhere.test";
            shows(ctx, &ask, cases[i].cert);
        }
        /* that name has one certificate only */
        shows(ctx, &(struct ask){.sni = "www.test"}, &ec);
        assert_false(meet(ctx, &(struct ask){.sni = "www.test", .sigalgs = only_rsa}).ok);
        shows(ctx, &(struct ask){.sni = "two.test"}, &two);
        tls_ctx_free(ctx);
    }
}

/* ---- ALPN ---- */

static void alpn_is_http_1_1_or_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *offer, *chosen;
    } cases[] = {
        {NULL, ""},     {"\x08http/1.1", "http/1.1"},    {"\x02h2\x08http/1.1", "http/1.1"},
        {"\x02h2", ""}, {"\x08http/1.0\x07http/1.", ""},
    };
    const struct tls_certificate list[] = {{.file = ec.pem}, {.file = two.pem}};
    struct tls_ctx *ctx = good_ctx(&modern, list, 2, false);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int other = 0; other < 2; other++) {
            const struct ask ask = {.alpn = cases[i].offer, .sni = other ? "two.test" : "vpn.test"};
            struct shown shown = meet(ctx, &ask);
            assert_true(shown.ok);
            assert_string_equal(shown.alpn, cases[i].chosen);
            X509_free(shown.leaf);
        }
    tls_ctx_free(ctx);
}

/* ---- staples ---- */

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

/* Takes r. */
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

static void a_fresh_staple_is_sent_to_those_who_ask(void **state)
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

static void a_staple_that_is_none_is_refused(void **state)
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
         "not about this certificate"},
        {write_response("later.der", later, ""), "trylater"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct tls_certificate list[] = {{.file = two.pem},
                                               {.file = ec.pem, .ocsp_file = cases[i].file}};
        char *errors = bad_ctx(list, 2);
        assert_true(strncmp(errors, "1: ", 3) == 0 && strstr(errors, cases[i].file) != NULL);
        is_about(errors, cases[i].text);
    }
}

/* ---- PKCS#12 ---- */

/* A container with far and all that is above it, in no good order. old: as Windows Server 2008
 * makes it. */
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
            {{.file = locked}, "encrypted: write passphrase-file"},
            {{.file = locked, .passphrase_file = wrong}, "not the one in passphrase-file"},
            {{.file = locked, .passphrase_file = none}, "not the one in passphrase-file"},
            {{.file = locked, .passphrase_file = missing}, "missing-passphrase: No such file"},
            {{.file = open, .key = rsa.pem}, "`key` has no meaning"},
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
    /* nothing of it is left to the rest of the process */
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

/* ---- iterations ---- */

enum { FEW = 0x010101, MANY = 0x7fffff }; /* both are three octets of DER */

/* Replaces the nth count of FEW iterations by MANY. Making a file with so many takes too long. */
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
                is_about(bad_ctx(&one, 1), "slow.pfx: its encryption needs more than 4000000");
                continue;
            }
            assert_int_equal(nth, 3); /* of the certificate, the key and the MAC */
            tls_ctx_free(good_ctx(&modern, &one, 1, false));
            break;
        }
}

/* An encrypted key among bags that are encrypted as a whole: its count is not in plain sight. */
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
    assert_true(tls_pbe_pkcs12(p12, "wrong") == 2000 + 2000); /* which nobody can open, then */
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
    is_about(bad_ctx(&one, 1), "slow.pem: its encryption needs more than 4000000");
    write_encrypted_key(one.file, scrypt, false);
    tls_ctx_free(good_ctx(&modern, &one, 1, false));
    write_encrypted_key(one.file, slow, false);
    is_about(bad_ctx(&one, 1), "slow.pem: its encryption needs more than 4000000");
    X509_ALGOR_free(pbkdf2);
    X509_ALGOR_free(scrypt);
    X509_ALGOR_free(slow);
}

/* ---- PEM and DER ---- */

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
        {{.file = locked}, "encrypted: write passphrase-file"},
        {{.file = locked, .passphrase_file = wrong}, "not the one in passphrase-file"},
        {{.file = der}, "only a certificate: write key"},
        {{.file = der, .key = der}, "not a private key in PEM"},
        {{.file = ec.pem, .key = rsa.pem}, "rsa.pem: "},
        {{.file = ca_only}, "there is no private key in it"},
        {{.file = ec.pem, .key = ca_only}, "ca-only.pem: there is no private key in it"},
        {{.file = "/"}, "/: Is a directory"},
        {{.file = "/dev/zero"}, "/dev/zero: not a regular file"},
        {{.file = write_text("junk", "0 or so")}, "neither PEM nor PKCS#12"},
        {{.file = write_text("half", "-----BEGIN CERTIFICATE-----\nMIIB")}, "half: "},
        {{.file = write_text("key-only", "-----BEGIN FOO-----\n-----END FOO-----\n")},
         "there is no certificate in it"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        is_about(bad_ctx(&bad[i].c, 1), bad[i].text);
}

/* ---- what a stranger may cost ---- */

/* RFC 7919 and CVE-2022-40735 */
static void a_finite_field_is_refused(void **state)
{
    (void)state;
    const struct tls_certificate one = {.file = ec.pem};
    struct tls_ctx *ctx = good_ctx(&modern, &one, 1, false);
    static const char *const fields[] = {"ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144",
                                         "ffdhe8192"};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        struct shown shown =
            meet(ctx, &(struct ask){.version = TLS1_3_VERSION, .groups = fields[i]});
        assert_false(shown.ok);
        assert_int_equal(shown.reason, SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE);
    }
    static const char *const curves[] = {"X25519", "P-256", "X448", "P-521", "P-384"};
    for (size_t i = 0; i < sizeof curves / sizeof *curves; i++)
        shows(ctx, &(struct ask){.groups = curves[i]}, &ec);
    tls_ctx_free(ctx);
}

static void a_listener_takes_the_groups_it_is_given(void **state)
{
    (void)state;
    const struct tls_certificate one = {.file = ec.pem};
    struct tls_settings s = modern;
    s.groups = "P-384:X448";
    struct tls_ctx *ctx = good_ctx(&s, &one, 1, false);
    assert_false(meet(ctx, &(struct ask){.groups = "X25519:P-256"}).ok);
    shows(ctx, &(struct ask){.groups = "X25519:X448"}, &ec);
    tls_ctx_free(ctx);
}

static size_t count_kind(const struct tls_ctx *ctx, int kx, int auth, int cipher)
{
    const STACK_OF(SSL_CIPHER) *all = SSL_CTX_get_ciphers(ctx->ssl);
    size_t n = 0;
    for (int i = 0; i < sk_SSL_CIPHER_num(all); i++) {
        const SSL_CIPHER *c = sk_SSL_CIPHER_value(all, i);
        n += SSL_CIPHER_get_kx_nid(c) == kx || SSL_CIPHER_get_auth_nid(c) == auth ||
             SSL_CIPHER_get_cipher_nid(c) == cipher;
    }
    return n;
}

static void no_list_offers_dhe_or_what_protects_nothing(void **state)
{
    (void)state;
    static const char *const lists[] = {NULL,
                                        "DEFAULT",
                                        "ALL",
                                        "HIGH",
                                        "ALL:COMPLEMENTOFALL",
                                        "DHE:aNULL:eNULL:AES128-SHA256",
                                        "ALL:@SECLEVEL=0"};
    const struct tls_certificate one = {.file = rsa.pem};
    char error[TLS_ERROR_MAX];

    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        const struct tls_settings s = {TLS_1_0, TLS_1_3, -1, lists[i], NULL, NULL};
        struct tls_ctx *both[] = {good_ctx(&s, &one, 1, false),
                                  tls_ctx_new_client(&s, NULL, error)};
        for (size_t k = 0; k < 2; k++) {
            assert_non_null(both[k]);
            assert_int_equal(count_kind(both[k], NID_kx_dhe, NID_auth_null, NID_undef), 0);
            assert_true(count_kind(both[k], NID_kx_rsa, -1, -1) > 0);
            tls_ctx_free(both[k]);
        }
    }
}

/* The CPU time that a server takes for a ClientHello with a share of this group, in ns: the least
 * of several, because other programs can only make it longer. */
static uint64_t cost_of(struct tls_ctx *ctx, const char *group)
{
    SSL_CTX *client_ctx = SSL_CTX_new(TLS_client_method());
    SSL *client = client_new(client_ctx, &(struct ask){.groups = group});
    uint64_t least = UINT64_MAX;
    char *hello;

    assert_int_equal(SSL_do_handshake(client), -1);
    ERR_clear_error();
    const long n = BIO_get_mem_data(SSL_get_wbio(client), &hello);
    for (int i = 0; i < 7; i++) {
        BIO *bin = BIO_new(BIO_s_mem());
        struct tls_conn *server = tls_conn_new_server(ctx, sink, bin);
        struct timespec from, to;
        tls_conn_feed(server, span_of(hello, (size_t)n));
        assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from), 0);
        assert_int_not_equal(tls_conn_handshake(server), ERR_OK);
        assert_int_equal(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to), 0);
        const int64_t ns =
            (int64_t)(to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
        least = (uint64_t)ns < least ? (uint64_t)ns : least;
        tls_conn_free(server);
        BIO_free(bin);
    }
    SSL_free(client);
    SSL_CTX_free(client_ctx);
    return least;
}

/* Measured: P-384 12, P-521 6, X448 3, P-256 1.3; ffdhe8192, were it taken, 800. */
static void no_group_costs_more_than_twenty_times_x25519(void **state)
{
    (void)state;
    static const char *const groups[] = {"P-256", "X448",      "P-521",
                                         "P-384", "ffdhe2048", "ffdhe8192"};
    const struct tls_certificate one = {.file = ec.pem};
    struct tls_ctx *ctx = good_ctx(&modern, &one, 1, false);
    const uint64_t usual = cost_of(ctx, "X25519");
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        const uint64_t ns = cost_of(ctx, groups[i]);
        if (ns > 20 * usual)
            fail_msg("%s: %zu ns, X25519: %zu ns", groups[i], (size_t)ns, (size_t)usual);
    }
    tls_ctx_free(ctx);
}

/* ---- what is told ---- */

static void each_certificate_that_is_wrong_is_named(void **state)
{
    (void)state;
    const char *missing = certs_path(&certs, "missing.pem"), *empty = write_text("empty.pem", "");
    const struct tls_certificate list[] = {
        {.file = missing}, {.file = ec.pem}, {.file = empty}, {.file = ec.pem, .key = missing}};
    char *expected, *errors = bad_ctx(list, 4);
    assert_true(asprintf(&expected,
                         "0: %s: No such file or directory\n2: %s: neither PEM nor PKCS#12\n"
                         "3: %s: No such file or directory\n",
                         missing, empty, missing) > 0);
    assert_string_equal(errors, expected);
    free(errors);
    free(expected);

    const struct tls_settings nonsense = {TLS_1_2, TLS_1_3, -1, "NO-SUCH-CIPHER", NULL, NULL};
    assert_null(try_ctx(&nonsense, list, 4, false, &errors));
    assert_true(strncmp(errors, "-: ciphers: ", 12) == 0);
    free(errors);
}

static void a_certificate_that_nobody_would_see_is_an_error(void **state)
{
    (void)state;
    const struct tls_certificate list[] = {
        {.file = ec.pem}, {.file = rsa.pem}, {.file = ec.pem}, {.file = bare.pem}};
    char *errors = bad_ctx(list, 4);
    assert_non_null(strstr(errors, "2: "));
    assert_non_null(strstr(errors, "certificates above it are for the same names"));
    assert_non_null(strstr(errors, "3: it has no name"));
    assert_null(strstr(errors, "1: "));
    free(errors);
}

struct days {
    int left, due;
    char text[TLS_ERROR_MAX];
};

static void on_days(void *arg, const struct tls_expiry *e)
{
    struct days *d = arg;
    *d = (struct days){.left = e->days_left, .due = e->due};
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
        assert_int_equal(d.left, cases[i].expected.left);
        assert_int_equal(d.due, cases[i].expected.due);
        assert_string_equal(d.text, cases[i].expected.text);
    }
    tls_ctx_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_name_chooses),
        cmocka_unit_test(one_certificate_without_a_name_serves_everybody),
        cmocka_unit_test(the_client_settles_the_kind_of_key),
        cmocka_unit_test(alpn_is_http_1_1_or_nothing),
        cmocka_unit_test(a_fresh_staple_is_sent_to_those_who_ask),
        cmocka_unit_test(a_staple_that_is_none_is_refused),
        cmocka_unit_test(pkcs12_old_and_new),
        cmocka_unit_test(containers_with_too_many_iterations_are_refused),
        cmocka_unit_test(hidden_iterations_count),
        cmocka_unit_test(keys_with_too_many_iterations_are_refused),
        cmocka_unit_test(cut_off_containers_are_refused),
        cmocka_unit_test(keys_may_be_encrypted),
        cmocka_unit_test(a_finite_field_is_refused),
        cmocka_unit_test(a_listener_takes_the_groups_it_is_given),
        cmocka_unit_test(no_list_offers_dhe_or_what_protects_nothing),
        cmocka_unit_test(no_group_costs_more_than_twenty_times_x25519),
        cmocka_unit_test(each_certificate_that_is_wrong_is_named),
        cmocka_unit_test(a_certificate_that_nobody_would_see_is_an_error),
        cmocka_unit_test(the_end_is_seen_coming),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
