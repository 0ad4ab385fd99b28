/* drains: the end of a drain with drain-time: the tunnels of the gate, or of a server, are ended
 * evenly over that time, so that their clients do not dial again in the same second. Main thread.
 */
#ifndef SSTPGATE_GATE_DRAINS_H
#define SSTPGATE_GATE_DRAINS_H

#include <stddef.h>

struct call_filter;
struct gate;

/* Starts the timer. */
void drains_start(struct gate *gate);

/* Begins to end the tunnels of a server (BACKEND/SERVER) or, with NULL, of the gate, which stops
 * after drain-time. A no-op without drain-time. */
void drains_begin(struct gate *gate, const char *server);

/* Ends no more tunnels for this drain. A no-op if there is none. */
void drains_cancel(struct gate *gate, const char *server);

/* Closes the timer and forgets all drains. */
void drains_stop(struct gate *gate);

/* Ends the tunnels that match, in steps that do not delay others. detail: a literal for the log.
 * part: 1 ends all, N every Nth of each worker. Returns their number. */
size_t drains_end_tunnels(struct gate *gate, const struct call_filter *filter, const char *detail,
                          size_t part);

#endif
