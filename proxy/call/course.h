/* course: the course of a call, as one table with a row for each state: which function handles what
 * happens in it. The ceiling of what one call is; calls.h is the set of them. */
#ifndef SSTPGATE_CALL_COURSE_H
#define SSTPGATE_CALL_COURSE_H

#include "call/call.h"

struct listener;
struct site_listener;

/* Makes a call of the connection that waits at l. */
void course_open(struct call_set *set, const struct site_listener *listener, struct listener *l);

/* The deadline of the call's state is over. */
void course_expire(struct call *call);

/* For call_set: the call is about to enter state next. */
void course_leave(struct call *call, enum call_state next);

#endif
