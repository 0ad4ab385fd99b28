#include "net/stream.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <utlist.h>

#include "base/insist.h"
#include "net/worker.h"
#include "tls/tls_conn.h"

/* What is left to do when the callback is over. */
enum { DUE_KICK = 1, DUE_FAIL = 2, DUE_FIN = 4, DUE_FULL = 8 };

enum { WRITE_BUFS = 16, KEEPALIVE_S = 60, USER_TIMEOUT_MS = 120000 };

static struct stream *of_handle(const void *handle)
{
    return ((const uv_handle_t *)handle)->data;
}

static bool live(const struct stream *s)
{
    return s->handle == STREAM_HANDLE_LIVE;
}

static void due_add(struct stream *s, unsigned what)
{
    if (s->due == 0) {
        s->due_next = s->worker->due;
        s->worker->due = s;
    }
    s->due |= what;
}

void stream_init(struct stream *s, struct worker *w, const struct stream_ops *ops)
{
    *s = (struct stream){.worker = w, .ops = ops};
}

static void handle_open(struct stream *s)
{
    INSIST(worker_is_here(s->worker) && s->handle == STREAM_HANDLE_NONE);
    INSIST_UV(uv_tcp_init(&s->worker->loop, &s->tcp));
    s->tcp.data = s;
    s->handle = STREAM_HANDLE_LIVE;
    s->in = STREAM_IN_IDLE;
    s->out = STREAM_OUT_OPEN;
    s->paused = false;
    s->narrow = false;
    s->fin_came = s->fin_is_theirs = false;
    s->window = span_of(NULL, 0); /* an owner that closed may have left some of it */
}

static void options_set(struct stream *s)
{
    /* Every packet is an answer somebody waits for (PROTOCOL.md 7.1), and a peer that has gone
     * silently must be noticed some day even where there is no idle timeout. A socket that is dead
     * already refuses both; its reads will say so. */
    (void)uv_tcp_nodelay(&s->tcp, 1);
    (void)uv_tcp_keepalive(&s->tcp, 1, KEEPALIVE_S);
    /* A peer that takes nothing of what is queued, be its window zero: while the other side is
     * paused for it, nothing else would notice that either has gone. */
    unsigned patience = USER_TIMEOUT_MS;
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&s->tcp, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
}

int stream_accept(struct stream *s, uv_tcp_t *listener, struct addr *peer)
{
    struct sockaddr_storage sa;
    int len = sizeof sa;

    handle_open(s);
    int r = uv_accept((uv_stream_t *)listener, (uv_stream_t *)&s->tcp);
    if (r == 0)
        r = uv_tcp_getpeername(&s->tcp, (struct sockaddr *)&sa, &len);
    if (r == 0 && addr_from_sockaddr((struct sockaddr *)&sa, peer) != ERR_OK)
        r = UV_EAFNOSUPPORT;
    if (r != 0) {
        stream_close(s, true);
        return r;
    }
    options_set(s);
    return 0;
}

static void on_uv_connect(uv_connect_t *req, int status)
{
    struct stream *s = of_handle(req->handle);
    if (live(s)) {
        if (status == 0)
            options_set(s);
        s->ops->on_connect(s, status);
    }
    worker_settle(s->worker);
}

int stream_connect(struct stream *s, const struct addr *to)
{
    struct sockaddr_storage sa;

    addr_to_sockaddr(to, &sa);
    handle_open(s);
    int r = uv_tcp_connect(&s->req.connect, &s->tcp, (struct sockaddr *)&sa, on_uv_connect);
    if (r != 0)
        stream_close(s, false);
    return r;
}

/* ---- in ---- */

static void line_leave(struct stream *s)
{
    if (s->line != NULL)
        DL_DELETE(*s->line, s);
    s->line = NULL;
}

/* Adds a stream in HELLO to the epoll of such streams, or removes it. libuv does not watch these
 * streams, because it would call back for each ready stream, thousands in one round of the loop; a
 * turn takes the first ready stream out of this epoll. */
static int hello_watch(struct stream *s, int what)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLRDHUP, .data.ptr = s};
    uv_os_fd_t fd;
    INSIST_UV(uv_fileno((const uv_handle_t *)&s->tcp, &fd));
    return epoll_ctl(s->worker->hellos, what, fd, &event);
}

static void hello_leave(struct stream *s)
{
    if (s->watched)
        (void)hello_watch(s, EPOLL_CTL_DEL);
    s->watched = false;
}

static void reading_stop(struct stream *s)
{
    uv_read_stop((uv_stream_t *)&s->tcp);
    hello_leave(s);
    line_leave(s);
}

static void line_add(struct stream *s, struct stream **line)
{
    s->line = line;
    DL_APPEND(*line, s);
    worker_turn(s->worker);
}

/* Waits for the stream's turn. libuv does not watch the socket until then, because it would report
 * in each round what must wait. */
static void line_join(struct stream *s, struct stream **line)
{
    reading_stop(s);
    line_add(s, line);
}

static void handshake_over(struct stream *s)
{
    struct worker *w = s->worker;

    if (!s->counted)
        return;
    s->counted = false;
    w->handshakes--;
    stream_turn_room(w);
}

static void end_input(struct stream *s, enum stream_end why)
{
    if (!live(s) || s->in == STREAM_IN_ENDED)
        return;
    if (why == STREAM_EOF && s->held != NULL && s->ops->on_last != NULL) {
        s->ops->on_last(s);
        if (!live(s) || s->paused)
            return;
    }
    reading_stop(s);
    handshake_over(s);
    s->in = STREAM_IN_ENDED;
    s->ops->on_end(s, why);
    if (live(s) && s->fin_is_theirs)
        due_add(s, DUE_FIN);
}

/* Plaintext, from TLS or as it came. */
static enum err source_read(struct stream *s, uint8_t *out, size_t cap, size_t *n)
{
    if (s->tls != NULL)
        return tls_conn_read(s->tls, out, cap, n);
    *n = s->window.n < cap ? s->window.n : cap;
    if (*n == 0)
        return ERR_MORE;
    memcpy(out, s->window.p, *n);
    s->window = span_from(s->window, *n);
    return ERR_OK;
}

static size_t deliver(struct stream *s, struct span octets)
{
    size_t used = 0;
    while (used < octets.n && live(s) && s->in == STREAM_IN_OPEN) {
        size_t n = s->ops->on_read(s, span_from(octets, used));
        INSIST(n <= octets.n - used);
        if (n == 0)
            break;
        used += n;
    }
    return used;
}

/* What the owner left last time, back to the front of plain. */
static size_t held_take(struct stream *s, uint8_t *plain)
{
    size_t n = 0;
    while (s->held != NULL) {
        struct block *b = s->held;
        s->held = b->next;
        memcpy(plain + n, b->octets, b->to);
        n += b->to;
        pool_put(&s->worker->pool, b);
    }
    return n;
}

static size_t held_size(const struct stream *s)
{
    size_t n = 0;
    for (const struct block *b = s->held; b != NULL; b = b->next)
        n += b->to;
    return n;
}

static void held_keep(struct stream *s, struct span octets)
{
    struct block **last = &s->held;
    while (*last != NULL)
        last = &(*last)->next;
    while (octets.n > 0) {
        struct span part = span_sub(octets, 0, POOL_BLOCK);
        struct block *b = *last = pool_get(&s->worker->pool);
        memcpy(b->octets, part.p, part.n);
        b->to = (uint32_t)part.n;
        last = &b->next;
        octets = span_from(octets, part.n);
    }
}

static void pump(struct stream *s);
static void handshake(struct stream *s);

static void hello(struct stream *s)
{
    s->tls = s->ops->on_hello(s);
    s->in = STREAM_IN_HANDSHAKE;
    s->counted = true;
    s->worker->handshakes++;
}

/* Keeps the bytes after the plain beginning until the stream's turn. */
static void hello_keep(struct stream *s, struct span rest)
{
    held_keep(s, rest);
    held_keep(s, s->window);
    s->window = span_of(NULL, 0);
    if (s->held != NULL)
        line_join(s, &s->worker->fresh);
}

/* Feeds the octets of a handshake that waited for its turn to TLS. They are in the pool's blocks,
 * and plaintext takes the room that is common to all streams, so they are copied: rarely more than
 * one flight. */
static void handshake_held(struct stream *s)
{
    uint8_t *octets = insist_alloc(malloc(held_size(s)));
    const size_t n = held_take(s, octets);

    if (s->in == STREAM_IN_HELLO)
        hello(s);
    tls_conn_feed(s->tls, span_of(octets, n));
    handshake(s);
    if (live(s) && s->in == STREAM_IN_OPEN)
        pump(s);
    free(octets);
}

/* Keeps the octets in the worker's window until the stream's turn. libuv goes on to watch the
 * socket: the peer rarely sends more before its next flight, and to stop and start would cost two
 * calls of epoll_ctl. */
static void handshake_keep(struct stream *s, size_t n)
{
    held_keep(s, span_of(s->worker->window, n));
    if (s->line == NULL)
        line_add(s, &s->worker->early);
}

/* Reads until there is nothing left to read, so that nothing stays inside OpenSSL that no event
 * would announce, and hands it to the owner in large pieces. */
static void pump(struct stream *s)
{
    uint8_t *plain = s->worker->plain;
    size_t have = held_take(s, plain);
    enum err e;

    do {
        size_t n, enough = have + WORKER_PIECE;
        while ((e = source_read(s, plain + have, enough - have, &n)) == ERR_OK) {
            have += n;
            if (have == enough)
                break;
        }
        size_t used = deliver(s, span_of(plain, have));
        if (!live(s))
            return;
        have -= used;
        memmove(plain, plain + used, have);
        if (s->in == STREAM_IN_HELLO) {
            hello_keep(s, span_of(plain, have));
            return;
        }
        if (have > WORKER_HELD) {
            end_input(s, STREAM_OVERFLOW);
            return;
        }
    } while (e == ERR_OK);
    held_keep(s, span_of(plain, have));
    /* A close_notify waits for stream_resume, as a FIN does: OpenSSL reports it again. */
    if (e == ERR_CLOSED && !s->paused)
        end_input(s, STREAM_EOF);
    else if (e == ERR_TLS)
        end_input(s, STREAM_TLS);
}

static void handshake(struct stream *s)
{
    switch (tls_conn_handshake(s->tls)) {
    case ERR_OK:
        s->in = STREAM_IN_OPEN;
        handshake_over(s);
        s->ops->on_secure(s);
        break;
    case ERR_MORE: break;
    default: end_input(s, STREAM_TLS);
    }
}

/* ---- buffers of records: few have them, and nobody for long ---- */

static void cool(struct stream **slot)
{
    struct stream *s = *slot;
    if (s == NULL)
        return;
    *slot = NULL;
    s->warm = false;
    tls_conn_rest(s->tls);
}

/* It has just read or written, and may do so again: what OpenSSL has allocated for that stays,
 * until so many others have come or a second is over. Not from inside of a call into any stream's
 * TLS. */
static void warm_add(struct stream *s)
{
    struct worker *w = s->worker;

    if (s->warm || s->tls == NULL || !live(s))
        return;
    struct stream **slot = &w->warm[w->warm_next++ % WORKER_WARM];
    cool(slot);
    *slot = s;
    s->warm = true;
}

static void warm_remove(struct stream *s)
{
    for (size_t i = 0; s->warm && i < WORKER_WARM; i++)
        if (s->worker->warm[i] == s) {
            s->worker->warm[i] = NULL;
            s->warm = false;
        }
}

void stream_cool(struct worker *w)
{
    for (size_t i = 0; i < WORKER_WARM; i++)
        cool(&w->warm[i]);
}

/* ---- turns ---- */

static bool may_step(const struct worker *w)
{
    return w->step_ns == 0 || w->step_ns < w->step_budget_ns;
}

/* Returns whether the stream's next step of a handshake, or read, must wait for a turn: the steps
 * within the budget and the first WORKER_READS reads of a round need not wait. */
static bool must_wait(const struct stream *s)
{
    const struct worker *w = s->worker;
    if (s->in == STREAM_IN_HANDSHAKE)
        return !may_step(w) || w->early != NULL;
    return s->early && (w->reads >= WORKER_READS || w->read_ns >= w->read_budget_ns);
}

static unsigned read_size(const struct stream *s)
{
    return s->early ? STREAM_EARLY : s->narrow ? STREAM_NARROW : WORKER_GLANCE;
}

/* Returns how much libuv may read. 0, where a read must wait: it then reports UV_ENOBUFS. Octets of
 * a handshake are kept until its turn, a block of them and one read more at the most. */
static unsigned read_room(const struct stream *s)
{
    if (s->in == STREAM_IN_HANDSHAKE)
        return s->held == NULL || s->held->next == NULL ? read_size(s) : 0;
    return must_wait(s) ? 0 : read_size(s);
}

static void on_uv_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct stream *s = of_handle(handle);
    (void)suggested;
    *buf = uv_buf_init((char *)s->worker->window, read_room(s));
}

/* libuv 1.44 takes a hang-up behind a short read for the end of the file without asking the socket.
 * A connection that was reset says so once, to whoever reads. */
static bool was_reset(const struct stream *s)
{
    uv_os_fd_t fd;
    char octet;
    return uv_fileno((const uv_handle_t *)&s->tcp, &fd) == 0 &&
           recv(fd, &octet, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == ECONNRESET;
}

static void connection_ended(struct stream *s, enum stream_end why)
{
    reading_stop(s);
    s->fin_came = true;
    end_input(s, why);
    if (live(s) && s->fin_is_theirs)
        due_add(s, DUE_FIN);
}

/* What a read gave: octets in the worker's window, 0 for the end, or an error. */
static void received(struct stream *s, ssize_t n)
{
    if (n <= 0) {
        connection_ended(s, n < 0 || was_reset(s) ? STREAM_RESET : STREAM_EOF);
        return;
    }
    if (s->in == STREAM_IN_ENDED)
        return; /* nothing after close_notify counts (RFC 8446 6.1) */
    struct span in = span_of(s->worker->window, (size_t)n);
    if (s->in == STREAM_IN_HELLO)
        hello(s);
    if (s->tls != NULL)
        tls_conn_feed(s->tls, in);
    else
        s->window = in;
    if (s->in == STREAM_IN_HANDSHAKE)
        handshake(s);
    if (live(s) && s->in == STREAM_IN_OPEN)
        pump(s);
    warm_add(s);
}

static bool awaits_fin(const struct stream *s)
{
    return s->in == STREAM_IN_ENDED && s->out == STREAM_OUT_ENDING && s->fin_is_theirs &&
           !s->fin_came;
}

static bool reads(const struct stream *s)
{
    const bool open = s->in != STREAM_IN_IDLE && s->in != STREAM_IN_ENDED;
    return live(s) && ((open && !s->paused) || awaits_fin(s));
}

static void on_uv_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf);

static void reading_start(struct stream *s)
{
    int r = 0;

    if (!reads(s) || s->line != NULL || s->watched)
        return;
    if (s->in == STREAM_IN_HELLO)
        s->watched = (r = hello_watch(s, EPOLL_CTL_ADD)) == 0;
    else
        r = uv_read_start((uv_stream_t *)&s->tcp, on_uv_alloc, on_uv_read);
    if (r != 0 && r != UV_EALREADY)
        due_add(s, DUE_FAIL);
}

static ssize_t read_now(struct stream *s, size_t room)
{
    uv_os_fd_t fd;
    INSIST_UV(uv_fileno((const uv_handle_t *)&s->tcp, &fd));
    return recv(fd, s->worker->window, room, 0);
}

static bool has_nothing(ssize_t n)
{
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void bulk_turn(struct stream *s)
{
    ssize_t n = read_now(s, WORKER_WINDOW);
    const bool nothing = has_nothing(n);

    line_leave(s);
    if (n == WORKER_WINDOW)
        line_join(s, &s->worker->bulk);
    else
        reading_start(s);
    if (!nothing)
        received(s, n);
}

static void step_count(struct worker *w, uint64_t begun)
{
    w->step_ns += uv_hrtime() - begun + 1;
    worker_count(w);
}

/* Goes on with a handshake whose turn it is. A client speaks first, without octets of its peer. */
static void handshake_turn(struct stream *s)
{
    if (s->held != NULL)
        handshake_held(s);
    else
        handshake(s);
}

static void read_turn(struct stream *s)
{
    ssize_t n = read_now(s, read_size(s));
    if (!has_nothing(n))
        received(s, n);
}

/* Makes the stream's turn: a step of its handshake, or one read and what follows from it. */
static void step(struct stream *s)
{
    const uint64_t begun = uv_hrtime();
    const bool kept = s->in == STREAM_IN_HELLO && s->held != NULL;

    hello_leave(s);
    line_leave(s);
    if (s->in == STREAM_IN_HELLO)
        s->worker->hello_next = s->held != NULL;
    if (kept || s->in == STREAM_IN_HANDSHAKE)
        handshake_turn(s);
    else
        read_turn(s);
    reading_start(s);
    warm_add(s);
    worker_settle(s->worker);
    step_count(s->worker, begun);
}

static bool has_room(const struct worker *w)
{
    return w->handshakes < w->handshakes_max;
}

/* Returns a stream whose handshake may begin. Those behind a proxy and the others alternate, so
 * that neither keep out the others. */
static struct stream *fresh_first(struct worker *w)
{
    struct epoll_event event;

    if (!has_room(w)) {
        worker_watch_hellos(w, false); /* until stream_turn_room */
        return NULL;
    }
    if (w->fresh != NULL && !w->hello_next)
        return w->fresh;
    w->hello_ready = w->hello_ready && epoll_wait(w->hellos, &event, 1, 0) == 1;
    return w->hello_ready ? event.data.ptr : w->fresh;
}

/* Returns the stream whose turn it is. Handshakes in progress and new ones alternate, so that
 * neither kind delays the other. */
static struct stream *step_next(struct worker *w)
{
    struct stream *fresh = w->fresh_next || w->early == NULL ? fresh_first(w) : NULL;

    w->fresh_next = fresh == NULL;
    return fresh != NULL ? fresh : w->early;
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
static void steps(struct worker *w)
{
    const uint64_t before = w->stepped_at;
    struct stream *s;

    w->stepped_at = 0;
    while ((s = step_next(w)) != NULL) {
        step(s);
        if (may_step(w))
            continue;
        w->stepped_at = cpu_now();
        if (before == 0 || w->stepped_at - before <= 2 * w->step_ns)
            break;
    }
}

void stream_turn(struct worker *w)
{
    steps(w);
    if (w->bulk != NULL)
        bulk_turn(w->bulk);
}

void stream_turn_hello(struct worker *w)
{
    w->hello_ready = true;
    if (may_step(w))
        steps(w);
    else
        worker_turn(w);
}

bool stream_turn_due(const struct worker *w)
{
    return w->bulk != NULL || w->early != NULL || (w->fresh != NULL && has_room(w));
}

void stream_turn_room(struct worker *w)
{
    worker_watch_hellos(w, true);
    w->hello_ready = true; /* nothing has told so while it was not watched */
    if (w->fresh != NULL)
        worker_turn(w);
}

bool stream_hellos_wait(const struct worker *w)
{
    struct pollfd p = {.fd = w->hellos, .events = POLLIN};
    return !has_room(w) && (w->fresh != NULL || poll(&p, 1, 0) > 0);
}

/* Leaves a read, or the octets of a handshake, to the stream's turn. Returns false where there is
 * nothing to wait for. */
static bool wait_begins(struct stream *s, ssize_t n)
{
    const bool handshakes = s->in == STREAM_IN_HANDSHAKE;

    if (n > 0 && handshakes)
        handshake_keep(s, (size_t)n);
    else if ((n == UV_EOF || n == UV_ENOBUFS) && handshakes && s->held != NULL)
        uv_read_stop((uv_stream_t *)&s->tcp); /* the turn starts it again */
    else if (n == UV_ENOBUFS)
        line_join(s, &s->worker->early);
    else
        return false;
    return true;
}

/* Counts a read of an early stream, and its time: of TLS records of one octet a read takes ten
 * times as long as a read of a call that is set up. */
static void early_received(struct stream *s, ssize_t n)
{
    struct worker *w = s->worker;
    const uint64_t begun = uv_hrtime();

    w->reads++;
    worker_count(w);
    received(s, n);
    w->read_ns += uv_hrtime() - begun;
}

static void on_uv_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf)
{
    struct stream *s = of_handle(handle);
    (void)buf;

    if (n == 0)
        return; /* libuv says so when there was nothing */
    if (must_wait(s) && wait_begins(s, n))
        return;
    if (s->in == STREAM_IN_HANDSHAKE) {
        const uint64_t begun = uv_hrtime();
        received(s, n == UV_EOF ? 0 : n);
        step_count(s->worker, begun);
    } else if (s->early) {
        early_received(s, n == UV_EOF ? 0 : n);
    } else {
        received(s, n == UV_EOF ? 0 : n);
    }
    if (s->in == STREAM_IN_HELLO && !s->watched && s->line == NULL) {
        reading_stop(s);
        reading_start(s); /* in its new state */
    } else if (n == WORKER_GLANCE && reads(s) && s->in == STREAM_IN_OPEN && !s->early) {
        line_join(s, &s->worker->bulk);
    }
    worker_settle(s->worker);
}

void stream_start(struct stream *s, struct tls_conn *tls)
{
    INSIST(live(s) && s->in == STREAM_IN_IDLE);
    s->tls = tls;
    s->in = tls == NULL ? STREAM_IN_OPEN : STREAM_IN_HANDSHAKE;
    if (must_wait(s)) {
        line_join(s, &s->worker->early);
        return;
    }
    reading_start(s);
    if (tls == NULL)
        return;
    due_add(s, DUE_KICK); /* a client sends first; a server finds that it needs bytes */
}

void stream_expect(struct stream *s)
{
    INSIST(live(s) && s->in == STREAM_IN_IDLE);
    s->in = STREAM_IN_HELLO;
    reading_start(s);
}

void stream_secure(struct stream *s)
{
    INSIST(live(s) && s->in == STREAM_IN_OPEN && s->tls == NULL);
    s->in = STREAM_IN_HELLO;
}

void stream_early(struct stream *s, bool early)
{
    s->early = early;
    if (!early && s->in == STREAM_IN_OPEN && s->line == &s->worker->early) {
        line_leave(s);
        reading_start(s);
    }
}

bool stream_waits(const struct stream *s)
{
    uv_os_fd_t fd;
    int n;
    return s->held != NULL || (live(s) && uv_fileno((const uv_handle_t *)&s->tcp, &fd) == 0 &&
                               ioctl(fd, FIONREAD, &n) == 0 && n > 0);
}

int stream_local(const struct stream *s, struct addr *out)
{
    struct sockaddr_storage sa;
    int len = sizeof sa;
    int r = uv_tcp_getsockname(&s->tcp, (struct sockaddr *)&sa, &len);
    return r != 0 ? r : addr_from_sockaddr((struct sockaddr *)&sa, out) == ERR_OK ? 0 : UV_EINVAL;
}

int stream_peer(const struct stream *s, struct addr *out)
{
    struct sockaddr_storage sa;
    int len = sizeof sa;
    int r = uv_tcp_getpeername(&s->tcp, (struct sockaddr *)&sa, &len);
    return r != 0 ? r : addr_from_sockaddr((struct sockaddr *)&sa, out) == ERR_OK ? 0 : UV_EINVAL;
}

void stream_pause(struct stream *s)
{
    s->paused = true;
    if (live(s))
        reading_stop(s);
}

void stream_resume(struct stream *s)
{
    s->paused = false;
    reading_start(s);
    if (s->tls != NULL)
        stream_kick(s); /* for a close_notify, or a flight, that was read before */
}

void stream_narrow(struct stream *s)
{
    s->narrow = true;
    if (s->line == &s->worker->bulk) { /* a turn would bring a whole window */
        reading_stop(s);
        reading_start(s);
    }
}

bool stream_paused(const struct stream *s)
{
    return s->paused;
}

void stream_kick(struct stream *s)
{
    if (live(s))
        due_add(s, DUE_KICK);
}

/* ---- out ---- */

static void on_uv_write(uv_write_t *req, int status);

static void queue_send(struct stream *s)
{
    uv_buf_t bufs[WRITE_BUFS];
    unsigned n = 0;

    for (struct block *b = s->queue; b != NULL && n < WRITE_BUFS; b = b->next)
        bufs[n++] = uv_buf_init((char *)b->octets + b->from, b->to - b->from);
    s->flying_blocks = n;
    if (uv_write(&s->write, (uv_stream_t *)&s->tcp, bufs, n, on_uv_write) != 0) {
        s->flying_blocks = 0;
        due_add(s, DUE_FAIL);
    }
}

static void queue_drop_first(struct stream *s)
{
    struct block *b = s->queue;
    s->queue = b->next;
    if (s->queue == NULL)
        s->queue_tail = NULL;
    s->queue_blocks--;
    s->queued -= b->to - b->from;
    pool_put(&s->worker->pool, b);
}

static void on_uv_shutdown(uv_shutdown_t *req, int status)
{
    struct stream *s = of_handle(req->handle);
    (void)status; /* the connection is at its end either way */
    s->out = STREAM_OUT_ENDED;
    if (live(s))
        s->ops->on_sent(s);
    worker_settle(s->worker);
}

/* Reads until the peer's FIN, even after close_notify has ended the input: all bytes are sent. */
static void fin_await(struct stream *s)
{
    if (!s->fin_came)
        reading_start(s);
    if (!s->fin_came || s->out != STREAM_OUT_ENDING)
        return;
    s->out = STREAM_OUT_ENDED;
    s->ops->on_sent(s);
}

static void fin_send(struct stream *s)
{
    if (s->queue_blocks > 0)
        return; /* on_uv_write comes here again */
    if (s->fin_is_theirs) {
        fin_await(s);
        return;
    }
    if (uv_shutdown(&s->req.shutdown, (uv_stream_t *)&s->tcp, on_uv_shutdown) != 0)
        due_add(s, DUE_FAIL);
}

static void on_uv_write(uv_write_t *req, int status)
{
    struct stream *s = of_handle(req->handle);

    for (; s->flying_blocks > 0; s->flying_blocks--)
        queue_drop_first(s);
    if (live(s)) {
        if (status != 0)
            due_add(s, DUE_FAIL);
        else if (s->queue_blocks > 0)
            queue_send(s);
        else if (s->out == STREAM_OUT_ENDING)
            fin_send(s);
        if (status == 0 && s->queued <= (s->narrow ? 0 : STREAM_LOW) && live(s))
            s->ops->on_sent(s);
    }
    worker_settle(s->worker);
}

static void queue_add(struct stream *s, struct span octets)
{
    while (octets.n > 0) {
        struct block *b = s->queue_tail;
        /* a block that is being written has told the kernel its length already */
        if (b == NULL || s->queue_blocks == s->flying_blocks || b->to == POOL_BLOCK) {
            b = pool_get(&s->worker->pool);
            if (s->queue_tail == NULL)
                s->queue = b;
            else
                s->queue_tail->next = b;
            s->queue_tail = b;
            s->queue_blocks++;
        }
        struct span part = span_sub(octets, 0, POOL_BLOCK - b->to);
        memcpy(b->octets + b->to, part.p, part.n);
        b->to += (uint32_t)part.n;
        s->queued += part.n;
        octets = span_from(octets, part.n);
    }
}

/* What was collected leaves with one system call; what the kernel does not take is queued. */
static void out_flush(struct worker *w)
{
    struct stream *s = w->out_owner;
    struct span octets = span_of(w->out, w->out_len);

    w->out_owner = NULL;
    w->out_len = 0;
    if (s == NULL || !live(s))
        return;
    if (s->queue_blocks == 0) {
        uv_buf_t buf = uv_buf_init((char *)octets.p, (unsigned)octets.n);
        int n = uv_try_write((uv_stream_t *)&s->tcp, &buf, 1);
        if (n < 0 && n != UV_EAGAIN) {
            due_add(s, DUE_FAIL);
            return;
        }
        octets = span_from(octets, n < 0 ? 0 : (size_t)n);
    }
    if (octets.n == 0)
        return;
    if (s->queued + octets.n > STREAM_MAX) {
        due_add(s, DUE_FAIL);
        return;
    }
    queue_add(s, octets);
    if (s->flying_blocks == 0)
        queue_send(s);
    if (s->narrow || s->queued > STREAM_HIGH)
        due_add(s, DUE_FULL);
}

void stream_sink(void *arg, struct span octets)
{
    struct stream *s = arg;
    struct worker *w = s->worker;

    /* Behind our close_notify nothing is heard (RFC 8446 6.1): a KeyUpdate that wants an answer
     * gets none, and what its sender says goes on coming. */
    if (!live(s) || s->out != STREAM_OUT_OPEN)
        return;
    while (octets.n > 0) {
        if (w->out_owner != s || w->out_len == WORKER_OUT) {
            out_flush(w);
            w->out_owner = s;
        }
        struct span part = span_sub(octets, 0, WORKER_OUT - w->out_len);
        memcpy(w->out + w->out_len, part.p, part.n);
        w->out_len += part.n;
        octets = span_from(octets, part.n);
    }
}

void stream_write(struct stream *s, struct span octets)
{
    INSIST(worker_is_here(s->worker));
    if (!live(s) || s->out != STREAM_OUT_OPEN || octets.n == 0)
        return;
    if (s->tls == NULL)
        stream_sink(s, octets);
    else if (tls_conn_write(s->tls, octets) != ERR_OK)
        due_add(s, DUE_FAIL);
    warm_add(s);
}

void stream_shutdown(struct stream *s)
{
    if (!live(s) || s->out != STREAM_OUT_OPEN)
        return;
    if (s->tls != NULL)
        tls_conn_shutdown(s->tls);
    s->out = STREAM_OUT_ENDING;
    due_add(s, DUE_FIN);
}

void stream_notify(struct stream *s)
{
    if (live(s) && s->out == STREAM_OUT_OPEN)
        s->fin_is_theirs = s->tls != NULL;
    stream_shutdown(s);
}

/* ---- the end ---- */

static void on_uv_close(uv_handle_t *handle)
{
    struct stream *s = of_handle(handle);
    struct worker *w = s->worker;

    INSIST(s->due == 0 && s->flying_blocks == 0);
    while (s->queue != NULL)
        queue_drop_first(s);
    while (s->held != NULL) {
        struct block *b = s->held;
        s->held = b->next;
        pool_put(&w->pool, b);
    }
    warm_remove(s);
    tls_conn_free(s->tls);
    s->tls = NULL;
    s->handle = STREAM_HANDLE_NONE;
    s->ops->on_closed(s);
    worker_settle(w);
}

void stream_close(struct stream *s, bool reset)
{
    struct worker *w = s->worker;

    INSIST(worker_is_here(w));
    if (!live(s))
        return;
    if (!reset && s->tls != NULL && s->out == STREAM_OUT_OPEN)
        tls_conn_shutdown(s->tls);
    if (w->out_owner == s) {
        if (!reset)
            out_flush(w);
        w->out_owner = NULL;
        w->out_len = 0;
    }
    reading_stop(s);
    handshake_over(s);
    s->handle = STREAM_HANDLE_CLOSING;
    s->in = STREAM_IN_ENDED;
    s->out = STREAM_OUT_ENDED;
    /* libuv refuses a reset while its shutdown request is under way: then the FIN is out already */
    if (!reset || uv_tcp_close_reset(&s->tcp, on_uv_close) != 0)
        uv_close((uv_handle_t *)&s->tcp, on_uv_close);
}

void stream_vanish(struct stream *s)
{
    int on = 1, hops = 1;
    uv_os_fd_t fd;

    if (!live(s))
        return;
    if (uv_fileno((uv_handle_t *)&s->tcp, &fd) == 0) {
        mute_keep(&s->worker->mute, fd, worker_now(s->worker));
        if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) != 0) {
            (void)setsockopt(fd, IPPROTO_IP, IP_TTL, &hops, sizeof hops);
            (void)setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof hops);
        }
    }
    stream_close(s, true);
}

const char *stream_error(const struct stream *s)
{
    return s->tls == NULL ? "" : tls_conn_error(s->tls);
}

bool stream_starved(int status)
{
    return status == UV_EMFILE || status == UV_ENFILE || status == UV_ENOBUFS ||
           status == UV_ENOMEM || status == UV_EADDRNOTAVAIL;
}

const char *stream_strerror(int status)
{
    return uv_strerror(status);
}

static void settle_one(struct stream *s, unsigned what)
{
    if (!live(s))
        return;
    if (what & DUE_FAIL) {
        s->out = STREAM_OUT_ENDED;
        if (s->in == STREAM_IN_ENDED)
            s->ops->on_sent(s); /* its input ended before: all that is left to tell */
        else
            end_input(s, *stream_error(s) != '\0' ? STREAM_TLS : STREAM_RESET);
        return;
    }
    if (what & DUE_FIN)
        fin_send(s);
    if (!live(s))
        return;
    if ((what & DUE_FULL) && s->ops->on_full != NULL)
        s->ops->on_full(s);
    if ((what & DUE_KICK) && s->in == STREAM_IN_HANDSHAKE) {
        const uint64_t begun = uv_hrtime();
        handshake_turn(s);
        step_count(s->worker, begun);
    } else if ((what & DUE_KICK) && s->in == STREAM_IN_OPEN) {
        pump(s);
    }
    warm_add(s);
}

void stream_settle(struct worker *w)
{
    for (;;) {
        out_flush(w);
        struct stream *s = w->due;
        if (s == NULL)
            return;
        unsigned what = s->due;
        w->due = s->due_next;
        s->due = 0;
        settle_one(s, what);
    }
}
