/* http_build: the heads that the gate sends, built from scratch: requests to a backend, responses
 * to a client ([MS-SSTP] 3.2.4.1, 3.3.5.1). Each function writes to out and returns the bytes
 * written; 0: an argument is invalid or does not fit. Pure: no state, no allocation. */
#ifndef SSTPGATE_WIRE_HTTP_BUILD_H
#define SSTPGATE_WIRE_HTTP_BUILD_H

#include "base/span.h"
#include "wire/http_uri.h"

enum {
    HTTP_BUILD_MAX = 1024, /* bytes of out; enough for any valid host, tenant and correlation */
    HTTP_CORRELATION_MAX = 64,
};

/* Builds the SSTP request, with its fields in the order of [MS-SSTP] 4.1.
 * host: the value of the Host field (IPv6 in brackets; a port is optional): visible ASCII, at most
 * HTTP_HOST_MAX bytes and "[]:65535"; for any other host the result is 0.
 * tenant: added to the query as it is if http_tenant_is_plain(), else omitted.
 * correlation: added if it has at most HTTP_CORRELATION_MAX bytes of [0-9A-Za-z{}-], else
 * omitted. */
size_t http_build_request(uint8_t out[HTTP_BUILD_MAX], struct span host, struct span tenant,
                          struct span correlation);

/* Builds a GET or HEAD request of HTTP/1.1 with Connection: close. path: visible ASCII, from its
 * first slash on. host: as in struct http_request; empty: no Host field, and HTTP/1.0. */
size_t http_build_get(uint8_t out[HTTP_BUILD_MAX], bool is_head, struct span path,
                      struct span host);

/* Builds a HEAD request for the URI of SSTP, with Connection: close. host: as above. */
size_t http_build_head(uint8_t out[HTTP_BUILD_MAX], struct span host);

/* Builds the 200 that starts the stream ([MS-SSTP] 3.3.5.1): at most four header lines, in one TLS
 * record (sstpc 1.0.18 crashes on more than seven). Never names this product. date: an IMF-fixdate
 * (RFC 9110 5.6.7); empty: no Date field. */
size_t http_build_accept(uint8_t out[HTTP_BUILD_MAX], struct span date);

/* Builds the gate's own answer (status 200, or 400 to 599) with Connection: close and a small text
 * as its body, which is omitted for a HEAD request. date: as above. */
size_t http_build_answer(uint8_t out[HTTP_BUILD_MAX], unsigned status, bool is_head,
                         struct span date);

/* Builds the 301 from http to https for the same target, which has the form of RFC 9112 3.2.1; of
 * any other target, or one that does not fit, only the host is kept. host: as in struct
 * http_request; empty: the result is 0. port: of the https URI. date, is_head: as above. */
size_t http_build_redirect(uint8_t out[HTTP_BUILD_MAX], struct span host, unsigned port,
                           struct span target, bool is_head, struct span date);

#endif
