/* sockets: the listening sockets of the program. A reload keeps the unchanged ones. Main
 * thread. */
#ifndef SSTPGATE_GATE_SOCKETS_H
#define SSTPGATE_GATE_SOCKETS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/addr.h"
#include "config/config.h"

struct listening_socket {
    size_t id;        /* unique for the life of the program */
    size_t listener;  /* index into config->listener */
    struct addr want; /* as configured */
    struct addr bound;
    char *interface;
    bool v6only;
    bool plain;     /* of listen-http */
    bool inherited; /* the service manager has the same socket */
    int *fds;       /* at least one for each worker, in turn; NULL: the workers own them */
    size_t fd_count;
};

struct sockets {
    struct listening_socket *item;
    size_t count;
    size_t next_id;
};

/* Builds the table for c. Sockets whose address, interface and v6only are unchanged are kept from
 * `now`, because closing a socket resets the connections in its queue (SO_REUSEPORT); the others
 * are inherited (inherited.h) or bound. False: every failure was written to problems, nothing new
 * is open and `now` is unchanged. */
bool sockets_prepare(struct sockets *next, const struct sockets *now, const struct config *c,
                     size_t workers, FILE *problems);

/* Frees the table, and closes the descriptors that no worker owns. */
void sockets_free(struct sockets *s);

#endif
