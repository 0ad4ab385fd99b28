/* setup_files: writes a group of new files, all or none. No file is overwritten, and no symbolic
 * link is followed: `sstpgate setup` runs as root, and another user may write to a directory on
 * the way. libc only. */
#ifndef SSTPGATE_CLI_SETUP_FILES_H
#define SSTPGATE_CLI_SETUP_FILES_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/span.h"

enum { SETUP_FILES_MAX = 5 };

struct setup_file {
    char *path, *text;
    size_t n;
    mode_t mode;
    int directory; /* -1: not opened yet */
    bool written;  /* by setup_files_write() */
};

struct setup_files {
    gid_t group; /* of the new files and the new directory; (gid_t)-1: that of the process */
    struct setup_file file[SETUP_FILES_MAX];
    size_t count;
    char *made; /* the directory that was created; NULL: none */
};

/* Adds a file. path: absolute. Copies the arguments. */
void setup_files_add(struct setup_files *s, const char *path, struct span text, mode_t mode);

/* Returns whether path does not exist, not even as a symbolic link; otherwise writes the remedy to
 * problems. */
bool setup_files_absent(const char *path, FILE *problems);

/* Creates the files, and the directory of a file if only this is missing. Each directory of a path
 * must belong to root or to the user of the process, must not be a symbolic link, and must not be
 * writable by other users, unless it is sticky and not the directory of the file. Returns false
 * with the reason in problems; then nothing was created. */
bool setup_files_write(struct setup_files *s, FILE *problems);

/* Deletes what setup_files_write() has created. */
void setup_files_undo(struct setup_files *s);

/* Wipes and frees the texts; the files remain. */
void setup_files_fini(struct setup_files *s);

#endif
