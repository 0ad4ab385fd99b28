/* gate_view: the data of a running gate about one call of a client on this machine. */
#ifndef SSTPGATE_CLI_GATE_VIEW_H
#define SSTPGATE_CLI_GATE_VIEW_H

#include <stdbool.h>

#include "base/addr.h"

/* The fields of ctl's tables `tunnels` and `failures`; NULL: not known. */
struct gate_view {
    char *id, *binding, *key, *backend, *server, *reason, *words, *remedy, *detail;
    char *problem; /* why the query failed; NULL: it succeeded */
};

/* Queries the gate at this socket for the tunnel of a client. client: as addr_format writes it. The
 * caller calls gate_view_fini in any case. */
void gate_view_tunnel(struct gate_view *v, const char *socket, const char *client);

/* Does the same for a call that was refused or has failed. Waits up to a second for the end of the
 * call in the gate. */
void gate_view_failure(struct gate_view *v, const char *socket, const char *client);

void gate_view_fini(struct gate_view *v);

#endif
