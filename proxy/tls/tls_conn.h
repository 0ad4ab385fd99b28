/* tls_conn: one TLS connection as a machine that is fed octets and asked for octets. No sockets, no
 * loop, no clock. One thread at a time. */
#ifndef SSTPGATE_TLS_TLS_CONN_H
#define SSTPGATE_TLS_TLS_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/err.h"
#include "base/span.h"
#include "tls/tls_bio.h"
#include "tls/tls_ctx.h"

enum { TLS_RECORD_MAX = 16384 }; /* octets of plaintext in one record (RFC 8446 5.1) */

struct tls_conn;

/* Records that want to leave go to sink(arg, octets), during any of the calls below. */
struct tls_conn *tls_conn_new_server(struct tls_ctx *ctx, tls_sink sink, void *arg);

/* Server: sets the time of the handshake, by which a staple is fresh (seconds since 1970). Call it
 * before the handshake; without it no staple is sent. */
void tls_conn_set_time(struct tls_conn *c, time_t now);

/* sni: server name to send, NULL: none. verify_name: DNS name or address the certificate must
 * carry where ctx verifies chains; NULL: any. Both are copied. */
struct tls_conn *tls_conn_new_client(struct tls_ctx *ctx, const char *sni, const char *verify_name,
                                     tls_sink sink, void *arg);
void tls_conn_free(struct tls_conn *c);

/* Points the connection at octets that have arrived. They must stay there until handshake and read
 * have been called until ERR_MORE, after which nothing of them is left unread. */
void tls_conn_feed(struct tls_conn *c, struct span octets);

/* ERR_OK: done. ERR_MORE: needs more octets. ERR_TLS: failed for good, an alert may have gone to
 * the sink, tls_conn_error tells why. */
enum err tls_conn_handshake(struct tls_conn *c) MUST_CHECK;

/* ERR_OK: *n octets of plaintext (1..cap) are in out. ERR_MORE: none there. ERR_CLOSED: the peer
 * sent close_notify. ERR_TLS: failed for good. */
enum err tls_conn_read(struct tls_conn *c, uint8_t *out, size_t cap, size_t *n) MUST_CHECK;

/* One record for up to TLS_RECORD_MAX octets, more records for more. ERR_TLS: failed for good. */
enum err tls_conn_write(struct tls_conn *c, struct span octets) MUST_CHECK;

/* Nothing comes for now: gives back the buffers of records, about 32 kB, where nothing is left in
 * them. OpenSSL would do so behind each record on its own (SSL_MODE_RELEASE_BUFFERS), which costs a
 * tenth of the CPU time of small packets that come in a crowd. At any time. */
void tls_conn_rest(struct tls_conn *c);

/* Sends close_notify, once; does nothing before the handshake is done or after a failure. */
void tls_conn_shutdown(struct tls_conn *c);

/* Why the last call answered ERR_TLS. */
const char *tls_conn_error(const struct tls_conn *c);

/* Returns whether the last call returned ERR_TLS because of an alert from the peer: the peer
 * refuses our certificate, for example, or gives up. */
bool tls_conn_refused(const struct tls_conn *c);

/* Client: the handshake failed because the chain or the name of the peer's certificate did. */
bool tls_conn_unverified(const struct tls_conn *c);

const char *tls_conn_version(const struct tls_conn *c); /* "TLSv1.3" */
const char *tls_conn_cipher(const struct tls_conn *c);

/* Server: the name the client asked for, empty when none; valid as long as c. */
struct span tls_conn_sni(const struct tls_conn *c);

/* The leaf certificate that was shown on this very connection, as DER: server: ours, client: the
 * peer's. Caller frees with free(). n == 0: there is none (anonymous ciphers). */
struct span tls_conn_leaf(const struct tls_conn *c);

#endif
