/* tls_ctx: the context that the TLS connections of one listener or one backend share. A context is
 * built from plain settings and is independent of every other: its protocol versions and security
 * level apply to its own connections only. Each worker has its own contexts, and uses them from its
 * thread only. */
#ifndef SSTPGATE_TLS_TLS_CTX_H
#define SSTPGATE_TLS_TLS_CTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/span.h"
#include "tls/tls_bio.h"
#include "tls/tls_error.h"
#include "tls/tls_expiry.h"
#include "tls/tls_settings.h"

struct tls_ca;
struct tls_ctx;
struct tls_facts;

/* Called once for each error. certificate: the index of the certificate that has the error;
 * TLS_NO_CERTIFICATE: the settings have it. A text about a file begins with "FILE: ", a text about
 * a setting with "NAME: ". */
#define TLS_NO_CERTIFICATE SIZE_MAX
typedef void (*tls_on_error)(void *arg, size_t certificate, const char *text);

/* Builds the context of a listener with one certificate or more. The certificates for the name that
 * a client requests are those with exactly this name or, if there are none, those with *.DOMAIN; of
 * these, the first of each kind of key, and the handshake chooses the kind. A client that requests
 * no name, or a name that no certificate has, gets the certificates for the first name of the first
 * certificate; with strict_sni, the alert unrecognized_name. A certificate that no client can get
 * is an error.
 *
 * No tickets and no resumption: a resumed handshake shows no certificate, and the binding needs the
 * certificate that the client saw (PROTOCOL.md 6.2). ALPN: http/1.1 for a client that offers it,
 * none for others. A client that requests a staple gets it if it is fresh.
 *
 * NULL: on_error was called. The context must outlive the handshakes of its
 * connections; OpenSSL keeps a reference of what a connection needs afterwards. */
struct tls_ctx *tls_ctx_new_server(const struct tls_settings *settings,
                                   const struct tls_certificate *certificate, size_t count,
                                   bool strict_sni, tls_on_error on_error, void *arg);

/* Calls on_expiry for each certificate of a listener. now: seconds since 1970. */
void tls_ctx_expiry(const struct tls_ctx *ctx, time_t now,
                    void (*on_expiry)(void *arg, const struct tls_expiry *e), void *arg);

/* Calls on_facts for each certificate of a listener, with its content. */
void tls_ctx_facts(const struct tls_ctx *ctx, time_t now,
                   void (*on_facts)(void *arg, const struct tls_expiry *e,
                                    const struct tls_facts *f),
                   void *arg);

/* Reports why clients may refuse the certificates of a listener: see tls_doubts.h, whose texts are
 * about a certificate and begin with "FILE: ". A listener with strict_sni whose certificates have
 * no name at all is reported with TLS_NO_CERTIFICATE. now: seconds since 1970. */
void tls_ctx_doubts(const struct tls_ctx *ctx, time_t now,
                    void (*on_doubt)(void *arg, size_t certificate, const char *text), void *arg);

/* Reports in the same way, with TLS_NO_CERTIFICATE, which CAs of a backend with verification by
 * ca_file verify nothing at this time. */
void tls_ctx_ca_doubts(const struct tls_ctx *ctx, const char *ca_file, time_t now,
                       void (*on_doubt)(void *arg, size_t certificate, const char *text),
                       void *arg);

/* Returns whether a certificate of a listener has this DNS name (exactly or by a wildcard), or this
 * address. */
bool tls_ctx_has_name(const struct tls_ctx *ctx, const char *host);

/* Calls on_leaf with each leaf certificate of a listener as DER, which is valid during the call. */
void tls_ctx_leaves(const struct tls_ctx *ctx, void (*on_leaf)(void *arg, struct span der),
                    void *arg);

/* Builds the context of a backend. ca: trusted certificates, of which the context keeps a
 * reference; NULL: chains are not verified here, because the caller compares a pin or the
 * administrator has turned verification off. No session is resumed unless tls_conn_resume() offers
 * it. NULL: *error has the reason, in the form above. */
struct tls_ctx *tls_ctx_new_client(const struct tls_settings *settings, const struct tls_ca *ca,
                                   char error[TLS_ERROR_MAX]);

/* Sets whether connections leave OpenSSL after their handshakes, where they can (see handover.h);
 * they do without this call. Call it before the first connection. */
void tls_ctx_set_records(struct tls_ctx *ctx, bool own);

/* Sets the receiver of the lines of the key log (the format of SSLKEYLOGFILE, without the end of
 * the line), which must keep them secret. NULL: none. Call it before the first connection. */
void tls_ctx_set_keylog(struct tls_ctx *ctx, tls_on_keys on_keys, void *arg);

/* Frees ctx; a no-op for NULL. */
void tls_ctx_free(struct tls_ctx *ctx);

#endif
