/* history: the last hour in steps of ten seconds, for the charts of the status page. Main thread.
 */
#ifndef SSTPGATE_GATE_HISTORY_H
#define SSTPGATE_GATE_HISTORY_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

struct tally;

enum { HISTORY_STEP = 10, HISTORY_POINTS = 360 }; /* seconds; an hour */

struct history_point {
    uint64_t tunnels;              /* up at the end of the step */
    uint64_t up_bytes, down_bytes; /* forwarded in the step; the same for those below */
    uint64_t failures;             /* calls with the outcome failed */
    uint64_t setups, setup_ms;     /* tunnels that came up, and the sum of their setup times */
};

/* All zeros: empty. */
struct history {
    struct history_point point[HISTORY_POINTS]; /* a ring */
    size_t next, count;
    time_t time;              /* end of the latest step */
    struct history_point sum; /* since the start, at that time */
};

/* Adds the step that ends at `now`. sum: the counters of all workers. */
void history_add(struct history *h, const struct tally *sum, time_t now);

/* Returns point i; 0: the oldest, h->count - 1: the latest. */
const struct history_point *history_at(const struct history *h, size_t i);

#endif
