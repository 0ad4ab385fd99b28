/* shared_asks: counts of tunnels, questions about them, rates, and points. In the thread of
 * `shared`, except for the functions of shared.h. */
#ifndef SSTPGATE_SHARED_SHARED_ASKS_H
#define SSTPGATE_SHARED_SHARED_ASKS_H

#include "shared/shared_in.h"
#include "shared/shared_reply.h"

void shared_asks_init(struct shared *s); /* after worker_init */
void shared_asks_stop(struct shared *s); /* closes the timer */
void shared_asks_fini(struct shared *s); /* after the end of the thread */

/* Gives each worker all its answers of this callback at once. */
void shared_asks_settle(struct shared *s);

/* Handles the store's decision. If it is late, the question has had its answer, and the count is
 * written again. */
void shared_asks_on_enter(struct shared *s, const struct shared_op *op,
                          const struct shared_reply *a);

/* Takes back the counts that were released since the last call, and sends the store those of the
 * whole tick with few commands, because a wake-up of the thread or a command for each would cost
 * too much. Each count is in the table, because its question was answered before its release. */
void shared_asks_tick(struct shared *s);

/* Sends the store all counts. */
void shared_asks_offer(struct shared *s, struct offering *o);

#endif
