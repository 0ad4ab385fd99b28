#include "net/stream_in.h"

#include <errno.h>
#include <stdlib.h>

#include "base/insist.h"
#include "net/stream_internal.h"
#include "net/tcp.h"
#include "tls/tls_conn.h"

/* ---- bytes to the owner ---- */

void stream_in_stop(struct stream *s)
{
    uv_read_stop((uv_stream_t *)&s->tcp);
    turns_leave(&s->all->turns, &s->turn);
}

/* Stops reading, and waits for the stream's turn. */
static void reading_wait(struct stream *s, struct turn **line)
{
    stream_in_stop(s);
    turns_wait(&s->all->turns, &s->turn, line);
}

void stream_in_handshake_over(struct stream *s)
{
    if (s->counted)
        turns_handshake_ends(&s->all->turns);
    s->counted = false;
}

void stream_in_end(struct stream *s, enum stream_end why)
{
    if (!stream_live(s) || s->in == STREAM_IN_ENDED)
        return;
    if (why == STREAM_EOF && !blocks_empty(&s->held) && s->ops->on_last != NULL) {
        s->ops->on_last(s);
        if (!stream_live(s) || s->paused)
            return;
    }
    stream_in_stop(s);
    stream_in_handshake_over(s);
    s->in = STREAM_IN_ENDED;
    s->ops->on_end(s, why);
    if (stream_live(s) && s->fin_is_theirs)
        stream_due(s, STREAM_DUE_FIN);
}

static void hold(struct stream *s, struct span bytes)
{
    blocks_add(&s->held, s->all->pool, bytes, false);
}

/* Reads plaintext, from TLS or, on a plain stream, from the window. */
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

/* Appends a piece to plain[0..*have). ERR_OK: a whole piece was read, and more may follow. */
static enum err piece_read(struct stream *s, uint8_t *plain, size_t *have)
{
    const size_t enough = *have + STREAMS_PIECE;
    size_t n;
    enum err e;

    while ((e = source_read(s, plain + *have, enough + TLS_READ_ROOM - *have, &n)) == ERR_OK) {
        *have += n;
        if (*have >= enough)
            break;
    }
    return e;
}

static size_t deliver(struct stream *s, struct span bytes)
{
    size_t used = 0;

    while (used < bytes.n && stream_live(s) && s->in == STREAM_IN_OPEN) {
        size_t n = s->ops->on_read(s, span_from(bytes, used));
        INSIST(n <= bytes.n - used);
        if (n == 0)
            break;
        used += n;
    }
    return used;
}

/* Keeps the first bytes of a handshake, which arrived behind plain bytes, until the stream's
 * turn. */
static void hello_keep(struct stream *s, struct span rest)
{
    hold(s, rest);
    hold(s, s->window);
    s->window = span_of(NULL, 0);
    if (!blocks_empty(&s->held))
        reading_wait(s, &s->all->turns.fresh);
}

/* Hands plain[0..*have) to the owner, and moves the bytes that the owner left to the front. Returns
 * false if pump must not continue. */
static bool piece_deliver(struct stream *s, uint8_t *plain, size_t *have)
{
    const size_t used = deliver(s, span_of(plain, *have));

    if (!stream_live(s))
        return false;
    *have -= used;
    memmove(plain, plain + used, *have);
    if (s->in == STREAM_IN_HELLO)
        hello_keep(s, span_of(plain, *have));
    else if (*have > STREAM_HELD)
        stream_in_end(s, STREAM_OVERFLOW);
    else
        return true;
    return false;
}

/* Reads all bytes that TLS or the window has, because no event would report bytes that remain
 * inside OpenSSL, and hands them to the owner in large pieces. */
static void pump(struct stream *s)
{
    uint8_t *plain = s->all->plain;
    size_t have = blocks_take(&s->held, s->all->pool, plain);
    enum err e;

    do {
        e = piece_read(s, plain, &have);
        if (!piece_deliver(s, plain, &have))
            return;
    } while (e == ERR_OK);
    hold(s, span_of(plain, have));
    /* A close_notify waits for stream_resume, as a FIN does: OpenSSL reports it again. */
    if (e == ERR_CLOSED && !s->paused)
        stream_in_end(s, STREAM_EOF);
    else if (e == ERR_TLS)
        stream_in_end(s, STREAM_TLS);
}

/* ---- handshakes ---- */

static void hello(struct stream *s)
{
    s->tls = s->ops->on_hello(s);
    s->in = STREAM_IN_HANDSHAKE;
    s->counted = true;
    turns_handshake_begins(&s->all->turns);
}

static void handshake(struct stream *s)
{
    switch (tls_conn_handshake(s->tls)) {
    case ERR_OK:
        s->in = STREAM_IN_OPEN;
        stream_in_handshake_over(s);
        s->ops->on_secure(s);
        break;
    case ERR_MORE: break;
    default: stream_in_end(s, STREAM_TLS);
    }
}

/* Feeds the bytes of a handshake that waited for its turn to TLS. The bytes are in blocks of the
 * pool, so they are copied to a buffer of their own, because plaintext needs the buffer that is
 * common to all streams; there is rarely more than one flight. */
static void handshake_held(struct stream *s)
{
    uint8_t *bytes = insist_alloc(malloc(s->held.bytes));
    const size_t n = blocks_take(&s->held, s->all->pool, bytes);

    if (s->in == STREAM_IN_HELLO)
        hello(s);
    tls_conn_feed(s->tls, span_of(bytes, n));
    handshake(s);
    if (stream_live(s) && s->in == STREAM_IN_OPEN)
        pump(s);
    free(bytes);
}

/* Keeps the bytes in the worker's window until the stream's turn. libuv continues to watch the
 * socket, because the peer rarely sends more before its next flight, and stop and start would cost
 * two calls of epoll_ctl. */
static void handshake_keep(struct stream *s, size_t n)
{
    hold(s, span_of(s->worker->window, n));
    if (s->turn.line == NULL)
        turns_wait(&s->all->turns, &s->turn, &s->all->turns.early);
}

/* Continues a handshake at its turn: with the kept bytes, or, for the first flight of a client,
 * without any. */
static void handshake_turn(struct stream *s)
{
    if (!blocks_empty(&s->held))
        handshake_held(s);
    else
        handshake(s);
}

/* ---- reading ---- */

/* Returns whether the stream's next step of a handshake, or read, must wait for its turn. */
static bool must_wait(const struct stream *s)
{
    if (s->in == STREAM_IN_HANDSHAKE)
        return turns_step_waits(&s->all->turns);
    return s->early && turns_read_waits(&s->all->turns);
}

static unsigned read_size(const struct stream *s)
{
    return s->early ? STREAM_EARLY : s->narrow ? STREAM_NARROW : STREAM_GLANCE;
}

/* Returns the number of bytes that libuv may read. 0 if a read must wait: libuv then reports
 * UV_ENOBUFS. A handshake keeps its bytes until its turn, at most a block and one more read. */
static unsigned read_room(const struct stream *s)
{
    if (s->in == STREAM_IN_HANDSHAKE)
        return s->held.first == s->held.last ? read_size(s) : 0;
    return must_wait(s) ? 0 : read_size(s);
}

static void on_uv_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct stream *s = stream_of_handle(handle);
    (void)suggested;

    *buf = uv_buf_init((char *)s->worker->window, read_room(s));
}

static void connection_ended(struct stream *s, enum stream_end why)
{
    stream_in_stop(s);
    s->fin_came = true;
    stream_in_end(s, why);
    if (stream_live(s) && s->fin_is_theirs)
        stream_due(s, STREAM_DUE_FIN);
}

/* Processes the result of a read: n bytes in the worker's window, 0 for the end, or an error. */
static void received(struct stream *s, ssize_t n)
{
    if (n <= 0) {
        connection_ended(s, n < 0 || tcp_was_reset(&s->tcp) ? STREAM_RESET : STREAM_EOF);
        return;
    }
    if (s->in == STREAM_IN_ENDED)
        return; /* bytes after close_notify are ignored (RFC 8446 6.1) */
    struct span in = span_of(s->worker->window, (size_t)n);
    if (s->in == STREAM_IN_HELLO)
        hello(s);
    if (s->tls != NULL)
        tls_conn_feed(s->tls, in);
    else
        s->window = in;
    if (s->in == STREAM_IN_HANDSHAKE)
        handshake(s);
    if (stream_live(s) && s->in == STREAM_IN_OPEN)
        pump(s);
    stream_keep_warm(s);
}

static bool awaits_fin(const struct stream *s)
{
    return s->in == STREAM_IN_ENDED && s->out == STREAM_OUT_ENDING && s->fin_is_theirs &&
           !s->fin_came;
}

static bool reads(const struct stream *s)
{
    const bool open = s->in != STREAM_IN_IDLE && s->in != STREAM_IN_ENDED;

    return stream_live(s) && ((open && !s->paused) || awaits_fin(s));
}

static void on_uv_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf);

void stream_in_start(struct stream *s)
{
    int r;

    if (!reads(s) || s->turn.line != NULL || s->turn.watched)
        return;
    if (s->in == STREAM_IN_HELLO)
        r = turns_watch(&s->all->turns, &s->turn, tcp_fd(&s->tcp));
    else
        r = uv_read_start((uv_stream_t *)&s->tcp, on_uv_alloc, on_uv_read);
    if (r != 0 && r != UV_EALREADY)
        stream_due(s, STREAM_DUE_FAIL);
}

static bool has_nothing(ssize_t n)
{
    return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static void on_bulk(struct turn *t)
{
    struct stream *s = stream_of_turn(t);
    const ssize_t n = tcp_read(&s->tcp, s->worker->window, WORKER_WINDOW);
    const bool nothing = has_nothing(n);

    if (n == WORKER_WINDOW) {
        reading_wait(s, &s->all->turns.bulk);
    } else {
        turns_leave(&s->all->turns, t);
        stream_in_start(s);
    }
    if (!nothing)
        received(s, n);
}

static void on_step(struct turn *t)
{
    struct stream *s = stream_of_turn(t);

    if (s->in == STREAM_IN_HANDSHAKE || (s->in == STREAM_IN_HELLO && !blocks_empty(&s->held))) {
        handshake_turn(s);
    } else {
        const ssize_t n = tcp_read(&s->tcp, s->worker->window, read_size(s));
        if (!has_nothing(n))
            received(s, n);
    }
    stream_in_start(s);
    stream_keep_warm(s);
}

const struct turns_ops stream_in_turns = {.on_step = on_step, .on_bulk = on_bulk};

/* Postpones a read, or the bytes of a handshake, to the stream's turn. Returns false if n is a
 * result that must be processed now. */
static bool wait_begins(struct stream *s, ssize_t n)
{
    const bool handshakes = s->in == STREAM_IN_HANDSHAKE;

    if (n > 0 && handshakes)
        handshake_keep(s, (size_t)n);
    else if ((n == UV_EOF || n == UV_ENOBUFS) && handshakes && !blocks_empty(&s->held))
        uv_read_stop((uv_stream_t *)&s->tcp); /* on_step starts it again */
    else if (n == UV_ENOBUFS)
        reading_wait(s, &s->all->turns.early);
    else
        return false;
    return true;
}

/* Processes the result of a read, as received does, and counts its time if the stream is in its
 * handshake or early. */
static void received_and_counted(struct stream *s, ssize_t n)
{
    const bool handshakes = s->in == STREAM_IN_HANDSHAKE;
    const bool counts = handshakes || s->early;
    const uint64_t begun = counts ? uv_hrtime() : 0;
    struct turns *turns = &s->all->turns;

    received(s, n);
    if (handshakes)
        turns_count_step(turns, begun);
    else if (counts)
        turns_count_read(turns, begun);
}

static void on_uv_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *buf)
{
    struct stream *s = stream_of_handle(handle);
    (void)buf;

    if (n == 0)
        return; /* libuv's report that no bytes were there */
    if (must_wait(s) && wait_begins(s, n))
        return;
    received_and_counted(s, n == UV_EOF ? 0 : n);
    if (s->in == STREAM_IN_HELLO && !s->turn.watched && s->turn.line == NULL) {
        stream_in_stop(s);
        stream_in_start(s); /* as its new state requires */
    } else if (n == STREAM_GLANCE && reads(s) && s->in == STREAM_IN_OPEN && !s->early) {
        reading_wait(s, &s->all->turns.bulk);
    }
    worker_settle(s->worker);
}

void stream_start(struct stream *s, struct tls_conn *tls)
{
    INSIST(stream_live(s) && s->in == STREAM_IN_IDLE);
    s->tls = tls;
    s->in = tls == NULL ? STREAM_IN_OPEN : STREAM_IN_HANDSHAKE;
    if (must_wait(s)) {
        reading_wait(s, &s->all->turns.early);
        return;
    }
    stream_in_start(s);
    if (tls != NULL)
        stream_due(s,
                   STREAM_DUE_KICK); /* a client sends first; a server finds that it needs bytes */
}

void stream_expect(struct stream *s)
{
    INSIST(stream_live(s) && s->in == STREAM_IN_IDLE);
    s->in = STREAM_IN_HELLO;
    stream_in_start(s);
}

void stream_secure(struct stream *s)
{
    INSIST(stream_live(s) && s->in == STREAM_IN_OPEN && s->tls == NULL);
    s->in = STREAM_IN_HELLO;
}

void stream_early(struct stream *s, bool early)
{
    s->early = early;
    if (!early && s->in == STREAM_IN_OPEN && s->turn.line == &s->all->turns.early) {
        turns_leave(&s->all->turns, &s->turn);
        stream_in_start(s);
    }
}

bool stream_waits(const struct stream *s)
{
    return !blocks_empty(&s->held) || (stream_live(s) && tcp_has_bytes(&s->tcp));
}

void stream_pause(struct stream *s)
{
    s->paused = true;
    if (stream_live(s))
        stream_in_stop(s);
}

void stream_resume(struct stream *s)
{
    s->paused = false;
    stream_in_start(s);
    if (s->tls != NULL)
        stream_kick(s); /* for a close_notify, or a flight, that was read before */
}

bool stream_paused(const struct stream *s)
{
    return s->paused;
}

void stream_narrow(struct stream *s)
{
    s->narrow = true;
    if (s->turn.line == &s->all->turns.bulk) { /* a turn would bring a whole window */
        stream_in_stop(s);
        stream_in_start(s);
    }
}

void stream_kick(struct stream *s)
{
    if (stream_live(s))
        stream_due(s, STREAM_DUE_KICK);
}

void stream_in_kicked(struct stream *s)
{
    if (s->in == STREAM_IN_OPEN) {
        pump(s);
    } else if (s->in == STREAM_IN_HANDSHAKE) {
        const uint64_t begun = uv_hrtime();
        handshake_turn(s);
        turns_count_step(&s->all->turns, begun);
    }
}
