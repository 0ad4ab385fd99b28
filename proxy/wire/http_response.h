/* http_response: the backend's response to SSTP's request ([MS-SSTP] 4.1), read liberally. Pure: no
 * state, no allocation. */
#ifndef SSTPGATE_WIRE_HTTP_RESPONSE_H
#define SSTPGATE_WIRE_HTTP_RESPONSE_H

#include "base/err.h"
#include "base/span.h"
#include "wire/http_line.h"

struct http_response {
    size_t len;      /* octets of the head */
    unsigned status; /* 100 .. 999 */
};

/* Parses the head of a response at the start of in: HTTP/1.x and three digits; the reason may be
 * empty or missing, and the fields are skipped unread (PROTOCOL.md 2.1). Lines may end with a bare
 * LF. An interim response (1xx) is a response like any other.
 * ERR_OK: *out describes in[0 .. out->len).
 * ERR_MORE: no blank line yet and fewer than HTTP_HEAD_MAX octets; call again with more.
 * ERR_TOO_LARGE: no blank line in HTTP_HEAD_MAX octets. ERR_VERSION: not HTTP/1.x. ERR_SYNTAX: no
 * status line. The result does not depend on how the octets were cut. */
enum err http_response_parse(struct span in, struct http_response *out) MUST_CHECK;

#endif
