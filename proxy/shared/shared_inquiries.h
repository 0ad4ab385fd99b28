/* shared_inquiries: the inquiries of this gate that wait for answers of others, and its answers to
 * theirs. For the files of `shared`; in its thread.
 *
 * A question is sent like a change of a ban, so that no command is needed while there is no
 * question, and each gate has it with its next beat. The other gates append the pages of their
 * answers to a list in the store, which expires; the gate that asks takes them from there. */
#ifndef SSTPGATE_SHARED_SHARED_INQUIRIES_H
#define SSTPGATE_SHARED_SHARED_INQUIRIES_H

#include "shared/shared_in.h"
#include "shared/shared_reply.h"

#define SHARED_ASK_WORD "ask" /* the kind of a change that is a question */

/* Takes pages, and ends the inquiries whose time is over. Called in each tick. */
void shared_inquiries_tick(struct shared *s);

/* Ends all inquiries without the answers that are missing. why: for struct shared_answers. */
void shared_inquiries_end(struct shared *s, const char *why);

/* Handles the question of another gate: a change with SHARED_ASK. */
void shared_inquiries_take(struct shared *s, const struct shared_ban *change);

/* Handles the answer to PULL; NULL: none will come. */
void shared_inquiries_pulled(struct shared *s, struct shared_op *op, const struct shared_reply *a);

/* Handles the answer to PUSH. Returns whether op was sent again, with its next page. */
bool shared_inquiries_pushed(struct shared *s, struct shared_op *op, const struct shared_reply *a);

#endif
