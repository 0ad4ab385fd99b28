/* spawn: starts a program that is no child of this process: it outlives it, and is a child of the
 * process that collects orphans, as a service manager wants its main processes to be. libc only. */
#ifndef SSTPGATE_GATE_SPAWN_H
#define SSTPGATE_GATE_SPAWN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct spawn_fd {
    int fd;
    const char *name; /* without colon */
};

struct spawn {
    const char *program;         /* path */
    char *const *argv;           /* ends with NULL */
    const struct spawn_fd *pass; /* passed as sd_listen_fds(3) describes it */
    size_t count;
    int errors; /* standard error of the program; -1: that of this process */
};

/* Starts the program with the environment of this process, without WATCHDOG_PID, and with its
 * default signals. Returns its process id; -1 with errno: nothing was started. If the program
 * cannot be executed, the new process writes why to `errors` and ends. */
pid_t spawn(const struct spawn *s);

/* Starts a process, no child of this one either, that does nothing and ends when *end is closed.
 * Returns its process id; -1 with errno. */
pid_t spawn_idle(int *end);

#endif
