#include "net/stream.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/insist.h"
#include "net/stream_internal.h"
#include "net/tcp.h"
#include "tls/tls_conn.h"

/* ---- all streams of a worker ---- */

static void stream_failed(struct stream *s)
{
    s->out = STREAM_OUT_ENDED;
    if (s->in == STREAM_IN_ENDED)
        s->ops->on_sent(s); /* on_end was called before: only the end of sending is new */
    else
        stream_in_end(s, *stream_error(s) != '\0' ? STREAM_TLS : STREAM_RESET);
}

static void stream_settle(struct stream *s, unsigned what)
{
    if (!stream_live(s))
        return;
    if (what & STREAM_DUE_FAIL) {
        stream_failed(s);
        return;
    }
    if ((what & STREAM_DUE_FIN) && s->in == STREAM_IN_IDLE)
        stream_close(s, true); /* libuv may still use req.connect */
    else if (what & STREAM_DUE_FIN)
        stream_out_fin(s);
    if (!stream_live(s))
        return;
    if ((what & STREAM_DUE_FULL) && s->ops->on_full != NULL)
        s->ops->on_full(s);
    if (what & STREAM_DUE_KICK)
        stream_in_kicked(s);
    stream_keep_warm(s);
}

static void streams_settle(struct worker_part *part)
{
    struct streams *all = (struct streams *)part;
    struct stream *s;

    for (stream_out_flush(all); (s = all->due) != NULL; stream_out_flush(all)) {
        const unsigned what = s->due;
        all->due = s->due_next;
        s->due = 0;
        stream_settle(s, what);
    }
}

static bool streams_turn(struct worker_part *part)
{
    return turns_take(&((struct streams *)part)->turns);
}

static bool streams_round(struct worker_part *part)
{
    return turns_round_over(&((struct streams *)part)->turns);
}

static void streams_sweep(struct worker_part *part, uint64_t now_ms)
{
    struct streams *all = (struct streams *)part;

    warm_cool(&all->warm);
    mute_sweep(&all->mute, now_ms);
}

static void streams_init(struct worker_part *part)
{
    struct streams *all = (struct streams *)part;

    all->pool = &part->worker->pool;
    all->plain = insist_alloc(malloc(STREAMS_PLAIN));
    all->out = insist_alloc(malloc(STREAMS_OUT));
    turns_init(&all->turns, part->worker, &stream_in_turns);
}

static void streams_stop(struct worker_part *part)
{
    turns_stop(&((struct streams *)part)->turns);
}

static void streams_fini(struct worker_part *part)
{
    struct streams *all = (struct streams *)part;

    INSIST(all->due == NULL && all->out_owner == NULL);
    turns_fini(&all->turns);
    mute_fini(&all->mute);
    free(all->plain);
    free(all->out);
}

static const struct worker_part_ops streams_ops = {.size = sizeof(struct streams),
                                                   .init = streams_init,
                                                   .settle = streams_settle,
                                                   .turn = streams_turn,
                                                   .round = streams_round,
                                                   .sweep = streams_sweep,
                                                   .stop = streams_stop,
                                                   .fini = streams_fini};

static struct streams *streams_of(struct worker *w)
{
    return (struct streams *)worker_part(w, &streams_ops);
}

void stream_limit_handshakes(struct worker *w, unsigned most)
{
    turns_limit_handshakes(&streams_of(w)->turns, most);
}

bool stream_hellos_wait(const struct worker *w)
{
    const struct worker_part *part = worker_part_find(w, &streams_ops);

    return part != NULL && turns_hellos_wait(&((const struct streams *)part)->turns);
}

/* ---- connections ---- */

void stream_init(struct stream *s, struct worker *w, const struct stream_ops *ops)
{
    *s = (struct stream){.worker = w, .all = streams_of(w), .ops = ops};
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
    s->window = span_of(NULL, 0); /* a stream that was closed may have left bytes in it */
}

int stream_accept(struct stream *s, uv_tcp_t *listener, struct addr *peer)
{
    handle_open(s);
    int r = uv_accept((uv_stream_t *)listener, (uv_stream_t *)&s->tcp);
    if (r == 0)
        r = tcp_peer(&s->tcp, peer);
    if (r == 0)
        tcp_set_options(&s->tcp);
    else
        stream_close(s, true);
    return r;
}

static void on_uv_connect(uv_connect_t *req, int status)
{
    struct stream *s = stream_of_handle(req->handle);

    if (stream_live(s)) {
        if (status == 0)
            tcp_set_options(&s->tcp);
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

int stream_connect_unix(struct stream *s, const char *path)
{
    const int fd = tcp_unix(path);

    handle_open(s);
    int r = fd < 0 ? fd : uv_tcp_open(&s->tcp, fd);
    if (r != 0 && fd >= 0)
        close(fd);
    if (r != 0)
        stream_close(s, false);
    return r;
}

int stream_local(const struct stream *s, struct addr *out)
{
    return tcp_local(&s->tcp, out);
}

int stream_peer(const struct stream *s, struct addr *out)
{
    return tcp_peer(&s->tcp, out);
}

/* ---- the end ---- */

static void on_uv_close(uv_handle_t *handle)
{
    struct stream *s = stream_of_handle(handle);
    struct worker *w = s->worker;

    INSIST(s->due == 0);
    outq_clear(&s->queue, s->all->pool);
    blocks_clear(&s->held, s->all->pool);
    if (s->tls != NULL)
        warm_remove(&s->all->warm, s->tls, s->warm_slot);
    tls_conn_free(s->tls);
    s->tls = NULL;
    s->handle = STREAM_HANDLE_NONE;
    s->ops->on_closed(s);
    worker_settle(w);
}

void stream_close(struct stream *s, bool reset)
{
    struct streams *all = s->all;

    INSIST(worker_is_here(s->worker));
    if (!stream_live(s))
        return;
    if (!reset && s->tls != NULL && s->out == STREAM_OUT_OPEN)
        tls_conn_shutdown(s->tls);
    if (all->out_owner == s) {
        if (!reset)
            stream_out_flush(all);
        all->out_owner = NULL;
        all->out_len = 0;
    }
    stream_in_stop(s);
    stream_in_handshake_over(s);
    s->handle = STREAM_HANDLE_CLOSING;
    s->in = STREAM_IN_ENDED;
    s->out = STREAM_OUT_ENDED;
    /* libuv refuses a reset while its shutdown request is pending: then the FIN is sent already */
    if (!reset || uv_tcp_close_reset(&s->tcp, on_uv_close) != 0)
        uv_close((uv_handle_t *)&s->tcp, on_uv_close);
}

void stream_vanish(struct stream *s)
{
    if (!stream_live(s))
        return;
    mute_keep(&s->all->mute, tcp_fd(&s->tcp), worker_now(s->worker));
    tcp_end_silently(&s->tcp);
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
