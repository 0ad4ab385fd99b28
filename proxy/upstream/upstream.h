/* upstream: a connection to one server of a backend: its start (PROXY header, TLS), verification,
 * the request, and the report of the outcome. Used by calls and by health checks. Worker's
 * thread. */
#ifndef SSTPGATE_UPSTREAM_UPSTREAM_H
#define SSTPGATE_UPSTREAM_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "wire/http_build.h"

struct binding_leaf;
struct backends_server;
struct proxyproto;
struct site_backend;
struct stream;

enum { UPSTREAM_WHY_MAX = 400 };

const struct backends_server *upstream_server(const struct site_backend *b, size_t server);

/* A call offers the TLS session that the server's last health check has kept; a health check makes
 * a full handshake. */
enum upstream_use { UPSTREAM_CALL, UPSTREAM_CHECK };

/* Sends the PROXY header, if the backend wants one, and starts TLS or a plain stream. s has just
 * been connected. client: contents of the header; version and addresses are set here, the latter to
 * those of s itself if client has none. True: plain, so the request can be sent at once. */
bool upstream_start(const struct site_backend *b, size_t server, struct stream *s,
                    struct proxyproto *client, enum upstream_use use);

/* Verifies that the server has presented a certificate and, with verify = pin, that a pin
 * matches: OpenSSL verifies only chains. Call it after the handshake. False: why has the
 * reason. */
bool upstream_trusted(const struct site_backend *b, const struct stream *s,
                      char why[UPSTREAM_WHY_MAX]);

/* Keeps the session of a health check for the server's calls. Call it once after the handshake, and
 * again if it returns false: then the ticket has not arrived. last: the wait for it
 * is over, and without it the server gets no session. */
bool upstream_keep_session(const struct site_backend *b, size_t server, const struct stream *s,
                           bool last, uint64_t now_ms);

/* Removes the server's session if a full handshake on s has shown another leaf than it has. */
void upstream_compare_session(const struct site_backend *b, size_t server, const struct stream *s);

/* Removes the server's session, because a health check has failed. */
void upstream_drop_session(const struct site_backend *b, size_t server, uint64_t now_ms);

/* Returns the step at which s has failed or timed out before its first request: "connect", "tls",
 * or "verify" if the chain or the name of the server's certificate was refused. */
const char *upstream_step(const struct stream *s);

/* Writes the cause of a failed handshake, and the key of the configuration that may help. */
void upstream_tls_why(const struct stream *s, char why[UPSTREAM_WHY_MAX]);

/* Sets *out to the hashes of the leaf certificate that was presented on s: by this end if it is
 * the TLS server, otherwise by the peer, or in the handshake whose session s has resumed; all
 * zeros: none. */
void upstream_leaf(const struct stream *s, struct binding_leaf *out);

/* Builds the request of a call. correlation, tenant: NULL: unknown. Returns its length. */
size_t upstream_request(const struct site_backend *b, size_t server, const char *correlation,
                        const char *tenant, uint8_t out[HTTP_BUILD_MAX]);

/* Returns the text for an answer that http_response_parse has refused. */
const char *upstream_bad_answer(enum err e);

/* Builds a HEAD request for the URI of SSTP. Returns its length. */
size_t upstream_head(const struct site_backend *b, size_t server, uint8_t out[HTTP_BUILD_MAX]);

/* Calls backends_report, and logs a change of the server's state. */
void upstream_report(const struct site_backend *b, size_t server, bool good, const char *cause,
                     uint64_t now_ms);

#endif
