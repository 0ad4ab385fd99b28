/* peers: the connections of the status listener, and how long each may last. Bounded, so that
 * clients cannot use up descriptors or memory of the gate: a client that opens many connections
 * loses the ones that have waited longest for a request, and a client that sends its request at
 * once is served, however many connections others keep open. Time is an argument. Thread of the
 * listener only. */
#ifndef SSTPGATE_STATUS_PEERS_H
#define SSTPGATE_STATUS_PEERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

enum {
    PEERS_MAX = 64,
    PEERS_PER_ADDRESS = 16,   /* all connections to unix sockets together count as one address */
    PEERS_REQUEST_MS = 10000, /* for a request to arrive, and again for its body */
    PEERS_RECEIVE_MS = 10000, /* for the client to receive an answer */
    PEERS_SLOW_MS = 1000,     /* of it, until another client may need the place */
};

#define PEERS_NEVER UINT64_MAX

struct peer {
    int fd; /* -1: the entry is free */
    bool is_unix;
    struct addr addr; /* unless is_unix */
    bool waiting;     /* for a request, or for the rest of one */
    uint64_t since;   /* ms; start of the wait for a request, or of the answer */
    uint64_t deadline;
};

struct peers {
    struct peer item[PEERS_MAX];
    size_t count;
};

void peers_init(struct peers *p);

/* Adds a connection that waits for a request. addr NULL: of a unix socket. NULL: there is no free
 * entry. */
struct peer *peers_add(struct peers *p, int fd, const struct addr *addr, uint64_t now_ms);
void peers_remove(struct peers *p, struct peer *peer);
struct peer *peers_find(struct peers *p, int fd);

/* Returns the connection that must end before one of addr is added: it waits for a request, or its
 * client has not received the answer within PEERS_SLOW_MS. NULL with *full false: none must end.
 * NULL with *full true: all are being answered, so the new one has no place. */
struct peer *peers_victim(struct peers *p, const struct addr *addr, uint64_t now_ms, bool *full);

/* Notes that the next request is awaited, that its head has arrived, that the main thread works on
 * it (without a deadline: the listener has its own), or that the answer is on its way. */
void peer_awaits(struct peer *peer, uint64_t now_ms);
void peer_asked(struct peer *peer, uint64_t now_ms);
void peer_pends(struct peer *peer);
void peer_answered(struct peer *peer, uint64_t now_ms);

/* Returns the next connection whose deadline has passed, once; NULL: no other. */
struct peer *peers_expired(struct peers *p, uint64_t now_ms);

/* Returns the time of the next deadline; PEERS_NEVER: none. */
uint64_t peers_next(const struct peers *p);

#endif
