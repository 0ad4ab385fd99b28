/* import_accel: a line of accel-ppp's file of secrets (PROTOCOL.md 5.7). For import.c. */
#ifndef SSTPGATE_USERS_IMPORT_ACCEL_H
#define SSTPGATE_USERS_IMPORT_ACCEL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum { IMPORT_ACCEL_MAX = 4094 }; /* bytes of a line: of a longer one, the rest is another line */

/* Client, server and secret of a line; a secret, which the caller wipes. */
struct import_accel {
    struct span client, secret; /* in bytes */
    size_t words;               /* of the first four; accel-ppp ignores a line with fewer */
    bool open;                  /* a quote is not closed */
    uint8_t bytes[IMPORT_ACCEL_MAX];
};

/* Reads a line without its end, as accel-ppp does: words between blanks; a word that begins with
 * '"' or '\'' ends with it, and a '\' in it takes the next byte as it is; everything else means
 * itself,
 * '#' in the middle of a line, too. A line that begins with a blank has an empty client. ended: a
 * newline follows the line, which counts as a fourth word behind a blank or a quote. line: at most
 * IMPORT_ACCEL_MAX bytes, without a NUL. */
void import_accel_read(struct span line, bool ended, struct import_accel *out);

#endif
