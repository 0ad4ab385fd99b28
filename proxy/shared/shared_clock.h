/* shared_clock: an upper bound of the store's time, computed from the answers of the store. All
 * times are in microseconds. Not thread-safe. */
#ifndef SSTPGATE_SHARED_SHARED_CLOCK_H
#define SSTPGATE_SHARED_SHARED_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* All zeros: no answer yet. */
struct shared_clock {
    bool known;
    int64_t offset; /* upper bound of the store's clock minus this gate's clock */
};

/* Handles an answer. store: the time in the answer; sent, read: the times of the question and of
 * the answer by the clock of this gate. Keeps the least offset, that of the question that reached
 * the store fastest, until an answer shows that a clock was set. */
void shared_clock_take(struct shared_clock *c, uint64_t sent, uint64_t read, uint64_t store);

/* Returns an upper bound of the store's time at a time of this gate; at least 1. */
uint64_t shared_clock_at(const struct shared_clock *c, uint64_t time);

#endif
