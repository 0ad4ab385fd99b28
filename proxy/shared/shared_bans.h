/* shared_bans: sends changes of bans to the store and applies those of the store. In the thread of
 * `shared`, except for the functions of shared.h. */
#ifndef SSTPGATE_SHARED_SHARED_BANS_H
#define SSTPGATE_SHARED_SHARED_BANS_H

#include "shared/shared_in.h"
#include "shared/shared_reply.h"

/* Applies the changes of the store's answer. Returns whether the store may have more. */
bool shared_bans_take(struct shared *s, const struct shared_reply *changes);

/* Sends the store the changes that it may not have, and the bans of this gate without a change. */
void shared_bans_offer(struct shared *s, struct offering *o);

/* Handles the answer to a BAN that the store has carried out. */
void shared_bans_answered(struct shared *s, const struct shared_op *op,
                          const struct shared_reply *a);

#endif
