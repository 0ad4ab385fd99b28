/* tls_session: a TLS session of a server, for later connections to the same server. It comes from a
 * full handshake, and has the leaf certificate that this handshake showed: a resumed handshake
 * shows none. Immutable and reference-counted; any thread. */
#ifndef SSTPGATE_TLS_TLS_SESSION_H
#define SSTPGATE_TLS_TLS_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "base/span.h"

enum { TLS_SCOPE = 32 }; /* bytes */

struct ssl_st; /* OpenSSL's SSL */
struct tls_session;
struct tls_settings;

struct tls_session *tls_session_ref(struct tls_session *s);
void tls_session_unref(struct tls_session *s); /* NULL: no-op */

/* Returns whether the lifetime that the server has given has not passed. now: seconds since
 * 1970. */
bool tls_session_is_fresh(const struct tls_session *s, time_t now);

/* Returns the leaf as DER, valid as long as the session. */
struct span tls_session_leaf(const struct tls_session *s);

/* ---- for the files of this room ---- */

/* Computes the scope of a client's context: equal for contexts of the same settings and CAs. ca:
 * the number of the CAs; 0: chains are not verified. */
void tls_session_scope(const struct tls_settings *settings, uint64_t ca, uint8_t out[TLS_SCOPE]);

/* Marks a client's connection as one whose session may be used: the session will belong to the
 * settings of its context, its CAs, its server name and the name that it verifies. Requests a
 * ticket in TLS 1.2. Call it before the handshake. */
void tls_session_want(struct ssl_st *ssl);

/* Returns the session of a connection that tls_session_want has marked. NULL: the handshake is not
 * complete, was resumed, was not verified or showed no leaf; the server has sent no ticket yet; or
 * TLS 1.2 without the extended master secret (RFC 7627), with which a man in the middle could
 * have given two connections the same session. */
struct tls_session *tls_session_of(struct ssl_st *ssl);

/* Offers s in the handshake of a client's connection. The connection gets a copy, because OpenSSL
 * changes the session of a connection that fails. Returns false, and changes nothing, if s belongs
 * to other settings than those of the connection. Call it before the handshake. */
bool tls_session_offer(const struct tls_session *s, struct ssl_st *ssl);

#endif
