#include "tls/tls_conn.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "tls/tls_internal.h"
#include "tls/tls_session.h"

enum { NO_ALERT = -1 }; /* 0 is close_notify */

struct tls_conn {
    SSL *ssl;
    struct tls_window window;
    bool server;
    bool failed;
    bool kept;   /* tls_conn_keep was called */
    int alert;   /* the peer's alert that is the cause of the failure; NO_ALERT: none */
    bool unread; /* since the last bytes arrived, no call has returned ERR_MORE */
    char *error; /* NULL: none; allocated, because most connections never have one */
};

static struct tls_conn *conn_new(struct tls_ctx *ctx, bool server, tls_sink sink, void *arg)
{
    struct tls_conn *c = NEW(struct tls_conn);
    c->server = server;
    c->alert = NO_ALERT;
    c->window.sink = sink;
    c->window.arg = arg;
    c->window.handshake = server ? TLS_CLIENT_HANDSHAKE_MAX : TLS_SERVER_HANDSHAKE_MAX;
    c->ssl = insist_alloc(SSL_new(ctx->ssl));
    BIO *bio = tls_bio_new(&c->window);
    SSL_set_bio(c->ssl, bio, bio);
    if (server)
        SSL_set_accept_state(c->ssl);
    else
        SSL_set_connect_state(c->ssl);
    return c;
}

struct tls_conn *tls_conn_new_server(struct tls_ctx *ctx, tls_sink sink, void *arg)
{
    return conn_new(ctx, true, sink, arg);
}

void tls_conn_set_time(struct tls_conn *c, time_t now)
{
    c->window.now = now;
}

static bool is_address(const char *name)
{
    unsigned char ip[16];
    return inet_pton(AF_INET, name, ip) == 1 || inet_pton(AF_INET6, name, ip) == 1;
}

struct tls_conn *tls_conn_new_client(struct tls_ctx *ctx, const char *sni, const char *verify_name,
                                     tls_sink sink, void *arg)
{
    struct tls_conn *c = conn_new(ctx, false, sink, arg);
    if (sni != NULL)
        INSIST(SSL_set_tlsext_host_name(c->ssl, sni) == 1);
    if (verify_name != NULL) {
        X509_VERIFY_PARAM *param = SSL_get0_param(c->ssl);
        INSIST((is_address(verify_name) ? X509_VERIFY_PARAM_set1_ip_asc(param, verify_name)
                                        : X509_VERIFY_PARAM_set1_host(param, verify_name, 0)) == 1);
    }
    return c;
}

void tls_conn_free(struct tls_conn *c)
{
    if (c == NULL)
        return;
    SSL_free(c->ssl);
    free(c->error);
    free(c);
}

void tls_conn_feed(struct tls_conn *c, struct span octets)
{
    INSIST(c->window.in.n == 0);
    c->window.in = octets;
    c->unread = true;
}

/* Marks the connection as failed, for a reason that is not an error of OpenSSL. */
static enum err conn_fail(struct tls_conn *c, const char *why)
{
    c->failed = true;
    if (c->error == NULL)
        c->error = insist_alloc(strdup(why));
    return ERR_TLS;
}

/* Empties the error queue, as is necessary before each call. It checks first, because the queue is
 * nearly always empty, and a check costs a fifth of clearing the sixteen entries, for each
 * record. */
static void queue_empty(void)
{
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

static void conn_keep_error(struct tls_conn *c)
{
    /* OpenSSL adds the number of an alert that it has received to this offset. */
    if (ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_SSL &&
        ERR_GET_REASON(ERR_peek_last_error()) >= SSL_AD_REASON_OFFSET)
        c->alert = ERR_GET_REASON(ERR_peek_last_error()) - SSL_AD_REASON_OFFSET;
    const char *exhausted = tls_window_exhausted(&c->window);

    if (exhausted != NULL) { /* OpenSSL has no reason, because it received no bytes */
        c->error = insist_alloc(strdup(exhausted));
        return;
    }
    char text[TLS_ERROR_MAX];
    tls_error_text(text, tls_conn_unverified(c)
                             ? X509_verify_cert_error_string(SSL_get_verify_result(c->ssl))
                             : "");
    c->error = insist_alloc(strdup(text));
}

/* Returns the meaning of the result of an OpenSSL call. The error queue was empty before the call,
 * so its entries are about this call. After a failure OpenSSL must not be called for this
 * connection. */
static enum err conn_outcome(struct tls_conn *c, int ret)
{
    if (ret > 0)
        return ERR_OK;
    switch (SSL_get_error(c->ssl, ret)) {
    case SSL_ERROR_WANT_READ: c->unread = false; return ERR_MORE;
    case SSL_ERROR_ZERO_RETURN: return ERR_CLOSED;
    default:
        c->failed = true;
        if (c->error == NULL)
            conn_keep_error(c);
        ERR_clear_error();
        return ERR_TLS;
    }
}

enum err tls_conn_handshake(struct tls_conn *c)
{
    if (c->failed)
        return ERR_TLS;
    queue_empty();
    enum err e = conn_outcome(c, SSL_do_handshake(c->ssl));
    if (e == ERR_OK) {
        c->window.unasked = 0;
        c->window.handshake = UINT64_MAX;
    }
    if (e != ERR_CLOSED)
        return e;
    c->alert = SSL_AD_CLOSE_NOTIFY;
    return conn_fail(c, "closed during the handshake");
}

enum err tls_conn_read(struct tls_conn *c, uint8_t *out, size_t cap, size_t *n)
{
    *n = 0;
    if (c->failed)
        return ERR_TLS;
    queue_empty();
    enum err e = conn_outcome(c, SSL_read_ex(c->ssl, out, cap, n));
    if (e == ERR_OK)
        c->window.unasked = 0; /* the peer sends data, too */
    return e;
}

enum err tls_conn_write(struct tls_conn *c, struct span octets)
{
    size_t done;
    if (c->failed)
        return ERR_TLS;
    queue_empty();
    enum err e = conn_outcome(c, SSL_write_ex(c->ssl, octets.p, octets.n, &done));
    c->window.unasked = 0;
    /* The sink accepts everything. But if a handshake message after the handshake (a ClientHello
     * for a renegotiation, a KeyUpdate) is fragmented, OpenSSL needs the rest of it before it
     * writes. This fails the connection, because programs do not fragment these messages, and the
     * gate would have to queue data for a peer that does. */
    return e == ERR_MORE
               ? conn_fail(c, "a fragmented handshake message during the transfer of data")
               : e;
}

/* SSL_free_buffers refuses while a buffer has a part of a record. But before OpenSSL 3.0.14 it also
 * frees a record of which only a part was read (CVE-2024-4741), so it is not called while bytes are
 * unread. */
void tls_conn_rest(struct tls_conn *c)
{
    if (!c->unread)
        (void)SSL_free_buffers(c->ssl);
}

void tls_conn_shutdown(struct tls_conn *c)
{
    if (c->failed || !SSL_is_init_finished(c->ssl) ||
        (SSL_get_shutdown(c->ssl) & SSL_SENT_SHUTDOWN) != 0)
        return;
    queue_empty();
    SSL_shutdown(c->ssl);
    ERR_clear_error();
}

const char *tls_conn_error(const struct tls_conn *c)
{
    return c->error == NULL ? "" : c->error;
}

bool tls_conn_refused(const struct tls_conn *c)
{
    return c->alert > SSL_AD_CLOSE_NOTIFY;
}

/* A cipher is chosen with the certificate; OpenSSL waits with its whole flight sent. */
bool tls_conn_shown(const struct tls_conn *c)
{
    return c->server && SSL_get_pending_cipher(c->ssl) != NULL;
}

bool tls_conn_distrusted(const struct tls_conn *c)
{
    switch (c->alert) {
    case SSL_AD_CLOSE_NOTIFY: return tls_conn_shown(c);
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_BAD_CERTIFICATE_STATUS_RESPONSE: return true;
    default: return false;
    }
}

const char *tls_conn_offered(const struct tls_conn *c)
{
    switch (c->window.offered) {
    case 0: return NULL;
    case SSL3_VERSION: return "SSLv3";
    case TLS1_VERSION: return "TLSv1.0";
    case TLS1_1_VERSION: return "TLSv1.1";
    case TLS1_2_VERSION: return "TLSv1.2";
    case TLS1_3_VERSION: return "TLSv1.3";
    default: return "unknown";
    }
}

bool tls_conn_unverified(const struct tls_conn *c)
{
    return !c->server && SSL_get_verify_mode(c->ssl) != SSL_VERIFY_NONE &&
           SSL_get_verify_result(c->ssl) != X509_V_OK;
}

const char *tls_conn_version(const struct tls_conn *c)
{
    return SSL_get_version(c->ssl);
}

const char *tls_conn_cipher(const struct tls_conn *c)
{
    return SSL_get_cipher_name(c->ssl);
}

struct span tls_conn_sni(const struct tls_conn *c)
{
    const char *name = SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name);
    return span_str(name == NULL ? "" : name);
}

struct span tls_conn_leaf(const struct tls_conn *c)
{
    X509 *leaf = c->server ? SSL_get_certificate(c->ssl) : SSL_get0_peer_certificate(c->ssl);
    const SSL_CIPHER *cipher = SSL_get_current_cipher(c->ssl);
    unsigned char *der = NULL;
    /* A server has a certificate even if an anonymous cipher did not show it. */
    if (cipher == NULL || SSL_CIPHER_get_auth_nid(cipher) == NID_auth_null)
        leaf = NULL;
    int n = leaf == NULL ? 0 : i2d_X509(leaf, &der);
    if (n <= 0)
        return span_of(NULL, 0);
    /* OpenSSL's allocator is malloc(), because this program does not replace it */
    return span_of(der, (size_t)n);
}

void tls_conn_keep(struct tls_conn *c)
{
    INSIST(!c->server);
    c->kept = true;
    tls_session_want(c->ssl);
}

struct tls_session *tls_conn_session(const struct tls_conn *c)
{
    return c->kept ? tls_session_of(c->ssl) : NULL;
}

void tls_conn_resume(struct tls_conn *c, const struct tls_session *s)
{
    INSIST(!c->server && !c->kept);
    (void)!tls_session_offer(s, c->ssl);
}

bool tls_conn_resumed(const struct tls_conn *c)
{
    return SSL_is_init_finished(c->ssl) && SSL_session_reused(c->ssl);
}
