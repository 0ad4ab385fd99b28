/* http_response: the backend's response to SSTP's request ([MS-SSTP] 4.1), read liberally. Pure: no
 * state, no allocation. */
#ifndef SSTPGATE_WIRE_HTTP_RESPONSE_H
#define SSTPGATE_WIRE_HTTP_RESPONSE_H

#include "base/err.h"
#include "base/span.h"
#include "wire/http_line.h"

enum {
    HTTP_INTERIM_MAX = 8, /* interim responses before the final one */
    /* bytes of all of them with the final head: room for a few 103 with their links */
    HTTP_HEADS_MAX = 2 * HTTP_HEAD_MAX,
};

struct http_response {
    size_t len;      /* bytes of the head, and of the interim responses before it */
    unsigned status; /* 101, or 200 .. 999 */
};

/* Parses the head of a response at the start of in: HTTP/1.x and three digits; the reason may be
 * empty or missing, and the fields are skipped unread (PROTOCOL.md 2.1). Lines may end with a bare
 * LF. Interim responses before it are skipped, as each client must (RFC 9110 15.2): 1xx, but not
 * 101, which is the last response in HTTP.
 * ERR_OK: *out describes in[0 .. out->len).
 * ERR_MORE: no final head yet and fewer than HTTP_HEADS_MAX bytes; call again with more.
 * ERR_TOO_LARGE: no blank line in HTTP_HEAD_MAX bytes, or more interim responses than the bounds
 * above. ERR_VERSION: not HTTP/1.x. ERR_SYNTAX: no
 * status line. The result does not depend on how the bytes were cut. */
enum err http_response_parse(struct span in, struct http_response *out) MUST_CHECK;

/* Returns the value of the last field with this name, in any case, in heads that
 * http_response_parse has accepted, without blanks at its ends; empty: there is no such field. */
struct span http_response_field(struct span heads, const char *name);

#endif
