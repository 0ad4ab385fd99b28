/* paths: where the process may write and what it may execute, by Landlock. Linux 5.13 or newer. */
#ifndef SSTPGATE_CONFINE_PATHS_H
#define SSTPGATE_CONFINE_PATHS_H

#include <stddef.h>

/* Restricts this thread, and the threads and processes that it creates, for good:
 * - it creates, writes and deletes files only in the directories of `write`, which are absolute
 * paths of files that may not exist yet, and writes to /dev/null. What is open already stays open.
 * - it executes only files in the directory of the program, and of its loader. Not the two files
 * alone: a new version that a package manager has installed is another file. Reading is not
 * restricted, because a reload may name new files; the user and the modes of the files decide.
 * Requires no_new_privs. Returns the version of Landlock; 0 with errno: the kernel has none
 * (ENOSYS), it is switched off (EOPNOTSUPP), or the restriction has failed. */
int paths_restrict(const char *const *write, size_t count);

#endif
