/* shared_beat: the command that renews the lease of this gate and brings the list of gates and the
 * changes of bans. The thread of `shared`. */
#ifndef SSTPGATE_SHARED_SHARED_BEAT_H
#define SSTPGATE_SHARED_SHARED_BEAT_H

#include "shared/shared_in.h"
#include "shared/shared_reply.h"

/* Sends the command, unless another one waits for its answer. */
void shared_beat(struct shared *s);

/* Handles the answer. NULL: none will come. */
void shared_beat_answered(struct shared *s, const struct shared_reply *a);

void shared_beat_clear(struct shared *s); /* forgets the list of gates */

#endif
