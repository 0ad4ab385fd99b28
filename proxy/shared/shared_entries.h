/* shared_entries: entries about logins that other gates have put into the store under a name. A
 * search asks the store at once and again, with growing pauses, until an entry is accepted or its
 * time is over. In the thread of `shared`, except for the functions of shared.h. */
#ifndef SSTPGATE_SHARED_SHARED_ENTRIES_H
#define SSTPGATE_SHARED_SHARED_ENTRIES_H

#include "shared/shared_in.h"
#include "shared/shared_reply.h"

void shared_entries_init(struct shared *s); /* after worker_init */
void shared_entries_stop(struct shared *s); /* closes the timer */
void shared_entries_fini(struct shared *s); /* after the end of the thread */

/* Handles the answer to a question. a: NULL: none will come. */
void shared_entries_answered(struct shared *s, const struct shared_op *op,
                             const struct shared_reply *a);

#endif
