/* paths: where the process may write and what it may execute, by Landlock. Linux 5.13 or newer. */
#ifndef SSTPGATE_CONFINE_PATHS_H
#define SSTPGATE_CONFINE_PATHS_H

#include <stddef.h>

/* Restricts this thread, and the threads and processes that it creates, for good:
 * - They create, write and delete files only in the directories of the files `write`, and write to
 *   /dev/null and to a TPM, which the provider of a new process opens after an upgrade: the modes
 *   of the device decide whether the user may. write: absolute paths; a file need not exist yet.
 *   Open descriptors are not affected.
 * - They execute only files in the directory of the program, and in that of its loader. The
 *   directories count, not the two files, because a new version of the program is another file.
 * Each upgrade adds a layer, up to the 16 that the kernel permits; the layers of earlier processes
 * stay in force. Reading is not restricted, because a reload may name new files; the user and the
 * modes of the files decide. Requires no_new_privs. Returns the version of Landlock; 0 with errno:
 * the kernel has none (ENOSYS), it is switched off (EOPNOTSUPP), or the restriction has failed. */
int paths_restrict(const char *const *write, size_t count);

#endif
