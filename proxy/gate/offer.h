/* offer: the descriptors that a new process gets from this one (gate/upgrade.h): all sockets, and
 * a file with the text of gate/state_text.h that says what they are. Main thread. */
#ifndef SSTPGATE_GATE_OFFER_H
#define SSTPGATE_GATE_OFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "gate/spawn.h"

struct gate;

/* All zeros: empty. */
struct offer {
    struct spawn_fd *fd; /* owned with the names; the descriptors belong to others */
    size_t count, room, sockets;
    FILE *text; /* of the state, while it is written */
};

/* Adds a descriptor under a name, which is copied. */
void offer_fd(struct offer *o, int fd, const char *name);

/* Adds all sockets and the state file, which is added under this name. Waits for each worker.
 * Returns the file, which the caller closes; -1 with errno. */
int offer_all(struct offer *o, struct gate *gate, const char *name);

/* Replaces the content of a state file. Returns false with errno. */
bool offer_write_state(int fd, const char *text, size_t n);

/* Frees the list, and closes nothing. */
void offer_free(struct offer *o);

#endif
