#include "shared/shared_thread.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "base/insist.h"
#include "base/log.h"
#include "net/worker.h"
#include "shared/shared_asks.h"
#include "shared/shared_bans.h"
#include "shared/shared_beat.h"
#include "shared/shared_entries.h"
#include "shared/shared_in.h"
#include "shared/shared_inquiries.h"

enum {
    TICK_MS = 100,
    GATHER_MS = 10, /* longest time of the timer; see shared_post() */
    BEAT_TICKS = SHARED_BEAT_MS / TICK_MS,
    SWEEP_TICKS = 10000 / TICK_MS,
    INDEX = 1000, /* index of this worker, which no worker of calls has */
};

struct shared_part {
    struct worker_part part;
    struct shared *s;
};

/* ---- the link ---- */

static void on_ready(void *arg)
{
    struct shared *s = arg;

    s->offer = s->again = true;
    shared_changes_lost(&s->bans);
    shared_beat(s);
}

static void on_lost(void *arg, const char *why)
{
    struct shared *s = arg;

    s->state.lost++;
    shared_beat_clear(s);
    shared_report(s, why);
    shared_inquiries_end(s, why);
}

/* Logs the error of a single command, for instance about a key of another type. */
static void log_error(struct shared *s, struct span error)
{
    struct log_line l;

    if (error.n == 0 ||
        !log_begin_limited(&l, LOG_LEVEL_WARNING, "shared", &s->limit_error, shared_now(s), 1))
        return;
    log_span(&l, "error", error);
    log_end(&l);
}

/* Sends a command again, with its script, because the store has forgotten the script. A COUNT with
 * `*` is sent without its counts, which are then offered again, because `*` would remove the counts
 * that were sent after the command. */
static bool sent_again(struct shared *s, struct shared_op *op, struct span error)
{
    const struct span noscript = span_str("NOSCRIPT");

    if (op->as_text || error.n < noscript.n || memcmp(error.p, noscript.p, noscript.n) != 0)
        return false;
    op->as_text = true;
    if (op->script == SHARED_COUNT && op->count > 0 && strcmp(op->text[0], "*") == 0) {
        s->offer = true;
        shared_op_clear(op);
    }
    return shared_op_send(op, &s->link, s->c, &s->counts);
}

static void on_answer(void *arg, void *tag, const struct shared_reply *a)
{
    struct shared *s = arg;
    struct shared_op *op = tag;
    const struct span error = shared_reply_error(a);

    if (a != NULL && sent_again(s, op, error))
        return;
    if (op->script == SHARED_PUSH && shared_inquiries_pushed(s, op, a))
        return; /* with the next page */
    switch (op->script) {
    case SHARED_BEAT: shared_beat_answered(s, a); break;
    case SHARED_ENTER: shared_asks_on_enter(s, op, a); break;
    case SHARED_POINTS:
        if (shared_reply_number(shared_reply_item(a, 0), 0) == 1)
            shared_beat(s);
        break;
    case SHARED_FETCH: shared_entries_answered(s, op, a); break;
    case SHARED_PUT: break;
    case SHARED_BAN:
        if (a != NULL && error.n == 0)
            shared_bans_answered(s, op, a);
        s->offer |= error.n > 0;
        break;
    case SHARED_COUNT: s->offer |= error.n > 0; break;
    case SHARED_PULL: shared_inquiries_pulled(s, op, a); break;
    case SHARED_PUSH:
    case SHARED_SCRIPTS: break;
    }
    if (op->script != SHARED_BEAT)
        log_error(s, error);
    shared_op_free(op);
}

/* ---- the thread ---- */

static void on_gather(uv_timer_t *timer)
{
    struct shared *s = timer->data;

    atomic_store(&s->gathering, false); /* first, so that later posts wake the loop */
    worker_deliver(&s->worker);
    worker_settle(&s->worker);
}

/* Ends a callback: hands over the answers, and starts the timer after a question. */
static void on_settle(struct worker_part *p)
{
    struct shared *s = ((struct shared_part *)p)->s;

    shared_asks_settle(s);
    if (!s->asked || s->stopping)
        return;
    s->asked = false;
    const uint32_t ms = s->c->timeout_ms / 4;
    if (ms == 0 || atomic_load(&s->gathering))
        return;
    INSIST_UV(uv_timer_start(&s->gather, on_gather, ms < GATHER_MS ? ms : GATHER_MS, 0));
    atomic_store(&s->gathering, true);
}

static const struct worker_part_ops part_ops = {.size = sizeof(struct shared_part),
                                                .settle = on_settle};

static void on_tick(uv_timer_t *timer)
{
    struct shared *s = timer->data;

    worker_deliver(&s->worker); /* quiet posts do not wake the loop */
    shared_asks_tick(s);
    shared_link_tick(&s->link, shared_now(s));
    if (++s->ticks % BEAT_TICKS == 0)
        shared_beat(s);
    if (s->ticks % SWEEP_TICKS == 0)
        shared_changes_sweep(&s->bans, shared_now(s));
    shared_inquiries_tick(s);
    worker_settle(&s->worker);
}

static void on_sweep(void *arg, uint64_t now_ms)
{
    (void)arg, (void)now_ms;
}

static void on_stopped(void *arg)
{
    struct shared *s = arg;

    uv_close((uv_handle_t *)&s->tick, NULL);
    shared_asks_stop(s);
    shared_entries_stop(s);
    uv_close((uv_handle_t *)&s->gather, NULL);
    worker_stop(&s->worker);
}

static const struct shared_link_ops ops_of_link = {
    .on_ready = on_ready, .on_lost = on_lost, .on_answer = on_answer, .on_stopped = on_stopped};

struct shared *shared_new(const struct shared_settings *settings, const struct shared_ops *ops,
                          void *arg)
{
    struct shared *s = NEW(struct shared);

    s->c = settings;
    s->ops = ops;
    s->arg = arg;
    s->known = -1;
    s->offer = true;
    worker_init(&s->worker, INDEX, on_sweep, s);
    shared_changes_init(&s->bans);
    shared_asks_init(s);
    shared_entries_init(s);
    shared_link_init(&s->link, &s->worker, &settings->link, &ops_of_link, s);
    INSIST_UV(uv_timer_init(&s->worker.loop, &s->tick));
    INSIST_UV(uv_timer_init(&s->worker.loop, &s->gather));
    s->tick.data = s->gather.data = s;
    ((struct shared_part *)worker_part(&s->worker, &part_ops))->s = s;
    INSIST_UV(uv_timer_start(&s->tick, on_tick, 0, TICK_MS));
    return s;
}

void shared_run(struct shared *s)
{
    (void)pthread_setname_np(pthread_self(), "shared");
    worker_run(&s->worker);
    s->ops->on_ended(s->arg);
}

/* Removes the gate's counts from the store with a lease of 0 ms. */
static void say_goodbye(struct shared *s)
{
    const char *argv[] = {s->c->prefix, s->c->gate, "0"};
    const size_t len[] = {strlen(argv[0]), strlen(argv[1]), 1};
    struct shared_op *op = shared_op_new(SHARED_COUNT);

    if (!shared_link_run(&s->link, SHARED_COUNT, false, 3, argv, len, op))
        shared_op_free(op);
}

static void on_stop(void *arg)
{
    struct shared *s = arg;

    if (s->stopping)
        return;
    s->stopping = true;
    uv_timer_stop(&s->gather);
    atomic_store(&s->gathering, false);
    shared_inquiries_end(s, "this gate is ending");
    say_goodbye(s);
    shared_link_stop(&s->link);
}

void shared_stop(struct shared *s)
{
    worker_post(&s->worker, on_stop, s);
}

void shared_free(struct shared *s)
{
    if (s == NULL)
        return;
    shared_asks_fini(s);
    shared_entries_fini(s);
    shared_changes_fini(&s->bans);
    shared_beat_clear(s);
    shared_link_fini(&s->link);
    worker_fini(&s->worker);
    free(s);
}

/* ---- views ---- */

struct look {
    struct shared *s;
    struct shared_state *out;
    void (*each)(void *to, const struct shared_gate *g);
    void *to;
};

static void on_look(void *arg)
{
    const struct look *l = arg;
    const struct shared *s = l->s;

    *l->out = s->state;
    l->out->gates = s->gate_count;
    l->out->subjects = shared_counts_size(&s->counts);
    for (size_t i = 0; l->each != NULL && i < s->gate_count; i++) {
        const struct shared_gate g = {.gate = s->gate[i].gate,
                                      .info = s->gate[i].info,
                                      .mine = strcmp(s->gate[i].gate, s->c->gate) == 0};
        l->each(l->to, &g);
    }
}

void shared_look(struct shared *s, struct shared_state *out,
                 void (*each)(void *to, const struct shared_gate *g), void *to)
{
    struct look l = {.s = s, .out = out, .each = each, .to = to};
    worker_call(&s->worker, on_look, &l);
}
