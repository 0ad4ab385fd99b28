#include "net/turns.h"

#include <limits.h>
#include <poll.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>
#include <utlist.h>

#include "base/insist.h"
#include "net/worker.h"

/* ---- lines ---- */

void turns_wait(struct turns *all, struct turn *t, struct turn **line)
{
    INSIST(t->line == NULL);
    t->line = line;
    DL_APPEND(*line, t);
    worker_turn(all->worker);
}

static int epoll_change(const struct turns *all, struct turn *t, int what)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = t};

    return epoll_ctl(all->hellos, what, t->fd, &event);
}

int turns_watch(struct turns *all, struct turn *t, int fd)
{
    t->fd = fd;
    const int r = epoll_change(all, t, EPOLL_CTL_ADD);
    t->watched = r == 0;
    return r;
}

void turns_leave(struct turns *all, struct turn *t)
{
    if (t->watched)
        (void)epoll_change(all, t, EPOLL_CTL_DEL);
    t->watched = false;
    if (t->line != NULL)
        DL_DELETE(*t->line, t);
    t->line = NULL;
}

/* ---- budgets ---- */

static bool may_step(const struct turns *all)
{
    return all->step_ns == 0 || all->step_ns < all->step_budget_ns;
}

bool turns_step_waits(const struct turns *all)
{
    return !may_step(all) || all->early != NULL;
}

bool turns_read_waits(const struct turns *all)
{
    return all->reads >= TURNS_READS || all->read_ns >= all->read_budget_ns;
}

void turns_count_step(struct turns *all, uint64_t begun)
{
    all->step_ns += uv_hrtime() - begun + 1;
    worker_count(all->worker);
}

void turns_count_read(struct turns *all, uint64_t begun)
{
    all->reads++;
    all->read_ns += uv_hrtime() - begun;
    worker_count(all->worker);
}

bool turns_round_over(struct turns *all)
{
    const bool counted = all->step_ns != 0 || all->reads != 0;

    if (all->step_ns == 0)
        all->stepped_at = 0;
    all->step_ns = all->read_ns = 0;
    all->reads = 0;
    return counted;
}

/* ---- handshakes in progress ---- */

static void on_hellos(uv_poll_t *hellos, int status, int events);

static bool has_room(const struct turns *all)
{
    return all->handshakes < all->handshakes_max;
}

static void hellos_poll(struct turns *all, bool on)
{
    const uv_handle_t *h = (uv_handle_t *)&all->hellos_ready;

    if (uv_is_closing(h) || (bool)uv_is_active(h) == on)
        return;
    if (on)
        INSIST_UV(uv_poll_start(&all->hellos_ready, UV_READABLE, on_hellos));
    else
        INSIST_UV(uv_poll_stop(&all->hellos_ready));
}

/* Lets the streams that wait for room begin. */
static void room_made(struct turns *all)
{
    hellos_poll(all, true);
    all->hello_ready = true; /* libuv reported nothing while it did not watch hellos */
    if (all->fresh != NULL)
        worker_turn(all->worker);
}

void turns_handshake_begins(struct turns *all)
{
    all->handshakes++;
}

void turns_handshake_ends(struct turns *all)
{
    all->handshakes--;
    room_made(all);
}

void turns_limit_handshakes(struct turns *all, unsigned most)
{
    all->handshakes_max = most;
    room_made(all);
}

bool turns_hellos_wait(const struct turns *all)
{
    struct pollfd p = {.fd = all->hellos, .events = POLLIN};

    return !has_room(all) && (all->fresh != NULL || poll(&p, 1, 0) > 0);
}

/* ---- turns ---- */

/* Returns a stream whose handshake may begin. Streams behind a proxy, whose first bytes were read
 * already, and the others alternate, so that neither kind delays the other. */
static struct turn *fresh_first(struct turns *all)
{
    struct epoll_event event;

    if (!has_room(all)) {
        hellos_poll(all, false); /* until room_made */
        return NULL;
    }
    if (all->fresh != NULL && !all->hello_next)
        return all->fresh;
    all->hello_ready = all->hello_ready && epoll_wait(all->hellos, &event, 1, 0) == 1;
    return all->hello_ready ? event.data.ptr : all->fresh;
}

/* Returns the stream whose turn it is. Handshakes in progress and new ones alternate, so that
 * neither kind delays the other. */
static struct turn *step_next(struct turns *all)
{
    struct turn *fresh = all->fresh_next || all->early == NULL ? fresh_first(all) : NULL;

    all->fresh_next = fresh == NULL;
    return fresh != NULL ? fresh : all->early;
}

static void step(struct turns *all, struct turn *t)
{
    const uint64_t begun = uv_hrtime();

    if (t->line != &all->early)
        all->hello_next = t->line == &all->fresh;
    turns_leave(all, t);
    all->ops->on_step(t);
    worker_settle(all->worker);
    turns_count_step(all, begun);
}

/* Returns this thread's CPU time in ns, because time that other processes took must not count. */
static uint64_t cpu_now(void)
{
    struct timespec t;

    INSIST(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Makes at least one step, and more within the budget, or while they take no longer than the rest
 * of the round did: beside many busy streams rounds are long, and new calls still get half of the
 * time. The CPU clock is a system call, so it is read only where streams are left to wait. */
static void steps(struct turns *all)
{
    const uint64_t before = all->stepped_at;
    struct turn *t;

    all->stepped_at = 0;
    while ((t = step_next(all)) != NULL) {
        step(all, t);
        if (may_step(all))
            continue;
        all->stepped_at = cpu_now();
        if (before == 0 || all->stepped_at - before <= 2 * all->step_ns)
            break;
    }
}

bool turns_take(struct turns *all)
{
    steps(all);
    if (all->bulk != NULL)
        all->ops->on_bulk(all->bulk);
    return all->bulk != NULL || all->early != NULL || (all->fresh != NULL && has_room(all));
}

static void on_hellos(uv_poll_t *hellos, int status, int events)
{
    struct turns *all = hellos->data;
    (void)status, (void)events;

    all->hello_ready = true;
    if (may_step(all))
        steps(all);
    else
        worker_turn(all->worker);
    worker_settle(all->worker);
}

/* ---- begin and end ---- */

void turns_init(struct turns *all, struct worker *w, const struct turns_ops *ops)
{
    *all = (struct turns){.worker = w,
                          .ops = ops,
                          .step_budget_ns = TURNS_STEP_US * 1000,
                          .read_budget_ns = TURNS_READ_US * 1000,
                          .handshakes_max = UINT_MAX};
    all->hellos = epoll_create1(EPOLL_CLOEXEC);
    INSIST(all->hellos >= 0);
    INSIST_UV(uv_poll_init(&w->loop, &all->hellos_ready, all->hellos));
    all->hellos_ready.data = all;
    hellos_poll(all, true);
}

void turns_stop(struct turns *all)
{
    uv_close((uv_handle_t *)&all->hellos_ready, NULL);
}

void turns_fini(struct turns *all)
{
    INSIST(all->bulk == NULL && all->early == NULL && all->fresh == NULL && all->handshakes == 0);
    close(all->hellos);
}
