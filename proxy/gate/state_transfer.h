/* state_transfer: writes the state of a gate (bans, points, states of servers) as text
 * (gate/state_text.h), and restores it in the process that replaces the gate. Main thread. */
#ifndef SSTPGATE_GATE_STATE_TRANSFER_H
#define SSTPGATE_GATE_STATE_TRANSFER_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/span.h"

struct gate;
struct snapshot;

/* Writes bans, points and servers. */
void state_transfer_write(struct gate *gate, FILE *out);

enum state_part {
    STATE_ALL,    /* at the start of the new process */
    STATE_LATEST, /* when it serves: the changes since the start, also by administrators */
};

/* Restores bans, points, and the servers of the snapshot. LATEST: also ends the bans that are
 * missing in the text, and restores only whether a server is drained. Logs the number of lines that
 * were skipped. */
void state_transfer_restore(struct gate *gate, const struct snapshot *snapshot, struct span text,
                            enum state_part part);

/* Describes the inherited sockets (gate/inherited.h). Returns the first number of a call. */
uint64_t state_transfer_sockets(struct span text);

#endif
