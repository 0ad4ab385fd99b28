/* file: opening what somebody else has named. libc only. */
#ifndef SSTPGATE_BASE_FILE_H
#define SSTPGATE_BASE_FILE_H

/* Opens path to be read, if it is a regular file: never waits, as opening a FIFO does for its
 * writer and reading a terminal for somebody who types. Returns the descriptor; or -1, why in
 * *reason, good until the next call of strerror(), and in errno (ENOENT: it is not there). */
int file_open(const char *path, const char **reason);

#endif
