/* twins: two tls_conn that get the same records, each with its own keys: one with the gate's
 * records, one with OpenSSL's, which is the model. The peer of each is an OpenSSL SSL in memory,
 * whose keys the test takes after the handshake, so that it can seal what no OpenSSL sends. For
 * unit tests and fuzz targets: no cmocka. */
#ifndef SSTPGATE_TESTS_TWINS_H
#define SSTPGATE_TESTS_TWINS_H

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/insist.h"
#include "tls/handover.h"
#include "tls/record.h"
#include "tls/tls_conn.h"

struct bytes {
    uint8_t *p;
    size_t n, room;
};

static inline void bytes_add(struct bytes *b, struct span s)
{
    if (b->room < b->n + s.n + 1) {
        b->room = 2 * (b->n + s.n + 1);
        b->p = insist_alloc(realloc(b->p, b->room));
    }
    if (s.n > 0)
        memcpy(b->p + b->n, s.p, s.n);
    b->n += s.n;
}

static inline void bytes_free(struct bytes *b)
{
    free(b->p);
    *b = (struct bytes){0};
}

static inline struct span bytes_span(const struct bytes *b)
{
    return span_of(b->p, b->n);
}

static inline struct bytes bytes_taken(struct bytes *b)
{
    struct bytes taken = *b;
    *b = (struct bytes){0};
    return taken;
}

static inline void bytes_sink(void *arg, struct span s)
{
    bytes_add(arg, s);
}

/* ---- contexts, for all twins of a process ---- */

struct twins_pem {
    X509 *x509;
    EVP_PKEY *key;
    char path[32]; /* leaf and key */
};

static inline void twins_pem_make(struct twins_pem *p, bool rsa)
{
    p->key = rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256");
    p->x509 = X509_new();
    INSIST(p->key != NULL && p->x509 != NULL);
    X509_set_version(p->x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(p->x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(p->x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(p->x509), 86400);
    X509_set_pubkey(p->x509, p->key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(p->x509), "CN", MBSTRING_ASC,
                               (const unsigned char *)"vpn.test", -1, -1, 0);
    X509_set_issuer_name(p->x509, X509_get_subject_name(p->x509));
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name,
                                                rsa ? "DNS:vpn.test" : "DNS:vpn.test");
    X509_add_ext(p->x509, names, -1);
    X509_EXTENSION_free(names);
    INSIST(X509_sign(p->x509, p->key, EVP_sha256()) > 0);
    const int fd = memfd_create("pem", 0);
    FILE *f = fdopen(dup(fd), "w");
    INSIST(fd >= 0 && f != NULL);
    INSIST(PEM_write_X509(f, p->x509) &&
           PEM_write_PrivateKey(f, p->key, NULL, NULL, 0, NULL, NULL));
    INSIST(fclose(f) == 0);
    snprintf(p->path, sizeof p->path, "/proc/self/fd/%d", fd);
}

struct twins_all {
    struct twins_pem pem[2];               /* ECDSA, RSA */
    struct tls_ctx *server[2], *client[2]; /* by own */
    SSL_CTX *peer_client, *peer_server;
};

static inline void twins_on_error(void *arg, size_t certificate, const char *text)
{
    (void)arg, (void)certificate;
    fprintf(stderr, "%s\n", text);
}

static inline SSL_CTX *twins_peer_ctx(const SSL_METHOD *method)
{
    SSL_CTX *ctx = insist_alloc(SSL_CTX_new(method));
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    return ctx;
}

static inline const struct twins_all *twins_all(void)
{
    static struct twins_all all;
    char error[TLS_ERROR_MAX];

    if (all.peer_client != NULL)
        return &all;
    twins_pem_make(&all.pem[0], false);
    twins_pem_make(&all.pem[1], true);
    const struct tls_certificate certs[2] = {{.file = all.pem[0].path}, {.file = all.pem[1].path}};
    const struct tls_settings s = {.min = TLS_1_2, .max = TLS_1_3, .security_level = -1};
    for (int own = 0; own < 2; own++) {
        all.server[own] =
            insist_alloc(tls_ctx_new_server(&s, certs, 2, false, twins_on_error, NULL));
        all.client[own] = insist_alloc(tls_ctx_new_client(&s, NULL, error));
        tls_ctx_set_records(all.server[own], own);
        tls_ctx_set_records(all.client[own], own);
    }
    all.peer_client = twins_peer_ctx(TLS_client_method());
    all.peer_server = twins_peer_ctx(TLS_server_method());
    for (int i = 0; i < 2; i++) {
        INSIST(SSL_CTX_use_certificate(all.peer_server, all.pem[i].x509) == 1);
        INSIST(SSL_CTX_use_PrivateKey(all.peer_server, all.pem[i].key) == 1);
    }
    return &all;
}

/* ---- one of the twins ---- */

static const struct twins_suite {
    const char *name;
    bool tls13;
} twins_suites[] = {
    {"TLS_AES_128_GCM_SHA256", true},
    {"TLS_AES_256_GCM_SHA384", true},
    {"TLS_CHACHA20_POLY1305_SHA256", true},
    {"ECDHE-ECDSA-AES128-GCM-SHA256", false},
    {"ECDHE-ECDSA-AES256-GCM-SHA384", false},
    {"ECDHE-ECDSA-CHACHA20-POLY1305", false},
    {"ECDHE-RSA-AES128-GCM-SHA256", false},
    {"ECDHE-RSA-AES256-GCM-SHA384", false},
    {"ECDHE-RSA-CHACHA20-POLY1305", false},
    {"AES128-GCM-SHA256", false},
    {"AES256-GCM-SHA384", false},
};
enum { TWINS_SUITES = sizeof twins_suites / sizeof *twins_suites };

struct twin {
    struct tls_conn *c;
    SSL *peer;
    struct tls_window window;     /* the peer's */
    struct record_side *in, *out; /* the peer's, after the handshake */
    struct bytes to_peer, to_c;
    struct bytes text; /* plaintext that c has received */
    struct bytes
        sent;      /* what c has sent since the handshake: type, length, content of each record */
    enum err last; /* result of the last read */
    bool tls13;
};

static inline void twin_init(struct twin *t, const struct twins_suite *suite, bool server, bool own)
{
    const struct twins_all *all = twins_all();
    const int version = suite->tls13 ? TLS1_3_VERSION : TLS1_2_VERSION;

    *t = (struct twin){.last = ERR_MORE, .tls13 = suite->tls13};
    t->c = server
               ? tls_conn_new_server(all->server[own], bytes_sink, &t->to_peer)
               : tls_conn_new_client(all->client[own], "vpn.test", NULL, bytes_sink, &t->to_peer);
    t->window.sink = bytes_sink;
    t->window.arg = &t->to_c;
    t->window.handshake = 1 << 30;
    t->window.own_records = true;
    t->peer = insist_alloc(SSL_new(server ? all->peer_client : all->peer_server));
    BIO *bio = tls_bio_new(&t->window);
    SSL_set_bio(t->peer, bio, bio);
    handover_watch(t->peer);
    INSIST(SSL_set_min_proto_version(t->peer, version) == 1);
    INSIST(SSL_set_max_proto_version(t->peer, version) == 1);
    INSIST((suite->tls13 ? SSL_set_ciphersuites(t->peer, suite->name)
                         : SSL_set_cipher_list(t->peer, suite->name)) == 1);
    if (server)
        SSL_set_connect_state(t->peer);
    else
        SSL_set_accept_state(t->peer);
}

static inline void twin_free(struct twin *t)
{
    tls_conn_free(t->c);
    SSL_free(t->peer);
    handover_secrets_free(t->window.secrets);
    record_side_free(t->in);
    record_side_free(t->out);
    bytes_free(&t->to_peer);
    bytes_free(&t->to_c);
    bytes_free(&t->text);
    bytes_free(&t->sent);
}

/* Reads all plaintext of c, at most cap bytes with a call. out: cap bytes, a heap block of its own.
 */
static inline void twin_read_into(struct twin *t, uint8_t *out, size_t cap)
{
    size_t n;

    while ((t->last = tls_conn_read(t->c, out, cap, &n)) == ERR_OK) {
        INSIST(n > 0 && n <= cap);
        bytes_add(&t->text, span_of(out, n));
    }
    INSIST(n == 0);
}

static inline void twin_read(struct twin *t, size_t cap)
{
    uint8_t *out = insist_alloc(malloc(cap));

    twin_read_into(t, out, cap);
    free(out);
}

/* Feeds bytes to c, in pieces that are heap blocks of their own, and reads. */
static inline void twin_feed(struct twin *t, struct span octets, size_t piece, size_t cap)
{
    uint8_t *out = insist_alloc(malloc(cap));

    while (octets.n > 0 && t->last == ERR_MORE) {
        const struct span part = span_sub(octets, 0, piece);
        uint8_t *copy = insist_alloc(malloc(part.n));
        memcpy(copy, part.p, part.n);
        tls_conn_feed(t->c, span_of(copy, part.n));
        twin_read_into(t, out, cap);
        free(copy);
        octets = span_from(octets, part.n);
    }
    free(out);
}

/* Moves bytes from c to the peer. */
static inline void twin_to_peer(struct twin *t)
{
    struct bytes b = bytes_taken(&t->to_peer);

    t->window.in = bytes_span(&b);
    (void)SSL_do_handshake(t->peer);
    ERR_clear_error();
    INSIST(t->window.in.n == 0);
    free(b.p);
}

/* Moves bytes from the peer to c, in its handshake. */
static inline bool twin_to_c(struct twin *t, size_t piece)
{
    struct bytes b = bytes_taken(&t->to_c);
    enum err e = ERR_MORE;

    for (struct span s = bytes_span(&b); s.n > 0 && e == ERR_MORE; s = span_from(s, piece)) {
        const struct span part = span_sub(s, 0, piece);
        uint8_t *copy = insist_alloc(malloc(part.n));
        memcpy(copy, part.p, part.n);
        tls_conn_feed(t->c, span_of(copy, part.n));
        e = tls_conn_handshake(t->c);
        if (e == ERR_OK)
            twin_read(t, 64);
        free(copy);
    }
    free(b.p);
    INSIST(e == ERR_MORE || e == ERR_OK);
    return e == ERR_OK;
}

/* Performs the handshake. The peer's SSL remains. */
static inline void twin_shake(struct twin *t)
{
    bool done = tls_conn_handshake(t->c) == ERR_OK;

    for (int i = 0; i < 6; i++) {
        twin_to_peer(t);
        done = done || twin_to_c(t, SIZE_MAX);
    }
    INSIST(done && SSL_is_init_finished(t->peer) && t->to_peer.n == 0);
}

/* Takes the peer's keys; its SSL must not be used any more. */
static inline void twin_take(struct twin *t)
{
    struct handover h;
    const char *why = handover_take(t->peer, &t->window, &h);

    if (why != NULL)
        fprintf(stderr, "%s\n", why);
    INSIST(why == NULL);
    t->in = h.in;
    t->out = h.out;
}

/* Opens what c has sent, and adds it to t->sent. */
static inline void twin_note(struct twin *t)
{
    struct bytes b = bytes_taken(&t->to_peer);
    uint8_t *out = insist_alloc(malloc(RECORD_SEALED_MAX));
    enum record_type type;
    size_t n, used;

    for (struct span s = bytes_span(&b); s.n > 0; s = span_from(s, used)) {
        INSIST(record_open(t->in, s, out, &n, &type, &used) == RECORD_OK);
        const uint8_t head[] = {(uint8_t)type, (uint8_t)(n >> 8), (uint8_t)n};
        bytes_add(&t->sent, span_of(head, sizeof head));
        bytes_add(&t->sent, span_of(out, n));
        if (t->tls13 && type == RECORD_HANDSHAKE && n == 5 && out[0] == 24)
            record_update(t->in);
    }
    free(out);
    free(b.p);
}

/* Seals a record of the peer, with any type and, in TLS 1.3, with padding, and appends it to
 * to_c. */
static inline void twin_seal(struct twin *t, uint8_t type, struct span plain, size_t padding)
{
    uint8_t *inner = insist_alloc(calloc(1, plain.n + padding + 1));
    uint8_t *out = insist_alloc(malloc(plain.n + padding + RECORD_OVERHEAD));
    size_t n = plain.n;

    if (n > 0)
        memcpy(inner, plain.p, n);
    if (t->tls13 && padding > 0) { /* the type of the sealed record is the last zero */
        inner[n] = type;
        n += padding;
        type = 0;
    }
    n = record_seal(t->out, (enum record_type)type, span_of(inner, n), out);
    INSIST(n > 0);
    bytes_add(&t->to_c, span_of(out, n));
    free(inner);
    free(out);
}

/* ---- both ---- */

struct twins {
    struct twin ours, model;
    struct bytes fed; /* to the model */
};

static inline void twins_init(struct twins *t, const struct twins_suite *suite, bool server)
{
    t->fed = (struct bytes){0};
    twin_init(&t->ours, suite, server, true);
    twin_init(&t->model, suite, server, false);
    twin_shake(&t->ours);
    twin_shake(&t->model);
    INSIST(strcmp(tls_conn_records(t->ours.c), "gate") == 0);
    INSIST(strcmp(tls_conn_records(t->model.c), "openssl") == 0);
    twin_take(&t->ours);
    twin_take(&t->model);
}

static inline void twins_free(struct twins *t)
{
    twin_free(&t->ours);
    twin_free(&t->model);
    bytes_free(&t->fed);
}

static inline void twins_seal(struct twins *t, uint8_t type, struct span plain, size_t padding)
{
    twin_seal(&t->ours, type, plain, padding);
    twin_seal(&t->model, type, plain, padding);
}

/* Changes the peer's keys, after a KeyUpdate was sealed. */
static inline void twins_update(struct twins *t)
{
    record_update(t->ours.out);
    record_update(t->model.out);
}

static inline void twins_feed(struct twins *t, size_t piece, size_t cap)
{
    struct bytes a = bytes_taken(&t->ours.to_c), b = bytes_taken(&t->model.to_c);

    twin_feed(&t->ours, bytes_span(&a), piece, cap);
    twin_feed(&t->model, bytes_span(&b), piece, cap);
    bytes_add(&t->fed, bytes_span(&b));
    free(a.p);
    free(b.p);
}

static inline bool bytes_eq(const struct bytes *a, const struct bytes *b)
{
    return span_eq(bytes_span(a), bytes_span(b));
}

/* ---- Versions of OpenSSL differ in the functions below. The gate does the same with each, which
 * is what the RFC says. ---- */

/* Returns whether OpenSSL uses the level of an alert of TLS 1.3, which means nothing (RFC 8446 6).
 * 3.0 counts each alert of level 1 as a warning. SSL_get_error compares the last alert of level 1
 * (3.0), or user_canceled (3.5), with close_notify, and reports an error without a reason. */
static inline bool twins_level_used(const struct twins *t)
{
    const char *error = tls_conn_error(t->model.c);

    if (!t->ours.tls13 || t->model.last != ERR_TLS)
        return false;
    if (strcmp(error, "unknown error") == 0)
        return t->ours.last == ERR_CLOSED;
    return strcmp(error, "too many warn alerts") == 0 && t->ours.last != ERR_MORE &&
           strcmp(tls_conn_error(t->ours.c), error) != 0;
}

/* Returns whether OpenSSL's connection has reached the limit of messages, which it does first, if
 * at all: the gate counts the exits of OpenSSL's state machine there, and those include the
 * KeyUpdates that OpenSSL sends. */
static inline bool twins_limit_used(const struct twins *t)
{
    return strcmp(tls_conn_error(t->model.c), "too many messages without data") == 0;
}

/* Returns whether a client got a ChangeCipherSpec after the handshake of TLS 1.3. It must have the
 * result of an unexpected record type (RFC 8446 5); 3.5 ignores it. */
static inline bool twins_ccs_ignored(const struct twins *t)
{
    return t->ours.tls13 && t->ours.last == ERR_TLS &&
           strcmp(tls_conn_error(t->ours.c), "bad record type") == 0 &&
           memmem(t->fed.p, t->fed.n, "\x14\3\3", 3) != NULL;
}

/* Returns whether all that was sent is equal but the alert at the end. 3.0 judges the version of a
 * head of TLS 1.3 before its type, and says protocol_version; a record of TLS 1.2 that is too short
 * for a tag is an internal error there. */
static inline bool twins_alert_differs(const struct twins *t)
{
    static const struct {
        bool tls13;
        uint8_t ours, model;
    } pairs[] = {
        {true, SSL_AD_UNEXPECTED_MESSAGE, SSL_AD_PROTOCOL_VERSION},
        {true, SSL_AD_DECODE_ERROR, SSL_AD_PROTOCOL_VERSION},
        {false, SSL_AD_BAD_RECORD_MAC, SSL_AD_INTERNAL_ERROR},
    };
    const struct bytes *a = &t->ours.sent, *b = &t->model.sent;

    if (a->n != b->n || a->n < 5 || memcmp(a->p, b->p, a->n - 1) != 0 ||
        memcmp(a->p + a->n - 5, "\x15\0\2\2", 4) != 0)
        return false;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        if (t->ours.tls13 == pairs[i].tls13 && a->p[a->n - 1] == pairs[i].ours &&
            b->p[b->n - 1] == pairs[i].model)
            return true;
    return false;
}

/* Returns what differs; NULL: nothing. */
static inline const char *twins_differ(struct twins *t)
{
    struct twin *a = &t->ours, *b = &t->model;

    twin_note(a);
    twin_note(b);
    if (twins_level_used(t) || twins_ccs_ignored(t) || twins_limit_used(t))
        return NULL;
    return a->last != b->last                                                   ? "result"
           : !bytes_eq(&a->text, &b->text)                                      ? "plaintext"
           : !bytes_eq(&a->sent, &b->sent) && !twins_alert_differs(t)           ? "records sent"
           : tls_conn_refused(a->c) != tls_conn_refused(b->c)                   ? "refused"
           : tls_conn_distrusted(a->c) != tls_conn_distrusted(b->c)             ? "distrusted"
           : (*tls_conn_error(a->c) == '\0') != (*tls_conn_error(b->c) == '\0') ? "error"
                                                                                : NULL;
}

#endif
