/* tls_ctx: what the TLS connections of one listener or one backend have in common.
 * Made from plain settings, knows no configuration file. One for each worker, used from its thread
 * only; making one is independent of everything else. Protocol versions and security levels are
 * those of this context: nothing here is process-wide. */
#ifndef SSTPGATE_TLS_TLS_CTX_H
#define SSTPGATE_TLS_TLS_CTX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/span.h"
#include "tls/tls_error.h"
#include "tls/tls_expiry.h"
#include "tls/tls_settings.h"

struct tls_ctx;

/* Told once for each thing that is wrong. certificate: which one, as an index; TLS_NO_CERTIFICATE:
 * the settings. A text about a file begins with "FILE: ", one about a setting with its name in the
 * same way, and so do the errors below. */
#define TLS_NO_CERTIFICATE SIZE_MAX
typedef void (*tls_on_error)(void *arg, size_t certificate, const char *text);

/* For a listener with one certificate or more. A client is shown one that is for the name it asks
 * for: those with the very name, else those with *.DOMAIN, of each kind of key the first; which
 * kind is settled with the client. Who asks for no name, or for one that none of them has, gets
 * what the first name of the first certificate gets; with strict_sni, the alert
 * unrecognized_name. A certificate that no client would ever be shown is an error.
 *
 * No tickets and no resumption: a resumed handshake shows no certificate, and the binding needs to
 * know which one the client saw (PROTOCOL.md 6.2). ALPN: http/1.1 for those who offer it, nothing
 * for others. A staple is sent to those who ask for it, as long as it is fresh.
 *
 * NULL when anything is wrong. It must outlive its connections. */
struct tls_ctx *tls_ctx_new_server(const struct tls_settings *settings,
                                   const struct tls_certificate *certificate, size_t count,
                                   bool strict_sni, tls_on_error on_error, void *arg);

/* Calls on_expiry for each certificate of a listener. To warn once for each of the steps: when
 * `due` is not what it was. */
void tls_ctx_expiry(const struct tls_ctx *ctx, time_t now,
                    void (*on_expiry)(void *arg, const struct tls_expiry *e), void *arg);

/* Calls on_leaf with each certificate of a listener as DER, valid during the call. */
void tls_ctx_leaves(const struct tls_ctx *ctx, void (*on_leaf)(void *arg, struct span der),
                    void *arg);

/* For a backend. ca_file: PEM certificates to trust, "system" for the system's; NULL: the chain is
 * not verified here (the caller compares a pin, or was told not to). Never resumes. */
struct tls_ctx *tls_ctx_new_client(const struct tls_settings *settings, const char *ca_file,
                                   char error[TLS_ERROR_MAX]);

void tls_ctx_free(struct tls_ctx *ctx);

#endif
