#include "call/tunnels.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/check.h"
#include "call/site.h"
#include "call/tunnel.h"
#include "net/worker.h"

void tunnels_init(struct tunnels *set, struct worker *w, const struct site *site,
                  struct tunnels_total *total, size_t listeners_max)
{
    const struct config_gate *g = &site->config->gate;

    *set = (struct tunnels){.worker = w, .site = site, .total = total};
    set->listener = check_alloc(calloc(listeners_max, sizeof *set->listener));
    set->timeout[TUNNEL_HANDSHAKE] = g->timeout_handshake;
    set->timeout[TUNNEL_REQUEST] = g->timeout_request;
    set->timeout[TUNNEL_DIAL] = g->timeout_connect;
    set->timeout[TUNNEL_ANSWER] = g->timeout_answer;
    set->timeout[TUNNEL_NEGOTIATE] = g->timeout_negotiate;
    set->timeout[TUNNEL_RELAY] = g->timeout_idle;
    set->timeout[TUNNEL_DRAIN] = g->timeout_drain;
    set->timeout[TUNNEL_LINGER] = g->timeout_drain;
}

void tunnels_fini(struct tunnels *set)
{
    CHECK(set->count == 0);
    free(set->listener);
}

static bool on_connection(struct listener *l)
{
    struct tunnels *set = l->owner;
    const struct site_listener *listener = &set->site->listener[l->tag];
    unsigned missed;

    if (set->phase != TUNNELS_OPEN)
        return false;
    if (atomic_fetch_add(&set->total->count, 1) >= set->total->max) {
        atomic_fetch_sub(&set->total->count, 1);
        if (log_limit_pass(&set->limit_full, worker_now(set->worker), 1, &missed))
            log_msg(LOG_LEVEL_WARNING, "full", "max-tunnels (%u) reached: new calls wait",
                    set->total->max);
        return false;
    }
    tunnel_open(set, listener, l);
    return true;
}

int tunnels_listen(struct tunnels *set, int fd, size_t index)
{
    struct listener *l = &set->listener[set->listener_count++];
    return listener_open(l, set->worker, fd, on_connection, set, index);
}

static void end_if_idle(struct tunnels *set)
{
    if (set->phase != TUNNELS_OPEN && set->count == 0)
        worker_stop(set->worker);
}

void tunnels_add(struct tunnels *set, struct tunnel *t)
{
    set->count++;
    DL_APPEND(set->list[t->state], t);
}

void tunnels_remove(struct tunnels *set, struct tunnel *t)
{
    DL_DELETE(set->list[t->state], t);
    set->count--;
    atomic_fetch_sub(&set->total->count, 1);
    for (size_t i = 0; i < set->listener_count && set->phase == TUNNELS_OPEN; i++)
        listener_retry(&set->listener[i]);
    end_if_idle(set);
}

void tunnels_sweep(void *arg, uint64_t now_ms)
{
    struct tunnels *set = arg;

    for (int state = 0; state < TUNNEL_CLOSED; state++) {
        struct tunnel *t;
        if (set->timeout[state] == 0)
            continue;
        while ((t = set->list[state]) != NULL && t->deadline <= now_ms) {
            uint64_t due = t->active + set->timeout[state];
            if (state == TUNNEL_RELAY && due > now_ms) {
                /* Data moves far more often than the sweep looks: it only notes the time, and the
                 * list is put in order here. */
                t->deadline = due;
                DL_DELETE(set->list[state], t);
                DL_APPEND(set->list[state], t);
                continue;
            }
            tunnel_expire(t);
            CHECK(set->list[state] != t || t->deadline > now_ms);
        }
    }
    /* A place that another worker's call has left is seen here. */
    for (size_t i = 0; i < set->listener_count && set->phase == TUNNELS_OPEN; i++)
        listener_retry(&set->listener[i]);
}

void tunnels_drain(void *arg)
{
    struct tunnels *set = arg;

    if (set->phase != TUNNELS_OPEN)
        return;
    set->phase = TUNNELS_DRAINING;
    for (size_t i = 0; i < set->listener_count; i++)
        listener_close(&set->listener[i]);
    end_if_idle(set);
}

void tunnels_stop(void *arg)
{
    struct tunnels *set = arg;
    bool again = set->phase == TUNNELS_STOPPING;
    struct tunnel *t, *next;

    tunnels_drain(set);
    set->phase = TUNNELS_STOPPING;
    for (int state = 0; state < TUNNEL_CLOSED; state++)
        DL_FOREACH_SAFE(set->list[state], t, next) {
            if (again)
                tunnel_drop(t, REASON_SHUTDOWN);
            else
                tunnel_close(t, REASON_SHUTDOWN);
        }
}
