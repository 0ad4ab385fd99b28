/* reload: what the program serves, and how it comes to serve something else: everything new is
 * built and checked before anything old is touched, and calls that are up keep what they began
 * with. Main thread. */
#ifndef SSTPGATE_GATE_RELOAD_H
#define SSTPGATE_GATE_RELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "gate/radius_sockets.h"
#include "gate/sockets.h"

struct gate;
struct site;
struct snapshot;

/* Everything new. */
struct reload_next {
    struct snapshot *snapshot;
    struct sockets sockets;
    struct radius_sockets radius_sockets;
    struct site **site; /* one for each worker */
};

/* snapshot becomes the next's. False: every problem was told, nothing is open that was not, and the
 * snapshot is gone. */
bool reload_prepare(struct gate *gate, struct reload_next *n, struct snapshot *snapshot,
                    FILE *problems);

void reload_drop(struct gate *gate, struct reload_next *n);

/* Cannot fail. running: the workers have threads, and are told there. When this returns the new is
 * in force: who connects from now on meets it. */
void reload_commit(struct gate *gate, struct reload_next *n, bool running);

/* Certificates that end soon, files that are open to everybody. */
void reload_warn(struct gate *gate, const struct reload_next *n);

/* Reads the configuration again and takes it up, whole or not at all. cause: a literal, for the
 * log. answer: NULL, or where the problems, and what only a restart takes up, go besides the log.
 */
bool reload(struct gate *gate, const char *cause, FILE *answer);

/* Looks at the certificates' ends once an hour, with the timer of s. */
void reload_start(struct gate *gate);

/* A line for each socket whose id is first_id or above, of those for RADIUS first_radius_id. */
void reload_log_listen(const struct gate *gate, size_t first_id, size_t first_radius_id);
const char *reload_listener_name(const struct gate *gate, const struct listening_socket *sock);

#endif
