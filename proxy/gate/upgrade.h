/* upgrade: replaces the process by a new one, and no connection is refused meanwhile. The old
 * process starts the file at the path of its own program, with the same arguments and environment,
 * and passes its sockets on (gate/inherited.h). It passes the descriptors themselves, because the
 * kernel resets the connections in the queue of a socket when its last descriptor is closed. When
 * the new process accepts calls, the old one stops accepting them, and ends with its last call. If
 * the new process ends before it accepts calls, nothing has changed.
 *
 * Names of the descriptors besides sockets: sstpgate-state, a file with the text of
 * gate/state_text.h; sstpgate-channel, a socket between the two processes; sstpgate-stderr. The old
 * one reads what the new one writes to its standard error until it serves. Lines on the channel:
 *
 *     new to old   ready PID     it accepts
 *                  stop          end all calls
 *                  reopen        reopen the log
 *     old to new   state         the old one accepts no more, and the state file is up to date
 *                  tunnels N     calls that are left, also in processes before the old one
 *
 * The course of a restart by systemd (upgrade_leave) is the same, but systemd starts the new
 * process, and keeps the descriptors meanwhile (FDSTORE of sd_notify(3)).
 *
 * A confined process needs for an upgrade: fork (clone), execve of its own program, pipe2,
 * socketpair, memfd_create, wait4, dup2, kill of its own user's processes, close_range. The new
 * process inherits its user, capabilities, no_new_privs, seccomp filter and Landlock domain: it
 * must not fail because they are in force already. It adds its own layers to them, up to a bound
 * (confine/paths.h, confine/syscalls.h). Main thread. */
#ifndef SSTPGATE_GATE_UPGRADE_H
#define SSTPGATE_GATE_UPGRADE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct gate;
struct snapshot;
struct upgrade;

/* The time after which a new process that does not accept is killed. */
enum { UPGRADE_MS = 60000 };

/* Takes what an old process has left. argv: those of this process; must outlive the result. */
struct upgrade *upgrade_new(char *const *argv);
void upgrade_free(struct upgrade *u);

/* Returns the stream for problems of the start: the old process logs them. */
FILE *upgrade_problems(struct upgrade *u);

/* Describes the sockets of the old process (gate/inherited.h). Returns the first number of a call.
 */
uint64_t upgrade_describe(struct upgrade *u);

/* Restores the state of the old process. */
void upgrade_restore(struct gate *gate, const struct snapshot *snapshot);

/* Begins and ends the part that needs the loop. */
void upgrade_open(struct gate *gate);
void upgrade_close(struct gate *gate);

/* Reports that all workers accept. */
void upgrade_ready(struct gate *gate);

/* Reports that this process fails: the old one continues, and keeps the bans. */
void upgrade_abandon(struct gate *gate);

/* Starts the new process. A failure is logged. */
void upgrade_start(struct gate *gate);

/* Leaves the sockets to systemd, which then starts the new process. For RestartKillSignal=. */
void upgrade_leave(struct gate *gate);

/* Ends the calls of the old process and gives up a new one that does not serve yet. */
void upgrade_stop(struct gate *gate);

/* Gives up a new process that does not serve yet, because this one drains. */
void upgrade_cancel(struct gate *gate);

/* Makes the old process reopen its log. */
void upgrade_reopen(struct gate *gate);

/* Returns whether an old process still has calls: this one waits for its end, because a service
 * manager, or a container, may end with its main process. worker_done of the gate is sent when
 * the result changes. */
bool upgrade_waits(const struct gate *gate);

#endif
