/* radius_table: the pending requests of VPN servers, and the requests that were just answered: a
 * duplicate of an answered request gets the same answer (RFC 5080 2.2.2). Bounded; packets are
 * wiped when they are dropped. The RADIUS thread only. */
#ifndef SSTPGATE_RADIUS_RADIUS_TABLE_H
#define SSTPGATE_RADIUS_RADIUS_TABLE_H

#include "base/siphash.h"
#include "net/udp.h"
#include "radius/keyring.h"
#include "radius/radius_carry.h"

struct radius_port;
struct radius_server;

enum {
    RADIUS_REQUESTS_MAX = 4096, /* of one [radius NAME] */
    RADIUS_PENDING_MS = 30000,  /* since the client's latest packet; clients give up earlier */
    RADIUS_ANSWERED_MS = 10000, /* since the answer */
    RADIUS_BUCKETS = 1024,
};

enum radius_state { RADIUS_PENDING, RADIUS_ANSWERED };

/* Identifies a request: for a client's address and port, an identifier belongs to one request at a
 * time (RFC 2865 3). */
struct radius_key {
    struct addr from;
    bool accounting;
    uint8_t id;
};

struct radius_request {
    /* set by the table */
    struct radius_key key;
    enum radius_state state;
    uint64_t touched_ms;
    struct radius_request *prev, *next; /* list of this state; the latest touched is last */
    struct radius_request *chain;       /* next in its bucket */
    uint8_t *octets; /* pending: the packet to the server; answered: the answer */
    size_t len;

    /* set by the section */
    struct radius_trip trip;
    struct keyring_marks marks; /* of the login, this request included */
    struct addr caller;         /* client of an Access-Request; family 0: unknown */
    struct udp *udp;            /* socket at which its latest copy arrived */
    struct udp_path path;
    uint64_t sent_ms; /* first transmission to this server */
    bool lost;        /* this attempt was not answered in time, or did not reach the server */

    /* set by radius_server */
    struct radius_server *server;
    struct radius_port *port; /* NULL: it has no identifier */
    struct addr to;
    uint8_t server_id;
};

struct radius_table {
    struct siphash_key hash;
    size_t count, waiting;          /* all requests; pending ones */
    struct radius_request *list[2]; /* by state */
    struct radius_request *bucket[RADIUS_BUCKETS];
};

void radius_table_init(struct radius_table *t);

/* Returns the request with this key; NULL: none. */
struct radius_request *radius_table_find(const struct radius_table *t,
                                         const struct radius_key *key);

/* Returns the request that must be dropped before another one can be added: the oldest answered one
 * or, if there is none, the oldest pending one. NULL: there is room. */
struct radius_request *radius_table_surplus(const struct radius_table *t);

/* Adds a pending request. The key must be new, and radius_table_surplus NULL. */
struct radius_request *radius_table_add(struct radius_table *t, const struct radius_key *key,
                                        uint64_t now_ms);

/* Sets the packet (a copy; the previous packet is wiped) and the state of a request, and the time
 * of its latest use. */
void radius_table_set(struct radius_table *t, struct radius_request *r, enum radius_state state,
                      struct span octets, uint64_t now_ms);

/* Sets the time of the latest use: the client has retransmitted the request. */
void radius_table_touch(struct radius_table *t, struct radius_request *r, uint64_t now_ms);

/* Returns a request that has expired (RADIUS_PENDING_MS, RADIUS_ANSWERED_MS); NULL: none. */
struct radius_request *radius_table_old(const struct radius_table *t, uint64_t now_ms);

/* Removes, wipes and frees a request, which must not have an identifier of a server any more. */
void radius_table_drop(struct radius_table *t, struct radius_request *r);

#endif
