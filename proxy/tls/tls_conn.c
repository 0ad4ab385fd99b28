#include "tls/tls_conn.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <arpa/inet.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "tls/handover.h"
#include "tls/records.h"
#include "tls/tls_device.h"
#include "tls/tls_internal.h"
#include "tls/tls_memory.h"
#include "tls/tls_session.h"

/* Until the end of the handshake, and where OpenSSL keeps the connection, ssl and window are set.
 */
struct tls_conn {
    SSL *ssl;
    struct tls_window *window;
    struct records *records; /* after the hand-over; NULL: none */
    char *error;             /* NULL: none; allocated, because most connections never have one */
    /* Facts of the handshake, for a connection that has left OpenSSL. */
    const char *version, *cipher;
    char *sni;        /* NULL: none */
    X509 *shown_leaf; /* a server's; NULL: none, or forgotten */
    struct span leaf; /* a client's, as DER; allocated */
    uint16_t offered;
    int16_t alert; /* the peer's alert that is the cause of the failure; RECORDS_NO_ALERT: none */
    bool server;
    bool device, single; /* as in struct tls_ctx */
    bool failed;
    bool key_failed; /* because the device with the private key has failed */
    bool resumed;
    bool wanted; /* tls_conn_keep was called */
    bool kept;   /* OpenSSL has kept the connection */
    bool unread; /* since the last bytes arrived, no call has returned ERR_MORE */
};

static atomic_uint_fast64_t kept;

uint64_t tls_conn_kept(void)
{
    return atomic_load_explicit(&kept, memory_order_relaxed);
}

static struct tls_conn *conn_new(struct tls_ctx *ctx, bool server, tls_sink sink, void *arg)
{
    struct tls_conn *c = NEW(struct tls_conn);
    c->server = server;
    c->device = ctx->device;
    c->single = ctx->single;
    c->alert = RECORDS_NO_ALERT;
    c->window = NEW(struct tls_window);
    c->window->own_records = !ctx->no_records;
    c->window->on_keys = ctx->on_keys;
    c->window->on_keys_arg = ctx->on_keys_arg;
    c->window->update_after = ctx->update_after;
    c->window->sink = sink;
    c->window->arg = arg;
    c->window->handshake = server ? TLS_CLIENT_HANDSHAKE_MAX : TLS_SERVER_HANDSHAKE_MAX;
    c->ssl = insist_alloc(SSL_new(ctx->ssl));
    BIO *bio = tls_bio_new(c->window);
    SSL_set_bio(c->ssl, bio, bio);
    if (c->window->own_records)
        handover_watch(c->ssl);
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
    c->window->now = now;
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

static void secrets_drop(struct tls_window *w)
{
    handover_secrets_free(w->secrets);
    w->secrets = NULL;
}

static void conn_ssl_free(struct tls_conn *c)
{
    tls_device_lock(c->single && c->ssl != NULL);
    tls_memory_free(c->ssl);
    tls_device_unlock(c->single && c->ssl != NULL);
    if (c->window != NULL)
        secrets_drop(c->window);
    free(c->window);
    c->ssl = NULL;
    c->window = NULL;
}

void tls_conn_forget_leaf(struct tls_conn *c)
{
    X509_free(c->shown_leaf);
    free((void *)(uintptr_t)c->leaf.p);
    c->shown_leaf = NULL;
    c->leaf = span_of(NULL, 0);
}

void tls_conn_free(struct tls_conn *c)
{
    if (c == NULL)
        return;
    conn_ssl_free(c);
    records_free(c->records);
    tls_conn_forget_leaf(c);
    free(c->sni);
    free(c->error);
    free(c);
}

void tls_conn_feed(struct tls_conn *c, struct span octets)
{
    if (c->records != NULL) {
        records_feed(c->records, octets);
        return;
    }
    INSIST(c->window->in.n == 0);
    c->window->in = octets;
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
        c->alert = (int16_t)(ERR_GET_REASON(ERR_peek_last_error()) - SSL_AD_REASON_OFFSET);
    const char *exhausted = tls_window_exhausted(c->window);

    if (exhausted != NULL) { /* OpenSSL has no reason, because it received no bytes */
        c->error = insist_alloc(strdup(exhausted));
        return;
    }
    char text[TLS_ERROR_MAX];
    c->key_failed = c->device && tls_device_failed(text);
    if (!c->key_failed)
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
    case SSL_ERROR_ZERO_RETURN:
        c->window->in = span_of(NULL, 0); /* a write in the middle of a message would read it */
        return ERR_CLOSED;
    default:
        c->window->in = span_of(NULL, 0);
        c->failed = true;
        if (c->error == NULL)
            conn_keep_error(c);
        ERR_clear_error();
        return ERR_TLS;
    }
}

/* ---- the hand-over ---- */

static X509 *conn_leaf(const struct tls_conn *c)
{
    const SSL_CIPHER *cipher = SSL_get_current_cipher(c->ssl);

    /* A server has a certificate even if an anonymous cipher did not show it. */
    if (cipher == NULL || SSL_CIPHER_get_auth_nid(cipher) == NID_auth_null)
        return NULL;
    return c->server ? SSL_get_certificate(c->ssl) : SSL_get0_peer_certificate(c->ssl);
}

static struct span leaf_der(X509 *leaf)
{
    unsigned char *der = NULL;
    const int n = leaf == NULL ? 0 : i2d_X509(leaf, &der);

    /* free() may free it, because OpenSSL allocates with malloc() (tls_memory.h) */
    return n <= 0 ? span_of(NULL, 0) : span_of(der, (size_t)n);
}

/* Copies the facts of the handshake. A server's leaf belongs to its context, which parsed it; of a
 * client's only the bytes are kept. */
static void facts_keep(struct tls_conn *c)
{
    const char *name = SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name);
    X509 *leaf = conn_leaf(c);

    c->version = SSL_get_version(c->ssl); /* constants, as the name of a cipher is */
    c->cipher = SSL_get_cipher_name(c->ssl);
    c->sni = name == NULL ? NULL : insist_alloc(strdup(name));
    c->offered = (uint16_t)c->window->offered;
    c->resumed = SSL_session_reused(c->ssl) == 1;
    if (!c->server)
        c->leaf = leaf_der(leaf);
    else if (leaf != NULL && X509_up_ref(leaf) == 1)
        c->shown_leaf = leaf;
}

/* Moves the connection from OpenSSL to records.h, if handover_take() can. */
static void hand_over(struct tls_conn *c)
{
    struct handover h;

    if (!c->window->own_records || c->kept)
        return;
    if (handover_take(c->ssl, c->window, &h) != NULL) {
        c->kept = true;
        handover_unwatch(c->ssl);
        secrets_drop(c->window);
        atomic_fetch_add_explicit(&kept, 1, memory_order_relaxed);
        return;
    }
    facts_keep(c);
    c->records = records_new(&(struct records_settings){
        .in = h.in,
        .out = h.out,
        .server = c->server,
        .tls13 = h.tls13,
        .taken = c->window->use.taken,
        .update_after = h.update ? c->window->update_after : 0,
        .sink = c->window->sink,
        .arg = c->window->arg,
    });
    records_feed(c->records, c->window->in);
    conn_ssl_free(c);
}

const char *tls_conn_records(const struct tls_conn *c)
{
    return c->records != NULL ? "gate" : "openssl";
}

enum err tls_conn_handshake(struct tls_conn *c)
{
    if (c->failed)
        return ERR_TLS;
    if (c->records != NULL)
        return ERR_OK;
    queue_empty();
    tls_device_lock(c->single);
    const int ret = SSL_do_handshake(c->ssl);
    tls_device_unlock(c->single);
    enum err e = conn_outcome(c, ret);
    if (e == ERR_OK) {
        c->window->use.unasked = 0;
        c->window->handshake = UINT64_MAX;
        hand_over(c);
    }
    if (e != ERR_CLOSED)
        return e;
    c->alert = SSL_AD_CLOSE_NOTIFY;
    return conn_fail(c, "closed during the handshake");
}

/* ---- data ---- */

enum err tls_conn_read(struct tls_conn *c, uint8_t *out, size_t cap, size_t *n)
{
    if (c->records != NULL)
        return records_read(c->records, out, cap, n);
    *n = 0;
    if (c->failed)
        return ERR_TLS;
    queue_empty();
    c->window->reading = true;
    enum err e = conn_outcome(c, SSL_read_ex(c->ssl, out, cap, n));
    c->window->reading = false;
    if (e == ERR_OK)
        c->window->use.unasked = 0; /* the peer sends data, too */
    return e;
}

enum err tls_conn_write(struct tls_conn *c, struct span octets)
{
    size_t done;
    if (c->records != NULL)
        return records_write(c->records, octets);
    if (c->failed)
        return ERR_TLS;
    queue_empty();
    enum err e = conn_outcome(c, SSL_write_ex(c->ssl, octets.p, octets.n, &done));
    c->window->use.unasked = 0;
    /* The sink accepts everything. But if a handshake message after the handshake (a ClientHello
     * for a renegotiation, a KeyUpdate) is fragmented, OpenSSL needs the rest of it before it
     * writes. This fails the connection, because programs do not fragment these messages, and the
     * gate would have to queue data for a peer that does. */
    return e == ERR_MORE || e == ERR_CLOSED /* OpenSSL 3.5, behind the peer's close_notify */
               ? conn_fail(c, "a fragmented handshake message during the transfer of data")
               : e;
}

/* SSL_free_buffers refuses while a buffer has a part of a record. But before OpenSSL 3.0.14 it also
 * frees a record of which only a part was read (CVE-2024-4741), so it is not called while bytes are
 * unread. */
void tls_conn_rest(struct tls_conn *c)
{
    if (c->records != NULL)
        records_rest(c->records);
    else if (!c->unread)
        (void)SSL_free_buffers(c->ssl);
}

void tls_conn_shutdown(struct tls_conn *c)
{
    if (c->records != NULL) {
        records_close(c->records);
        return;
    }
    if (c->failed || !SSL_is_init_finished(c->ssl) ||
        (SSL_get_shutdown(c->ssl) & SSL_SENT_SHUTDOWN) != 0)
        return;
    queue_empty();
    SSL_shutdown(c->ssl);
    ERR_clear_error();
}

const char *tls_conn_error(const struct tls_conn *c)
{
    if (c->records != NULL)
        return records_error(c->records);
    return c->error == NULL ? "" : c->error;
}

/* Returns the peer's alert that is the cause of the failure; RECORDS_NO_ALERT: none. */
static int conn_alert(const struct tls_conn *c)
{
    return c->records != NULL ? records_alert(c->records) : c->alert;
}

bool tls_conn_key_failed(const struct tls_conn *c)
{
    return c->key_failed;
}

bool tls_conn_refused(const struct tls_conn *c)
{
    return conn_alert(c) > SSL_AD_CLOSE_NOTIFY;
}

/* A cipher is chosen with the certificate; OpenSSL waits with its whole flight sent. */
bool tls_conn_shown(const struct tls_conn *c)
{
    return c->server && (c->records != NULL || SSL_get_pending_cipher(c->ssl) != NULL);
}

bool tls_conn_distrusted(const struct tls_conn *c)
{
    switch (conn_alert(c)) {
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
    switch (c->records != NULL ? c->offered : c->window->offered) {
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
    /* OpenSSL does not finish a handshake without the verification. */
    return !c->server && c->records == NULL && SSL_get_verify_mode(c->ssl) != SSL_VERIFY_NONE &&
           SSL_get_verify_result(c->ssl) != X509_V_OK;
}

const char *tls_conn_version(const struct tls_conn *c)
{
    return c->records != NULL ? c->version : SSL_get_version(c->ssl);
}

const char *tls_conn_cipher(const struct tls_conn *c)
{
    return c->records != NULL ? c->cipher : SSL_get_cipher_name(c->ssl);
}

struct span tls_conn_sni(const struct tls_conn *c)
{
    const char *name =
        c->records != NULL ? c->sni : SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name);
    return span_str(name == NULL ? "" : name);
}

struct span tls_conn_leaf(const struct tls_conn *c)
{
    if (c->records == NULL)
        return leaf_der(conn_leaf(c));
    if (c->server)
        return leaf_der(c->shown_leaf);
    if (c->leaf.n == 0)
        return c->leaf;
    uint8_t *copy = insist_alloc(malloc(c->leaf.n));
    memcpy(copy, c->leaf.p, c->leaf.n);
    return span_of(copy, c->leaf.n);
}

void tls_conn_keep(struct tls_conn *c)
{
    INSIST(!c->server);
    c->wanted = true;
    c->window->own_records = false;
    handover_unwatch(c->ssl);
    tls_session_want(c->ssl);
}

struct tls_session *tls_conn_session(const struct tls_conn *c)
{
    return c->wanted ? tls_session_of(c->ssl) : NULL;
}

void tls_conn_resume(struct tls_conn *c, const struct tls_session *s)
{
    INSIST(!c->server && !c->wanted);
    (void)!tls_session_offer(s, c->ssl);
}

bool tls_conn_resumed(const struct tls_conn *c)
{
    return c->records != NULL ? c->resumed
                              : SSL_is_init_finished(c->ssl) && SSL_session_reused(c->ssl);
}
