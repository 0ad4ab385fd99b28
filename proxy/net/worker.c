#include "net/worker.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/insist.h"
#include "net/dial.h"
#include "net/listener.h"
#include "net/stream.h"

struct worker_letter {
    struct worker_letter *next;
    void (*fn)(void *arg);
    void *arg;
};

static void on_sweep(uv_timer_t *timer)
{
    struct worker *w = timer->data;
    const bool once_a_second = !w->sweep_again;

    w->sweep_again = false;
    w->on_sweep(w->sweep_arg, worker_now(w));
    if (once_a_second) {
        pool_trim(&w->pool);
        stream_cool(w);
        mute_sweep(&w->mute, worker_now(w));
    }
    if (w->sweep_again && !uv_is_closing((uv_handle_t *)&w->sweep))
        INSIST_UV(uv_timer_start(&w->sweep, on_sweep, WORKER_AGAIN_MS, WORKER_SWEEP_MS));
    worker_settle(w);
}

void worker_sweep_again(struct worker *w)
{
    w->sweep_again = true;
}

static void on_turn(uv_idle_t *turns)
{
    struct worker *w = turns->data;

    listener_turn(w);
    stream_turn(w);
    if (w->listeners == NULL && !stream_turn_due(w))
        uv_idle_stop(turns);
    worker_settle(w);
}

/* Ends a round: the loop has looked at all handles. */
static void on_round(uv_check_t *round)
{
    struct worker *w = round->data;

    if (w->step_ns == 0)
        w->stepped_at = 0;
    if (w->step_ns == 0 && w->reads == 0 && w->accepts == 0)
        uv_check_stop(round);
    w->step_ns = w->read_ns = 0;
    w->reads = w->accepts = 0;
}

void worker_count(struct worker *w)
{
    if (!uv_is_closing((uv_handle_t *)&w->round))
        INSIST_UV(uv_check_start(&w->round, on_round));
}

void worker_turn(struct worker *w)
{
    if (!uv_is_closing((uv_handle_t *)&w->turns))
        INSIST_UV(uv_idle_start(&w->turns, on_turn));
}

void worker_limit_handshakes(struct worker *w, unsigned most)
{
    w->handshakes_max = most;
    stream_turn_room(w);
}

static void on_hellos(uv_poll_t *hellos, int status, int events)
{
    struct worker *w = hellos->data;
    (void)status, (void)events;

    stream_turn_hello(w);
    worker_settle(w);
}

void worker_watch_hellos(struct worker *w, bool on)
{
    const uv_handle_t *h = (uv_handle_t *)&w->hellos_ready;

    if (uv_is_closing(h) || (bool)uv_is_active(h) == on)
        return;
    if (on)
        INSIST_UV(uv_poll_start(&w->hellos_ready, UV_READABLE, on_hellos));
    else
        INSIST_UV(uv_poll_stop(&w->hellos_ready));
}

static void hellos_open(struct worker *w)
{
    w->hellos = epoll_create1(EPOLL_CLOEXEC);
    INSIST(w->hellos >= 0);
    INSIST_UV(uv_poll_init(&w->loop, &w->hellos_ready, w->hellos));
    w->hellos_ready.data = w;
    worker_watch_hellos(w, true);
}

static void on_mail(uv_async_t *async)
{
    struct worker *w = async->data;

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
    worker_settle(w);
}

void worker_init(struct worker *w, unsigned index, void (*sweep)(void *, uint64_t), void *arg)
{
    *w = (struct worker){.index = index,
                         .on_sweep = sweep,
                         .sweep_arg = arg,
                         .step_budget_ns = WORKER_STEP_US * 1000,
                         .read_budget_ns = WORKER_READ_US * 1000,
                         .handshakes_max = UINT_MAX};
    INSIST_UV(uv_loop_init(&w->loop));
    INSIST_UV(uv_timer_init(&w->loop, &w->sweep));
    INSIST_UV(uv_idle_init(&w->loop, &w->turns));
    INSIST_UV(uv_check_init(&w->loop, &w->round));
    INSIST_UV(uv_async_init(&w->loop, &w->mailbox, on_mail));
    INSIST_UV(uv_mutex_init(&w->mailbox_lock));
    w->sweep.data = w->turns.data = w->round.data = w->mailbox.data = w;
    w->last = &w->first;
    w->window = insist_alloc(malloc(WORKER_WINDOW));
    w->plain = insist_alloc(malloc(WORKER_PLAIN));
    w->out = insist_alloc(malloc(WORKER_OUT));
    pool_init(&w->pool);
    hellos_open(w);
    INSIST_UV(uv_timer_start(&w->sweep, on_sweep, WORKER_SWEEP_MS, WORKER_SWEEP_MS));
}

void worker_run(struct worker *w)
{
    w->thread = uv_thread_self();
    w->running = true;
    INSIST_UV(uv_run(&w->loop, UV_RUN_DEFAULT));
    w->running = false;
}

void worker_stop(struct worker *w)
{
    INSIST(worker_is_here(w));
    if (!uv_is_closing((uv_handle_t *)&w->sweep)) {
        uv_close((uv_handle_t *)&w->sweep, NULL);
        uv_close((uv_handle_t *)&w->turns, NULL);
        uv_close((uv_handle_t *)&w->round, NULL);
        uv_close((uv_handle_t *)&w->hellos_ready, NULL);
        uv_close((uv_handle_t *)&w->mailbox, NULL);
        dial_stop(w);
    }
}

void worker_fini(struct worker *w)
{
    INSIST(w->due == NULL && w->out_owner == NULL && w->listeners == NULL);
    INSIST(w->bulk == NULL && w->early == NULL && w->fresh == NULL && w->handshakes == 0);
    dial_fini(w);
    INSIST_UV(uv_loop_close(&w->loop)); /* a handle that was forgotten shows here */
    while (w->first != NULL) {
        struct worker_letter *letter = w->first;
        w->first = letter->next;
        free(letter);
    }
    uv_mutex_destroy(&w->mailbox_lock);
    pool_fini(&w->pool);
    mute_fini(&w->mute);
    close(w->hellos);
    free(w->window);
    free(w->plain);
    free(w->out);
}

void worker_post(struct worker *w, void (*fn)(void *arg), void *arg)
{
    struct worker_letter *letter = NEW(struct worker_letter);
    letter->fn = fn;
    letter->arg = arg;
    uv_mutex_lock(&w->mailbox_lock);
    *w->last = letter;
    w->last = &letter->next;
    uv_mutex_unlock(&w->mailbox_lock);
    INSIST_UV(uv_async_send(&w->mailbox));
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

void worker_settle(struct worker *w)
{
    stream_settle(w);
}
