/* radius_sockets: the UDP sockets for requests of VPN servers. A reload keeps those whose
 * address is unchanged. Main thread. */
#ifndef SSTPGATE_GATE_RADIUS_SOCKETS_H
#define SSTPGATE_GATE_RADIUS_SOCKETS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/addr.h"
#include "config/config.h"

struct radius_socket {
    size_t id;      /* unique for the life of the program */
    size_t section; /* index into config->radius */
    bool accounting;
    struct addr want; /* as configured */
    struct addr bound;
    int fd; /* -1: the proxy owns it */
};

struct radius_sockets {
    struct radius_socket *item;
    size_t count;
    size_t next_id;
};

/* Builds the table for c. Sockets whose address is unchanged are kept from `now`, the others are
 * bound. False: every failure was written to problems, nothing new is open and `now` is unchanged.
 */
bool radius_sockets_prepare(struct radius_sockets *next, const struct radius_sockets *now,
                            const struct config *c, FILE *problems);

/* Frees the table, and closes the descriptors that the proxy does not own. */
void radius_sockets_free(struct radius_sockets *s);

/* Returns "radius" or "accounting". */
const char *radius_socket_kind(const struct radius_socket *s);

#endif
