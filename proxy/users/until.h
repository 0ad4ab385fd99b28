/* until: the end of a line of a users file, as text: a date, whose whole day still counts, or a
 * date with a time of day. Both are UTC. */
#ifndef SSTPGATE_USERS_UNTIL_H
#define SSTPGATE_USERS_UNTIL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

#define UNTIL_NEVER INT64_MAX

enum { UNTIL_TEXT_MAX = 32 };

/* Reads YYYY-MM-DD, YYYY-MM-DDTHH:MMZ or YYYY-MM-DDTHH:MM:SSZ, years 1970 to 9999. *out: the first
 * second that no longer counts, in seconds since 1970. Returns false for any other text. */
bool until_read(struct span text, int64_t *out);

/* Writes a time of until_read in the form YYYY-MM-DDTHH:MM:SSZ. Returns text. */
const char *until_print(int64_t until, char text[UNTIL_TEXT_MAX]);

#endif
