/* status_service: the status listener (status/status.h) as a part of the program: its sockets, the
 * settings in force, and its place in the loop of the main thread, which answers. Main thread. */
#ifndef SSTPGATE_GATE_STATUS_SERVICE_H
#define SSTPGATE_GATE_STATUS_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <uv.h>

#include "base/addr.h"
#include "net/pulse.h"

struct config;
struct snapshot;
struct status;
struct status_ops;

struct status_socket {
    int fd;
    struct addr want, bound; /* of TCP: as configured, and with its port */
    bool held;               /* the service manager has it, too: the file stays */
    char *path;              /* of a Unix socket; NULL: TCP */
    dev_t device;            /* with inode: identifies the socket file; 0: not of this process */
    ino_t inode;
};

/* All zeros: the configuration has no `status`. */
struct status_service {
    struct status_socket *socket;
    size_t count;
    struct status *status; /* NULL: not started */
    uv_async_t question;
    uv_timer_t beat;
    struct pulse pulse;        /* of the main thread, for the listener's */
    _Atomic uint32_t ban_time; /* ms */
};

/* Binds the sockets that c names, or takes inherited ones (gate/inherited.h); they stay until
 * status_service_fini, because a reload does not change them. Returns false after writing to
 * problems what could not be bound; then none is open. */
bool status_service_bind(struct status_service *s, const struct config *c, FILE *problems);

/* Makes the files of inherited Unix sockets those of this process: status_service_fini removes
 * them. Before, they are those of the process that this one is to replace, and which continues if
 * this one fails. */
void status_service_own_files(struct status_service *s);

/* Adds the listener to the loop, and starts its thread. ops and arg: as for status_new; the service
 * calls status_serve. A no-op without sockets. */
void status_service_start(struct status_service *s, uv_loop_t *loop, const struct status_ops *ops,
                          void *arg, const struct snapshot *snapshot);

/* Arranges that a question is answered in the loop: for status_ops. Any thread. */
void status_service_wake(struct status_service *s);

/* Puts the snapshot in force. A no-op before status_service_start. */
void status_service_configure(struct status_service *s, const struct snapshot *snapshot);

/* Ends the thread, and removes the listener from the loop. */
void status_service_stop(struct status_service *s);

/* Does the same as status_service_stop, and closes the sockets, but leaves the files of Unix
 * sockets, because another process has the same sockets. */
void status_service_leave(struct status_service *s);

/* Closes the sockets, and removes the files of Unix sockets that are still theirs. */
void status_service_fini(struct status_service *s);

/* Logs a line for each socket. */
void status_service_log_listen(const struct status_service *s);

/* Writes the lines of the ready file. */
void status_service_print_ready(const struct status_service *s, FILE *out);

#endif
