/* upstream: a server of a backend, as calls and checks meet it: how a connection to it begins,
 * whether it is who it should be, what is asked of it, and the word about how it was. Worker's
 * thread. */
#ifndef SSTPGATE_UPSTREAM_UPSTREAM_H
#define SSTPGATE_UPSTREAM_UPSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "wire/http_head.h"

struct binding_leaf;
struct backends_server;
struct proxyproto;
struct site_backend;
struct stream;

enum { UPSTREAM_WHY_MAX = 160 };

const struct backends_server *upstream_server(const struct site_backend *b, size_t server);

/* s has just been connected: sends the PROXY header, if the backend wants one, and starts TLS or a
 * plain stream. client: what the header says; version and ends are set here, the ends of s itself
 * where client has none. True: plain, and ready for the request at once. */
bool upstream_start(const struct site_backend *b, size_t server, struct stream *s,
                    struct proxyproto *client);

/* After the handshake, for what OpenSSL did not check. False: why says it. */
bool upstream_trusted(const struct site_backend *b, const struct stream *s,
                      char why[UPSTREAM_WHY_MAX]);

/* The certificate that our side, or the other one, has shown; all zeros where there is none. */
void upstream_leaf(const struct stream *s, struct binding_leaf *out);

/* The request of a call; NULL: neither known. */
size_t upstream_request(const struct site_backend *b, size_t server, const char *correlation,
                        const char *tenant, uint8_t out[HTTP_BUILD_MAX]);

/* HEAD for the URI of SSTP. */
size_t upstream_head(const struct site_backend *b, size_t server, uint8_t out[HTTP_BUILD_MAX]);

/* As backends_report; a change is logged, once. */
void upstream_report(const struct site_backend *b, size_t server, bool good, const char *cause,
                     uint64_t now_ms);

#endif
