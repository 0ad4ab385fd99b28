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
    bool inherited; /* the service manager has the same socket */
    int *fds;       /* one for each worker; NULL: the workers own them */
};

struct sockets {
    struct listening_socket *item;
    size_t count;
    size_t workers;
    size_t next_id;
};

/* Builds the table for c. Sockets whose address, interface and v6only are unchanged are kept from
 * `now`, because closing a socket resets the connections in its queue (SO_REUSEPORT); the others
 * are bound. False: every failure was written to problems, nothing new is open and `now` is
 * unchanged. */
bool sockets_prepare(struct sockets *next, const struct sockets *now, const struct config *c,
                     size_t workers, FILE *problems);

/* Frees the table, and closes the descriptors that no worker owns. */
void sockets_free(struct sockets *s);

/* Takes the descriptors that a service manager has passed (LISTEN_FDS of sd_listen_fds(3)); they
 * are used for the addresses that they are bound to. Call once, before the first sockets_prepare.
 */
void sockets_inherited_begin(void);

/* Closes the inherited descriptors that no listener uses, with a warning. */
void sockets_inherited_end(void);

#endif
