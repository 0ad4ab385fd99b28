/* calls: all calls of one worker: its listening addresses (doors), deadlines, max-tunnels, and
 * the end. Worker's thread only. */
#ifndef SSTPGATE_CALL_CALLS_H
#define SSTPGATE_CALL_CALLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "call/call.h"
#include "call/judgement.h"

struct calls_door;
struct config;
struct probes;
struct worker;

struct calls {
    struct call_set set;
    uint64_t trim_after; /* ms, worker_now: earliest next return of memory */
    enum { CALLS_OPEN, CALLS_DRAINING, CALLS_FINISHING, CALLS_STOPPING } phase;
    bool leaving; /* see calls_leave */
    struct calls_door *doors;
    struct calls_door *resting; /* DRAINING: without a handle, but with their sockets */
    struct probes *probes;      /* NULL: another worker makes the health checks */
};

/* Prepares calls without any listening address: calls_switch opens them. shared must outlive
 * calls. */
void calls_init(struct calls *calls, struct worker *w, struct calls_shared *shared);
void calls_fini(struct calls *calls); /* no call may exist */

/* A listening address, for calls_switch. */
struct calls_place {
    size_t socket;   /* identity: between two switches the same number means the same socket */
    size_t listener; /* index in site->listener */
    int fd;          /* of listener_bind; takes ownership; -1: the socket is open already */
    bool shared;     /* with a service manager: see calls_drain */
    bool plain;      /* of listen-http */
};

/* Sets the site of new calls (takes ownership of the reference) and the places where they arrive.
 * Sockets that are listed again remain open, so no connection that waits at them is lost; all other
 * sockets are closed. Running calls keep their site. From the worker's thread, or before it
 * runs. */
void calls_switch(struct calls *calls, struct site *site, const struct calls_place *places,
                  size_t count);

/* Judges each call that a new configuration may end (admission_recheck), and changes nothing.
 * answer: as in judgement_recheck. In the worker's thread. */
void calls_judge(const struct calls *calls, const struct config *next,
                 void (*each)(void *arg, const struct call *call, enum judgement_recheck recheck,
                              const struct rules_answer *answer),
                 void *arg);

/* Handles the deadlines that have passed. For worker_init: arg is the struct calls. */
void calls_sweep(void *arg, uint64_t now_ms);

/* Stops accepting calls, until calls_resume. The kernel refuses new connections, but the sockets
 * stay bound, so that no other process takes their ports, and calls_resume needs no privilege. At a
 * shared socket connections wait instead. shared->on_idle is called whenever the last call has
 * ended. For worker_post, as all functions below: arg is the struct calls. */
void calls_drain(void *arg);
void calls_resume(void *arg); /* a no-op unless calls_drain was the last of these functions */

/* Stop accepting calls for good; the worker stops when the last call has ended. calls_finish waits
 * until the calls end by themselves; calls_stop ends them, and a second calls_stop closes them at
 * once. */
void calls_finish(void *arg);
void calls_stop(void *arg);

/* Closes the sockets, which the successor of this gate has as well; the worker runs until
 * calls_finish, as after calls_drain. Connections that were taken from the queue of a socket, but
 * wait for a place under max-tunnels, become calls here, because no other process can have them. */
void calls_leave(void *arg);

/* Calls each() for every listening socket that is open: its identity (see calls_place) and its
 * descriptor, which remains that of calls. */
void calls_doors(struct calls *calls, void (*each)(void *arg, size_t socket, int fd), void *arg);

/* Tries the keys that RADIUS has given on the calls that wait for a key. For worker_post: arg is
 * the struct calls. */
void calls_try_keys(void *arg);

#endif
