/* log_text: the form of a value in a log line. A value of visible characters is written unchanged,
 * in UTF-8: `CORP\alice`, `jürgen`. Any other value is written in double quotes with the escapes of
 * JSON, so that readers of logfmt decode it, and a value `-` does not look like an unknown one:
 *
 *     "  \  =  and blanks     quoted; `\"` and `\\` between quotes
 *     \uNNNN                  control characters, line and paragraph separators, blanks other than
 *                             U+0020, characters without a shape or with an effect on the order of
 *                             the text (bidi), U+FFFD; above U+FFFF as two surrogates
 *     \udcNN                  a byte NN that is not UTF-8: half a surrogate, which no text has
 *
 * So no value can imitate the end of a line, of a value or of a quote, and equal lines mean equal
 * values.
 *
 * In JSON only the last escape is another one, because readers such as serde_json and PostgreSQL
 * refuse a whole text with half a surrogate:
 *
 *     \uefNN                  a byte NN that is not UTF-8, and each of the three bytes of a
 *                             character U+EF80..U+EFFF (private use), so that equal texts mean
 *                             equal values */
#ifndef SSTPGATE_BASE_LOG_TEXT_H
#define SSTPGATE_BASE_LOG_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum { LOG_TEXT_MAX = 13 }; /* one character or byte: two escapes, and snprintf's NUL */

/* Returns whether the value is written without quotes. */
bool log_text_is_plain(struct span value);

/* Removes the first character, or byte that is not UTF-8, from *value, which is not empty; writes
 * its form between quotes to out. Returns its length. */
size_t log_text_take(struct span *value, char out[LOG_TEXT_MAX]);

/* Does the same for a string of JSON. */
size_t log_text_take_json(struct span *value, char out[LOG_TEXT_MAX]);

#endif
