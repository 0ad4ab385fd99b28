/* secret: a file whose first line is a shared secret. Immutable once read, wiped when freed,
 * never part of a message. */
#ifndef SSTPGATE_USERS_SECRET_H
#define SSTPGATE_USERS_SECRET_H

#include <stdio.h>

#include "base/span.h"

enum { SECRET_MAX = 1024 }; /* bytes */

struct secret {
    size_t n;
    uint8_t bytes[SECRET_MAX + 8]; /* a byte order mark, CR LF and more, so that a line that is
                                      too long is detected */
};

/* Reads the first line without its end; it may contain any bytes. Returns NULL with "path:
 * reason\n" in problems if the file is accessible to other users, is not a regular file, is UTF-16,
 * or begins with a line that is empty, longer than SECRET_MAX, or has a hidden character
 * (base/hidden.h) at an end. */
struct secret *secret_load(const char *path, FILE *problems);

/* Wipes and frees s. NULL: no-op. */
void secret_free(struct secret *s);

struct span secret_span(const struct secret *s);

#endif
