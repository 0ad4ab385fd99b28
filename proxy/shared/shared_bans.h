/* shared_bans: changes of bans, from this gate to the store and back. In the thread of `shared`,
 * except for the functions of shared.h. */
#ifndef SSTPGATE_SHARED_SHARED_BANS_H
#define SSTPGATE_SHARED_SHARED_BANS_H

#include "shared/shared_in.h"
#include "shared/shared_reply.h"

/* Applies the changes of the store's answer. Returns whether the store may have more. */
bool shared_bans_take(struct shared *s, const struct shared_reply *changes);

/* Sends the store the changes of this gate, and all bans, that it may not have. */
void shared_bans_offer(struct shared *s, struct offering *o);

/* Handles the end of a command that the store has carried out. */
void shared_bans_answered(struct shared *s, const struct shared_op *op,
                          const struct shared_reply *a);

#endif
