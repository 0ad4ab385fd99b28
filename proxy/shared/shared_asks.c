#include "shared/shared_asks.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"

struct shared_ask {
    struct shared_ask *prev, *next;           /* in shared.asks, until the worker has it */
    struct shared_ask *wait_prev, *wait_next; /* in shared.waiting, until it is answered */
    struct shared_ask *batch;                 /* the next one that goes to a worker with this one */
    struct shared *s;
    struct worker *from;
    void (*on_answer)(void *arg, enum shared_verdict v);
    void *arg;
    bool forgotten; /* in the worker's thread */
    char *subject, *net;
    unsigned max;
    uint32_t rate_count;
    uint64_t step_us;
    struct shared_op *op; /* the command; NULL: answered, or not sent */
    bool answered;
    enum shared_verdict verdict;
    uint64_t due_ms;
};

/* ---- counts ---- */

static void offer_count(void *to, const char *subject, unsigned n)
{
    struct offering *o = to;

    (void)n;
    if (o->lost || strlen(subject) > SHARED_SUBJECT_MAX)
        return;
    if (o->op == NULL)
        o->op = shared_op_new(SHARED_COUNT);
    shared_op_add(o->op, subject);
    if (o->op->count == SHARED_OP_SUBJECTS)
        offering_send(o);
}

/* Takes back the counts that were released, so that the next question does not contain them. The
 * next tick sends them to the store. */
static void take_releases(struct shared *s)
{
    INSIST(pthread_mutex_lock(&s->lock) == 0);
    struct letter *l = s->released;
    s->released = NULL;
    INSIST(pthread_mutex_unlock(&s->lock) == 0);
    while (l != NULL) {
        struct letter *next = l->next;
        const unsigned n = shared_counts_add(&s->counts, l->subject, -1);
        offer_count(&s->leaving, l->subject, n);
        letter_free(l);
        l = next;
    }
}

void shared_asks_tick(struct shared *s)
{
    take_releases(s);
    offering_send(&s->leaving);
    s->offer |= s->leaving.lost;
    s->leaving.lost = false;
}

void shared_release(struct shared *s, const char *subject)
{
    struct letter *l = letter_new(s);

    l->subject = insist_alloc(strdup(subject));
    INSIST(pthread_mutex_lock(&s->lock) == 0);
    l->next = s->released;
    s->released = l;
    INSIST(pthread_mutex_unlock(&s->lock) == 0);
}

void shared_asks_offer(struct shared *s, struct offering *o)
{
    offer_count(o, "*", 0); /* the store may have subjects that were released meanwhile */
    shared_counts_each(&s->counts, offer_count, o);
    offering_send(o);
}

/* ---- questions ---- */

static void ask_free(struct shared_ask *ask)
{
    free(ask->subject);
    free(ask->net);
    free(ask);
}

/* Frees the questions, in the thread of `shared`. Any shared_forget() of them was handled before,
 * because the mailbox keeps the order. */
static void batch_done(void *arg)
{
    struct shared_ask *ask = arg, *next;

    for (; ask != NULL; ask = next) {
        next = ask->batch;
        DL_DELETE(ask->s->asks, ask);
        ask_free(ask);
    }
}

/* Hands over the answers. The worker may forget a question of the batch during an answer. */
static void batch_deliver(void *arg)
{
    struct shared_ask *first = arg;

    for (struct shared_ask *ask = first; ask != NULL; ask = ask->batch)
        if (!ask->forgotten)
            ask->on_answer(ask->arg, ask->verdict);
    worker_post_quietly(&first->s->worker, batch_done, first);
}

void shared_asks_settle(struct shared *s)
{
    while (s->ready != NULL) {
        struct shared_ask *batch = NULL, **end = &batch, **at = &s->ready;
        struct worker *to = s->ready->from;
        while (*at != NULL) {
            struct shared_ask *ask = *at;
            if (ask->from != to) {
                at = &ask->batch;
                continue;
            }
            *at = ask->batch;
            ask->batch = NULL;
            *end = ask;
            end = &ask->batch;
        }
        worker_post(to, batch_deliver, batch);
    }
}

static void count_down(struct shared *s, const char *subject)
{
    (void)shared_counts_add(&s->counts, subject, -1);
    shared_publish(s, subject);
}

static void ask_answer(struct shared_ask *ask, enum shared_verdict v)
{
    struct shared *s = ask->s;

    ask->answered = true;
    ask->verdict = v;
    if (ask->op != NULL)
        ask->op->ask = NULL;
    ask->op = NULL;
    s->state.granted += v == SHARED_GRANTED;
    s->state.unavailable += v == SHARED_UNAVAILABLE;
    s->state.refused += v == SHARED_FULL || v == SHARED_FAST;
    if (v == SHARED_FULL || v == SHARED_FAST)
        (void)shared_counts_add(&s->counts, ask->subject, -1);
    ask->batch = s->ready;
    s->ready = ask;
}

static void on_deadline(uv_timer_t *timer);

static void deadline_set(struct shared *s)
{
    if (s->waiting == NULL || s->stopping)
        return;
    const uint64_t now = shared_now(s), due = s->waiting->due_ms;
    INSIST_UV(uv_timer_start(&s->deadline, on_deadline, due > now ? due - now : 0, 0));
}

static void ask_leave_queue(struct shared_ask *ask)
{
    DL_DELETE2(ask->s->waiting, ask, wait_prev, wait_next);
}

static void on_deadline(uv_timer_t *timer)
{
    struct shared *s = timer->data;

    while (s->waiting != NULL && s->waiting->due_ms <= shared_now(s)) {
        struct shared_ask *ask = s->waiting;
        ask_leave_queue(ask);
        ask_answer(ask, SHARED_UNAVAILABLE);
    }
    deadline_set(s);
    worker_settle(&s->worker);
}

static bool ask_send(struct shared *s, struct shared_ask *ask)
{
    if (!shared_is_prompt(s) || strlen(ask->subject) > SHARED_SUBJECT_MAX)
        return false;
    struct shared_op *op = shared_op_new(SHARED_ENTER);
    shared_op_add(op, ask->subject);
    shared_op_add(op, ask->net == NULL ? "" : ask->net);
    op->max = ask->max;
    op->rate_count = ask->rate_count;
    op->step_us = ask->step_us;
    op->ask = ask;
    if (!shared_give(s, op))
        return false;
    ask->op = op;
    return true;
}

static void on_hold(void *arg)
{
    struct shared_ask *ask = arg;
    struct shared *s = ask->s;

    take_releases(s);
    s->state.questions++;
    DL_APPEND(s->asks, ask);
    (void)shared_counts_add(&s->counts, ask->subject, 1);
    if (!ask_send(s, ask)) {
        shared_publish(s, ask->subject);
        ask_answer(ask, SHARED_UNAVAILABLE);
        return;
    }
    s->asked = true;
    const bool first = s->waiting == NULL;
    DL_APPEND2(s->waiting, ask, wait_prev, wait_next);
    if (first)
        deadline_set(s);
}

struct shared_ask *shared_hold(struct shared *s, struct worker *from, const char *subject,
                               unsigned max, const struct shared_rate *rate,
                               void (*on_answer)(void *arg, enum shared_verdict v), void *arg)
{
    struct shared_ask *ask = NEW(struct shared_ask);

    ask->s = s;
    ask->from = from;
    ask->on_answer = on_answer;
    ask->arg = arg;
    ask->subject = insist_alloc(strdup(subject));
    ask->max = max;
    if (rate != NULL && rate->count > 0) {
        ask->net = insist_alloc(strdup(rate->net));
        ask->rate_count = rate->count;
        ask->step_us = rate->step_us;
    }
    ask->due_ms = uv_hrtime() / 1000000 + s->c->timeout_ms;
    shared_post(s, on_hold, ask);
    return ask;
}

static void on_forget(void *arg)
{
    struct shared_ask *ask = arg;

    if (!ask->answered || ask->verdict == SHARED_GRANTED || ask->verdict == SHARED_UNAVAILABLE)
        count_down(ask->s, ask->subject);
    /* An answer that comes later must not count a second time: on_enter publishes the count. */
    if (!ask->answered) {
        ask_leave_queue(ask);
        ask_answer(ask, SHARED_UNAVAILABLE);
    }
}

void shared_forget(struct shared_ask *ask)
{
    ask->forgotten = true;
    shared_post(ask->s, on_forget, ask);
}

void shared_asks_on_enter(struct shared *s, const struct shared_op *op,
                          const struct shared_reply *a)
{
    static const enum shared_verdict verdicts[] = {SHARED_GRANTED, SHARED_FULL, SHARED_FAST};
    const int64_t n = shared_reply_number(shared_reply_item(a, 0), -1);
    const bool valid = n >= 0 && n < (int64_t)(sizeof verdicts / sizeof *verdicts);
    const bool late = op->ask == NULL;

    if (!late) {
        ask_leave_queue(op->ask);
        ask_answer(op->ask, valid ? verdicts[n] : SHARED_UNAVAILABLE);
    }
    if (n != 0 || late) /* the store may have another count than this gate */
        shared_publish(s, op->text[0]);
}

/* ---- points ---- */

static void on_points(void *arg)
{
    struct letter *l = arg;

    (void)!shared_give(l->s, l->op);
    letter_free(l);
}

void shared_points(struct shared *s, const struct shared_points *p)
{
    struct letter *l = letter_new(s);

    l->op = shared_op_new(SHARED_POINTS);
    shared_op_add(l->op, p->net);
    l->op->points = p->points;
    l->op->least = p->ban_points;
    l->op->slot_ms = p->slot_ms;
    l->op->ban_ms = p->ban_ms;
    shared_post(s, on_points, l);
}

/* ---- the object ---- */

void shared_asks_init(struct shared *s)
{
    INSIST(pthread_mutex_init(&s->lock, NULL) == 0);
    shared_counts_init(&s->counts);
    s->leaving.s = s;
    INSIST_UV(uv_timer_init(&s->worker.loop, &s->deadline));
    s->deadline.data = s;
}

void shared_asks_stop(struct shared *s)
{
    uv_close((uv_handle_t *)&s->deadline, NULL);
}

void shared_asks_fini(struct shared *s)
{
    struct shared_ask *ask, *next;

    DL_FOREACH_SAFE(s->asks, ask, next) {
        ask_free(ask);
    }
    for (struct letter *l = s->released, *after; l != NULL; l = after) {
        after = l->next;
        letter_free(l);
    }
    shared_op_free(s->leaving.op);
    pthread_mutex_destroy(&s->lock);
    shared_counts_fini(&s->counts);
}
