/* points: a sum over a sliding time window, in slots. The window has 8 slots, and one more is
 * kept: the oldest expires while the newest fills, so a point counts for the window and up to an
 * eighth of it longer. All zeros is a sum of 0. now_ms: a monotonic clock. */
#ifndef SSTPGATE_POLICY_POINTS_H
#define SSTPGATE_POLICY_POINTS_H

#include <stdint.h>
#include <string.h>

enum { POINTS_WINDOW = 8, POINTS_SLOTS = POINTS_WINDOW + 1 };

struct points {
    uint64_t newest;           /* the slot that fills: time / slot_ms */
    uint16_t in[POINTS_SLOTS]; /* the points of a slot, at slot % POINTS_SLOTS */
};

/* Returns the length of a slot for a window, at least 1 ms. */
static inline uint64_t points_slot_ms(uint32_t window_ms)
{
    const uint64_t ms = ((uint64_t)window_ms + POINTS_WINDOW - 1) / POINTS_WINDOW;
    return ms == 0 ? 1 : ms;
}

static inline void points_clear(struct points *p)
{
    memset(p->in, 0, sizeof p->in);
}

/* Empties the slots that have expired. The newest slot stays if now_ms is before it, because the
 * clock of another thread may be a little behind. */
static inline void points_turn(struct points *p, uint64_t slot_ms, uint64_t now_ms)
{
    const uint64_t slot = now_ms / slot_ms;
    if (slot >= p->newest + POINTS_SLOTS)
        points_clear(p);
    for (uint64_t s = p->newest + 1; s <= slot && s < p->newest + POINTS_SLOTS; s++)
        p->in[s % POINTS_SLOTS] = 0;
    if (slot > p->newest)
        p->newest = slot;
}

/* Adds to the newest slot, which holds at most UINT16_MAX. Call points_turn() first. */
static inline void points_add(struct points *p, unsigned points)
{
    uint16_t *in = &p->in[p->newest % POINTS_SLOTS];
    *in = points > UINT16_MAX - (unsigned)*in ? UINT16_MAX : (uint16_t)(*in + points);
}

/* Raises each slot to that of `least`. Call points_turn() with the same time on both first. */
static inline void points_raise(struct points *p, const struct points *least)
{
    for (unsigned i = 0; i < POINTS_SLOTS; i++)
        if (p->in[i] < least->in[i])
            p->in[i] = least->in[i];
}

static inline unsigned points_sum(const struct points *p)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < POINTS_SLOTS; i++)
        sum += p->in[i];
    return sum;
}

#endif
