/* rate: a limit of `count` events in `per_ms`, and the state of a token bucket for it.
 *
 * A bucket of `count` tokens, which is refilled in `per_ms`, is one number: the time, in
 * nanoseconds, at which it will be full again. Each token taken moves that time by one step; a
 * token is left while the time is at most count - 1 steps ahead. A time in the past is a full
 * bucket, so 0 is a new one. now_ms: a monotonic clock. */
#ifndef SSTPGATE_POLICY_RATE_H
#define SSTPGATE_POLICY_RATE_H

#include <stdbool.h>
#include <stdint.h>

struct rate {
    uint32_t count, per_ms; /* count 0: no limit */
};

static inline uint64_t rate_step(const struct rate *r)
{
    return (uint64_t)r->per_ms * 1000000 / r->count;
}

/* Returns whether a token is left. */
static inline bool rate_allows(const struct rate *r, uint64_t full_ns, uint64_t now_ms)
{
    return r->count == 0 || full_ns <= now_ms * 1000000 + rate_step(r) * (r->count - 1);
}

/* Takes a token, even if none is left. */
static inline void rate_take(const struct rate *r, uint64_t *full_ns, uint64_t now_ms)
{
    const uint64_t now_ns = now_ms * 1000000;
    if (r->count > 0)
        *full_ns = (*full_ns > now_ns ? *full_ns : now_ns) + rate_step(r);
}

static inline bool rate_is_full(uint64_t full_ns, uint64_t now_ms)
{
    return full_ns <= now_ms * 1000000;
}

/* Returns whether the state of a bucket for a means the same for b. */
static inline bool rate_equal(const struct rate *a, const struct rate *b)
{
    return a->count == b->count && a->per_ms == b->per_ms;
}

#endif
