/* radius_service: the RADIUS proxy as a part of the program: its sockets and its thread, which
 * there is from the first configuration on that has a [radius NAME]. Main thread. */
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
    uv_async_t *done; /* sent when the thread has ended */
    struct radius_proxy proxy;
    struct radius_sockets sockets; /* in force */
    uv_thread_t thread;
    enum { RADIUS_NONE, RADIUS_MADE, RADIUS_RUNS, RADIUS_STOPS } phase;
    atomic_bool ended;
};

/* keyring and done outlive it; done need not be initialized yet. */
void radius_service_init(struct radius_service *s, struct keyring *keyring, uv_async_t *done);

/* Takes up what radius_sockets_prepare made for the snapshot's configuration, and owns it. Cannot
 * fail; when it returns the new is in force. */
void radius_service_commit(struct radius_service *s, struct snapshot *snapshot,
                           struct radius_sockets *next);

/* Starts the thread, if there is something to do and it does not run yet. */
void radius_service_run(struct radius_service *s);

/* Ends the thread. True: there is none any more; false: when `done` comes, ask again. */
bool radius_service_stop(struct radius_service *s);

/* After radius_service_stop was true. */
void radius_service_fini(struct radius_service *s);

/* A line of the log for each socket whose id is first_id or above, one of the ready file for each,
 * and what was counted. */
void radius_service_log_listen(const struct radius_service *s, const struct config *c,
                               size_t first_id);
void radius_service_print_ready(const struct radius_service *s, const struct config *c, FILE *out);
void radius_service_print(const struct radius_service *s, FILE *out);

#endif
