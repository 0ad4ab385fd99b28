/* tls_fixture: certificates, contexts and clients for the tests of proxy/tls. The client is OpenSSL
 * itself; every handshake checks that tls_conn_leaf() is the leaf that the client has received. To
 * be included after cmocka.h. */
#ifndef SSTPGATE_TESTS_TLS_FIXTURE_H
#define SSTPGATE_TESTS_TLS_FIXTURE_H

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "certs.h"
#include "tls/tls_conn.h"
#include "tls/tls_ctx.h"

static struct certs certs;
static struct cert ca, ec, rsa, two, star, deep, cn, bare, mid, far;

static const struct tls_settings modern = {.min = TLS_1_2, .max = TLS_1_3, .security_level = -1};

static inline int fixture_setup(void **state)
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

static inline int fixture_teardown(void **state)
{
    struct cert *all[] = {&ca, &ec, &rsa, &two, &star, &deep, &cn, &bare, &mid, &far};
    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        cert_free(all[i]);
    certs_fini(&certs);
    return 0;
}

/* ---- contexts ---- */

/* Collects errors as "INDEX: TEXT" lines; the index of the settings is '-'. */
static inline void on_error(void *arg, size_t certificate, const char *text)
{
    FILE *f = arg;
    if (certificate == TLS_NO_CERTIFICATE)
        fprintf(f, "-: %s\n", text);
    else
        fprintf(f, "%zu: %s\n", certificate, text);
}

static inline struct tls_ctx *try_ctx(const struct tls_settings *s, const struct tls_certificate *c,
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

static inline struct tls_ctx *good_ctx(const struct tls_settings *s,
                                       const struct tls_certificate *c, size_t n, bool strict)
{
    char *errors;
    struct tls_ctx *ctx = try_ctx(s, c, n, strict, &errors);
    if (ctx == NULL)
        fail_msg("%s", errors);
    free(errors);
    return ctx;
}

/* Returns the errors about c, which must have some; the caller frees. */
static inline char *bad_ctx(const struct tls_certificate *c, size_t n)
{
    char *errors;
    assert_null(try_ctx(&modern, c, n, false, &errors));
    return errors;
}

static inline void is_about(char *errors, const char *text)
{
    if (strstr(errors, text) == NULL)
        fail_msg("'%s' is not about '%s'", errors, text);
    free(errors);
}

static inline const char *write_file(const char *name, const void *octets, size_t n)
{
    const char *path = certs_path(&certs, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(octets, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    return path;
}

static inline const char *write_text(const char *name, const char *text)
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
    size_t chain; /* number of certificates received */
    char alpn[32];
    unsigned char staple[4096];
    long staple_n; /* -1: none */
};

static inline void sink(void *arg, struct span octets)
{
    assert_int_equal(BIO_write(arg, octets.p, (int)octets.n), octets.n);
}

static inline SSL *client_new(SSL_CTX *ctx, const struct ask *ask)
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

static inline int on_status(SSL *ssl, void *arg)
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

/* Connects a client with these settings to a server of ctx. */
static inline struct shown meet(struct tls_ctx *ctx, const struct ask *ask)
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
    if (e == ERR_TLS && shown.reason == 0) { /* reads the alert */
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

static inline void shows(struct tls_ctx *ctx, const struct ask *ask, const struct cert *expected)
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

#endif
