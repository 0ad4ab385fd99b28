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

struct site;
struct tunnel;
struct worker;

/* Each state is named for what it waits for. */
enum tunnel_state {
    TUNNEL_HANDSHAKE, /* the client's TLS */
    TUNNEL_REQUEST,   /* the request head */
    TUNNEL_DIAL,      /* a connection to the backend, its TLS included */
    TUNNEL_ANSWER,    /* the backend's 200 */
    TUNNEL_NEGOTIATE, /* Call Connected */
    TUNNEL_RELAY,     /* data, or that somebody ends the call */
    TUNNEL_DRAIN,     /* one side has ended: the other one to take what is queued and end too */
    TUNNEL_LINGER,    /* we have ended it: the peers to take our last words and close */
    TUNNEL_CLOSED,    /* libuv's close callbacks */
    TUNNEL_STATES,
};

/* What all workers share. */
struct tunnels_total {
    atomic_uint count;
    unsigned max;
};

struct tunnels {
    struct worker *worker;
    const struct site *site;
    struct tunnels_total *total;
    struct tunnel *list[TUNNEL_STATES]; /* oldest deadline first, but see RELAY in tunnels.c */
    size_t count;
    uint64_t next_number;
    uint32_t timeout[TUNNEL_STATES]; /* ms, 0: none */
    enum { TUNNELS_OPEN, TUNNELS_DRAINING, TUNNELS_STOPPING } phase;
    struct listener *listener; /* listener_count of them */
    size_t listener_count;
    struct log_limit limit_deny, limit_full, limit_refused, limit_backend;
};

/* The listeners are added with tunnels_listen. site and total outlive it. */
void tunnels_init(struct tunnels *set, struct worker *w, const struct site *site,
                  struct tunnels_total *total, size_t listeners_max);
void tunnels_fini(struct tunnels *set); /* no call may be left */

/* fd: a socket of listener_bind; index: which of site->listener it belongs to. A libuv error. */
int tunnels_listen(struct tunnels *set, int fd, size_t index) MUST_CHECK;

/* For worker_init: arg is the struct tunnels. Ends calls whose deadline is over. */
void tunnels_sweep(void *arg, uint64_t now_ms);

/* For worker_post: arg is the struct tunnels. No new calls; the worker stops when the last has
 * ended. _drain lets them end by themselves, _stop ends them with a reason, called once more at once
 * and without a word. */
void tunnels_drain(void *arg);
void tunnels_stop(void *arg);

/* For tunnel.c. */
void tunnels_add(struct tunnels *set, struct tunnel *t);
void tunnels_remove(struct tunnels *set, struct tunnel *t);

#endif
