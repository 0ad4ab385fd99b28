/* file: regular files that the administrator, or an attacker on this machine, has named. libc only.
 */
#ifndef SSTPGATE_BASE_FILE_H
#define SSTPGATE_BASE_FILE_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

/* The largest file that file_copy() takes: 512 MiB. */
#define FILE_COPY_MAX ((off_t)512 << 20)

/* Opens path for reading, if it is a regular file. Never blocks, unlike open(2) on a FIFO that has
 * no writer, or read(2) on a terminal. Returns the descriptor, or -1 with the cause in *reason
 * (valid until the next call of strerror()) and in errno (ENOENT: it does not exist). */
int file_open(const char *path, const char **reason);

/* Returns true if every user of this machine may read, write or execute a file that contains
 * secrets; "path: reason\n" is written to problems then. The owner and the group may. */
bool file_exposed(const char *path, const struct stat *st, FILE *problems);

/* Reads up to cap bytes of fd, fewer at its end. Returns their number, or -1 with errno. It does
 * not use stdio, because the buffer of stdio cannot be wiped. */
ssize_t file_read(int fd, void *out, size_t cap);

/* Writes all n bytes to fd. Returns false with errno. */
bool file_write(int fd, const void *bytes, size_t n);

/* Copies a regular file, from its start, into sealed memory of this process, because the file
 * itself may be truncated or written while it is in use. Returns a descriptor at offset 0, which
 * the caller closes; fd remains open. -1 with *reason, as above, also for a file that changed
 * during the copy or is larger than FILE_COPY_MAX. */
int file_copy(int fd, const char **reason);

/* Returns whether both describe the same file with the same content. Compares device, inode, size,
 * and the times of the last change; no program can set st_ctim. */
bool file_same(const struct stat *a, const struct stat *b);

/* Creates path for writing. Unlinks a stale file of that name first; a file that is created in
 * between is an error (EEXIST). So in a directory that other users may write to, no link, FIFO or
 * open descriptor of another user gets the data. Returns the descriptor, or -1 with errno. */
int file_create(const char *path, mode_t mode);

/* Replaces the file at path, or creates it: writes a file of the same name with ".new" after it and
 * renames it, so that a reader gets, even after a loss of power, either the old content or the new
 * one. mode: as for file_create. write: writes the content to out, and returns false with errno if
 * it fails; file_replace checks out for errors and closes it. Returns false with errno; then the
 * old file remains, and the new one is removed. */
bool file_replace(const char *path, mode_t mode, bool (*write)(FILE *out, void *arg), void *arg);

/* Returns whether file_replace can create a file in the directory of path, by creating one with
 * ".test" after its name and deleting it. False with errno. */
bool file_may_replace(const char *path);

#endif
