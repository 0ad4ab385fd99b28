/* http_uri: the URI of SSTP ([MS-SSTP] 3.2.4.1) and the tenant in its query. Slices point into the
 * caller's bytes. Pure: no state, no allocation. */
#ifndef SSTPGATE_WIRE_HTTP_URI_H
#define SSTPGATE_WIRE_HTTP_URI_H

#include "base/err.h"
#include "base/span.h"

#define HTTP_SSTP_METHOD "SSTP_DUPLEX_POST"
#define HTTP_SSTP_PATH "/sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/"
#define HTTP_SSTP_LENGTH "18446744073709551615" /* the Content-Length of both sides: 2^64 - 1 */

enum {
    HTTP_HOST_MAX = 255,   /* bytes of a host name that is sent to a backend */
    HTTP_TENANT_MAX = 255, /* bytes of a tenant that is sent to a backend */
};

/* Cuts s at the first `mark` and returns the part before it. *after: the part behind it; empty if
 * s has no mark. */
struct span http_split(struct span s, char mark, struct span *after);

/* Returns the byte that the escape at s.p[i] encodes; -1: s has no whole escape there. */
int http_escaped(struct span s, size_t i);

/* Writes s without its escapes (%41 is A), at most s.n bytes, to out; a broken escape remains
 * unchanged. Returns the number of bytes written. For values of the query, because rules compare
 * their decoded form. */
size_t http_unescape(struct span s, uint8_t *out);

/* Compares path, which has no query, with HTTP_SSTP_PATH. Any byte but the first slash may be
 * percent-encoded (origin-form), and letters match in any case, as in servers (PROTOCOL.md 1.3).
 * ERR_MORE: path is a beginning of it. ERR_SYNTAX: another path; one with a broken escape is
 * another path and not an error, because browsers send the `%` of a link as it is. */
enum err http_path_match(struct span path) MUST_CHECK;

/* Returns the value of the first tenantid= of a query, as it was sent; empty if there is none. */
struct span http_tenant_find(struct span query);

/* Returns whether a tenant can be sent to a backend as it is. It has at most HTTP_TENANT_MAX
 * bytes; as the value of a query it ends neither the variable nor the target (RFC 3986 3.4, and
 * {} for a GUID); and each escape has two digits and encodes no control character, because a
 * server that ends a value at a NUL, or repairs a broken escape, would read another tenant than the
 * rules. */
bool http_tenant_is_plain(struct span tenant);

#endif
