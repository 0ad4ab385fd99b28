/* radius_service: the RADIUS proxy as a part of the program: its sockets, and its thread, started
 * by the first configuration with a [radius NAME]. Main thread. */
#ifndef SSTPGATE_GATE_RADIUS_SERVICE_H
#define SSTPGATE_GATE_RADIUS_SERVICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <uv.h>

#include "gate/radius_sockets.h"
#include "radius/radius_proxy.h"

struct radius_service {
    struct keyring *keyring;
    uv_async_t *done; /* sent when the thread ends */
    struct radius_proxy proxy;
    struct radius_sockets sockets; /* in force */
    uv_thread_t thread;
    enum { RADIUS_NONE, RADIUS_MADE, RADIUS_RUNS, RADIUS_STOPS, RADIUS_ENDED } phase;
    atomic_bool ended;
};

/* Initializes *s. keyring and done must outlive it; done need not be initialized yet. */
void radius_service_init(struct radius_service *s, struct keyring *keyring, uv_async_t *done);

/* Puts the snapshot in force, with the sockets that radius_sockets_prepare has built for it,
 * and takes ownership of them. Cannot fail. Returns when the thread, if it runs, has switched,
 * too. */
void radius_service_commit(struct radius_service *s, struct snapshot *snapshot,
                           struct radius_sockets *next);

/* Starts the thread; a no-op if it runs, or if no configuration had a [radius NAME] so far. */
void radius_service_run(struct radius_service *s);

/* Takes no new requests, because another process has the same sockets. */
void radius_service_leave(struct radius_service *s);

/* Calls each(), while the thread waits, for every socket: its id and its descriptor, which remains
 * the proxy's. */
void radius_service_sockets(struct radius_service *s, void (*each)(void *arg, size_t id, int fd),
                            void *arg);

/* Ends the thread. True: no thread is left; false: it is ending, call again when `done` is sent. */
bool radius_service_stop(struct radius_service *s);

/* Frees the members of *s. Call it after radius_service_stop has returned true, and after the end
 * of the thread of `shared`, which posts answers. */
void radius_service_fini(struct radius_service *s);

/* Logs a line for each socket whose id is first_id or above. */
void radius_service_log_listen(const struct radius_service *s, const struct config *c,
                               size_t first_id);

/* Writes the lines of the ready file. */
void radius_service_print_ready(const struct radius_service *s, const struct config *c, FILE *out);

/* Writes a line of counters for each [radius NAME]. */
void radius_service_print(const struct radius_service *s, FILE *out);

/* Calls each() with every [radius NAME], for its counters. */
void radius_service_each(const struct radius_service *s,
                         void (*each)(void *arg, const struct radius_section *section), void *arg);

#endif
