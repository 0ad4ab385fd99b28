/* pulse: shows other threads whether a worker's loop turns, and how late it is. The worker's sweep
 * beats; any thread may read, without a lock. */
#ifndef SSTPGATE_NET_PULSE_H
#define SSTPGATE_NET_PULSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    PULSE_STALE_US = 4000000, /* the loop does not turn if a sweep, due each second, is this late */
    PULSE_PERIOD_US = 15000000 /* pulse_lag covers this period, and the one before it */
};

/* Times are microseconds of uv_hrtime. */
struct pulse {
    _Atomic uint64_t due;      /* of the next sweep; UINT64_MAX: the loop does not run */
    _Atomic uint64_t worst[2]; /* largest lag of this period and of the previous one */
    uint64_t period_end;       /* worker only */
};

/* Initializes p, of a loop that does not run yet: it counts as turning. */
void pulse_init(struct pulse *p);

/* Notes that a sweep, or the loop's start, is now, and when the next sweep is due. Worker's thread
 * only. */
void pulse_beat(struct pulse *p, uint64_t now_us, uint64_t next_us);

/* Notes that the loop ends, which is no fault: it counts as turning. Worker's thread only. */
void pulse_end(struct pulse *p);

/* Returns whether the loop turns. */
bool pulse_is_turning(const struct pulse *p, uint64_t now_us);

/* Returns the largest lag of a sweep in the last 15 to 30 seconds, or that of the sweep that is
 * overdue now, in microseconds: so two readers do not take the peak away from each other, and a
 * scrape every 15 seconds misses none. */
uint64_t pulse_lag(const struct pulse *p, uint64_t now_us);

#endif
