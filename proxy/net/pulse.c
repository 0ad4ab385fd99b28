#include "net/pulse.h"

static uint64_t load(const _Atomic uint64_t *n)
{
    return atomic_load_explicit(n, memory_order_relaxed);
}

static void store(_Atomic uint64_t *n, uint64_t value)
{
    atomic_store_explicit(n, value, memory_order_relaxed);
}

static uint64_t overdue(const struct pulse *p, uint64_t now_us)
{
    const uint64_t due = load(&p->due);
    return now_us > due ? now_us - due : 0;
}

void pulse_init(struct pulse *p)
{
    *p = (struct pulse){.due = UINT64_MAX};
}

void pulse_beat(struct pulse *p, uint64_t now_us, uint64_t next_us)
{
    const uint64_t lag = overdue(p, now_us);

    if (now_us >= p->period_end) {
        store(&p->worst[1], load(&p->worst[0]));
        store(&p->worst[0], 0);
        p->period_end = now_us + PULSE_PERIOD_US;
    }
    if (lag > load(&p->worst[0]))
        store(&p->worst[0], lag);
    store(&p->due, next_us);
}

void pulse_end(struct pulse *p)
{
    store(&p->due, UINT64_MAX);
}

bool pulse_is_turning(const struct pulse *p, uint64_t now_us)
{
    return overdue(p, now_us) < PULSE_STALE_US;
}

uint64_t pulse_lag(const struct pulse *p, uint64_t now_us)
{
    uint64_t lag = overdue(p, now_us);

    for (unsigned i = 0; i < 2; i++)
        if (load(&p->worst[i]) > lag)
            lag = load(&p->worst[i]);
    return lag;
}
