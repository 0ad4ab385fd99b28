#include "net/stream_out.h"

#include "base/insist.h"
#include "net/stream_in.h"
#include "net/stream_internal.h"
#include "tls/tls_conn.h"

enum { WRITE_BUFS = 16 };

static void on_uv_write(uv_write_t *req, int status);

static void queue_send(struct stream *s)
{
    uv_buf_t bufs[WRITE_BUFS];
    const unsigned n = outq_launch(&s->queue, bufs, WRITE_BUFS);

    if (uv_write(&s->write, (uv_stream_t *)&s->tcp, bufs, n, on_uv_write) != 0) {
        outq_grounded(&s->queue);
        stream_due(s, STREAM_DUE_FAIL);
    }
}

static void on_uv_shutdown(uv_shutdown_t *req, int status)
{
    struct stream *s = stream_of_handle(req->handle);
    (void)status; /* the connection is at its end either way */

    s->out = STREAM_OUT_ENDED;
    if (stream_live(s))
        s->ops->on_sent(s);
    worker_settle(s->worker);
}

/* Reads until the peer's FIN, even after close_notify has ended the input; then calls on_sent,
 * because all bytes were sent before. */
static void fin_await(struct stream *s)
{
    if (!s->fin_came)
        stream_in_start(s);
    if (!s->fin_came || s->out != STREAM_OUT_ENDING)
        return;
    s->out = STREAM_OUT_ENDED;
    s->ops->on_sent(s);
}

void stream_out_fin(struct stream *s)
{
    if (!outq_empty(&s->queue))
        return; /* on_uv_write calls this function again */
    if (s->fin_is_theirs)
        fin_await(s);
    else if (uv_shutdown(&s->req.shutdown, (uv_stream_t *)&s->tcp, on_uv_shutdown) != 0)
        stream_due(s, STREAM_DUE_FAIL);
}

static void on_uv_write(uv_write_t *req, int status)
{
    struct stream *s = stream_of_handle(req->handle);

    outq_landed(&s->queue, s->all->pool);
    if (stream_live(s)) {
        if (status != 0)
            stream_due(s, STREAM_DUE_FAIL);
        else if (!outq_empty(&s->queue))
            queue_send(s);
        else if (s->out == STREAM_OUT_ENDING)
            stream_out_fin(s);
        if (status == 0 && stream_queued(s) <= (s->narrow ? 0 : STREAM_LOW) && stream_live(s))
            s->ops->on_sent(s);
    }
    worker_settle(s->worker);
}

size_t stream_queued(const struct stream *s)
{
    return outq_bytes(&s->queue);
}

/* Writes with one system call, unless bytes wait already. Returns the bytes that the kernel has not
 * taken. */
static struct span write_now(struct stream *s, struct span bytes)
{
    if (!outq_empty(&s->queue))
        return bytes;
    uv_buf_t buf = uv_buf_init((char *)bytes.p, (unsigned)bytes.n);
    const int n = uv_try_write((uv_stream_t *)&s->tcp, &buf, 1);
    if (n >= 0 || n == UV_EAGAIN)
        return span_from(bytes, n < 0 ? 0 : (size_t)n);
    stream_due(s, STREAM_DUE_FAIL);
    return span_of(NULL, 0);
}

static void write_later(struct stream *s, struct span bytes)
{
    if (stream_queued(s) + bytes.n > STREAM_MAX) {
        stream_due(s, STREAM_DUE_FAIL);
        return;
    }
    outq_add(&s->queue, s->all->pool, bytes);
    if (s->queue.flying == 0)
        queue_send(s);
    if (s->narrow || stream_queued(s) > STREAM_HIGH)
        stream_due(s, STREAM_DUE_FULL);
}

void stream_out_flush(struct streams *all)
{
    struct stream *s = all->out_owner;
    struct span bytes = span_of(all->out, all->out_len);

    all->out_owner = NULL;
    all->out_len = 0;
    if (s == NULL || !stream_live(s))
        return;
    bytes = write_now(s, bytes);
    if (bytes.n > 0)
        write_later(s, bytes);
}

void stream_sink(void *arg, struct span bytes)
{
    struct stream *s = arg;
    struct streams *all = s->all;

    /* No record may follow the close_notify of this end (RFC 8446 6.1): a KeyUpdate that requests
     * an answer gets none, and bytes of its sender are still received. */
    if (!stream_live(s) || s->out != STREAM_OUT_OPEN)
        return;
    while (bytes.n > 0) {
        if (all->out_owner != s || all->out_len == STREAMS_OUT) {
            stream_out_flush(all);
            all->out_owner = s;
        }
        struct span part = span_sub(bytes, 0, STREAMS_OUT - all->out_len);
        memcpy(all->out + all->out_len, part.p, part.n);
        all->out_len += part.n;
        bytes = span_from(bytes, part.n);
    }
}

void stream_write(struct stream *s, struct span bytes)
{
    INSIST(worker_is_here(s->worker));
    if (!stream_live(s) || s->out != STREAM_OUT_OPEN || bytes.n == 0)
        return;
    if (s->tls == NULL)
        stream_sink(s, bytes);
    else if (tls_conn_write(s->tls, bytes) != ERR_OK)
        stream_due(s, STREAM_DUE_FAIL);
    stream_keep_warm(s);
}

void stream_shutdown(struct stream *s)
{
    if (!stream_live(s) || s->out != STREAM_OUT_OPEN)
        return;
    if (s->tls != NULL)
        tls_conn_shutdown(s->tls);
    s->out = STREAM_OUT_ENDING;
    stream_due(s, STREAM_DUE_FIN);
}

void stream_notify(struct stream *s)
{
    if (stream_live(s) && s->out == STREAM_OUT_OPEN)
        s->fin_is_theirs = s->tls != NULL;
    stream_shutdown(s);
}
