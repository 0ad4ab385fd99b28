/* key_log: the file that gets the secrets of all TLS connections, in the format of SSLKEYLOGFILE,
 * which Wireshark reads. The process has one at most. A user who can read the file can decrypt the
 * connections, so only its owner may have access to it. */
#ifndef SSTPGATE_TLS_KEY_LOG_H
#define SSTPGATE_TLS_KEY_LOG_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/* Returns why a file may not be a key log; NULL: it may. owner: a user that may own the file,
 * besides root and the user of the process. */
const char *key_log_flaw(const struct stat *st, uid_t owner);

/* Opens path for appending, or creates it with mode 0600. Returns the descriptor, or -1 with the
 * cause in *reason (valid until the next call of strerror()); in that case it closes the file
 * in use if other users may access that file now. owner: as above. Main thread. */
int key_log_open(const char *path, uid_t owner, const char **reason);

/* Replaces the file by one that key_log_open has returned; -1: none. Takes ownership of fd, and
 * copies path. Main thread; others may write meanwhile. */
void key_log_use(int fd, const char *path, uid_t owner);

/* Opens the path again, for log rotation; a no-op without a file. Returns false with *reason; then
 * the old file remains in use, unless key_log_open has closed it. Main thread; others may write
 * meanwhile. */
bool key_log_reopen(const char **reason);

/* Appends a line with one write; a no-op without a file. The first failure after an opening is
 * logged. Any thread; arg is ignored. */
void key_log_write(void *arg, const char *line);

#endif
