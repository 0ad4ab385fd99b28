/* containment: what the gate gives up once it has opened everything, by the keys user, group and
 * sandbox (confine/confine.h). Main thread. */
#ifndef SSTPGATE_GATE_CONTAINMENT_H
#define SSTPGATE_GATE_CONTAINMENT_H

#include <stdbool.h>
#include <stdio.h>

#include "confine/confine.h"

struct config;
struct files;

struct containment {
    struct confine confine;
    char text[544];   /* what is in force and what is missing, for `ctl status` */
    char **directory; /* where new files may be written; NULL-terminated */
};

/* Confines the process. Call it when all sockets and files are open and before other threads exist.
 * ready_file: a file that the start writes later; NULL: none. Returns false with the reason in
 * problems ("file:line: ...\n"). */
bool containment_enter(struct containment *c, const struct config *config, const char *ready_file,
                       FILE *problems);

/* Logs which layers are in force, and which are missing. */
void containment_log(const struct containment *c, const struct config *config);

/* Logs system calls that the filter has refused since the last time. */
void containment_log_refused(void);

/* Checks that the new configuration writes only where the process may write. Returns false with the
 * reasons in problems. */
bool containment_check(const struct containment *c, const struct config *config, FILE *problems);

/* For `-t`: becomes the user of the configuration, as a start would. Returns false with the reason
 * in problems. */
bool containment_try_user(const struct config *config, FILE *problems);

/* Writes a warning for each file and directory that a reload, or the running gate, would need, and
 * that the user of the process may not use. No-op without the key user. */
void containment_check_access(const struct config *config, const struct files *files, FILE *to);

/* Frees the directories. */
void containment_fini(struct containment *c);

#endif
