/* radius_proxy: the gate between VPN servers and their RADIUS servers (RFC 2865 2.3). Forwards
 * packets, and puts the keys of an Access-Accept into the keyring before the VPN server gets it. It
 * has a thread of its own, whose loop is a struct worker.
 *
 * Retransmissions are the VPN server's; the gate never retransmits on its own. A retransmission
 * goes to the next server if the current one was silent for timeout-server. Packets that no
 * request asked for, or that are not signed as they must be, are dropped, counted and logged,
 * at most one line a second for each reason. */
#ifndef SSTPGATE_RADIUS_RADIUS_PROXY_H
#define SSTPGATE_RADIUS_RADIUS_PROXY_H

#include <stdio.h>

#include "net/worker.h"

struct config;
struct keyring;
struct radius_listen;
struct radius_section;
struct snapshot;

struct radius_proxy {
    struct worker worker;
    struct keyring *keyring;
    struct snapshot *snapshot;       /* in force; NULL before the first switch */
    struct radius_section **section; /* in the order of the configuration */
    size_t section_count;
    struct radius_listen *listening; /* its sockets */
};

/* Initializes *p, without sections and sockets. keyring must outlive it. */
void radius_proxy_init(struct radius_proxy *p, struct keyring *keyring);

/* Frees the members of *p. Call it after worker_run(&p->worker) has returned. */
void radius_proxy_fini(struct radius_proxy *p);

/* A socket for requests. */
struct radius_place {
    size_t id;      /* stays the same as long as the socket exists */
    size_t section; /* index into config->radius */
    bool accounting;
    int fd; /* of udp_bind; -1: the socket that already has this id */
};

/* Puts another configuration in force. Sockets that are not among the places are closed. Requests
 * stay pending if their socket, servers and secrets are unchanged; the others are dropped, and the
 * clients retransmit them. Takes a counted reference to the snapshot. Call in the proxy's thread,
 * or before it runs. */
void radius_proxy_switch(struct radius_proxy *p, struct snapshot *snapshot,
                         const struct radius_place *place, size_t count);

/* Takes no new requests, because another process has the same sockets; answers to earlier ones are
 * still forwarded. arg: the struct radius_proxy. For worker_post. */
void radius_proxy_leave(void *arg);

/* Calls each() for every socket for requests: its id (see radius_place) and its descriptor, which
 * remains the proxy's. Call in the proxy's thread. */
void radius_proxy_sockets(struct radius_proxy *p, void (*each)(void *arg, size_t id, int fd),
                          void *arg);

/* Closes everything; then worker_run returns. arg: the struct radius_proxy. For worker_post. */
void radius_proxy_stop(void *arg);

/* Returns the number of descriptors for its sockets to servers, with a usual number of requests. */
size_t radius_proxy_descriptors(const struct config *c);

/* Writes a line "radius NAME: ..." of counters for each section. Call it in the main thread,
 * but not during a switch. */
void radius_proxy_print(const struct radius_proxy *p, FILE *out);

/* Calls each() with every section. As radius_proxy_print. */
void radius_proxy_each(const struct radius_proxy *p,
                       void (*each)(void *arg, const struct radius_section *s), void *arg);

#endif
