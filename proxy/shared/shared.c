#include "shared/shared.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <uv.h>

#include "base/insist.h"
#include "base/log.h"
#include "net/worker.h"
#include "shared/shared_counts.h"
#include "shared/shared_link.h"
#include "shared/shared_op.h"

enum {
    TICK_MS = 100,
    GATHER_MS = 5, /* at most; see post() */
    BEAT_TICKS = SHARED_BEAT_MS / TICK_MS,
    LIFTS_MAX = 1024,                     /* lifts that wait for the store */
    INDEX = 1000,                         /* of the worker: no worker of calls has it */
    LEFT_MAX_MS = 30 * 24 * 3600 * 1000u, /* of a ban */
    DAY_MS = 24 * 3600 * 1000,            /* how long the store keeps a lift */
    FIELDS = 5,                           /* of a change: see SHARED_BEAT */
};

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
    struct shared_op *op; /* its command; NULL: answered */
    bool answered;
    enum shared_verdict verdict;
    uint64_t due_ms;
};

struct letter;

struct shared_part {
    struct worker_part part;
    struct shared *s;
};

struct shared {
    struct worker worker;
    pthread_mutex_t lock;    /* of `released` */
    struct letter *released; /* counts to take back: see take_releases() */
    const struct shared_settings *c;
    const struct shared_ops *ops;
    void *arg;
    struct shared_link link;
    uv_timer_t tick, deadline; /* deadline: of the first of `waiting` */
    uv_timer_t gather;
    atomic_bool gathering; /* the timer `gather` runs, and will take what was posted */
    bool asked;            /* a question came since it was started */
    unsigned ticks;
    bool stopping;
    struct shared_counts counts;
    struct shared_ask *asks, *waiting;
    struct shared_ask *ready; /* by `batch`: answers for the workers, at the end of this callback */

    bool beating;          /* a BEAT waits for its answer */
    bool offer;            /* the store may have lost counts and bans of this gate */
    char epoch[128];       /* of the store, at the last BEAT; "": none yet */
    int64_t known;         /* the last change of a ban that was taken */
    char *lift[LIFTS_MAX]; /* subjects of pending lifts */
    size_t lifts;
    struct {
        char *gate, *info;
    } gate[SHARED_GATES_MAX];
    size_t gate_count;

    struct shared_state state;
    struct log_limit limit_error;
};

static uint64_t now_of(const struct shared *s)
{
    return worker_now(&s->worker);
}

/* ---- commands ---- */

/* Sends a command and takes ownership of it. Returns false if the store does not get it. */
static bool give(struct shared *s, struct shared_op *op)
{
    const bool sent = shared_op_send(op, &s->link, s->c, &s->counts);

    if (!sent)
        shared_op_free(op);
    return sent;
}

/* Writes the present count of a subject into the store. */
static void publish(struct shared *s, const char *subject)
{
    if (!shared_link_ready(&s->link) || strlen(subject) > SHARED_SUBJECT_MAX)
        return; /* the next connection begins with all counts */
    struct shared_op *op = shared_op_new(SHARED_COUNT);
    shared_op_add(op, subject);
    if (!give(s, op))
        s->offer = true;
}

/* ---- questions ---- */

static void ask_free(struct shared_ask *ask)
{
    free(ask->subject);
    free(ask->net);
    free(ask);
}

/* Posts a call to the thread of `shared`. The thread costs more by its wake-ups than by its work,
 * so one that comes soon after another question waits for the end of a short time, and those of
 * that time are taken together. */
static void post(struct shared *s, void (*fn)(void *arg), void *arg)
{
    worker_post_quietly(&s->worker, fn, arg);
    if (!atomic_load(&s->gathering))
        worker_wake(&s->worker);
}

/* Frees the questions, in the thread of `shared`. A shared_forget() was handled before, because
 * letters stay in order. */
static void batch_done(void *arg)
{
    struct shared_ask *ask = arg, *next;

    for (; ask != NULL; ask = next) {
        next = ask->batch;
        DL_DELETE(ask->s->asks, ask);
        ask_free(ask);
    }
}

/* Hands answers over. One may make the worker forget another of the same batch. */
static void batch_deliver(void *arg)
{
    struct shared_ask *first = arg;

    for (struct shared_ask *ask = first; ask != NULL; ask = ask->batch)
        if (!ask->forgotten)
            ask->on_answer(ask->arg, ask->verdict);
    worker_post_quietly(&first->s->worker, batch_done, first);
}

/* Gives each worker all its answers of this callback at once. */
static void answers_post(struct shared *s)
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
    publish(s, subject);
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
    const uint64_t now = now_of(s), due = s->waiting->due_ms;
    INSIST_UV(uv_timer_start(&s->deadline, on_deadline, due > now ? due - now : 0, 0));
}

static void ask_leave_queue(struct shared_ask *ask)
{
    DL_DELETE2(ask->s->waiting, ask, wait_prev, wait_next);
}

static void on_deadline(uv_timer_t *timer)
{
    struct shared *s = timer->data;

    while (s->waiting != NULL && s->waiting->due_ms <= now_of(s)) {
        struct shared_ask *ask = s->waiting;
        ask_leave_queue(ask);
        ask_answer(ask, SHARED_UNAVAILABLE);
    }
    deadline_set(s);
    worker_settle(&s->worker);
}

/* Returns whether the store is likely to answer in time. */
static bool is_prompt(const struct shared *s)
{
    return shared_link_ready(&s->link) && shared_link_waits(&s->link, now_of(s)) < s->c->timeout_ms;
}

static bool ask_send(struct shared *s, struct shared_ask *ask)
{
    if (!is_prompt(s) || strlen(ask->subject) > SHARED_SUBJECT_MAX)
        return false;
    struct shared_op *op = shared_op_new(SHARED_ENTER);
    shared_op_add(op, ask->subject);
    shared_op_add(op, ask->net == NULL ? "" : ask->net);
    op->max = ask->max;
    op->rate_count = ask->rate_count;
    op->step_us = ask->step_us;
    op->ask = ask;
    if (!give(s, op))
        return false;
    ask->op = op;
    return true;
}

static void take_releases(struct shared *s);

static void on_hold(void *arg)
{
    struct shared_ask *ask = arg;
    struct shared *s = ask->s;

    take_releases(s);
    s->state.questions++;
    DL_APPEND(s->asks, ask);
    (void)shared_counts_add(&s->counts, ask->subject, 1);
    if (!ask_send(s, ask)) {
        publish(s, ask->subject);
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
    post(s, on_hold, ask);
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
    post(ask->s, on_forget, ask);
}

/* Handles the store's decision. Late: the question was answered without it. */
static void on_enter(struct shared *s, const struct shared_op *op, const struct shared_reply *a)
{
    static const enum shared_verdict verdicts[] = {SHARED_GRANTED, SHARED_FULL, SHARED_FAST};
    const int64_t n = shared_reply_number(shared_reply_item(a, 0), -1);
    const bool valid = n >= 0 && n < (int64_t)(sizeof verdicts / sizeof *verdicts);

    if (op->ask != NULL) {
        ask_leave_queue(op->ask);
        ask_answer(op->ask, valid ? verdicts[n] : SHARED_UNAVAILABLE);
    }
    if (n != 0 || op->ask == NULL) /* the store has another count than this gate */
        publish(s, op->text[0]);
}

/* ---- letters of others ---- */

struct letter {
    struct letter *next; /* in shared.released */
    struct shared *s;
    struct shared_op *op;
    char *subject;
};

static struct letter *letter_new(struct shared *s)
{
    struct letter *l = NEW(struct letter);
    l->s = s;
    return l;
}

static void letter_free(struct letter *l)
{
    free(l->subject);
    free(l);
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

static void on_points(void *arg)
{
    struct letter *l = arg;

    (void)!give(l->s, l->op);
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
    post(s, on_points, l);
}

/* ---- bans ---- */

static const char *const kinds[] = {[SHARED_BY_POINTS] = "points",
                                    [SHARED_MANUAL] = "manual",
                                    [SHARED_LIFT] = "lift",
                                    [SHARED_END] = "end"};

static struct shared_op *ban_op(const struct shared *s, int64_t known)
{
    struct shared_op *op = shared_op_new(SHARED_BAN);

    op->epoch = insist_alloc(strdup(s->epoch));
    op->known = known;
    return op;
}

static void ban_add(struct shared_op *op, const struct shared_ban *ban)
{
    shared_op_add(op, ban->subject);
    shared_op_add(op, kinds[ban->kind]);
    shared_op_add_number(op, ban->kind == SHARED_LIFT ? DAY_MS : ban->left_ms);
}

/* Keeps a pending lift. If there are too many, the oldest is dropped, and its ban ends with its
 * time. */
static void lift_keep(struct shared *s, const char *subject)
{
    if (s->lifts == LIFTS_MAX) {
        free(s->lift[0]);
        memmove(s->lift, s->lift + 1, (LIFTS_MAX - 1) * sizeof *s->lift);
        s->lifts--;
    }
    s->lift[s->lifts++] = insist_alloc(strdup(subject));
}

static bool lift_send(struct shared *s, const char *subject)
{
    const struct shared_ban lift = {.subject = subject, .kind = SHARED_LIFT};
    struct shared_op *op = ban_op(s, -1);

    ban_add(op, &lift);
    return give(s, op);
}

static void on_ban(void *arg)
{
    struct letter *l = arg;
    struct shared *s = l->s;
    const bool lifted = strcmp(l->op->text[1], kinds[SHARED_LIFT]) == 0;

    /* An older change of another gate that is not applied yet could undo this one. */
    if (s->offer || !shared_link_ready(&s->link)) {
        if (lifted)
            lift_keep(s, l->op->text[0]);
        shared_op_free(l->op); /* a ban is offered with all others */
    } else if (!give(s, l->op)) {
        s->offer = true;
    }
    letter_free(l);
}

void shared_ban(struct shared *s, const struct shared_ban *ban)
{
    struct letter *l = letter_new(s);

    if (strlen(ban->subject) > SHARED_SUBJECT_MAX) {
        letter_free(l);
        return;
    }
    l->op = shared_op_new(SHARED_BAN);
    l->op->known = -1;
    l->op->epoch = insist_alloc(strdup(""));
    ban_add(l->op, ban);
    worker_post(&s->worker, on_ban, l);
}

/* ---- what the store may have lost ---- */

struct offering {
    struct shared *s;
    struct shared_op *op;
    bool lost;
};

static void offering_send(struct offering *o)
{
    if (o->op != NULL && !give(o->s, o->op))
        o->lost = true;
    o->op = NULL;
}

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

static void offer_ban(void *to, const struct shared_ban *ban)
{
    struct offering *o = to;

    if (o->lost || strlen(ban->subject) > SHARED_SUBJECT_MAX)
        return;
    if (o->op == NULL)
        o->op = ban_op(o->s, o->s->known);
    ban_add(o->op, ban);
    if (o->op->count == 3 * SHARED_OP_BANS)
        offering_send(o);
}

/* Takes back the counts that were released since the last call, with few commands. They wait for
 * the next question or tick, because a wake-up of the thread for each would cost too much. Each
 * count is in the table, because its question was answered before its release. */
static void take_releases(struct shared *s)
{
    struct offering o = {.s = s};

    INSIST(pthread_mutex_lock(&s->lock) == 0);
    struct letter *l = s->released;
    s->released = NULL;
    INSIST(pthread_mutex_unlock(&s->lock) == 0);
    while (l != NULL) {
        struct letter *next = l->next;
        const unsigned n = shared_counts_add(&s->counts, l->subject, -1);
        offer_count(&o, l->subject, n);
        letter_free(l);
        l = next;
    }
    offering_send(&o);
    s->offer |= o.lost;
}

static bool lifts_send(struct shared *s)
{
    size_t sent = 0;

    while (sent < s->lifts && lift_send(s, s->lift[sent]))
        free(s->lift[sent++]);
    s->lifts -= sent;
    memmove(s->lift, s->lift + sent, s->lifts * sizeof *s->lift);
    return s->lifts == 0;
}

/* Sends the store all counts, pending lifts, and all bans that it may have lost. Commands that the
 * link refuses are built again after the next beat. */
static void offer_all(struct shared *s)
{
    struct offering o = {.s = s};

    s->offer = false;
    shared_counts_each(&s->counts, offer_count, &o);
    offering_send(&o);
    if (!o.lost)
        o.lost = !lifts_send(s);
    if (!o.lost) {
        s->ops->bans(s->arg, offer_ban, &o);
        offering_send(&o);
    }
    if (o.lost)
        s->offer = true;
}

/* ---- the beat ---- */

static void beat(struct shared *s)
{
    char info[SHARED_INFO_MAX] = "";

    if (s->beating || !shared_link_ready(&s->link))
        return;
    s->ops->describe(s->arg, info);
    struct shared_op *op = shared_op_new(SHARED_BEAT);
    shared_op_add(op, info);
    op->epoch = insist_alloc(strdup(s->epoch));
    op->known = s->known;
    s->beating = give(s, op);
}

static void gates_clear(struct shared *s)
{
    for (size_t i = 0; i < s->gate_count; i++) {
        free(s->gate[i].gate);
        free(s->gate[i].info);
    }
    s->gate_count = 0;
}

static void take_gates(struct shared *s, const struct shared_reply *list)
{
    gates_clear(s);
    for (size_t i = 0; i + 1 < shared_reply_count(list) && s->gate_count < SHARED_GATES_MAX;
         i += 2) {
        const struct span gate = shared_reply_text(shared_reply_item(list, i));
        const struct span info = shared_reply_text(shared_reply_item(list, i + 1));
        if (gate.n == 0 || gate.n > SHARED_INFO_MAX || info.n > SHARED_INFO_MAX)
            continue;
        s->gate[s->gate_count].gate = insist_alloc(strdup((const char *)gate.p));
        s->gate[s->gate_count++].info = insist_alloc(strdup((const char *)info.p));
    }
}

/* Reads the number of a field. Returns false if it is none. */
static bool field_number(const struct shared_reply *a, int64_t *out)
{
    const struct span text = shared_reply_text(a);
    char *end;

    if (text.n == 0 || text.n > 20)
        return false;
    *out = strtoll((const char *)text.p, &end, 10);
    return *end == '\0';
}

static bool kind_of(struct span word, enum shared_ban_kind *out)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (span_eq(word, span_str(kinds[i]))) {
            *out = (enum shared_ban_kind)i;
            return true;
        }
    return false;
}

/* Applies a change of a ban: five fields from `at` on. Invalid changes are skipped. */
static void take_change(struct shared *s, const struct shared_reply *list, size_t at)
{
    int64_t number, left;
    const struct span subject = shared_reply_text(shared_reply_item(list, at + 1));
    const struct span by = shared_reply_text(shared_reply_item(list, at + 3));
    struct shared_ban ban = {.subject = (const char *)subject.p, .by = (const char *)by.p};

    if (!field_number(shared_reply_item(list, at), &number) || number <= s->known)
        return;
    s->known = number;
    if (subject.n == 0 || subject.n > SHARED_SUBJECT_MAX || strlen(ban.subject) != subject.n ||
        !kind_of(shared_reply_text(shared_reply_item(list, at + 2)), &ban.kind) ||
        !field_number(shared_reply_item(list, at + 4), &left) || left <= 0)
        return;
    ban.left_ms = left > LEFT_MAX_MS ? LEFT_MAX_MS : (uint64_t)left;
    s->ops->on_ban(s->arg, &ban);
}

static void take_epoch(struct shared *s, struct span epoch)
{
    if (span_eq(epoch, span_str(s->epoch)) || epoch.n >= sizeof s->epoch)
        return;
    memcpy(s->epoch, epoch.p, epoch.n);
    s->epoch[epoch.n] = '\0';
    s->known = -1;
    s->offer = true;
}

static void store_failed(struct shared *s, struct span error)
{
    char why[SHARED_WHY_MAX];

    snprintf(why, sizeof why, "the store cannot be used: %.*s",
             (int)(error.n > 160 ? 160 : error.n), (const char *)error.p);
    shared_link_drop(&s->link, why);
}

static void on_beat(struct shared *s, const struct shared_reply *a)
{
    const struct shared_reply *changes = shared_reply_item(a, 3);
    const int64_t fresh = shared_reply_number(shared_reply_item(a, 0), -1);
    const struct span epoch = shared_reply_text(shared_reply_item(a, 1));

    s->beating = false;
    if (a == NULL)
        return;
    if (fresh < 0 || epoch.n == 0) {
        const struct span error = shared_reply_error(a);
        store_failed(s, error.n > 0 ? error : span_str("an answer of an unexpected form"));
        return;
    }
    s->offer |= fresh == 1;
    take_epoch(s, epoch);
    take_gates(s, shared_reply_item(a, 2));
    const int64_t before = s->known;
    for (size_t i = 0; i + FIELDS <= shared_reply_count(changes); i += FIELDS)
        take_change(s, changes, i);
    if (shared_reply_count(changes) >= (size_t)SHARED_CHANGES_MAX * FIELDS && s->known > before)
        beat(s); /* there may be more */
    else if (s->offer)
        offer_all(s);
}

/* ---- the link ---- */

static void report(struct shared *s, const char *why)
{
    char store[SHARED_WHY_MAX];

    shared_link_name(&s->link, store);
    snprintf(s->state.store, sizeof s->state.store, "%s", store);
    s->state.up = why == NULL;
    snprintf(s->state.why, sizeof s->state.why, "%s", why == NULL ? "" : why);
    s->ops->on_store(s->arg, store, why);
}

static void on_ready(void *arg)
{
    struct shared *s = arg;

    s->offer = true;
    report(s, NULL);
    beat(s);
}

static void on_lost(void *arg, const char *why)
{
    struct shared *s = arg;

    s->state.lost++;
    gates_clear(s);
    report(s, why);
}

/* Logs an error of a single command, for instance because a key has another type. */
static void log_error(struct shared *s, struct span error)
{
    struct log_line l;

    if (error.n == 0 ||
        !log_begin_limited(&l, LOG_LEVEL_WARNING, "shared", &s->limit_error, now_of(s), 1))
        return;
    log_span(&l, "error", error);
    log_end(&l);
}

/* Sends a command again, with its script, which the store has forgotten. */
static bool sent_again(struct shared *s, struct shared_op *op, struct span error)
{
    const struct span noscript = span_str("NOSCRIPT");

    if (op->as_text || error.n < noscript.n || memcmp(error.p, noscript.p, noscript.n) != 0)
        return false;
    op->as_text = true;
    return shared_op_send(op, &s->link, s->c, &s->counts);
}

static void on_answer(void *arg, void *tag, const struct shared_reply *a)
{
    struct shared *s = arg;
    struct shared_op *op = tag;
    const struct span error = shared_reply_error(a);

    if (a != NULL && sent_again(s, op, error))
        return;
    switch (op->script) {
    case SHARED_BEAT: on_beat(s, a); break;
    case SHARED_ENTER: on_enter(s, op, a); break;
    case SHARED_POINTS:
        if (shared_reply_number(shared_reply_item(a, 0), 0) == 1)
            beat(s);
        break;
    case SHARED_COUNT:
    case SHARED_BAN: s->offer |= error.n > 0; break;
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

    atomic_store(&s->gathering, false); /* before: what is posted after this call wakes the loop */
    worker_deliver(&s->worker);
    worker_settle(&s->worker);
}

/* Is the last step of each callback. */
static void on_settle(struct worker_part *p)
{
    struct shared *s = ((struct shared_part *)p)->s;

    answers_post(s);
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

    worker_deliver(&s->worker); /* what was posted quietly */
    take_releases(s);
    shared_link_tick(&s->link, now_of(s));
    if (++s->ticks % BEAT_TICKS == 0)
        beat(s);
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
    uv_close((uv_handle_t *)&s->deadline, NULL);
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
    INSIST(pthread_mutex_init(&s->lock, NULL) == 0);
    shared_counts_init(&s->counts);
    worker_init(&s->worker, INDEX, on_sweep, s);
    shared_link_init(&s->link, &s->worker, &settings->link, &ops_of_link, s);
    INSIST_UV(uv_timer_init(&s->worker.loop, &s->tick));
    INSIST_UV(uv_timer_init(&s->worker.loop, &s->deadline));
    INSIST_UV(uv_timer_init(&s->worker.loop, &s->gather));
    s->tick.data = s->deadline.data = s->gather.data = s;
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

/* Takes the gate's counts out of the store: a lease of no time. */
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
    say_goodbye(s);
    shared_link_stop(&s->link);
}

void shared_stop(struct shared *s)
{
    worker_post(&s->worker, on_stop, s);
}

void shared_free(struct shared *s)
{
    struct shared_ask *ask, *next;

    if (s == NULL)
        return;
    DL_FOREACH_SAFE(s->asks, ask, next) {
        ask_free(ask);
    }
    for (size_t i = 0; i < s->lifts; i++)
        free(s->lift[i]);
    for (struct letter *l = s->released, *after; l != NULL; l = after) {
        after = l->next;
        letter_free(l);
    }
    pthread_mutex_destroy(&s->lock);
    gates_clear(s);
    shared_counts_fini(&s->counts);
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
