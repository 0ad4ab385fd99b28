/* tls_link: a tls_conn as the client of a server of plain OpenSSL, in memory. To be included after
 * cmocka.h. */
#ifndef SSTPGATE_TESTS_TLS_LINK_H
#define SSTPGATE_TESTS_TLS_LINK_H

#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "certs.h"
#include "tls/tls_conn.h"
#include "tls/tls_session.h"

static inline SSL_CTX *server_ctx(int version, const struct cert *cert)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    assert_non_null(ctx);
    SSL_CTX_set_min_proto_version(ctx, version);
    SSL_CTX_set_max_proto_version(ctx, version);
    assert_int_equal(SSL_CTX_use_certificate_file(ctx, cert->pem, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, cert->pem, SSL_FILETYPE_PEM), 1);
    return ctx;
}

/* Another server with the same ticket keys. */
static inline SSL_CTX *server_renewed(SSL_CTX *from, int version, const struct cert *cert)
{
    unsigned char keys[80];
    SSL_CTX *ctx = server_ctx(version, cert);

    assert_int_equal(SSL_CTX_get_tlsext_ticket_keys(from, keys, sizeof keys), 1);
    assert_int_equal(SSL_CTX_set_tlsext_ticket_keys(ctx, keys, sizeof keys), 1);
    return ctx;
}

struct link {
    struct tls_conn *c;
    SSL *peer;
};

static inline void sink(void *arg, struct span octets)
{
    struct link *l = arg;
    assert_int_equal(BIO_write(SSL_get_rbio(l->peer), octets.p, (int)octets.n), octets.n);
}

static inline void link_init(struct link *l, SSL_CTX *server, struct tls_ctx *ctx, const char *sni,
                             const char *name)
{
    l->peer = SSL_new(server);
    assert_non_null(l->peer);
    SSL_set_bio(l->peer, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(l->peer);
    l->c = tls_conn_new_client(ctx, sni, name, sink, l);
}

static inline void link_free(struct link *l)
{
    tls_conn_free(l->c);
    SSL_set_quiet_shutdown(l->peer, 1); /* otherwise the server forgets its session */
    SSL_shutdown(l->peer);
    SSL_free(l->peer);
}

/* Lets the server act, and gives the client a copy of what it has sent. The caller frees it after
 * the client has read it. */
static inline struct span link_answer(struct link *l)
{
    char *out, none[1];

    (void)SSL_read(l->peer, none, sizeof none); /* performs the handshake, too */
    const long n = BIO_get_mem_data(SSL_get_wbio(l->peer), &out);
    uint8_t *copy = malloc((size_t)n + 1);
    assert_non_null(copy);
    memcpy(copy, out, (size_t)n);
    (void)BIO_reset(SSL_get_wbio(l->peer));
    tls_conn_feed(l->c, span_of(copy, (size_t)n));
    return span_of(copy, (size_t)n);
}

static inline enum err link_handshake(struct link *l)
{
    enum err e = tls_conn_handshake(l->c);

    for (int turn = 0; turn < 4 && e == ERR_MORE; turn++) {
        const struct span answer = link_answer(l);
        e = tls_conn_handshake(l->c);
        if (e == ERR_OK) { /* reads what is left of the answer */
            uint8_t none[1];
            size_t n;
            assert_int_equal(tls_conn_read(l->c, none, sizeof none, &n), ERR_MORE);
        }
        free((void *)answer.p);
    }
    return e;
}

/* Lets the client read what the server sends after the handshake. */
static inline void link_settle(struct link *l)
{
    uint8_t none[1];
    size_t n;
    const struct span answer = link_answer(l);

    assert_int_equal(tls_conn_read(l->c, none, sizeof none, &n), ERR_MORE);
    free((void *)answer.p);
}

/* Returns the session of a full handshake; NULL: the server gives none. */
static inline struct tls_session *session_from(SSL_CTX *server, struct tls_ctx *ctx,
                                               const char *sni, const char *name)
{
    struct link l;

    link_init(&l, server, ctx, sni, name);
    tls_conn_keep(l.c);
    assert_int_equal(link_handshake(&l), ERR_OK);
    assert_false(tls_conn_resumed(l.c));
    if (SSL_version(l.peer) == TLS1_3_VERSION)
        assert_null(tls_conn_session(l.c)); /* the ticket has not arrived */
    link_settle(&l);
    struct tls_session *s = tls_conn_session(l.c);
    link_free(&l); /* without close_notify, which spoils a session that is not a copy */
    return s;
}

#endif
