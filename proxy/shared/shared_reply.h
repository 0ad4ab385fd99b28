/* shared_reply: the answers of a store (RESP), from bytes to values, with bounds on what a hostile
 * store can make this process keep; and the bytes of a command. hiredis does the work. A build
 * without hiredis refuses all answers, and its configuration has no `shared`. */
#ifndef SSTPGATE_SHARED_SHARED_REPLY_H
#define SSTPGATE_SHARED_SHARED_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

/* One answer: 64 gates with their names, or 256 bans, are well below both bounds. */
enum { SHARED_REPLY_BYTES = 1024 * 1024, SHARED_REPLY_ITEMS = 4096, SHARED_REPLY_WHY = 160 };

struct shared_replies;
struct shared_reply;

/* Returns whether this build has hiredis. */
bool shared_supported(void);

struct shared_replies *shared_replies_new(void);
void shared_replies_free(struct shared_replies *r); /* NULL: no-op */

/* Appends bytes of the store. */
void shared_replies_feed(struct shared_replies *r, struct span bytes);

/* Takes the next answer out of the bytes. ERR_OK: the caller frees *out. ERR_MORE: more bytes are
 * needed. ERR_SYNTAX, ERR_TOO_LARGE: for good; shared_replies_why() has the text, which shows the
 * first line of a server that has given no valid answer. */
enum err shared_replies_next(struct shared_replies *r, struct shared_reply **out) MUST_CHECK;
const char *shared_replies_why(const struct shared_replies *r);

/* Returns whether the server has sent a byte. */
bool shared_replies_begun(const struct shared_replies *r);

void shared_reply_free(struct shared_reply *a); /* NULL: no-op */

/* Return the value; of another kind, and for NULL: an empty text, `otherwise`, or NULL. A text ends
 * with a NUL that n does not count. */
struct span shared_reply_text(const struct shared_reply *a);
struct span shared_reply_error(const struct shared_reply *a); /* n 0: the answer is no error */
int64_t shared_reply_number(const struct shared_reply *a, int64_t otherwise);
size_t shared_reply_count(const struct shared_reply *a); /* of an array */
const struct shared_reply *shared_reply_item(const struct shared_reply *a, size_t i);

/* Builds a command. The caller frees the bytes with free(). */
struct span shared_command(int argc, const char **argv, const size_t *len);

#endif
