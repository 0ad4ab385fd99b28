/* backends: which server of a backend gets a call, how many each has, and which of them are up.
 * Pure: no sockets, no clock (now_ms is any monotonic one, the same for all), no log.
 *
 * A group is a backend as one configuration has it. What is known of a server (its calls, whether
 * it is up, whether it is being drained) is shared by all groups of one `struct backends` that have
 * a backend of the same name with a server of the same host and port: so it lives on when a reload
 * makes new groups, as long as the old one or a call of it is there. Any thread may call anything
 * here; nothing that a call asks takes a lock. */
#ifndef SSTPGATE_POLICY_BACKENDS_H
#define SSTPGATE_POLICY_BACKENDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct addr;

enum backends_balance {
    BACKENDS_FIRST,
    BACKENDS_ROUNDROBIN,
    BACKENDS_LEASTCONN,
    BACKENDS_SOURCE,
};

struct backends_server {
    unsigned line;
    char *host; /* an address or a name, without brackets */
    uint16_t port;
    unsigned weight;
    unsigned max_tunnels; /* 0: no limit */
    bool backup;          /* gets calls only when none of the others can take them */
};

struct backends_settings {
    const char *name;             /* of the backend */
    bool probed;                  /* health checks report to backends_report */
    struct backends_server *item; /* at most BACKENDS_SERVERS_MAX */
    size_t count;
    enum backends_balance balance;
    uint32_t slow_start; /* ms; 0: none */
    unsigned fall, rise; /* failures in a row until a server is down, good checks until it is up */
    uint32_t down_time;  /* ms, until a call may try one that is down and not checked */
};

struct backends;
struct backends_group;

enum {
    BACKENDS_SERVERS_MAX = 64, /* of one backend */
    BACKENDS_WEIGHT_MAX = 256,
    BACKENDS_CAUSE_MAX = 200,
    BACKENDS_NAME_MAX = 192,
};

struct backends *backends_new(void);
void backends_free(struct backends *all); /* after every group has left */

/* c: at most BACKENDS_SERVERS_MAX servers; must stay as long as the group. all: NULL for servers
 * that nobody shares. A new server is up; where there are checks, the first one that fails is
 * enough to change that. */
struct backends_group *backends_join(struct backends *all, const struct backends_settings *c);
void backends_leave(struct backends_group *g); /* NULL is fine */

/* A server for a call of client that has not tried it: bit i of *tried stands for server i, and is
 * set for the one that is chosen. The call has a place there until backends_release. False: there
 * is none left.
 *
 * Those with `backup` are for when no other is left. One that is down is left out; without checks
 * (check = no) one call may try it each down-time, and all may when nothing else is left: a server
 * that has come back is found that way. Among those that are left `balance` decides:
 *   first       the first of them, in the order of the configuration
 *   roundrobin  each in its turn, as often as its weight says
 *   leastconn   the one with the fewest calls for its weight; in turn where that is the same
 *   source      by the client's address: the same one for the same address; when a server goes,
 *               only its own clients change */
bool backends_choose(struct backends_group *g, const struct addr *client, uint64_t *tried,
                     uint64_t now_ms, size_t *server) MUST_CHECK;

/* The call has left that server. */
void backends_release(struct backends_group *g, size_t server);

/* Why backends_choose found none, in a few words: "1 down, 2 full". */
void backends_why_none(const struct backends_group *g, char out[BACKENDS_CAUSE_MAX]);

enum backends_change { BACKENDS_SAME, BACKENDS_WENT_DOWN, BACKENDS_CAME_UP };

/* A call or a check was answered as it should be (good), or the server is to blame that it was not.
 * `fall` failures in a row: down. `rise` good ones, or one where there are no checks: up. The
 * change is told to exactly one caller. cause: for backends_state, cut at BACKENDS_CAUSE_MAX. */
enum backends_change backends_report(struct backends_group *g, size_t server, bool good,
                                     const char *cause, uint64_t now_ms);

/* A drained server gets no new calls; those that it has stay. False: it was so before. */
bool backends_drain(struct backends_group *g, size_t server, bool drain, uint64_t now_ms);

/* "10.0.0.5:443", "sstp.example:443", "[::1]:443"; returns out. */
const char *backends_name(const struct backends_group *g, size_t server,
                          char out[BACKENDS_NAME_MAX]);

struct backends_state {
    bool up, draining;
    unsigned tunnels;
    uint64_t changed_ms;            /* when it went down or came up; 0: never */
    char cause[BACKENDS_CAUSE_MAX]; /* of that; "": never */
};
void backends_state(struct backends_group *g, size_t server, struct backends_state *out);

#endif
