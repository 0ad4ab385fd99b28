/* radius_table: the requests of VPN servers that wait for an answer, and those that got one a
 * moment ago: who asks the same again gets the same answer (RFC 5080 2.2.2). Bounded; what it lets
 * go of is wiped. The RADIUS thread only. */
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
    RADIUS_PENDING_MS = 30000,  /* since the client asked last: clients give up before */
    RADIUS_ANSWERED_MS = 10000, /* since the answer */
    RADIUS_BUCKETS = 1024,
};

enum radius_state { RADIUS_PENDING, RADIUS_ANSWERED };

/* Who asks: a client's socket and its identifier are one request at a time (RFC 2865 3). */
struct radius_key {
    struct addr from;
    bool accounting;
    uint8_t id;
};

struct radius_request {
    /* the table's */
    struct radius_key key;
    enum radius_state state;
    uint64_t touched_ms;
    struct radius_request *prev, *next; /* those of the same state, touched last is last */
    struct radius_request *chain;       /* those of the same bucket */
    uint8_t *octets;                    /* pending: as it was sent; answered: the answer */
    size_t len;

    /* the proxy's */
    struct radius_trip trip;
    struct keyring_marks marks; /* of the login, this request included */
    struct udp *udp;            /* socket of its latest copy */
    struct udp_path path;
    uint64_t sent_ms; /* to this server, for the first time */

    /* radius_server's */
    struct radius_server *server;
    struct radius_port *port; /* NULL: it holds no identifier */
    struct addr to;
    uint8_t server_id;
};

struct radius_table {
    struct siphash_key hash;
    size_t count, waiting;          /* all; those that are pending */
    struct radius_request *list[2]; /* by state */
    struct radius_request *bucket[RADIUS_BUCKETS];
};

void radius_table_init(struct radius_table *t);

struct radius_request *radius_table_find(const struct radius_table *t,
                                         const struct radius_key *key);

/* Where there is no room for one more: who has to go first, of those that were answered if there
 * are any. NULL: there is room. */
struct radius_request *radius_table_surplus(const struct radius_table *t);

/* A new one, pending, for a key that has none. There is room. */
struct radius_request *radius_table_add(struct radius_table *t, const struct radius_key *key,
                                        uint64_t now_ms);

/* Its octets from now on (copied; those before are wiped), its state and its place in time. */
void radius_table_set(struct radius_table *t, struct radius_request *r, enum radius_state state,
                      struct span octets, uint64_t now_ms);

/* The client has asked again. */
void radius_table_touch(struct radius_table *t, struct radius_request *r, uint64_t now_ms);

/* One whose time is over; NULL: there is none. */
struct radius_request *radius_table_old(const struct radius_table *t, uint64_t now_ms);

void radius_table_drop(struct radius_table *t, struct radius_request *r);

#endif
