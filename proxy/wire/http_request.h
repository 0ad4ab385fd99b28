/* http_request: the head of a client's request, SSTP's ([MS-SSTP] 3.2.4.1, 4.1) or any other, read
 * strictly (RFC 9112). Slices point into the caller's bytes. Pure: no state, no allocation. */
#ifndef SSTPGATE_WIRE_HTTP_REQUEST_H
#define SSTPGATE_WIRE_HTTP_REQUEST_H

#include "base/err.h"
#include "base/span.h"
#include "wire/http_line.h"

struct http_request {
    size_t len; /* bytes of the head */
    bool sstp;  /* method, URI, version and Content-Length are those of SSTP */
    /* The reason why a request with SSTP's method and URI is not sstp: ERR_VERSION (not HTTP/1.1),
     * ERR_LENGTH (Content-Length is missing or has another value), ERR_MISSING (an empty Host).
     * ERR_OK otherwise. */
    enum err flaw;
    bool is_head;     /* the method is HEAD: a response has no body */
    bool is_get;      /* the method is GET */
    bool uri_is_sstp; /* as for sstp, with any method */
    struct span method;
    struct span target;
    struct span path;        /* the target without its query */
    struct span host;        /* Host without port and without brackets; an IPv6 address may have
                                a zone; n == 0: absent or empty */
    struct span tenant;      /* value of the first tenantid= in the query, in any request, as sent
                                (not decoded); n == 0: absent; the key in any case */
    struct span correlation; /* SSTPCORRELATIONID as sent; n == 0: absent; never required */
};

/* Parses the head of a request at the start of in.
 * ERR_OK: *out describes in[0 .. out->len).
 *   - out->sstp: SSTP_DUPLEX_POST (exact), the SSTP URI (origin-form, percent-decoded, letters in
 *     any case, query ignored but for tenantid), HTTP/1.1, and Content-Length 2^64 - 1. The tenant
 *     must be http_tenant_is_plain(), because no rule may judge a tenant that is not sent to the
 *     backend.
 *   - otherwise: a well-formed HTTP/1.x request for another service (RFC 9110 2.5: 1.2 and later
 *     are read as 1.1), with a target in any form. An SSTP request with a flaw is one, too: the
 *     response must not show a refused client that this server knows SSTP's method and URI.
 *   One empty line before the request belongs to it (RFC 9112 2.2).
 * ERR_MORE: no blank line yet and fewer than HTTP_HEAD_MAX bytes; call again with more. Bytes
 *   that cannot become a request are refused at once, not at the limit.
 * Any other result is a 400, with any method and URI. ERR_TOO_LARGE; ERR_SYNTAX (bare
 *   CR or LF, NUL, obs-fold, a bad field name, a bad Host, a method of more than 32
 *   bytes); ERR_VERSION (not HTTP/1.x); ERR_LENGTH (Content-Length is not a number below 2^64;
 *   Transfer-Encoding beside Content-Length or in HTTP/1.0); ERR_DUPLICATE (Content-Length or Host
 *   twice); ERR_MISSING (HTTP/1.1 without Host). Of these, browsers cause only ERR_TOO_LARGE, with
 *   a long URI or cookie. *out must not be used.
 *
 * The result does not depend on how the bytes were cut: the first error in the input is reported,
 * and the result for each beginning of in is ERR_MORE or the result for all of it. */
enum err http_request_parse(struct span in, struct http_request *out) MUST_CHECK;

/* Returns whether in is, or can become with more bytes, a request with SSTP's URI and its method
 * or HEAD. */
bool http_request_may_be_sstp(struct span in) MUST_CHECK;

/* Returns whether in is, or can become with more bytes, a GET or HEAD request for path. */
bool http_request_may_ask_for(struct span in, struct span path) MUST_CHECK;

#endif
