/* radius_proxy: the gate between VPN servers and the RADIUS servers they ask (RFC 2865 2.3). It
 * hands packets on, keeps nothing that it need not, and takes a copy of the keys in an
 * Access-Accept to the keyring before the VPN server gets it. A thread of its own; its loop is a
 * struct worker.
 *
 * Retransmission is left to the clients: what they say again is sent again, to the next server
 * where one was silent for timeout-server. What nobody asked for, or is not signed as it must be,
 * is dropped, counted and told, with at most one line a second of each kind. */
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
    struct radius_section **section; /* as many, and in the order, as the configuration has */
    size_t section_count;
    struct radius_listen *listening; /* its sockets */
};

/* keyring: outlives it. */
void radius_proxy_init(struct radius_proxy *p, struct keyring *keyring);

/* After worker_run(&p->worker) has returned. */
void radius_proxy_fini(struct radius_proxy *p);

/* A socket that packets are taken at. */
struct radius_place {
    size_t id;      /* stays the same while a socket does */
    size_t section; /* index into config->radius */
    bool accounting;
    int fd; /* of udp_bind; -1: it is the one that has this id already */
};

/* Takes up another configuration: sockets that are not among the places are closed. What waits for
 * an answer goes on waiting where its client, its servers and its secrets stayed what they were;
 * the others' clients ask again. snapshot: a reference of its own is taken. In the proxy's thread,
 * or before it runs. */
void radius_proxy_switch(struct radius_proxy *p, struct snapshot *snapshot,
                         const struct radius_place *place, size_t count);

/* Closes everything; then worker_run returns. For worker_post. */
void radius_proxy_stop(void *arg);

/* File descriptors that its sockets towards servers may need, for as many requests as one may
 * expect at a time. */
size_t radius_proxy_descriptors(const struct config *c);

/* Lines "radius NAME: ..." with what was counted. From the main thread, not while a switch is on
 * its way. */
void radius_proxy_print(const struct radius_proxy *p, FILE *out);

#endif
