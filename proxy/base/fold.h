/* fold: letter case of user names, as servers ignore it: simple case folding of Unicode, for text
 * in UTF-8. A byte that is not part of a character remains unchanged, so a name in another encoding
 * folds its ASCII letters only. Accents, width and composed forms (é as one character or two)
 * differ. */
#ifndef SSTPGATE_BASE_FOLD_H
#define SSTPGATE_BASE_FOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

/* Room for n folded bytes: of all characters, U+023A grows most, from two bytes to three. */
#define FOLD_ROOM(n) ((n) + (n) / 2)

/* Returns the character at the start of text, whose length is *len; a byte that begins no character
 * is -1, with length 1. text is not empty. */
int32_t fold_decode(struct span text, size_t *len);

/* Writes text in its folded form, at most FOLD_ROOM(text.n) bytes. Returns their number. */
size_t fold_case(struct span text, uint8_t *out);

/* Returns whether the folded forms are equal. */
bool fold_equal(struct span a, struct span b);

#endif
