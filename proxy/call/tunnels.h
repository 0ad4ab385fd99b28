/* tunnels: all calls of one worker: a list for each state, deadlines, the limit, the end. Worker's
 * thread only. */
#ifndef SSTPGATE_CALL_TUNNELS_H
#define SSTPGATE_CALL_TUNNELS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/log.h"
#include "net/listener.h"

struct checks;
struct keyring;
struct leaves;
struct limits;
struct site;
struct tunnel;
struct tunnels_door;
struct worker;

/* Each state is named for what it waits for. */
enum tunnel_state {
    TUNNEL_PROXY,     /* the PROXY header of a trusted proxy */
    TUNNEL_HELLO,     /* the first bytes of the client's TLS, and their turn */
    TUNNEL_HANDSHAKE, /* the client's TLS */
    TUNNEL_REQUEST,   /* the request head */
    TUNNEL_DIAL,      /* a connection to the backend, its TLS included */
    TUNNEL_ANSWER,    /* the backend's 200 */
    TUNNEL_NEGOTIATE, /* Call Connected */
    TUNNEL_KEY,       /* the key of the Call Connected that is there */
    TUNNEL_RELAY,     /* data, or that somebody ends the call */
    TUNNEL_WEB,       /* the same between a client and the fallback web site */
    TUNNEL_DRAIN,     /* one side has ended: the other one to take what is queued and end too */
    TUNNEL_LINGER,    /* we have ended it: the peers to take our last words and close */
    TUNNEL_CLOSED,    /* libuv's close callbacks */
    TUNNEL_STATES,
};

/* What all workers share. */
struct tunnels_shared {
    atomic_uint count;
    atomic_uint max;
    struct limits *limits;
    struct keyring *keyring;
    struct leaves *leaves;
};

struct tunnels {
    struct worker *worker;
    struct site *site; /* for new calls; those that are up keep theirs */
    struct tunnels_shared *shared;
    struct tunnel *list[TUNNEL_STATES]; /* oldest deadline first, but see RELAY in tunnels.c */
    size_t count, peak;                 /* peak: since memory was last returned to the system */
    uint64_t trim_after;                /* ms, worker_now: earliest next return of memory */
    uint64_t next_number;
    uint32_t timeout[TUNNEL_STATES]; /* ms, 0: none */
    enum { TUNNELS_OPEN, TUNNELS_DRAINING, TUNNELS_STOPPING } phase;
    struct tunnels_door *doors;
    struct checks *checks; /* NULL: another worker asks the servers */
    struct log_limit limit_binding, limit_hit, limit_deny, limit_full, limit_handshakes,
        limit_refused, limit_backend;
};

/* shared outlives it. Nothing is accepted before tunnels_switch. */
void tunnels_init(struct tunnels *set, struct worker *w, struct tunnels_shared *shared);
void tunnels_fini(struct tunnels *set); /* no call may be left */

/* A listening address, as tunnels_switch is told it. */
struct tunnels_place {
    size_t socket;   /* the same number is the same socket, from one switch to the next */
    size_t listener; /* which of site->listener it belongs to */
    int fd;          /* of listener_bind, now ours; -1: the socket is open already */
};

/* From now on new calls follow site, whose reference is now ours, and come in at these places.
 * Sockets that stay are not touched, so no connection that waits at them is lost; those that are
 * not named are closed. Calls that are up go on as they began. From the worker's thread, or before
 * it runs. */
void tunnels_switch(struct tunnels *set, struct site *site, const struct tunnels_place *places,
                    size_t count);

/* For worker_init: arg is the struct tunnels. Ends calls whose deadline is over. */
void tunnels_sweep(void *arg, uint64_t now_ms);

/* For worker_post: arg is the struct tunnels. No new calls; the worker stops when the last has
 * ended. _drain lets them end by themselves, _stop ends them with a reason, called once more at
 * once and without a word. */
void tunnels_drain(void *arg);
void tunnels_stop(void *arg);

/* For worker_post: arg is the struct tunnels. RADIUS gave keys: calls that wait for one try them.
 */
void tunnels_try_keys(void *arg);

/* For tunnel.c. */
void tunnels_add(struct tunnels *set, struct tunnel *t);
void tunnels_remove(struct tunnels *set, struct tunnel *t);

#endif
