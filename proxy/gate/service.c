#include "gate/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/insist.h"
#include "gate/gate_state.h"
#include "gate/notify.h"
#include "net/pulse.h"

/* STATUS_MS: between two lines for `systemctl status`. */
enum { STATUS_MS = 5000, STATUS_MAX = 160 };

struct service {
    uv_timer_t timer;
    bool watched; /* the service manager expects WATCHDOG=1 */
    enum { SERVICE_STARTS, SERVICE_READY, SERVICE_LEFT } phase;
    char status[STATUS_MAX]; /* as sent last */
};

static const char *status_of(const struct gate *gate, char out[STATUS_MAX])
{
    const unsigned calls = atomic_load(&gate->shared.count), old = gate->old_tunnels;
    const char *word = gate->phase == SERVING ? "" : "draining: ";

    if (old == 0)
        snprintf(out, STATUS_MAX, "%s%u tunnels", word, calls);
    else
        snprintf(out, STATUS_MAX, "%s%u tunnels, and %u in old processes", word, calls, old);
    return out;
}

static void status_send(const struct gate *gate)
{
    struct service *s = gate->service;
    char text[STATUS_MAX];

    if (strcmp(status_of(gate, text), s->status) != 0 && notify_hint("STATUS=%s", text))
        memcpy(s->status, text, sizeof text);
}

static bool all_turn(const struct gate *gate)
{
    const uint64_t now_us = uv_hrtime() / 1000;
    bool turn = true;

    for (size_t i = 0; i < gate->workers; i++)
        turn &= pulse_is_turning(&gate->worker[i].worker.pulse, now_us);
    if (gate->radius.phase == RADIUS_RUNS)
        turn &= pulse_is_turning(&gate->radius.proxy.worker.pulse, now_us);
    return turn;
}

static void on_service_timer(uv_timer_t *timer)
{
    const struct gate *gate = timer->data;
    const struct service *s = gate->service;

    if (s->phase == SERVICE_LEFT)
        return;
    if (s->watched && all_turn(gate))
        (void)notify_hint("WATCHDOG=1");
    if (s->phase == SERVICE_READY)
        status_send(gate);
}

void service_open(struct gate *gate)
{
    struct service *s = gate->service = NEW(struct service);
    const uint64_t limit = notify_watchdog_ms();
    uint64_t every = STATUS_MS;

    s->watched = limit > 0;
    if (s->watched && limit / 2 < every)
        every = limit / 2 + 1;
    INSIST_UV(uv_timer_init(&gate->loop, &s->timer));
    s->timer.data = gate;
    if (notify_wanted())
        INSIST_UV(uv_timer_start(&s->timer, on_service_timer, every, every));
}

static void on_closed(uv_handle_t *handle)
{
    struct gate *gate = handle->data;
    free(gate->service);
}

void service_close(struct gate *gate)
{
    uv_close((uv_handle_t *)&gate->service->timer, on_closed);
}

void service_ready(struct gate *gate)
{
    struct service *s = gate->service;

    if (s->phase == SERVICE_LEFT)
        return;
    s->phase = SERVICE_READY;
    (void)notify_send("READY=1\nSTATUS=%s", status_of(gate, s->status));
}

void service_reloading(struct gate *gate)
{
    struct timespec now;

    if (gate->service->phase != SERVICE_READY)
        return;
    clock_gettime(CLOCK_MONOTONIC, &now);
    (void)notify_send("RELOADING=1\nMONOTONIC_USEC=%llu\nSTATUS=reloading",
                      (unsigned long long)now.tv_sec * 1000000 +
                          (unsigned long long)now.tv_nsec / 1000);
}

void service_reloaded(struct gate *gate)
{
    if (gate->service->phase == SERVICE_READY)
        service_ready(gate);
}

void service_stopping(struct gate *gate)
{
    struct service *s = gate->service;

    if (s->phase != SERVICE_LEFT)
        (void)notify_send("STOPPING=1\nSTATUS=ending all calls");
    s->phase = SERVICE_LEFT;
}

void service_leave(struct gate *gate)
{
    gate->service->phase = SERVICE_LEFT;
}
