/* remote_end: the end of a tunnel at another gate, which an ID `GATE/ID` names. Main thread. */
#ifndef SSTPGATE_CONTROL_REMOTE_END_H
#define SSTPGATE_CONTROL_REMOTE_END_H

#include "control/report_query.h"

struct gate;

/* Takes the gate out of f->id, if it has one. *at: the name of another gate's process, which the
 * caller frees; NULL: the tunnel is one of this gate. Returns NULL, or the problem, which may be in
 * why. */
const char *remote_end_resolve(struct gate *gate, struct call_filter *f, char **at,
                               char why[REPORT_WHY_MAX]);

/* Gets the outcome: a line, or an error. Both are valid during the call. */
typedef void remote_end_done(void *arg, const char *said, const char *error);

/* Orders the gate `at` to end the tunnel, and takes ownership of `at`. by: a literal, for the log.
 * Calls done once, later or before it returns, with what the gate has answered. Returns NULL, or
 * why nothing will be called, a constant. */
const char *remote_end_begin(struct gate *gate, const char *by, const struct call_filter *f,
                             char *at, remote_end_done *done, void *arg);

#endif
