/* reload: replaces the configuration that the gate serves: everything new is built and checked
 * before anything old is touched, then committed in steps that cannot fail. Running calls keep
 * the configuration that they started with. Main thread. */
#ifndef SSTPGATE_GATE_RELOAD_H
#define SSTPGATE_GATE_RELOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "gate/radius_sockets.h"
#include "gate/sockets.h"

struct config_gate;
struct gate;
struct site;
struct snapshot;

/* Everything that the next configuration needs. */
struct reload_next {
    struct snapshot *snapshot;
    struct sockets sockets;
    struct radius_sockets radius_sockets;
    struct site **site; /* one for each worker, and one for the main thread */
};

/* Builds *n, which takes a counted reference to the snapshot. False: every problem has been written
 * to problems, nothing new is open, and *n needs no reload_drop. */
bool reload_prepare(struct gate *gate, struct reload_next *n, struct snapshot *snapshot,
                    FILE *problems);

/* Frees what reload_prepare has built, instead of reload_commit. */
void reload_drop(struct gate *gate, struct reload_next *n);

/* Puts *n in force and takes ownership of it; cannot fail. running: the workers have threads, which
 * do their part there. When this returns, the new configuration applies to every new connection. */
void reload_commit(struct gate *gate, struct reload_next *n, bool running);

/* Logs warnings: likely mistakes, files that every user may read, certificates that expire soon,
 * a ban file that cannot be written. */
void reload_warn(struct gate *gate, const struct reload_next *n);

/* Reads the configuration and puts it in force, completely or not at all. cause: a literal, for the
 * log. answer: receives the problems, and the settings that only a restart changes, in addition to
 * the log; NULL: log only. Returns whether it is in force. */
bool reload(struct gate *gate, const char *cause, FILE *answer);

/* Reads the files that have changed and puts them in force; each that cannot be used keeps its old
 * content. The configuration file is not read, and running calls, limits and bans stay as they
 * are. */
void reload_files(struct gate *gate);

/* Starts the timer that checks the expiry of certificates, staples and lines of users files. */
void reload_start(struct gate *gate);

/* Logs a line for each listening socket whose id is first_id or above, and for each RADIUS socket
 * whose id is first_radius_id or above. */
void reload_log_listen(const struct gate *gate, size_t first_id, size_t first_radius_id);
const char *reload_listener_name(const struct gate *gate, const struct listening_socket *sock);

/* Writes a line for each changed setting that needs a restart. Pure. */
void reload_list_fixed(const struct config_gate *was, const struct config_gate *is, FILE *to);

#endif
