/* users_edit: changes to a users file, which all reach the disk together or not at all. Lines that
 * do not change, their order and their comments stay as they are. One who edits a file waits for
 * the other. What was read is wiped. */
#ifndef SSTPGATE_USERS_USERS_EDIT_H
#define SSTPGATE_USERS_USERS_EDIT_H

#include <stdbool.h>
#include <stdio.h>

#include "base/err.h"
#include "base/span.h"
#include "users/users.h"

struct users_edit;

/* Reads the file; one that is not there is made by users_edit_save. A symbolic link is followed:
 * what it points to is changed. Of a file that users_load would not take, nothing is changed: NULL,
 * and in problems why. From here to users_edit_free no other users_edit of a file in the same
 * folder opens. path NULL: there is no file, and users_edit_text is all that is made. */
struct users_edit *users_edit_open(const char *path, FILE *problems);
void users_edit_free(struct users_edit *e);

enum users_edited { USERS_ADDED, USERS_REPLACED, USERS_SAME, USERS_TWICE };

/* The line of this very name (letter case does not count), new or with another hash. USERS_TWICE:
 * it was put since the file was read, with another hash, which stays. name: valid. */
enum users_edited users_edit_put(struct users_edit *e, struct span name,
                                 const uint8_t hash_hash[USERS_HASH]);

/* False: there is no such line. The last change: nothing can be put after it. */
bool users_edit_delete(struct users_edit *e, struct span name);

/* The file as it will be, until the next call. A secret. */
struct span users_edit_text(const struct users_edit *e);

/* To the disk, whole: another file of the same owner, group and mode takes the place of this one. A
 * new one has mode 0600. Nothing is written when nothing has changed. False: why not is in
 * problems, the file is as it was, and nothing is left beside it. */
bool users_edit_save(struct users_edit *e, FILE *problems) MUST_CHECK;

#endif
