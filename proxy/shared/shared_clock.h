/* shared_clock: the clock of the store as a gate knows it from the answers of the store: a bound,
 * which the true time does not exceed. Microseconds. Not thread-safe. */
#ifndef SSTPGATE_SHARED_SHARED_CLOCK_H
#define SSTPGATE_SHARED_SHARED_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* All zeros: nothing is known. */
struct shared_clock {
    bool known;
    int64_t offset; /* at least the clock of the store less that of this gate */
};

/* Handles an answer: the time of the store, and when the question was sent and the answer read, by
 * the clock of this gate. The offset is that of the fastest answer, until an answer shows that a
 * clock was set. */
void shared_clock_take(struct shared_clock *c, uint64_t sent, uint64_t read, uint64_t store);

/* Returns the time of the store at a time of this gate: at least the true one. At least 1. */
uint64_t shared_clock_at(const struct shared_clock *c, uint64_t time);

#endif
