/* calls: all calls of one worker: a list for each state, deadlines, the limit, the end. Worker's
 * thread only. */
#ifndef SSTPGATE_CALL_CALLS_H
#define SSTPGATE_CALL_CALLS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "net/listener.h"

struct probes;
struct keyring;
struct leaves;
struct limits;
struct site;
struct call;
struct calls_door;
struct worker;

/* Each state is named for what it waits for. */
enum call_state {
    CALL_PROXY,     /* the PROXY header of a trusted proxy */
    CALL_HELLO,     /* the first bytes of the client's TLS, and their turn */
    CALL_HANDSHAKE, /* the client's TLS */
    CALL_REQUEST,   /* the request head */
    CALL_DIAL,      /* a connection to the backend, its TLS included */
    CALL_ANSWER,    /* the backend's 200 */
    CALL_NEGOTIATE, /* Call Connected */
    CALL_KEY,       /* the key of the Call Connected that is there */
    CALL_RELAY,     /* data, or that somebody ends the call */
    CALL_WEB,       /* the same between a client and the fallback web site */
    CALL_DRAIN,     /* one side has ended: the other one to take what is queued and end too */
    CALL_LINGER,    /* we have ended it: the peers to take our last words and close */
    CALL_CLOSED,    /* libuv's close callbacks */
    CALL_STATES,
};

/* What all workers share. */
struct calls_shared {
    atomic_uint count;
    atomic_uint max;
    struct limits *limits;
    struct keyring *keyring;
    struct leaves *leaves;
};

struct calls {
    struct worker *worker;
    struct site *site; /* for new calls; those that are up keep theirs */
    struct calls_shared *shared;
    struct call *list[CALL_STATES]; /* oldest deadline first, but see RELAY in calls.c */
    size_t count, peak;             /* peak: since memory was last returned to the system */
    uint64_t trim_after;            /* ms, worker_now: earliest next return of memory */
    uint64_t next_number;
    uint32_t timeout[CALL_STATES]; /* ms, 0: none */
    enum { CALLS_OPEN, CALLS_DRAINING, CALLS_STOPPING } phase;
    struct calls_door *doors;
    struct probes *probes; /* NULL: another worker asks the servers */
    struct log_limit limit_binding, limit_hit, limit_deny, limit_full, limit_handshakes,
        limit_refused, limit_backend;
};

/* shared outlives it. Nothing is accepted before calls_switch. */
void calls_init(struct calls *set, struct worker *w, struct calls_shared *shared);
void calls_fini(struct calls *set); /* no call may be left */

/* A listening address, as calls_switch is told it. */
struct calls_place {
    size_t socket;   /* the same number is the same socket, from one switch to the next */
    size_t listener; /* which of site->listener it belongs to */
    int fd;          /* of listener_bind, now ours; -1: the socket is open already */
};

/* From now on new calls follow site, whose reference is now ours, and come in at these places.
 * Sockets that stay are not touched, so no connection that waits at them is lost; those that are
 * not named are closed. Calls that are up go on as they began. From the worker's thread, or before
 * it runs. */
void calls_switch(struct calls *set, struct site *site, const struct calls_place *places,
                  size_t count);

/* For worker_init: arg is the struct calls. Ends calls whose deadline is over. */
void calls_sweep(void *arg, uint64_t now_ms);

/* For worker_post: arg is the struct calls. No new calls; the worker stops when the last has
 * ended. _drain lets them end by themselves, _stop ends them with a reason, called once more at
 * once and without a word. */
void calls_drain(void *arg);
void calls_stop(void *arg);

/* For worker_post: arg is the struct calls. RADIUS gave keys: calls that wait for one try them.
 */
void calls_try_keys(void *arg);

/* For call.c. */
void calls_add(struct calls *set, struct call *call);
void calls_remove(struct calls *set, struct call *call);

#endif
