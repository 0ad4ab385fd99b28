/* course: the course of a call, as one table: the row of a state has the function that handles
 * each event. The highest module for a single call; calls.h manages all calls of a worker. */
#ifndef SSTPGATE_CALL_COURSE_H
#define SSTPGATE_CALL_COURSE_H

#include "call/call.h"

struct listener;
struct site_listener;

/* Creates a call for the connection that waits at l. plain: at an address of listen-http. */
void course_open(struct call_set *set, const struct site_listener *listener, struct listener *l,
                 bool plain);

/* Handles the deadline of the call's state, which has passed. */
void course_expire(struct call *call);

/* Cleans up the call's state before it enters state next. For on_leave of call_set. */
void course_leave(struct call *call, enum call_state next);

#endif
