/* handover_state: what a gate knows and its successor should know, too: bans, points and the states
 * of servers, as text (gate/handover.h). Main thread. */
#ifndef SSTPGATE_GATE_HANDOVER_STATE_H
#define SSTPGATE_GATE_HANDOVER_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/span.h"

struct gate;
struct snapshot;

/* Writes bans, points and servers. */
void handover_state_write(struct gate *gate, FILE *out);

enum handover_part {
    HANDOVER_ALL,    /* at the start of the new process */
    HANDOVER_LATEST, /* when it serves: the changes since then, also those of administrators */
};

/* Restores bans, points, and the servers of the snapshot. LATEST: also ends the bans that the text
 * does not have, and of a server restores only whether it is drained. Logs how many lines were not
 * understood. */
void handover_state_restore(struct gate *gate, const struct snapshot *snapshot, struct span text,
                            enum handover_part part);

/* Describes the inherited sockets (gate/inherited.h). Returns the first number of a call. */
uint64_t handover_state_sockets(struct span text);

#endif
