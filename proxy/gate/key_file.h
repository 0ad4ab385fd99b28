/* key_file: the file of `key-log`, from the configuration to tls/key_log.h. Main thread. */
#ifndef SSTPGATE_GATE_KEY_FILE_H
#define SSTPGATE_GATE_KEY_FILE_H

#include <stdbool.h>
#include <stdio.h>

struct config;

/* Opens the file of the configuration. Returns false after a problem, which is written to problems
 * as "file:line: reason\n". *fd: the caller's; -1: there is none. */
bool key_file_prepare(const struct config *c, int *fd, FILE *problems);

/* Replaces the file in use by that of the configuration. Takes ownership of fd; cannot fail. */
void key_file_commit(const struct config *c, int fd);

/* Opens the file again, for log rotation; logs a failure. */
void key_file_reopen(void);

/* Reports in the same way, for -t, whether an existing file may be used. Creates nothing, and
 * accepts any owner, because another user may run the gate. */
bool key_file_check(const struct config *c, FILE *problems);

#endif
