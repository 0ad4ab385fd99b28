/* config_read: takes a file of [section] and `key = value` lines apart. libinih does the splitting;
 * what it would cut, join or skip without a word is found here first and reported with its line.
 *
 * The format is inih's with these rules on top: blanks at the start of a line mean nothing (no
 * continuation lines), a line holds at most 198 bytes (comment lines may be longer), ` ;` behind a
 * value starts a comment, ` #` there is an error (inih would take it as part of the value), no
 * control characters, no text behind [section]. */
#ifndef SSTPGATE_CONFIG_CONFIG_READ_H
#define SSTPGATE_CONFIG_CONFIG_READ_H

#include <stddef.h>
#include <stdio.h>

#include "base/span.h"

/* The longest line in bytes that every libinih reads. A value of VALUE_TEXT_MAX (base/value.h)
 * fits behind any key that takes a path, a name or a list. */
enum { CONFIG_LINE_MAX = 198 };

struct config_events {
    void *user;
    /* name is NULL where the header could not be read; that was reported already. */
    void (*on_section)(void *user, unsigned line, const char *name);
    void (*on_key)(void *user, unsigned line, const char *key, const char *value);
    void (*on_problem)(void *user, unsigned line, const char *reason);
};

/* Calls back for everything in text, in the order it stands there. Strings handed out are valid
 * during the callback only. */
void config_read(struct span text, const struct config_events *to);

/* The whole file, to be freed by the caller; NULL with "path: reason\n" written to problems. */
char *config_read_file(const char *path, size_t *len, FILE *problems);

#endif
