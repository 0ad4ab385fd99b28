/* sockets: the listening sockets of the program, from one configuration to the next. Main thread.
 */
#ifndef SSTPGATE_GATE_SOCKETS_H
#define SSTPGATE_GATE_SOCKETS_H

#include <stdbool.h>
#include <stdio.h>

#include "base/addr.h"
#include "config/config.h"

struct listening_socket {
    size_t id;        /* never used twice */
    size_t listener;  /* index into config->listener */
    struct addr want; /* as configured */
    struct addr bound;
    char *interface;
    bool v6only;
    int *fds; /* one for each worker, until they have taken them; NULL when they have */
};

struct sockets {
    struct listening_socket *item;
    size_t count;
    size_t workers;
    size_t next_id;
};

/* The table for c: sockets whose address, interface and v6only did not change are those of `now`
 * (SO_REUSEPORT: closing one resets what waits in its queue), the others are bound. What cannot be
 * bound is told in problems, all of it; then false, nothing new stays open, and now is as it was.
 */
bool sockets_prepare(struct sockets *next, const struct sockets *now, const struct config *c,
                     size_t workers, FILE *problems);

/* Frees the table; descriptors nobody has taken are closed. */
void sockets_free(struct sockets *s);

/* Descriptors that a service manager has handed over (LISTEN_FDS of sd_listen_fds(3)) are used for
 * the addresses they are bound to. To be called once, before the first sockets_prepare; afterwards
 * sockets_inherited_end closes those that fit no address, with a warning. */
void sockets_inherited_begin(void);
void sockets_inherited_end(void);

#endif
