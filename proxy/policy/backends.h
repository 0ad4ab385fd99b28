/* backends: chooses the server of a backend for a call, counts the calls of each server, and
 * knows which servers are up. Pure: no sockets, no clock (now_ms: any monotonic clock, the same
 * for all), no log.
 *
 * A group is a backend of one configuration. The state of a server (its calls, whether it is up,
 * whether it is being drained) is shared by all groups of one `struct backends` that have a
 * backend of the same name with a server of the same host and port. So it survives a reload,
 * which creates new groups, while the old group still exists. Any thread may call any function;
 * backends_choose() and backends_release() take no lock. */
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
    bool backup;          /* gets calls only if none of the others can take them */
};

struct backends_settings {
    const char *name;             /* of the backend */
    bool probed;                  /* health checks report to backends_report */
    struct backends_server *item; /* at most BACKENDS_SERVERS_MAX */
    size_t count;
    enum backends_balance balance;
    uint32_t slow_start; /* ms; 0: none */
    unsigned fall, rise; /* consecutive failures until down, successful checks until up */
    uint32_t down_time;  /* ms, until a call may try a server that is down and not checked */
};

struct backends;
struct backends_group;
struct backends_place; /* the place of a call on a server; outlives the group */

enum {
    BACKENDS_SERVERS_MAX = 64, /* of one backend */
    BACKENDS_WEIGHT_MAX = 256,
    BACKENDS_CAUSE_MAX = 200,
    BACKENDS_NAME_MAX = 192,
};

struct backends *backends_new(void);
void backends_free(struct backends *all); /* after backends_leave() of every group; NULL: no-op */

/* Creates a group. c: at most BACKENDS_SERVERS_MAX servers; must outlive the group. all: NULL
 * for servers that are not shared. A new server is up; with health checks, one failed check is
 * enough to change that. */
struct backends_group *backends_join(struct backends *all, const struct backends_settings *c);
void backends_leave(struct backends_group *g); /* frees g; NULL: no-op */

/* Chooses a server that the call has not tried. Bit i of *tried: server i was tried; the bit of
 * the chosen server is set. The call counts for this server, and its place exists, until
 * backends_release(). Returns false if no server is left.
 *
 * Servers with `backup` are used only if no other is left. A server that is down is skipped;
 * without health checks (check = no) one call may try it each down-time, and all calls if no other
 * is left: so a server that works again is found. Among the remaining servers `balance` decides:
 *   first       the first, in the order of the configuration
 *   roundrobin  each in turn, in proportion to its weight
 *   leastconn   the one with the fewest calls for its weight; in turn if these are equal
 *   source      by the client's address: the same server for the same address; if a server is
 *               removed, only its own clients get another */
bool backends_choose(struct backends_group *g, const struct addr *client, uint64_t *tried,
                     uint64_t now_ms, size_t *server) MUST_CHECK;

/* Returns the server that backends_choose() would choose now, and changes nothing but the bit in
 * *tried: repeated calls return the servers in the order in which a call would try them. */
bool backends_peek(const struct backends_group *g, const struct addr *client, uint64_t *tried,
                   uint64_t now_ms, size_t *server) MUST_CHECK;

/* Returns the place of a call that backends_choose() has given this server. */
struct backends_place *backends_place_at(const struct backends_group *g, size_t server);

/* Releases the place of a call, whether or not its group still exists. */
void backends_release(struct backends_place *place);

/* Writes why backends_choose() has found no server: "1 down, 2 full". */
void backends_why_none(const struct backends_group *g, char out[BACKENDS_CAUSE_MAX]);

enum backends_change { BACKENDS_SAME, BACKENDS_WENT_DOWN, BACKENDS_CAME_UP };

/* Reports the outcome of a call or a check. good: as expected; else a failure of the server.
 * After `fall` consecutive failures a server is down; after `rise` successes, or one without
 * checks, it is up. Only one caller gets a result other than BACKENDS_SAME for a change. cause:
 * for backends_state(), cut at BACKENDS_CAUSE_MAX. */
enum backends_change backends_report(struct backends_group *g, size_t server, bool good,
                                     const char *cause, uint64_t now_ms);

/* Sets whether a server is drained: then it gets no new calls, and keeps the calls that it has.
 * Returns false if nothing has changed. */
bool backends_drain(struct backends_group *g, size_t server, bool drain, uint64_t now_ms);

/* Writes "10.0.0.5:443", "sstp.example:443" or "[::1]:443". Returns out. */
const char *backends_name(const struct backends_group *g, size_t server,
                          char out[BACKENDS_NAME_MAX]);

/* Does as backends_name for the server of a place. */
const char *backends_place_name(const struct backends_place *place, char out[BACKENDS_NAME_MAX]);

/* Notes how long the latest health check that has passed took. */
void backends_timed(struct backends_group *g, size_t server, uint64_t ms);

struct backends_state {
    bool up, draining;
    unsigned tunnels;
    uint64_t check_ms;              /* of backends_timed; UINT64_MAX: no check has passed */
    uint64_t changed_ms;            /* time of the last change of up; 0: never */
    char cause[BACKENDS_CAUSE_MAX]; /* of the last change; "": never */
};
void backends_state(struct backends_group *g, size_t server, struct backends_state *out);

/* Sets the state that another process had for this server. tunnels is ignored. */
void backends_restore(struct backends_group *g, size_t server, const struct backends_state *in);

#endif
