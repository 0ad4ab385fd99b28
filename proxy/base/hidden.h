/* hidden: characters that a reader of a text cannot see: spaces other than the blank, marks of the
 * writing direction, zero-width and format characters, fillers. A word that contains one looks like
 * another word, so a rule or a name with it would silently mean something else. */
#ifndef SSTPGATE_BASE_HIDDEN_H
#define SSTPGATE_BASE_HIDDEN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum { HIDDEN_NAME_SIZE = 64 };

struct hidden {
    size_t at;                   /* its first byte */
    char name[HIDDEN_NAME_SIZE]; /* for messages: "U+200E LEFT-TO-RIGHT MARK" */
};

/* Finds the first hidden character of a text in UTF-8. Bytes that are not UTF-8 are visible, but
 * for A0 between ASCII characters, which is the no-break space of Windows-1252. The control
 * characters of ASCII are not hidden. Returns false if there is none. */
bool hidden_find(struct span text, struct hidden *out);

/* Finds a hidden character that begins or ends the text. For secrets, which may have one inside. */
bool hidden_find_at_ends(struct span text, struct hidden *out);

#endif
