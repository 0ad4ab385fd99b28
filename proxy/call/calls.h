/* calls: all calls of one worker: the doors where they come in, deadlines, max-tunnels, the end.
 * Worker's thread only. */
#ifndef SSTPGATE_CALL_CALLS_H
#define SSTPGATE_CALL_CALLS_H

#include <stddef.h>
#include <stdint.h>

#include "call/call.h"

struct calls_door;
struct probes;
struct worker;

struct calls {
    struct call_set set;
    uint64_t trim_after; /* ms, worker_now: earliest next return of memory */
    enum { CALLS_OPEN, CALLS_DRAINING, CALLS_STOPPING } phase;
    struct calls_door *doors;
    struct probes *probes; /* NULL: another worker does the health checks */
};

/* shared must outlive it. Nothing is accepted before calls_switch. */
void calls_init(struct calls *calls, struct worker *w, struct calls_shared *shared);
void calls_fini(struct calls *calls); /* no call may be left */

/* A listening address, for calls_switch. */
struct calls_place {
    size_t socket;   /* the same number is the same socket, from one switch to the next */
    size_t listener; /* index in site->listener */
    int fd;          /* of listener_bind; takes ownership; -1: the socket is open already */
};

/* From now on new calls follow site (takes over the reference) and come in at these places. Sockets
 * that stay are not touched, so no connection that waits at them is lost; those that are not named
 * are closed. Calls that exist go on as they began. From the worker's thread, or before it runs. */
void calls_switch(struct calls *calls, struct site *site, const struct calls_place *places,
                  size_t count);

/* For worker_init: arg is the struct calls. Handles the deadlines that have passed. */
void calls_sweep(void *arg, uint64_t now_ms);

/* For worker_post: arg is the struct calls. Accept no new calls; the worker stops when the last one
 * has ended. _drain lets calls end by themselves, _stop ends them, and called once more closes them
 * at once. */
void calls_drain(void *arg);
void calls_stop(void *arg);

/* For worker_post: arg is the struct calls. RADIUS gave keys: calls that wait for one try them. */
void calls_try_keys(void *arg);

#endif
