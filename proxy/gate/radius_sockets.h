/* radius_sockets: where VPN servers ask, from one configuration to the next: as sockets.h, for UDP.
 * Main thread. */
#ifndef SSTPGATE_GATE_RADIUS_SOCKETS_H
#define SSTPGATE_GATE_RADIUS_SOCKETS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/addr.h"
#include "config/config.h"

struct radius_socket {
    size_t id;      /* never used twice */
    size_t section; /* index into config->radius */
    bool accounting;
    struct addr want; /* as configured */
    struct addr bound;
    int fd; /* until the proxy has taken it; -1 when it has */
};

struct radius_sockets {
    struct radius_socket *item;
    size_t count;
    size_t next_id;
};

/* The table for c: sockets whose address did not change are those of `now`, the others are bound.
 * What cannot be bound is told in problems, all of it; then false, nothing new stays open, and now
 * is as it was. */
bool radius_sockets_prepare(struct radius_sockets *next, const struct radius_sockets *now,
                            const struct config *c, FILE *problems);

/* Frees the table; descriptors that nobody has taken are closed. */
void radius_sockets_free(struct radius_sockets *s);

/* "radius" or "accounting": what is taken there. */
const char *radius_socket_kind(const struct radius_socket *s);

#endif
