/* json: writes one JSON text (RFC 8259) to a FILE. It is valid whatever the bytes of a value are,
 * also for readers that refuse half surrogates (RFC 7493): log_text.h documents the escape of bytes
 * that are not UTF-8. The text has no blanks and no line ends, so that it may be a line of a
 * stream. A sequence of calls that is not JSON (a value without its key, an end without its begin)
 * is an error of this program and ends it. The FILE's errors are the caller's. */
#ifndef SSTPGATE_BASE_JSON_H
#define SSTPGATE_BASE_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/span.h"

enum { JSON_DEPTH_MAX = 32 }; /* nested objects and arrays: bits of `objects` */

struct json {
    FILE *out;
    uint32_t objects; /* bit N: the container at depth N + 1 is an object */
    unsigned depth;
    bool begun; /* the current container has a value */
    bool keyed; /* the next value belongs to the key that was written last */
};

/* Returns a writer of one value. out remains the caller's. */
struct json json_to(FILE *out);

/* Returns whether the value is complete. */
bool json_is_complete(const struct json *j);

void json_object_begin(struct json *j);
void json_object_end(struct json *j);
void json_array_begin(struct json *j);
void json_array_end(struct json *j);

/* Writes the key of the next value, in an object. */
void json_key(struct json *j, const char *key);

void json_str(struct json *j, const char *value); /* NULL: null */
void json_span(struct json *j, struct span value);
void json_u64(struct json *j, uint64_t value);
void json_i64(struct json *j, int64_t value);
void json_double(struct json *j, double value); /* NaN or infinite: null */
void json_bool(struct json *j, bool value);
void json_null(struct json *j);

#endif
