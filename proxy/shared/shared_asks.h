/* shared_asks: counts of tunnels, questions about them, rates, and points. In the thread of
 * `shared`, except for the functions of shared.h. */
#ifndef SSTPGATE_SHARED_SHARED_ASKS_H
#define SSTPGATE_SHARED_SHARED_ASKS_H

#include "shared/shared_in.h"
#include "shared/shared_reply.h"

void shared_asks_init(struct shared *s); /* after worker_init */
void shared_asks_stop(struct shared *s); /* closes the timer */
void shared_asks_fini(struct shared *s); /* after the end of the thread */

/* Hands over the answers of this callback, to each worker all of its answers at once. */
void shared_asks_settle(struct shared *s);

/* Handles the store's decision. A late decision has no effect but that the count is written again,
 * because the question has already had its answer. */
void shared_asks_on_enter(struct shared *s, const struct shared_op *op,
                          const struct shared_reply *a);

/* Takes back the counts that were released since the last call, and sends the store those of the
 * whole tick with few commands, because a wake-up of the thread or a command for each would cost
 * too much. Each count is in the table, because its question was answered before its release. */
void shared_asks_tick(struct shared *s);

/* Sends the store all counts. */
void shared_asks_offer(struct shared *s, struct offering *o);

#endif
