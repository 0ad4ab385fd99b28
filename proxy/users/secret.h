/* secret: a file whose first line is a secret shared with somebody. Immutable once read; wiped when
 * it is freed, and never in a message. */
#ifndef SSTPGATE_USERS_SECRET_H
#define SSTPGATE_USERS_SECRET_H

#include <stdio.h>

#include "base/span.h"

enum { SECRET_MAX = 1024 }; /* octets */

struct secret {
    size_t n;
    uint8_t octets[SECRET_MAX + 1]; /* one more shows a line that is too long */
};

/* The first line without its end, any octets. A file that is open to everybody, is no regular file,
 * or begins with an empty line or one longer than SECRET_MAX is refused: NULL, and "path: reason\n"
 * in problems. */
struct secret *secret_load(const char *path, FILE *problems);

void secret_free(struct secret *s); /* NULL is fine */

struct span secret_span(const struct secret *s);

#endif
