#include "call/calls.h"

#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/insist.h"
#include "call/admission.h"
#include "call/course.h"
#include "call/relay.h"
#include "net/listener.h"
#include "radius/keyring.h"
#include "site/site.h"
#include "upstream/probes.h"

/* Number of calls that one sweep may end; the next sweep follows in WORKER_AGAIN_MS. The end of a
 * call takes some 20 us, thousands of deadlines may pass at once, and their calls must not delay
 * the others. */
enum { EXPIRE_AT_ONCE = 16 };

/* Time that a handshake may wait for its client while other calls wait for a place. A round trip
 * takes less, and clients that are silent after their ClientHello must not lock out all others
 * until timeout-handshake. */
enum { HANDSHAKE_PATIENCE_MS = 1000 };

/* Memory returns to the system when at least TRIM_CALLS calls, and as many as there are now, came
 * up or ended. malloc keeps free blocks between blocks that are in use (a peak of 3000 handshakes
 * left 120 MiB; the set-up of 1000 tunnels 2.5 KiB for each of them), and malloc_trim returns their
 * pages. That takes some 0.1 to 0.5 ms for each MiB and delays the streams, so it is done at most
 * once a minute. */
enum { TRIM_CALLS = 500, TRIM_PAUSE_MS = 60000 };

struct calls_door {
    struct calls_door *prev, *next;
    size_t socket;
    struct listener listener;
    bool shared;
    bool plain;
    int fd; /* of a resting door */
};

static struct calls_door *of_listener(struct listener *l)
{
    return (struct calls_door *)((char *)l - offsetof(struct calls_door, listener));
}

static struct calls *of_set(struct call_set *set)
{
    return (struct calls *)((char *)set - offsetof(struct calls, set));
}

/* ---- the doors ---- */

/* Logs that new calls wait, at most once a second for each worker. */
static bool may_log_full(struct call_set *set)
{
    unsigned missed;
    return log_limit_pass(&set->limit_full, worker_now(set->worker), 1, &missed);
}

/* Returns whether a descriptor is left, and logs that none is. */
static bool has_descriptor(struct call_set *set)
{
    if (worker_has_descriptor(set->worker))
        return true;
    tally_add(&set->tally.gate.limits[TALLY_LIMIT_FILES], 1);
    if (may_log_full(set))
        log_msg(LOG_LEVEL_WARNING, "full",
                "no file descriptor is left: new calls wait or are closed (raise ulimit -n, or "
                "LimitNOFILE= of systemd)");
    return false;
}

static bool on_connection(struct listener *l)
{
    struct calls *calls = l->owner;
    struct call_set *set = &calls->set;

    if (calls->phase != CALLS_OPEN || !has_descriptor(set))
        return false;
    if (atomic_fetch_add(&set->shared->count, 1) >= atomic_load(&set->shared->max) &&
        !calls->leaving) {
        atomic_fetch_sub(&set->shared->count, 1);
        tally_add(&set->tally.gate.limits[TALLY_LIMIT_CALLS], 1);
        if (may_log_full(set))
            log_msg(LOG_LEVEL_WARNING, "full", "max-tunnels (%u) reached: new calls wait",
                    atomic_load(&set->shared->max));
        return false;
    }
    course_open(set, &set->site->listener[l->tag], l, of_listener(l)->plain);
    return true;
}

static void on_door_closed(struct listener *l)
{
    free(of_listener(l));
}

static void door_close(struct calls *calls, struct calls_door *d)
{
    DL_DELETE(calls->doors, d);
    listener_close(&d->listener, on_door_closed);
}

/* Keeps the socket of a door that is about to be closed. A listening socket that is shut down for
 * reading leaves the state LISTEN, and the kernel refuses connections, but its port stays bound;
 * listen() reverses that. */
static void door_rest(struct calls *calls, const struct calls_door *d)
{
    uv_os_fd_t fd;

    if (uv_fileno((const uv_handle_t *)&d->listener.tcp, &fd) != 0)
        return;
    const int kept = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (kept < 0)
        return; /* calls_resume cannot accept here */
    if (!d->shared)
        (void)shutdown(kept, SHUT_RD);
    struct calls_door *resting = NEW(struct calls_door);
    resting->socket = d->socket;
    resting->shared = d->shared;
    resting->plain = d->plain;
    resting->listener.tag = d->listener.tag;
    resting->fd = kept;
    DL_APPEND(calls->resting, resting);
}

static void door_open(struct calls *calls, const struct calls_place *p)
{
    struct worker *w = calls->set.worker;
    struct calls_door *d = NEW(struct calls_door);

    d->socket = p->socket;
    d->shared = p->shared;
    d->plain = p->plain;
    DL_APPEND(calls->doors, d);
    int r = listener_open(&d->listener, w, p->fd, on_connection, calls, p->listener);
    if (r == 0)
        return;
    /* The socket already listens since it was bound, so a limit of the system was reached. */
    log_msg(LOG_LEVEL_ERROR, "listen", "worker %u cannot accept: %s", w->index, stream_strerror(r));
    door_close(calls, d);
}

static void doors_retry(struct calls *calls)
{
    struct calls_door *d;
    DL_FOREACH(calls->doors, d) {
        listener_retry(&d->listener);
    }
}

/* ---- the beginning and the end ---- */

static void end_if_idle(struct calls *calls)
{
    const struct calls_shared *shared = calls->set.shared;

    if (calls->phase == CALLS_OPEN || calls->set.count > 0)
        return;
    if (calls->phase >= CALLS_FINISHING)
        worker_stop(calls->set.worker);
    else if (shared->on_idle != NULL)
        shared->on_idle(shared->idle_arg);
}

static void on_parted(struct call_set *set)
{
    doors_retry(of_set(set));
    end_if_idle(of_set(set));
}

void calls_init(struct calls *calls, struct worker *w, struct calls_shared *shared)
{
    *calls = (struct calls){
        .set = {.worker = w, .shared = shared, .on_leave = course_leave, .on_parted = on_parted}};
    tally_init(&calls->set.tally);
    if (w->index == 0)
        calls->probes = probes_new(w);
}

void calls_fini(struct calls *calls)
{
    INSIST(calls->set.count == 0 && calls->doors == NULL);
    probes_free(calls->probes);
    tally_fini(&calls->set.tally);
    site_unref(calls->set.site);
}

void calls_drain(void *arg)
{
    struct calls *calls = arg;

    if (calls->phase != CALLS_OPEN)
        return;
    calls->phase = CALLS_DRAINING;
    while (calls->doors != NULL) {
        door_rest(calls, calls->doors);
        door_close(calls, calls->doors);
    }
    end_if_idle(calls);
}

void calls_resume(void *arg)
{
    struct calls *calls = arg;

    if (calls->phase != CALLS_DRAINING)
        return;
    calls->phase = CALLS_OPEN;
    while (calls->resting != NULL) {
        struct calls_door *d = calls->resting;
        const struct calls_place place = {d->socket, d->listener.tag, d->fd, d->shared, d->plain};
        DL_DELETE(calls->resting, d);
        free(d);
        door_open(calls, &place);
    }
}

static void close_doors(struct calls *calls)
{
    if (calls->probes != NULL)
        probes_stop(calls->probes);
    while (calls->doors != NULL)
        door_close(calls, calls->doors);
}

void calls_finish(void *arg)
{
    struct calls *calls = arg;

    if (calls->phase >= CALLS_FINISHING)
        return;
    calls->phase = CALLS_FINISHING;
    while (calls->resting != NULL) {
        struct calls_door *d = calls->resting;
        DL_DELETE(calls->resting, d);
        close(d->fd);
        free(d);
    }
    close_doors(calls);
    end_if_idle(calls);
}

void calls_leave(void *arg)
{
    struct calls *calls = arg;

    calls->leaving = true;
    doors_retry(calls);
    if (calls->phase == CALLS_OPEN)
        calls->phase = CALLS_DRAINING;
    close_doors(calls);
    end_if_idle(calls);
}

void calls_doors(struct calls *calls, void (*each)(void *arg, size_t socket, int fd), void *arg)
{
    const struct calls_door *d;

    DL_FOREACH(calls->doors, d) {
        each(arg, d->socket, listener_fd(&d->listener));
    }
}

void calls_stop(void *arg)
{
    struct calls *calls = arg;
    const bool again = calls->phase == CALLS_STOPPING;
    struct call *call, *next;

    calls_finish(calls);
    calls->phase = CALLS_STOPPING;
    for (int state = 0; state < CALL_CLOSED; state++)
        DL_FOREACH_SAFE(calls->set.list[state], call, next) {
            call_end(call, again ? REASON_SHUTDOWN_NOW : REASON_SHUTDOWN);
        }
}

/* ---- a new site ---- */

static void site_take(struct calls *calls, struct site *site)
{
    struct call_set *set = &calls->set;

    site_unref(set->site);
    set->site = site;
    tally_switch(&set->tally, site->config);
    call_set_timeouts(set, &site->config->gate);
    stream_limit_handshakes(set->worker, site->config->gate.handshakes_at_once);
}

static void probes_follow(struct calls *calls)
{
    if (calls->probes != NULL && calls->phase < CALLS_FINISHING)
        probes_switch(calls->probes, calls->set.site);
}

static const struct calls_place *place_of(const struct calls_door *d,
                                          const struct calls_place *places, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (places[i].socket == d->socket)
            return &places[i];
    return NULL;
}

static void doors_keep(struct calls *calls, const struct calls_place *places, size_t count)
{
    struct calls_door *d, *next;

    DL_FOREACH_SAFE(calls->doors, d, next) {
        const struct calls_place *p = place_of(d, places, count);
        if (p == NULL) {
            door_close(calls, d);
            continue;
        }
        d->listener.tag = p->listener;
        d->plain = p->plain;
    }
}

static uint64_t hours_of(const struct call_set *set)
{
    const struct config *c = set->site->config;
    const time_t now = call_time();
    uint64_t hash = 0;

    for (size_t i = 0; i < c->listener_count; i++)
        if (c->listener[i].recheck_tunnels)
            hash = 31 * hash + rules_hours(&c->listener[i].rules, now);
    return hash;
}

static void calls_recheck(struct calls *calls, enum reason reason)
{
    const time_t now = call_time();
    struct call *call, *next;

    for (int state = CALL_NEGOTIATE; state <= CALL_RELAY; state++)
        DL_FOREACH_SAFE(calls->set.list[state], call, next) {
            if (!admission_still_allows(call, calls->set.site, now))
                call_end(call, reason);
        }
}

void calls_judge(const struct calls *calls, const struct config *next,
                 void (*each)(void *arg, const struct call *call, enum judgement_recheck recheck,
                              const struct rules_answer *answer),
                 void *arg)
{
    const time_t now = call_time();
    const struct call *call;

    for (int state = CALL_NEGOTIATE; state <= CALL_RELAY; state++)
        DL_FOREACH(calls->set.list[state], call) {
            struct rules_answer answer = {.rule = 0};
            const enum judgement_recheck r = admission_recheck(call, next, now, &answer);
            each(arg, call, r, &answer);
        }
}

static void doors_add(struct calls *calls, const struct calls_place *places, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (places[i].fd < 0)
            continue;
        if (calls->phase == CALLS_OPEN)
            door_open(calls, &places[i]);
        else
            close(places[i].fd); /* the worker began to end after the reload was prepared */
    }
}

void calls_switch(struct calls *calls, struct site *site, const struct calls_place *places,
                  size_t count)
{
    const bool new_rules = calls->set.site == NULL || calls->set.site->rules != site->rules;

    site_take(calls, site);
    probes_follow(calls);
    doors_keep(calls, places, count);
    if (new_rules) {
        calls->set.hours = hours_of(&calls->set);
        calls_recheck(calls, REASON_RULES_CHANGED);
    }
    doors_add(calls, places, count);
}

/* ---- deadlines ---- */

/* Rechecks the tunnels if a time window has begun or ended since the last check. */
static void follow_hours(struct calls *calls)
{
    const uint64_t hours = hours_of(&calls->set);

    if (hours == calls->set.hours)
        return;
    calls->set.hours = hours;
    calls_recheck(calls, REASON_WINDOW_ENDED);
}

/* Ends at most `most` tunnels that have lasted for max-session; returns their number. The list is
 * not in the order of their ends, so it is walked only when the first end is due. */
static unsigned end_sessions(struct call_set *set, uint64_t now_ms, unsigned most)
{
    struct call *call, *next;
    unsigned n = 0;

    if (now_ms < set->first_end)
        return 0;
    set->first_end = UINT64_MAX;
    DL_FOREACH_SAFE(set->list[CALL_RELAY], call, next) {
        if (call->tunnel.end <= now_ms && n < most) {
            call_end(call, REASON_MAX_SESSION);
            n++;
        } else if (call->tunnel.end < set->first_end) {
            set->first_end = call->tunnel.end;
        }
    }
    return n;
}

/* Expires at most `most` calls of a state whose deadline has passed; returns their number. */
static unsigned expire(struct call_set *set, enum call_state state, uint64_t now_ms, unsigned most)
{
    struct call *call;
    unsigned n = 0;

    while (set->timeout[state] != 0 && n < most && (call = set->list[state]) != NULL &&
           call->deadline <= now_ms) {
        if (call_renew(call, now_ms))
            continue;
        course_expire(call);
        INSIST(set->list[state] != call || call->deadline > now_ms);
        n++;
    }
    return n;
}

/* Shortens the deadline of silent handshakes if calls wait because of handshakes-at-once. */
static void handshakes_hurry(struct call_set *set)
{
    const struct worker *w = set->worker;
    struct call *call;
    unsigned missed;

    if (!stream_hellos_wait(w))
        return;
    tally_add(&set->tally.gate.limits[TALLY_LIMIT_HANDSHAKES], 1);
    if (log_limit_pass(&set->limit_handshakes, worker_now(w), 1, &missed))
        log_msg(LOG_LEVEL_WARNING, "full", "handshakes-at-once (%u) reached: new calls wait",
                set->site->config->gate.handshakes_at_once);
    DL_FOREACH(set->list[CALL_HANDSHAKE], call) {
        if (call->deadline > call->active + HANDSHAKE_PATIENCE_MS)
            call->deadline = call->active + HANDSHAKE_PATIENCE_MS;
    }
}

static void memory_trim(struct calls *calls, uint64_t now_ms)
{
    struct call_set *set = &calls->set;

    if (set->settled < TRIM_CALLS || set->settled < set->count || now_ms < calls->trim_after)
        return;
    malloc_trim(0);
    set->settled = 0;
    calls->trim_after = now_ms + TRIM_PAUSE_MS;
}

void calls_sweep(void *arg, uint64_t now_ms)
{
    struct calls *calls = arg;
    struct call_set *set = &calls->set;
    unsigned n = 0;

    /* libuv closes connections for which accept() has no descriptor, and does not report them. */
    if (set->worker->index == 0 && calls->phase == CALLS_OPEN)
        (void)has_descriptor(set);
    handshakes_hurry(set);
    for (int state = 0; state < CALL_CLOSED; state++)
        n += expire(set, state, now_ms, EXPIRE_AT_ONCE - n);
    n += end_sessions(set, now_ms, EXPIRE_AT_ONCE - n);
    if (n == EXPIRE_AT_ONCE)
        worker_sweep_again(set->worker);
    else
        memory_trim(calls, now_ms);
    follow_hours(calls);
    keyring_sweep(set->shared->keyring, now_ms);
    if (calls->probes != NULL) { /* of one worker only */
        probes_sweep(calls->probes, now_ms);
        checks_report(&set->shared->checks, now_ms);
    }
    /* A call of another worker may have left a place under max-tunnels, which no event reports. */
    doors_retry(calls);
}

void calls_try_keys(void *arg)
{
    struct calls *calls = arg;
    struct call *call, *next;

    DL_FOREACH_SAFE(calls->set.list[CALL_KEY], call, next) {
        relay_keys_came(call);
    }
}
