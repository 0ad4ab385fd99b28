/* Two TLS connections that exchange bytes in memory, split, delayed or cut off; and peers of plain
 * OpenSSL, which behave in ways that a tls_conn never does. */
#ifndef SSTPGATE_TESTS_TLS_PAIR_H
#define SSTPGATE_TESTS_TLS_PAIR_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka needs the first four headers above it */
#include <cmocka.h>

#include "certs.h"
#include "tls/tls_conn.h"
#include "tls/tls_loaded.h"

static struct certs certs;
static struct cert ca, ec, rsa, weak, other; /* weak: a leaf with a SHA1 signature */

static const struct tls_settings modern = {.min = TLS_1_2, .max = TLS_1_3, .security_level = -1};

static inline int setup(void **state)
{
    (void)state;
    certs_init(&certs);
    cert_make(&certs, &ca, "ca.pem", &(struct cert_spec){0});
    cert_make(&certs, &ec, "ec.pem",
              &(struct cert_spec){.name = "DNS:vpn.test,IP:127.0.0.1,IP:::1", .issuer = &ca});
    cert_make(&certs, &rsa, "rsa.pem",
              &(struct cert_spec){.name = "DNS:rsa.test", .rsa = true, .issuer = &ca});
    cert_make(
        &certs, &weak, "weak.pem",
        &(struct cert_spec){.name = "DNS:old.test", .sha1 = true, .issuer = &ca, .same_key = &rsa});
    cert_make(&certs, &other, "other.pem", &(struct cert_spec){.name = "DNS:vpn.test"});
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    cert_free(&ca);
    cert_free(&ec);
    cert_free(&rsa);
    cert_free(&weak);
    cert_free(&other);
    certs_fini(&certs);
    return 0;
}

/* ---- two sides ---- */

struct octets {
    uint8_t *p;
    size_t n;
};

struct side {
    struct tls_conn *c;
    struct octets out; /* bytes that its sink has received */
    bool done;
};

static inline void sink(void *arg, struct span octets)
{
    struct side *s = arg;
    s->out.p = realloc(s->out.p, s->out.n + octets.n);
    assert_non_null(s->out.p);
    memcpy(s->out.p + s->out.n, octets.p, octets.n);
    s->out.n += octets.n;
}

static inline struct octets taken(struct side *s)
{
    struct octets o = s->out;
    s->out = (struct octets){NULL, 0};
    return o;
}

/* All tests run twice: with the gate's records, and with OpenSSL's. */
static bool own;

static inline struct tls_ctx *server_ctx(const struct tls_settings *settings, const char *pem)
{
    char error[TLS_ERROR_MAX] = "";
    struct tls_ctx *ctx = certs_server(settings, pem, NULL, error);
    if (ctx == NULL)
        fail_msg("%s", error);
    tls_ctx_set_records(ctx, own);
    return ctx;
}

static inline struct tls_ctx *client_ctx(const struct tls_settings *settings, const char *ca_file)
{
    char error[TLS_ERROR_MAX] = "";
    struct tls_ca *trusted = ca_file == NULL ? NULL : tls_ca_load(ca_file, error);
    if (ca_file != NULL && trusted == NULL)
        fail_msg("%s", error);
    struct tls_ctx *ctx = tls_ctx_new_client(settings, trusted, error);
    if (ctx == NULL)
        fail_msg("%s", error);
    tls_ctx_set_records(ctx, own);
    tls_ca_free(trusted);
    return ctx;
}

struct pair {
    struct tls_ctx *server_ctx, *client_ctx;
    struct side server, client;
};

/* Takes ownership of the contexts. */
static inline void pair_init(struct pair *p, struct tls_ctx *server, struct tls_ctx *client,
                             const char *sni, const char *verify_name)
{
    *p = (struct pair){.server_ctx = server, .client_ctx = client};
    p->server.c = tls_conn_new_server(server, sink, &p->server);
    p->client.c = tls_conn_new_client(client, sni, verify_name, sink, &p->client);
}

static inline void pair_modern(struct pair *p)
{
    pair_init(p, server_ctx(&modern, ec.pem), client_ctx(&modern, NULL), NULL, NULL);
}

static inline void pair_conns_free(struct pair *p)
{
    tls_conn_free(p->server.c);
    tls_conn_free(p->client.c);
    free(p->server.out.p);
    free(p->client.out.p);
}

static inline void pair_free(struct pair *p)
{
    pair_conns_free(p);
    tls_ctx_free(p->server_ctx);
    tls_ctx_free(p->client_ctx);
}

/* Feeds bytes to a side in its handshake, in pieces; those after the handshake stay unread. Each
 * piece has a heap block of its own, which is freed when the call returns. */
static inline enum err shake(struct side *to, struct span octets, size_t piece)
{
    enum err e = to->done ? ERR_OK : tls_conn_handshake(to->c);
    while (octets.n > 0 && (e == ERR_MORE || e == ERR_OK)) {
        struct span part = span_sub(octets, 0, piece);
        uint8_t *copy = malloc(part.n), none[1];
        size_t n;
        assert_non_null(copy);
        memcpy(copy, part.p, part.n);
        tls_conn_feed(to->c, span_of(copy, part.n));
        if (!to->done)
            e = tls_conn_handshake(to->c);
        if (e == ERR_OK) {
            to->done = true;
            /* tickets, for example; no data has arrived */
            enum err r = tls_conn_read(to->c, none, sizeof none, &n);
            if (r != ERR_MORE)
                e = r;
        }
        free(copy);
        octets = span_from(octets, part.n);
    }
    to->done = e == ERR_OK;
    return e;
}

/* Runs the handshake until both sides are done or one has failed, and returns both results. */
static inline void handshake(struct pair *p, size_t piece, enum err *server, enum err *client)
{
    *server = ERR_MORE;
    *client = shake(&p->client, span_of(NULL, 0), 1);
    for (int i = 0; i < 10 && (p->client.out.n > 0 || p->server.out.n > 0); i++) {
        struct octets o = taken(&p->client);
        if (*server == ERR_MORE || *server == ERR_OK)
            *server = shake(&p->server, span_of(o.p, o.n), piece);
        free(o.p);
        o = taken(&p->server);
        if (*client == ERR_MORE || *client == ERR_OK)
            *client = shake(&p->client, span_of(o.p, o.n), piece);
        free(o.p);
    }
}

static inline void handshake_ok(struct pair *p)
{
    enum err server, client;
    handshake(p, SIZE_MAX, &server, &client);
    if (server != ERR_OK || client != ERR_OK)
        fail_msg("server %d '%s', client %d '%s'", (int)server, tls_conn_error(p->server.c),
                 (int)client, tls_conn_error(p->client.c));
}

/* Feeds all that `from` has sent to `to`, in pieces, and collects the plaintext. Returns the result
 * of the last read. */
static inline enum err move(struct side *from, struct side *to, size_t piece, struct octets *text)
{
    struct octets o = taken(from);
    enum err e = ERR_MORE;
    *text = (struct octets){malloc(o.n + 1), 0};
    assert_non_null(text->p);
    for (size_t at = 0; at < o.n && e == ERR_MORE; at += piece) {
        struct span part = span_sub(span_of(o.p, o.n), at, piece);
        uint8_t *copy = malloc(part.n);
        size_t n;
        assert_non_null(copy);
        memcpy(copy, part.p, part.n);
        tls_conn_feed(to->c, span_of(copy, part.n));
        while ((e = tls_conn_read(to->c, text->p + text->n, o.n - text->n, &n)) == ERR_OK)
            text->n += n;
        free(copy);
        if (piece > o.n)
            break;
    }
    free(o.p);
    return e;
}

static inline void sends(struct side *from, struct side *to, const char *text, size_t piece)
{
    struct octets got;
    assert_int_equal(tls_conn_write(from->c, span_str(text)), ERR_OK);
    assert_int_equal(move(from, to, piece, &got), ERR_MORE);
    assert_int_equal(got.n, strlen(text));
    assert_memory_equal(got.p, text, got.n);
    free(got.p);
}

static inline void both_talk(struct pair *p)
{
    sends(&p->client, &p->server, "from the client", SIZE_MAX);
    sends(&p->server, &p->client, "from the server", SIZE_MAX);
}

/* ---- peers of plain OpenSSL ---- */

struct raw {
    SSL_CTX *ctx;
    SSL *ssl;
    BIO *in, *out;
};

static inline void raw_init(struct raw *r, SSL_CTX *ctx, bool server)
{
    r->ctx = ctx;
    r->ssl = SSL_new(ctx);
    r->in = BIO_new(BIO_s_mem());
    r->out = BIO_new(BIO_s_mem());
    assert_true(r->ssl != NULL && r->in != NULL && r->out != NULL);
    SSL_set_bio(r->ssl, r->in, r->out);
    if (server)
        SSL_set_accept_state(r->ssl);
    else
        SSL_set_connect_state(r->ssl);
}

static inline SSL_CTX *raw_ctx(int max)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    assert_non_null(ctx);
    SSL_CTX_set_max_proto_version(ctx, max);
    return ctx;
}

static inline void raw_to(struct raw *from, struct side *to)
{
    char *p;
    long n = BIO_get_mem_data(from->out, &p);
    uint8_t *copy = malloc((size_t)n + 1);
    memcpy(copy, p, (size_t)n);
    (void)BIO_reset(from->out);
    (void)shake(to, span_of(copy, (size_t)n), SIZE_MAX);
    free(copy);
}

static inline void to_raw(struct side *from, struct raw *to)
{
    struct octets o = taken(from);
    BIO_write(to->in, o.p, (int)o.n);
    free(o.p);
}

static inline void raw_handshake(struct raw *r, struct side *ours)
{
    for (int i = 0; i < 6; i++) {
        (void)SSL_do_handshake(r->ssl);
        raw_to(r, ours);
        to_raw(ours, r);
    }
    assert_true(SSL_is_init_finished(r->ssl));
    assert_true(ours->done);
}

/* Connects `peer` as the client of a tls_conn. */
static inline void raw_client(struct raw *peer, struct side *ours, struct tls_ctx *server,
                              SSL_CTX *ctx)
{
    *ours = (struct side){0};
    ours->c = tls_conn_new_server(server, sink, ours);
    raw_init(peer, ctx, false);
    raw_handshake(peer, ours);
}

static inline void raw_client_free(struct raw *peer, struct side *ours, struct tls_ctx *server)
{
    SSL_free(peer->ssl);
    SSL_CTX_free(peer->ctx);
    tls_conn_free(ours->c);
    free(ours->out.p);
    tls_ctx_free(server);
}

static inline void raw_reads(struct raw *peer, struct side *ours, const char *text)
{
    char got[64];
    to_raw(ours, peer);
    int n = SSL_read(peer->ssl, got, sizeof got);
    assert_int_equal(n, strlen(text));
    assert_memory_equal(got, text, strlen(text));
}

static inline void ours_reads(struct raw *peer, struct side *ours, const char *text)
{
    char *p;
    uint8_t got[64];
    size_t n;
    long len = BIO_get_mem_data(peer->out, &p);
    tls_conn_feed(ours->c, span_of(p, (size_t)len));
    assert_int_equal(tls_conn_read(ours->c, got, sizeof got, &n), ERR_OK);
    assert_true(span_eq(span_of(got, n), span_str(text)));
    assert_int_equal(tls_conn_read(ours->c, got, sizeof got, &n), ERR_MORE);
    (void)BIO_reset(peer->out);
}

/* Connects a server of plain OpenSSL, whose ctx has the certificate, and a tls_conn client. */
static inline void raw_server(struct raw *peer, struct side *ours, struct tls_ctx *client,
                              SSL_CTX *ctx, const char *name)
{
    *ours = (struct side){0};
    ours->c = tls_conn_new_client(client, NULL, name, sink, ours);
    raw_init(peer, ctx, true);
    for (int i = 0; i < 6; i++) {
        enum err e = ours->done ? ERR_MORE : tls_conn_handshake(ours->c);
        ours->done = ours->done || e == ERR_OK;
        to_raw(ours, peer);
        (void)SSL_do_handshake(peer->ssl);
        ERR_clear_error();
        if (e == ERR_TLS)
            return;
        raw_to(peer, ours);
    }
}

static inline SSL_CTX *raw_server_ctx(const struct cert *cert)
{
    SSL_CTX *ctx = raw_ctx(TLS_1_3);
    SSL_CTX_set_security_level(ctx, 0);
    assert_int_equal(SSL_CTX_use_certificate(ctx, cert->x509), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, cert->key), 1);
    return ctx;
}

#endif
