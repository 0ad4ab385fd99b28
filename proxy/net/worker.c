#include "net/worker.h"

#include <fcntl.h>
#include <stdlib.h>

#include "base/insist.h"

struct worker_letter {
    struct worker_letter *next;
    void (*fn)(void *arg);
    void *arg;
};

/* ---- parts ---- */

struct worker_part *worker_part_find(const struct worker *w, const struct worker_part_ops *ops)
{
    struct worker_part *p = w->parts;

    while (p != NULL && p->ops != ops)
        p = p->next;
    return p;
}

struct worker_part *worker_part(struct worker *w, const struct worker_part_ops *ops)
{
    struct worker_part *p = worker_part_find(w, ops);

    if (p != NULL)
        return p;
    INSIST(worker_is_here(w) && ops->size >= sizeof *p);
    p = insist_alloc(calloc(1, ops->size));
    *p = (struct worker_part){.ops = ops, .worker = w, .next = w->parts};
    w->parts = p;
    if (ops->init != NULL)
        ops->init(p);
    return p;
}

void worker_settle(struct worker *w)
{
    for (struct worker_part *p = w->parts; p != NULL; p = p->next)
        if (p->ops->settle != NULL)
            p->ops->settle(p);
}

/* ---- the pulse ---- */

static uint64_t clock_us(void)
{
    return uv_hrtime() / 1000;
}

/* Notes that a sweep runs, and that the next one is due in `ms`. */
static void beat(struct worker *w, uint64_t ms)
{
    pulse_beat(&w->pulse, clock_us(), (worker_now(w) + ms) * 1000);
}

bool worker_is_turning(const struct worker *w)
{
    return pulse_is_turning(&w->pulse, clock_us());
}

uint64_t worker_lag_us(const struct worker *w)
{
    return pulse_lag(&w->pulse, clock_us());
}

/* ---- moments of the loop ---- */

static void on_sweep(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    const bool once_a_second = !w->sweep_again;

    w->sweep_again = false;
    beat(w, WORKER_SWEEP_MS);
    w->on_sweep(w->sweep_arg, worker_now(w));
    if (once_a_second) {
        pool_trim(&w->pool);
        for (struct worker_part *p = w->parts; p != NULL; p = p->next)
            if (p->ops->sweep != NULL)
                p->ops->sweep(p, worker_now(w));
    }
    if (w->sweep_again && !uv_is_closing((uv_handle_t *)&w->sweep)) {
        INSIST_UV(uv_timer_start(&w->sweep, on_sweep, WORKER_AGAIN_MS, WORKER_SWEEP_MS));
        beat(w, WORKER_AGAIN_MS);
    }
    worker_settle(w);
}

void worker_sweep_again(struct worker *w)
{
    w->sweep_again = true;
}

/* Stops the handle first, because a part may request another turn. */
static void on_turn(uv_idle_t *turns)
{
    struct worker *w = turns->data;

    uv_idle_stop(turns);
    for (struct worker_part *p = w->parts; p != NULL; p = p->next)
        if (p->ops->turn != NULL && p->ops->turn(p))
            worker_turn(w);
    worker_settle(w);
}

void worker_turn(struct worker *w)
{
    if (!uv_is_closing((uv_handle_t *)&w->turns))
        INSIST_UV(uv_idle_start(&w->turns, on_turn));
}

/* Ends a round, after the loop has served all handles. */
static void on_round(uv_check_t *round)
{
    struct worker *w = round->data;
    bool counted = false;

    for (struct worker_part *p = w->parts; p != NULL; p = p->next)
        if (p->ops->round != NULL && p->ops->round(p))
            counted = true;
    if (!counted)
        uv_check_stop(round);
}

void worker_count(struct worker *w)
{
    if (!uv_is_closing((uv_handle_t *)&w->round))
        INSIST_UV(uv_check_start(&w->round, on_round));
}

/* ---- letters ---- */

void worker_deliver(struct worker *w)
{
    INSIST(worker_is_here(w));
    uv_mutex_lock(&w->mailbox_lock);
    struct worker_letter *letter = w->first;
    w->first = NULL;
    w->last = &w->first;
    uv_mutex_unlock(&w->mailbox_lock);
    while (letter != NULL) {
        struct worker_letter *next = letter->next;
        letter->fn(letter->arg);
        free(letter);
        letter = next;
    }
}

static void on_mail(uv_async_t *async)
{
    struct worker *w = async->data;

    worker_deliver(w);
    worker_settle(w);
}

void worker_post_quietly(struct worker *w, void (*fn)(void *arg), void *arg)
{
    struct worker_letter *letter = NEW(struct worker_letter);

    letter->fn = fn;
    letter->arg = arg;
    uv_mutex_lock(&w->mailbox_lock);
    *w->last = letter;
    w->last = &letter->next;
    uv_mutex_unlock(&w->mailbox_lock);
}

void worker_post(struct worker *w, void (*fn)(void *arg), void *arg)
{
    worker_post_quietly(w, fn, arg);
    worker_wake(w);
}

void worker_wake(struct worker *w)
{
    INSIST_UV(uv_async_send(&w->mailbox));
}

static void call_deliver(void *arg)
{
    struct worker_call *c = arg;

    c->fn(c->arg);
    uv_sem_post(&c->done);
}

void worker_call_start(struct worker_call *c, struct worker *w, void (*fn)(void *arg), void *arg)
{
    c->fn = fn;
    c->arg = arg;
    INSIST_UV(uv_sem_init(&c->done, 0));
    worker_post(w, call_deliver, c);
}

void worker_call_wait(struct worker_call *c)
{
    uv_sem_wait(&c->done);
    uv_sem_destroy(&c->done);
}

void worker_call(struct worker *w, void (*fn)(void *arg), void *arg)
{
    struct worker_call c;

    worker_call_start(&c, w, fn, arg);
    worker_call_wait(&c);
}

/* ---- begin and end ---- */

void worker_init(struct worker *w, unsigned index, void (*sweep)(void *, uint64_t), void *arg)
{
    *w = (struct worker){.index = index, .on_sweep = sweep, .sweep_arg = arg};
    INSIST_UV(uv_loop_init(&w->loop));
    INSIST_UV(uv_timer_init(&w->loop, &w->sweep));
    INSIST_UV(uv_idle_init(&w->loop, &w->turns));
    INSIST_UV(uv_check_init(&w->loop, &w->round));
    INSIST_UV(uv_async_init(&w->loop, &w->mailbox, on_mail));
    INSIST_UV(uv_mutex_init(&w->mailbox_lock));
    w->sweep.data = w->turns.data = w->round.data = w->mailbox.data = w;
    w->last = &w->first;
    w->window = insist_alloc(malloc(WORKER_WINDOW));
    pool_init(&w->pool);
    INSIST_UV(uv_timer_start(&w->sweep, on_sweep, WORKER_SWEEP_MS, WORKER_SWEEP_MS));
    pulse_init(&w->pulse);
}

void worker_run(struct worker *w)
{
    w->thread = uv_thread_self();
    w->running = true;
    uv_update_time(&w->loop);
    beat(w, WORKER_SWEEP_MS);
    INSIST_UV(uv_run(&w->loop, UV_RUN_DEFAULT));
    w->running = false;
}

void worker_stop(struct worker *w)
{
    INSIST(worker_is_here(w));
    if (uv_is_closing((uv_handle_t *)&w->sweep))
        return;
    pulse_end(&w->pulse);
    uv_close((uv_handle_t *)&w->sweep, NULL);
    uv_close((uv_handle_t *)&w->turns, NULL);
    uv_close((uv_handle_t *)&w->round, NULL);
    uv_close((uv_handle_t *)&w->mailbox, NULL);
    for (struct worker_part *p = w->parts; p != NULL; p = p->next)
        if (p->ops->stop != NULL)
            p->ops->stop(p);
}

static void parts_fini(struct worker *w)
{
    while (w->parts != NULL) {
        struct worker_part *p = w->parts;
        w->parts = p->next;
        if (p->ops->fini != NULL)
            p->ops->fini(p);
        free(p);
    }
}

void worker_fini(struct worker *w)
{
    parts_fini(w);
    INSIST_UV(uv_loop_close(&w->loop)); /* fails if a handle was forgotten */
    while (w->first != NULL) {
        struct worker_letter *letter = w->first;
        w->first = letter->next;
        free(letter);
    }
    uv_mutex_destroy(&w->mailbox_lock);
    pool_fini(&w->pool);
    free(w->window);
}

bool worker_has_descriptor(const struct worker *w)
{
    const int fd = fcntl(uv_backend_fd(&w->loop), F_DUPFD_CLOEXEC, 0);
    uv_fs_t request;

    /* ThreadSanitizer sees close(), but neither F_DUPFD nor the system call with which libuv closes
     * the sockets that had the same number in other threads, so it would report a race. */
    if (fd >= 0) {
        (void)uv_fs_close(NULL, &request, fd, NULL);
        uv_fs_req_cleanup(&request);
    }
    return fd >= 0;
}

bool worker_is_here(const struct worker *w)
{
    uv_thread_t self = uv_thread_self();

    return !w->running || uv_thread_equal(&self, &w->thread);
}

uint64_t worker_now(const struct worker *w)
{
    return uv_now(&w->loop);
}
