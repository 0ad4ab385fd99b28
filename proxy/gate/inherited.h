/* inherited: the descriptors that the program got at its start, as sd_listen_fds(3) describes them:
 * from a service manager, or from the gate that it replaces (gate/upgrade.h). A socket is used for
 * the address that it is bound to. Main thread, at the start only. */
#ifndef SSTPGATE_GATE_INHERITED_H
#define SSTPGATE_GATE_INHERITED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/span.h"

/* The beginning of the names of sockets that an old process passes; HELD: the service manager has
 * them, too. */
#define INHERITED_OURS "sstpgate-"
#define INHERITED_HELD INHERITED_OURS "held-"

/* Reads LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES, and removes them from the environment.
 * Returns the number of descriptors. */
size_t inherited_begin(void);

/* Returns the descriptor with this name, and gives up its ownership; -1: none. */
int inherited_take(const char *name);

/* Notes that the sockets with these names, which blanks separate, belong together, one for each
 * worker of another gate, and serve the configured address `want`, whose port may be 0.
 * shared: a service manager has the socket, too; without a description every socket is. */
void inherited_describe(const struct addr *want, struct span names, bool shared);

/* Takes the listening sockets for an address, if they accept exactly the connections that the
 * configuration wants. Allocates *fds. Returns their number, at least `least`: if there are fewer
 * sockets, several descriptors share one. *shared: the service manager has the socket, too. 0:
 * there is none, or no descriptor is left, and *fds is NULL. */
size_t inherited_listening(const struct addr *want, const char *interface, bool v6only,
                           size_t least, int **fds, bool *shared);

/* Takes the UDP socket for an address. Returns -1 if there is none. */
int inherited_datagrams(const struct addr *want);

/* Takes the listening unix socket with this path. *held: the service manager has it, too, and its
 * file stays when the program ends. Returns -1 if there is none. */
int inherited_unix(const char *path, bool *held);

/* Returns whether an inherited TCP socket, taken or not, has the port of this address, and the same
 * address or a part of it. */
bool inherited_holds(const struct addr *want);

/* Closes the descriptors that were not taken, with a warning. */
void inherited_end(void);

#endif
