/* uri: distinguishes a URI (RFC 3986) from the path of a file, where a key may have either. */
#ifndef SSTPGATE_BASE_URI_H
#define SSTPGATE_BASE_URI_H

#include <stdbool.h>
#include <stddef.h>

/* Returns the length of the scheme before the first ':'. 0: text is a path, because it has no
 * scheme, or only one letter before the ':' (a drive of Windows). A file whose name looks like a
 * scheme is written ./NAME. */
size_t uri_scheme(const char *text);

/* Returns whether the scheme is this one; letters of both cases are equal. */
bool uri_has_scheme(const char *text, const char *scheme);

/* Returns whether a URI of a PKCS#11 object (RFC 7512) has this attribute, in its path or in its
 * query. */
bool uri_has_attribute(const char *text, const char *name);

/* Returns the path in a URI file:PATH, file://PATH or file://localhost/PATH; NULL: it names another
 * host, or text is no such URI. Percent signs have no meaning, as in OpenSSL. */
const char *uri_file(const char *text);

#endif
