/* tls_conn: one TLS connection without a socket, a loop or a clock: its owner feeds the received
 * bytes, reads the plaintext, and sends the records that the sink gets. One thread at a time. */
#ifndef SSTPGATE_TLS_TLS_CONN_H
#define SSTPGATE_TLS_TLS_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "base/err.h"
#include "base/span.h"
#include "tls/tls_bio.h"
#include "tls/tls_ctx.h"

enum {
    TLS_RECORD_MAX = 16384, /* bytes of plaintext in one record (RFC 8446 5.1) */
    /* Size of a buffer that every record fits into, with all that a peer may add to its
     * plaintext. */
    TLS_READ_ROOM = TLS_RECORD_MAX + 320,
};

struct tls_conn;
struct tls_session;

/* Creates the server side. Every function below may call sink(arg, octets) to send records. ctx
 * must outlive the connection. */
struct tls_conn *tls_conn_new_server(struct tls_ctx *ctx, tls_sink sink, void *arg);

/* Sets, for a server, the time of the handshake (seconds since 1970), which decides whether a
 * staple is fresh. Call it before the handshake; without it no staple is sent. */
void tls_conn_set_time(struct tls_conn *c, time_t now);

/* Returns the code that protects the records: "gate" after a hand-over (see handover.h), otherwise
 * "openssl". */
const char *tls_conn_records(const struct tls_conn *c);

/* Returns how many connections of this process have stayed with OpenSSL because the gate's records
 * do not support them. Any thread. */
uint64_t tls_conn_kept(void);

/* Creates the client side. sni: server name to send; NULL: none. verify_name: DNS name or address
 * that the certificate must have if ctx verifies chains; NULL: any. Both are copied. */
struct tls_conn *tls_conn_new_client(struct tls_ctx *ctx, const char *sni, const char *verify_name,
                                     tls_sink sink, void *arg);
/* Frees c; a no-op for NULL. */
void tls_conn_free(struct tls_conn *c);

/* Points the connection at bytes that have arrived. They are not copied, and must remain valid
 * until the handshake or a read has returned ERR_MORE: then all of them have been read. */
void tls_conn_feed(struct tls_conn *c, struct span octets);

/* Continues the handshake. ERR_OK: done. ERR_MORE: needs more bytes. ERR_TLS: failed for good;
 * tls_conn_error() returns the reason, and the sink may have received an alert. */
enum err tls_conn_handshake(struct tls_conn *c) MUST_CHECK;

/* Reads plaintext. ERR_OK: *n bytes (1..cap) are in out. ERR_MORE: none has arrived. ERR_CLOSED:
 * the peer has sent close_notify. ERR_TLS: failed for good. */
enum err tls_conn_read(struct tls_conn *c, uint8_t *out, size_t cap, size_t *n) MUST_CHECK;

/* Sends plaintext in one record for each TLS_RECORD_MAX bytes. ERR_TLS: failed for good. */
enum err tls_conn_write(struct tls_conn *c, struct span octets) MUST_CHECK;

/* Frees the expanded keys or, with OpenSSL, the record buffers, about 32 kB, if they are empty;
 * they are allocated again when needed. Call it when no bytes are expected soon; it is allowed at
 * any time. With SSL_MODE_RELEASE_BUFFERS OpenSSL would free them after each record, which costs a
 * tenth of the CPU time of bursts of small packets. */
void tls_conn_rest(struct tls_conn *c);

/* Sends close_notify, once; a no-op before the end of the handshake and after a failure. */
void tls_conn_shutdown(struct tls_conn *c);

/* Returns the reason of the last ERR_TLS; "": none. Valid until tls_conn_free(). */
const char *tls_conn_error(const struct tls_conn *c);

/* Returns whether the device that has the private key (a token, a TPM) is the cause of the last
 * ERR_TLS. */
bool tls_conn_key_failed(const struct tls_conn *c);

/* Returns whether an alert from the peer is the cause of the last ERR_TLS: the peer refuses the
 * gate's certificate, for example. */
bool tls_conn_refused(const struct tls_conn *c);

/* Returns whether that alert says that the peer does not accept our certificate, or a client has
 * ended its handshake with close_notify when it had seen the certificate. */
bool tls_conn_distrusted(const struct tls_conn *c);

/* Server: returns whether the client has been sent the certificate. */
bool tls_conn_shown(const struct tls_conn *c);

/* Server: returns the highest TLS version that the client offered: "SSLv3", "TLSv1.0" to "TLSv1.3",
 * or "unknown"; NULL: no ClientHello that can be read has arrived. */
const char *tls_conn_offered(const struct tls_conn *c);

/* Returns whether a client's verification of the peer's chain, its name or its keys has failed. */
bool tls_conn_unverified(const struct tls_conn *c);

const char *tls_conn_version(const struct tls_conn *c); /* "TLSv1.3" */
const char *tls_conn_cipher(const struct tls_conn *c);

/* Returns, on a server, the name that the client requested; empty: none. Valid until
 * tls_conn_free(). */
struct span tls_conn_sni(const struct tls_conn *c);

/* Returns the leaf certificate that was shown on this connection, as DER; on a server the gate's,
 * on a client the peer's. The caller frees it with free(). n == 0: none, as with anonymous
 * ciphers. */
struct span tls_conn_leaf(const struct tls_conn *c);

/* Frees the leaf, which has some 1 kB on a client, for a connection whose leaf is not needed again.
 * A connection that has stayed with OpenSSL still has it. */
void tls_conn_forget_leaf(struct tls_conn *c);

/* Sets that tls_conn_session() will be called on this client: it requests a ticket in TLS 1.2, and
 * leaves the connection with OpenSSL, which has the session. Call it before the handshake. */
void tls_conn_keep(struct tls_conn *c);

/* Returns a counted reference to a session for later clients, after a full handshake of a client
 * for which tls_conn_keep() was called. NULL: there is none, or not yet: in TLS 1.3 it comes after
 * the handshake. See tls_session_of() for the conditions. */
struct tls_session *tls_conn_session(const struct tls_conn *c);

/* Offers a session in the handshake of this client; a no-op if it belongs to other settings, other
 * CAs, another server name or another verify_name. The server decides: if it resumes the session,
 * tls_conn_leaf() is the leaf of the session, whose verification counts; otherwise the handshake is
 * a full one. Call it before the handshake. */
void tls_conn_resume(struct tls_conn *c, const struct tls_session *s);

/* Returns whether the handshake is complete and has resumed a session. */
bool tls_conn_resumed(const struct tls_conn *c);

#endif
