/* users_edit: changes to a users file, saved all at once or not at all. Unchanged lines, their
 * order and the comments stay as they are. Concurrent edits wait for each other. Text that was
 * read is wiped. */
#ifndef SSTPGATE_USERS_USERS_EDIT_H
#define SSTPGATE_USERS_USERS_EDIT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "base/span.h"
#include "users/users.h"

struct users_edit;

/* Reads the file path; users_edit_save() creates a missing one. Follows a symbolic link and
 * changes its target. Returns NULL with the reason in problems if users_load() would not accept
 * the file. Until users_edit_free(), other calls for a file in the same directory wait. path
 * NULL: no file; use only users_edit_text(). */
struct users_edit *users_edit_open(const char *path, FILE *problems);

/* Wipes and frees e. NULL: no-op. */
void users_edit_free(struct users_edit *e);

enum users_edited { USERS_ADDED, USERS_REPLACED, USERS_SAME, USERS_TWICE };

/* Adds the line of a user, or replaces its hash and its end. name: valid; compared exactly, but
 * without case. until: a text of until_read(); "": no end; NULL: an existing line keeps its end.
 * USERS_TWICE: an earlier call since users_edit_open() set another hash, which stays. */
enum users_edited users_edit_put(struct users_edit *e, struct span name,
                                 const uint8_t hash_hash[USERS_HASH], const char *until);

/* Removes the line of a user. Returns false if there is none. Must be the last change: no
 * users_edit_put() may follow. */
bool users_edit_delete(struct users_edit *e, struct span name);

/* Returns the text that will be saved, a secret. Valid until the next call. */
struct span users_edit_text(struct users_edit *e);

/* Replaces the file by a new one with the same owner, group and mode; without an old file, mode
 * 0600. A no-op without changes. Returns false with the reason in problems; then the old file is
 * unchanged, and no temporary file remains. */
bool users_edit_save(struct users_edit *e, FILE *problems) MUST_CHECK;

#endif
