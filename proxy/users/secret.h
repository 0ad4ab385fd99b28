/* secret: a file whose first line is a shared secret. Immutable once read, wiped when freed,
 * never part of a message. */
#ifndef SSTPGATE_USERS_SECRET_H
#define SSTPGATE_USERS_SECRET_H

#include <stdio.h>

#include "base/span.h"

enum { SECRET_MAX = 1024 }; /* bytes */

struct secret {
    size_t n;
    uint8_t bytes[SECRET_MAX + 1]; /* one more, to detect a line that is too long */
};

/* Reads the first line without its end; it may contain any bytes. Returns NULL with "path:
 * reason\n" in problems if the file is accessible to other users, is not a regular file, or
 * begins with a line that is empty or longer than SECRET_MAX. */
struct secret *secret_load(const char *path, FILE *problems);

/* Wipes and frees s. NULL: no-op. */
void secret_free(struct secret *s);

struct span secret_span(const struct secret *s);

#endif
