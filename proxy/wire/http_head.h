/* http_head: the one HTTP request and the one HTTP response of SSTP ([MS-SSTP] 3.2.4.1, 4.1),
 * read strictly (RFC 9112) on the client's side and liberally on the backend's, and built from
 * scratch for both. Slices point into the caller's octets. Pure: no state, no allocation. */
#ifndef SSTPGATE_WIRE_HTTP_HEAD_H
#define SSTPGATE_WIRE_HTTP_HEAD_H

#include "base/err.h"
#include "base/span.h"

enum {
    HTTP_HEAD_MAX = 8192,  /* octets of a head, blank line included; real clients stay below 512 */
    HTTP_BUILD_MAX = 1024, /* room that every http_build_* below is content with */
    HTTP_HOST_MAX = 255,   /* octets of a host name that is sent on */
    HTTP_CORRELATION_MAX = 64,
    HTTP_TENANT_MAX = 255,
};

struct http_request {
    size_t len; /* octets of the head; what follows them is not looked at */
    bool sstp;  /* method, URI, version and Content-Length are those of SSTP */
    enum err
        flaw;     /* why a request with SSTP's method and URI is not sstp: ERR_VERSION (not
                     HTTP/1.1), ERR_LENGTH (Content-Length is missing or another); ERR_OK otherwise */
    bool is_head; /* the method is HEAD: an answer has no body */
    struct span method;
    struct span target;
    struct span host;        /* Host without port and without brackets; n == 0 when absent */
    struct span tenant;      /* value of the first tenantid= in the query, whoever is asked for, as
                                sent (not decoded); n == 0 when absent; the key in any case */
    struct span correlation; /* SSTPCORRELATIONID as sent; n == 0 when absent; never required */
};

/* ERR_OK: *out describes in[0 .. out->len).
 *   - out->sstp: SSTP_DUPLEX_POST (exact), the SSTP URI (origin-form, percent-decoding, letters in
 *     any case, query ignored but for tenantid, which must be as http_build_request takes it: a
 *     rule must not judge a tenant that the backend is not told), HTTP/1.1, Content-Length
 *     18446744073709551615.
 *   - otherwise a well-formed HTTP/1.x request for another service (RFC 9110 2.5: 1.2 and later are
 *     read as 1.1), its target in any form. So is SSTP with a flaw: a client that is refused must
 *     not learn from the answer that this server knows SSTP's method and URI.
 *   One empty line before the request is taken for a part of it (RFC 9112 2.2).
 * ERR_MORE: no blank line yet and fewer than HTTP_HEAD_MAX octets. Octets that can never become
 *   a request are refused at once, not at the limit.
 * ERR_TOO_LARGE, ERR_SYNTAX (bare CR or LF, NUL, obs-fold, a bad field name, bad or empty Host, a
 * method of more than 32 octets), ERR_VERSION (not HTTP/1.x), ERR_LENGTH (Content-Length that is
 * not a number below 2^64; Transfer-Encoding beside Content-Length or in HTTP/1.0), ERR_DUPLICATE
 * (Content-Length or Host twice), ERR_MISSING (HTTP/1.1 without Host): each is a 400, whatever the
 * method and the URI are. Browsers cause only ERR_TOO_LARGE, with a long URI or cookie.
 *
 * The answer does not depend on how the octets were cut: what is wrong first is told, and for every
 * beginning of in the answer is ERR_MORE or the answer for all of it. Not OK: *out is not to be
 * used. */
enum err http_parse_request(struct span in, struct http_request *out) MUST_CHECK;

/* False: no octets behind in can make it a request with SSTP's method and URI. */
bool http_may_be_sstp(struct span in) MUST_CHECK;

struct http_response {
    size_t len;      /* octets of the head */
    unsigned status; /* 100 .. 999 */
};

/* The backend's answer: HTTP/1.x, three digits, an empty or missing reason is fine, the fields
 * are skipped unread (PROTOCOL.md 2.1). Bare LF line ends are taken. An interim answer (1xx) is
 * an answer like any other here. ERR_MORE, ERR_TOO_LARGE as above, ERR_VERSION (not HTTP/1.x),
 * ERR_SYNTAX (no status line). */
enum err http_parse_response(struct span in, struct http_response *out) MUST_CHECK;

/* s with its escapes undone (%41 is A), at most s.n octets into out; a broken one stays as it is.
 * Returns how many. For values of the query, which are compared by what they mean. */
size_t http_unescape(struct span s, uint8_t *out);

/* The SSTP request, its fields in the order of [MS-SSTP] 4.1. host: as for the Host field (IPv6
 * in brackets, with port where wanted). tenant: goes into the query, as it is, when it is at most
 * HTTP_TENANT_MAX octets that may stand in one value there (RFC 3986 3.4, and {} for a GUID) with
 * escapes that are whole and stand for no control character, and is left out otherwise.
 * correlation: copied when it is at most HTTP_CORRELATION_MAX octets of [0-9A-Za-z{}-], left out
 * otherwise. Returns the octets written; 0 if host is empty, longer than HTTP_HOST_MAX and
 * "[]:65535", or holds anything but visible ASCII.
 */
size_t http_build_request(uint8_t out[HTTP_BUILD_MAX], struct span host, struct span tenant,
                          struct span correlation);

/* HEAD for the URI of SSTP, and the end behind its answer. host and result as above. */
size_t http_build_head(uint8_t out[HTTP_BUILD_MAX], struct span host);

/* The 200 that starts the stream ([MS-SSTP] 3.3.5.1): at most four header lines, one TLS record
 * (sstpc 1.0.18 crashes on more than seven). Never names this product. date: an IMF-fixdate
 * (RFC 9110 5.6.7), n == 0 leaves the field out; a date that does not fit makes the answer 0. */
size_t http_build_accept(uint8_t out[HTTP_BUILD_MAX], struct span date);

/* A refusal (400, 404, 503) with a small text body (left out when is_head), Connection: close.
 * Returns 0 for a status that is none (below 400 or above 599). */
size_t http_build_refusal(uint8_t out[HTTP_BUILD_MAX], unsigned status, bool is_head,
                          struct span date);

#endif
