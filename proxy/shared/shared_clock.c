#include "shared/shared_clock.h"

void shared_clock_take(struct shared_clock *c, uint64_t sent, uint64_t read, uint64_t store)
{
    const int64_t most = (int64_t)(store - sent) + 1; /* the store rounds down */
    const int64_t least = (int64_t)(store - read);

    if (!c->known || most < c->offset || least > c->offset)
        c->offset = most;
    c->known = true;
}

uint64_t shared_clock_at(const struct shared_clock *c, uint64_t time)
{
    const int64_t at = (int64_t)time + c->offset;
    return at < 1 ? 1 : (uint64_t)at;
}
