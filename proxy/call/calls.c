#include "call/calls.h"

#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "base/insist.h"
#include "call/call.h"
#include "call/entry.h"
#include "call/relay.h"
#include "net/worker.h"
#include "radius/keyring.h"
#include "site/site.h"
#include "upstream/probes.h"

/* Calls that one sweep may end: some 20 us each. Thousands of deadlines may pass at once, and their
 * calls must not delay the others; the next sweep follows in WORKER_AGAIN_MS. */
enum { EXPIRE_AT_ONCE = 16 };

/* How long a handshake may wait for its client while other calls wait for a place. Round trips take
 * less, and clients that are silent after their ClientHello must not lock out all others until
 * timeout-handshake. */
enum { HANDSHAKE_PATIENCE_MS = 1000 };

/* When memory returns to the system: at least TRIM_CALLS calls and half of the peak have ended.
 * malloc keeps free blocks between blocks that are in use (a peak of 3000 handshakes left 120 MiB),
 * and malloc_trim returns their pages. That takes some 0.1 to 0.5 ms for each MiB and delays the
 * streams, so it is done at most once a minute. */
enum { TRIM_CALLS = 500, TRIM_PAUSE_MS = 60000 };

struct calls_door {
    struct calls_door *prev, *next;
    size_t socket;
    struct listener listener;
};

void calls_init(struct calls *set, struct worker *w, struct calls_shared *shared)
{
    *set = (struct calls){.worker = w, .shared = shared};
    if (w->index == 0)
        set->probes = probes_new(w);
}

void calls_fini(struct calls *set)
{
    INSIST(set->count == 0 && set->doors == NULL);
    probes_free(set->probes);
    site_unref(set->site);
}

static bool on_connection(struct listener *l)
{
    struct calls *set = l->owner;
    unsigned missed;

    if (set->phase != CALLS_OPEN)
        return false;
    if (atomic_fetch_add(&set->shared->count, 1) >= atomic_load(&set->shared->max)) {
        atomic_fetch_sub(&set->shared->count, 1);
        if (log_limit_pass(&set->limit_full, worker_now(set->worker), 1, &missed))
            log_msg(LOG_LEVEL_WARNING, "full", "max-tunnels (%u) reached: new calls wait",
                    atomic_load(&set->shared->max));
        return false;
    }
    call_open(set, &set->site->listener[l->tag], l);
    return true;
}

static void on_door_closed(struct listener *l)
{
    free((char *)l - offsetof(struct calls_door, listener));
}

static void door_close(struct calls *set, struct calls_door *d)
{
    DL_DELETE(set->doors, d);
    listener_close(&d->listener, on_door_closed);
}

static void door_open(struct calls *set, const struct calls_place *p)
{
    struct calls_door *d = NEW(struct calls_door);

    d->socket = p->socket;
    DL_APPEND(set->doors, d);
    int r = listener_open(&d->listener, set->worker, p->fd, on_connection, set, p->listener);
    if (r == 0)
        return;
    /* The socket listened already when it was bound: this is the system at its limits. */
    log_msg(LOG_LEVEL_ERROR, "listen", "worker %u cannot accept: %s", set->worker->index,
            stream_strerror(r));
    door_close(set, d);
}

static const struct calls_place *place_of(const struct calls_door *d,
                                          const struct calls_place *places, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (places[i].socket == d->socket)
            return &places[i];
    return NULL;
}

/* A new timeout is one for the calls that wait already, if it is shorter; the lists stay in order,
 * since within a state all had the same one. */
static void deadlines_shorten(struct calls *set, const uint32_t was[CALL_STATES])
{
    struct call *call;

    for (int state = 0; state < CALL_CLOSED; state++)
        DL_FOREACH(set->list[state], call) {
            uint64_t due = call->active + set->timeout[state];
            if (set->timeout[state] != 0 && (was[state] == 0 || due < call->deadline))
                call->deadline = due;
        }
}

static void timeouts_set(struct calls *set, const struct config_gate *g)
{
    uint32_t was[CALL_STATES];
    memcpy(was, set->timeout, sizeof was);

    set->timeout[CALL_PROXY] = g->timeout_handshake;
    set->timeout[CALL_HELLO] = g->timeout_handshake;
    set->timeout[CALL_HANDSHAKE] = g->timeout_handshake;
    set->timeout[CALL_REQUEST] = g->timeout_request;
    set->timeout[CALL_DIAL] = g->timeout_connect;
    set->timeout[CALL_ANSWER] = g->timeout_answer;
    set->timeout[CALL_NEGOTIATE] = g->timeout_negotiate;
    set->timeout[CALL_KEY] = g->timeout_key;
    set->timeout[CALL_RELAY] = g->timeout_idle;
    set->timeout[CALL_WEB] = g->timeout_web;
    set->timeout[CALL_DRAIN] = g->timeout_drain;
    set->timeout[CALL_LINGER] = g->timeout_drain;
    deadlines_shorten(set, was);
}

void calls_switch(struct calls *set, struct site *site, const struct calls_place *places,
                  size_t count)
{
    struct calls_door *d, *next;

    site_unref(set->site);
    set->site = site;
    timeouts_set(set, &site->config->gate);
    worker_limit_handshakes(set->worker, site->config->gate.handshakes_at_once);
    if (set->probes != NULL && set->phase == CALLS_OPEN)
        probes_switch(set->probes, site);
    DL_FOREACH_SAFE(set->doors, d, next) {
        const struct calls_place *p = place_of(d, places, count);
        if (p == NULL)
            door_close(set, d);
        else
            d->listener.tag = p->listener;
    }
    for (int state = CALL_NEGOTIATE; state <= CALL_RELAY; state++) {
        struct call *call, *after;
        DL_FOREACH_SAFE(set->list[state], call, after) {
            entry_recheck(call, site);
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (places[i].fd < 0)
            continue;
        if (set->phase == CALLS_OPEN)
            door_open(set, &places[i]);
        else
            close(places[i].fd); /* the end came between the reload and now */
    }
}

static void doors_retry(struct calls *set)
{
    struct calls_door *d;
    DL_FOREACH(set->doors, d) {
        listener_retry(&d->listener);
    }
}

static void end_if_idle(struct calls *set)
{
    if (set->phase != CALLS_OPEN && set->count == 0)
        worker_stop(set->worker);
}

void calls_add(struct calls *set, struct call *call)
{
    set->count++;
    if (set->count > set->peak)
        set->peak = set->count;
    DL_APPEND(set->list[call->state], call);
}

void calls_remove(struct calls *set, struct call *call)
{
    DL_DELETE(set->list[call->state], call);
    set->count--;
    atomic_fetch_sub(&set->shared->count, 1);
    doors_retry(set);
    end_if_idle(set);
}

/* Returns whether data has moved since the deadline was set; if so, sets the new deadline and moves
 * the call to the end of its list. Data moves far more often than the sweep runs, so the data path
 * only notes the time. */
static bool has_moved(struct calls *set, struct call *call, uint64_t now_ms)
{
    const enum call_state state = call->state;
    const uint64_t due = call->active + set->timeout[state];

    if ((state != CALL_RELAY && state != CALL_WEB) || due <= now_ms)
        return false;
    call->deadline = due;
    DL_DELETE(set->list[state], call);
    DL_APPEND(set->list[state], call);
    return true;
}

/* Ends the calls of a state whose deadline has passed, at most `most`; returns their number. */
static unsigned expire(struct calls *set, enum call_state state, uint64_t now_ms, unsigned most)
{
    struct call *call;
    unsigned n = 0;

    while (set->timeout[state] != 0 && n < most && (call = set->list[state]) != NULL &&
           call->deadline <= now_ms) {
        if (has_moved(set, call, now_ms))
            continue;
        call_expire(call);
        INSIST(set->list[state] != call || call->deadline > now_ms);
        n++;
    }
    return n;
}

/* Shortens the deadline of silent handshakes if calls wait because of handshakes-at-once. */
static void handshakes_hurry(struct calls *set)
{
    const struct worker *w = set->worker;
    struct call *call;
    unsigned missed;

    if (!stream_hellos_wait(w))
        return;
    if (log_limit_pass(&set->limit_handshakes, worker_now(w), 1, &missed))
        log_msg(LOG_LEVEL_WARNING, "full", "handshakes-at-once (%u) reached: new calls wait",
                w->handshakes_max);
    DL_FOREACH(set->list[CALL_HANDSHAKE], call) {
        if (call->deadline > call->active + HANDSHAKE_PATIENCE_MS)
            call->deadline = call->active + HANDSHAKE_PATIENCE_MS;
    }
}

static void memory_trim(struct calls *set, uint64_t now_ms)
{
    if (set->count > set->peak / 2 || set->peak - set->count < TRIM_CALLS ||
        now_ms < set->trim_after)
        return;
    malloc_trim(0);
    set->peak = set->count;
    set->trim_after = now_ms + TRIM_PAUSE_MS;
}

void calls_sweep(void *arg, uint64_t now_ms)
{
    struct calls *set = arg;
    unsigned n = 0;

    handshakes_hurry(set);
    for (int state = 0; state < CALL_CLOSED; state++)
        n += expire(set, state, now_ms, EXPIRE_AT_ONCE - n);
    if (n == EXPIRE_AT_ONCE)
        worker_sweep_again(set->worker);
    else
        memory_trim(set, now_ms);
    keyring_sweep(set->shared->keyring, now_ms);
    if (set->probes != NULL)
        probes_sweep(set->probes, now_ms);
    /* A place that another worker's call has left is seen here. */
    doors_retry(set);
}

void calls_try_keys(void *arg)
{
    struct calls *set = arg;
    struct call *call, *next;

    DL_FOREACH_SAFE(set->list[CALL_KEY], call, next) {
        relay_try_key(call, false);
    }
}

void calls_drain(void *arg)
{
    struct calls *set = arg;

    if (set->phase != CALLS_OPEN)
        return;
    set->phase = CALLS_DRAINING;
    if (set->probes != NULL)
        probes_stop(set->probes);
    while (set->doors != NULL)
        door_close(set, set->doors);
    end_if_idle(set);
}

void calls_stop(void *arg)
{
    struct calls *set = arg;
    bool again = set->phase == CALLS_STOPPING;
    struct call *call, *next;

    calls_drain(set);
    set->phase = CALLS_STOPPING;
    for (int state = 0; state < CALL_CLOSED; state++)
        DL_FOREACH_SAFE(set->list[state], call, next) {
            call_end(call, again ? REASON_SHUTDOWN_NOW : REASON_SHUTDOWN);
        }
}
