#include "gate/drains.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"
#include "call/ending.h"
#include "gate/gate_state.h"
#include "site/snapshot.h"

enum { TICK_MS = 1000 };

struct drain {
    struct drain *next;
    char *server; /* NULL: the gate */
    uint64_t until_ms;
};

/* ---- ending ---- */

/* One worker's part. */
struct end_part {
    struct ending ending;
    size_t part;
    bool begun;
};

static void part_end(struct calls *calls, void *arg)
{
    struct end_part *p = arg;

    if (!p->begun)
        p->ending.left = ending_count(&calls->set, p->ending.filter) / p->part;
    p->begun = true;
    ending_run(&calls->set, &p->ending);
}

size_t drains_end_tunnels(struct gate *gate, const struct call_filter *filter, const char *detail,
                          size_t part)
{
    struct end_part *parts = insist_alloc(calloc(gate->workers, sizeof *parts));
    size_t ended = 0;
    bool more = true;

    for (size_t i = 0; i < gate->workers; i++)
        parts[i] = (struct end_part){.ending = {.filter = filter, .detail = detail}, .part = part};
    while (more) {
        gate_call_workers(gate, part_end, parts, sizeof *parts);
        more = false;
        for (size_t i = 0; i < gate->workers; i++)
            more |= parts[i].ending.more;
    }
    for (size_t i = 0; i < gate->workers; i++)
        ended += parts[i].ending.ended;
    free(parts);
    return ended;
}

/* ---- drains ---- */

static void drain_free(struct gate *gate, struct drain *d)
{
    LL_DELETE(gate->drains, d);
    free(d->server);
    free(d);
}

static bool is_of(const struct drain *d, const char *server)
{
    return d->server == NULL || server == NULL ? d->server == server
                                               : strcmp(d->server, server) == 0;
}

/* Ends the share of this second: the tunnels that are left, divided by the seconds that are left.
 * The drain of a server continues after its time, because a call may become a tunnel later. */
static void drain_tick(struct gate *gate, const struct drain *d, uint64_t now_ms)
{
    const struct call_filter filter = {.server = d->server};
    const uint64_t left_ms = d->until_ms > now_ms ? d->until_ms - now_ms : 0;

    (void)drains_end_tunnels(gate, &filter, "drain-time", (size_t)(left_ms / TICK_MS) + 1);
    if (left_ms == 0 && d->server == NULL)
        gate_stop(gate, "drain-time");
}

static void on_tick(uv_timer_t *timer)
{
    struct gate *gate = timer->data;
    struct drain *d, *next;

    LL_FOREACH_SAFE(gate->drains, d, next)
    {
        drain_tick(gate, d, uv_now(&gate->loop));
    }
    if (gate->phase == STOPPING)
        drains_cancel(gate, NULL);
}

void drains_start(struct gate *gate)
{
    INSIST_UV(uv_timer_init(&gate->loop, &gate->drain_timer));
    gate->drain_timer.data = gate;
}

void drains_begin(struct gate *gate, const char *server)
{
    const uint32_t ms = gate->snapshot->config->gate.drain_time;

    if (ms == 0)
        return;
    drains_cancel(gate, server);
    struct drain *d = NEW(struct drain);
    d->server = server == NULL ? NULL : insist_alloc(strdup(server));
    d->until_ms = uv_now(&gate->loop) + ms;
    LL_PREPEND(gate->drains, d);
    INSIST_UV(uv_timer_start(&gate->drain_timer, on_tick, TICK_MS, TICK_MS));
}

void drains_cancel(struct gate *gate, const char *server)
{
    struct drain *d, *next;

    LL_FOREACH_SAFE(gate->drains, d, next)
    {
        if (is_of(d, server))
            drain_free(gate, d);
    }
    if (gate->drains == NULL)
        INSIST_UV(uv_timer_stop(&gate->drain_timer));
}

void drains_stop(struct gate *gate)
{
    while (gate->drains != NULL)
        drain_free(gate, gate->drains);
    uv_close((uv_handle_t *)&gate->drain_timer, NULL);
}
