#include "gate/history.h"

#include "base/insist.h"
#include "call/tally.h"

static void add_listener(struct history_point *p, const struct tally_listener *l)
{
    p->up_bytes += tally_get(&l->calls.bytes[TALLY_UP]);
    p->down_bytes += tally_get(&l->calls.bytes[TALLY_DOWN]);
    for (int r = 0; r < REASON_COUNT; r++)
        p->failures += tally_get(&l->calls.ended[r][OUTCOME_FAILED]);
    for (const struct tally_tunnels *t = l->tunnels; t != NULL; t = t->next)
        p->tunnels += tally_get(&t->now);
}

/* Returns the sums since the start. */
static struct history_point point_of(const struct tally *sum)
{
    struct history_point p = {.setups = tally_times(&sum->gate.setup),
                              .setup_ms = tally_get(&sum->gate.setup.sum_ms)};

    for (const struct tally_listener *l = sum->listener; l != NULL; l = l->next)
        add_listener(&p, l);
    return p;
}

void history_add(struct history *h, const struct tally *sum, time_t now)
{
    const struct history_point all = point_of(sum);

    h->point[h->next] = (struct history_point){.tunnels = all.tunnels,
                                               .up_bytes = all.up_bytes - h->sum.up_bytes,
                                               .down_bytes = all.down_bytes - h->sum.down_bytes,
                                               .failures = all.failures - h->sum.failures,
                                               .setups = all.setups - h->sum.setups,
                                               .setup_ms = all.setup_ms - h->sum.setup_ms};
    h->next = (h->next + 1) % HISTORY_POINTS;
    h->count += h->count < HISTORY_POINTS;
    h->sum = all;
    h->time = now;
}

const struct history_point *history_at(const struct history *h, size_t i)
{
    INSIST(i < h->count);
    return &h->point[(h->next + HISTORY_POINTS - h->count + i) % HISTORY_POINTS];
}
