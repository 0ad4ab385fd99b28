/* config_read: splits a file into [section] and `key = value` lines. libinih finds the keys; lines
 * that it would silently cut, join or skip are found here first and reported.
 *
 * The format is that of inih with additional rules: blanks at the start of a line are ignored
 * (no continuation lines), a value has at most VALUE_TEXT_MAX bytes (base/value.h), a comment any
 * number, ` ;` after a value starts a comment, ` #` after a value is an error (inih would take it
 * as part of the value), no control characters and, except in comments, no hidden ones
 * (base/hidden.h) and only UTF-8, no text after [section]. */
#ifndef SSTPGATE_CONFIG_CONFIG_READ_H
#define SSTPGATE_CONFIG_CONFIG_READ_H

#include <stddef.h>
#include <stdio.h>

#include "base/span.h"

enum { CONFIG_SECTION_MAX = 49 }; /* bytes of a section's name */

struct config_events {
    void *user;
    /* name NULL: the header could not be read, and on_problem() was called. */
    void (*on_section)(void *user, unsigned line, const char *name);
    void (*on_key)(void *user, unsigned line, const char *key, const char *value);
    void (*on_problem)(void *user, unsigned line, const char *reason);
};

/* Calls back for each section, key and problem in text, in their order. The strings are valid
 * only during the callback. */
void config_read(struct span text, const struct config_events *to);

/* Returns the whole file, to be freed. NULL: "path: reason\n" was written to problems. */
char *config_read_file(const char *path, size_t *len, FILE *problems);

#endif
