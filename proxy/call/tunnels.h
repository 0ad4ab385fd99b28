/* tunnels: copies facts about the tunnels of a worker for another thread, without an allocation for
 * each: 1000 tunnels take a worker a fraction of a millisecond. */
#ifndef SSTPGATE_CALL_TUNNELS_H
#define SSTPGATE_CALL_TUNNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "call/filter.h"
#include "call/record.h"

struct call;
struct call_set;

/* The facts of a tunnel. A text is NULL if the fact is unknown; it lives as long as the list. */
struct tunnel_facts {
    struct tunnel_facts *next;
    unsigned worker;
    uint64_t number;
    uint64_t age_ms; /* since accept */
    struct addr client;
    uint8_t assigned[4]; /* IPv4 address that the server has assigned; 0.0.0.0: unknown */
    struct record_flow up, down;
    uint64_t up_rate, down_rate; /* bytes per second */
    const char *user, *listener, *backend, *server;
    const char *method, *binding, *hash, *key, *tls, *cipher, *host, *sni;
    const char *client_records, *server_records;
};

struct tunnels_block;

struct tunnels {
    struct tunnel_facts *first, **last;
    size_t count;
    struct tunnels_block *blocks, *spare;
};

/* Prepares an empty list. */
void tunnels_init(struct tunnels *list);

/* Gets memory for about this number of tunnels, and touches its pages, so that the worker need not:
 * page faults take ten times as long as the copies. In another thread than the worker's. */
void tunnels_reserve(struct tunnels *list, size_t count);

/* Adds the tunnels of a worker that match. In the worker's thread. */
void tunnels_collect(struct tunnels *list, const struct call_set *set,
                     const struct call_filter *filter);

/* Frees the facts and the texts; in any thread. */
void tunnels_fini(struct tunnels *list);

/* Returns whether the call matches the filter. In the worker's thread. */
bool tunnels_match(const struct call *call, const struct call_filter *filter);

#endif
