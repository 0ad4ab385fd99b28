#include "client/line.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/insist.h"

enum {
    RAW_MAX = 17 * 1024, /* one TLS record with its overhead */
    POLL_MS_MAX = 3600 * 1000,
    TLS_ALERT = 0x15, /* types of the records that begin a server's answer */
    TLS_HANDSHAKE = 0x16,
};

struct line {
    int fd;
    struct tls_conn *tls; /* NULL: none */
    uint64_t deadline_ms;
    enum line_result broken; /* of writing; LINE_OK: not broken */
    int error;               /* errno of the last failure; 0: TLS */
    bool answered;           /* bytes have arrived */
    uint8_t first;           /* the first of them */
    uint8_t raw[RAW_MAX];    /* bytes that the TLS connection has not read yet */
};

uint64_t line_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Waits for events until until_ms, or the deadline. */
static enum line_result line_wait(struct line *l, short events, uint64_t until_ms)
{
    struct pollfd p = {.fd = l->fd, .events = events};

    if (until_ms > l->deadline_ms)
        until_ms = l->deadline_ms;
    for (;;) {
        const uint64_t now = line_now();
        const uint64_t left = now < until_ms ? until_ms - now : 0;
        const int n = poll(&p, 1, left < POLL_MS_MAX ? (int)left : POLL_MS_MAX);
        if (n > 0)
            return LINE_OK;
        if (n == 0 && line_now() >= until_ms)
            return LINE_TIMEOUT;
        INSIST(n == 0 || errno == EINTR);
    }
}

static enum line_result line_failed(struct line *l, int error)
{
    l->error = error;
    return error == ECONNREFUSED                   ? LINE_REFUSED
           : error == ECONNRESET || error == EPIPE ? LINE_CLOSED
           : error == ETIMEDOUT                    ? LINE_TIMEOUT
                                                   : LINE_FAILED;
}

static enum line_result line_connect(struct line *l, const struct addr *to)
{
    struct sockaddr_storage sa;
    const socklen_t n = addr_to_sockaddr(to, &sa);
    int error = 0, on = 1;
    socklen_t size = sizeof error;

    l->fd = socket(to->family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (l->fd < 0)
        return line_failed(l, errno);
    (void)setsockopt(l->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(l->fd, (struct sockaddr *)&sa, n) == 0)
        return LINE_OK;
    if (errno != EINPROGRESS)
        return line_failed(l, errno);
    const enum line_result r = line_wait(l, POLLOUT, l->deadline_ms);
    if (r != LINE_OK)
        return r;
    if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        error = errno;
    /* The server has accepted the connection and reset it since, which the next read reports. A
     * closed port gives ECONNREFUSED. */
    return error == 0 || error == ECONNRESET ? LINE_OK : line_failed(l, error);
}

enum line_result line_open(struct line **line, const struct addr *to, uint64_t deadline_ms)
{
    struct line *l = NEW(struct line);

    l->fd = -1;
    l->deadline_ms = deadline_ms;
    *line = l;
    return line_connect(l, to);
}

void line_set_deadline(struct line *l, uint64_t deadline_ms)
{
    l->deadline_ms = deadline_ms;
}

/* ---- the socket ---- */

/* The deadline comes first, because a server may send faster than the program reads. */
static enum line_result socket_read(struct line *l, uint8_t *out, size_t cap, size_t *n,
                                    uint64_t until_ms)
{
    for (;;) {
        if (line_now() >= l->deadline_ms)
            return LINE_TIMEOUT;
        const ssize_t got = recv(l->fd, out, cap, 0);
        if (got > 0) {
            *n = (size_t)got;
            if (!l->answered)
                l->first = out[0];
            l->answered = true;
            return LINE_OK;
        }
        if (got == 0)
            return LINE_CLOSED;
        if (errno != EAGAIN && errno != EINTR)
            return line_failed(l, errno);
        const enum line_result r = line_wait(l, POLLIN, until_ms);
        if (r != LINE_OK)
            return r;
    }
}

/* Writes all bytes before it returns, so nothing is queued in memory. If the server sends
 * without reading, the deadline ends the wait. */
static void socket_write(void *arg, struct span bytes)
{
    struct line *l = arg;

    while (bytes.n > 0 && l->broken == LINE_OK) {
        const ssize_t n = send(l->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n > 0)
            bytes = span_from(bytes, (size_t)n);
        else if (errno == EAGAIN || errno == EINTR)
            l->broken = line_wait(l, POLLOUT, l->deadline_ms);
        else
            l->broken = line_failed(l, errno);
    }
}

/* ---- TLS ---- */

static enum line_result tls_failed(struct line *l)
{
    l->error = 0;
    return l->answered && l->first != TLS_ALERT && l->first != TLS_HANDSHAKE ? LINE_NOT_TLS
                                                                             : LINE_TLS;
}

static enum line_result feed(struct line *l, uint64_t until_ms)
{
    size_t n;
    const enum line_result r = socket_read(l, l->raw, sizeof l->raw, &n, until_ms);

    if (r == LINE_OK)
        tls_conn_feed(l->tls, span_of(l->raw, n));
    return r;
}

enum line_result line_secure(struct line *l, struct tls_ctx *ctx, const char *sni,
                             const char *verify_name)
{
    enum line_result r = LINE_OK;
    enum err e;

    l->tls = tls_conn_new_client(ctx, sni, verify_name, socket_write, l);
    while ((e = tls_conn_handshake(l->tls)) == ERR_MORE && r == LINE_OK)
        r = feed(l, l->deadline_ms);
    if (r != LINE_OK)
        return r;
    return e == ERR_OK ? LINE_OK : tls_failed(l);
}

static enum line_result tls_read(struct line *l, uint8_t *out, size_t cap, size_t *n,
                                 uint64_t until_ms)
{
    for (;;) {
        const enum err e = tls_conn_read(l->tls, out, cap, n);
        if (e == ERR_OK)
            return LINE_OK;
        if (e != ERR_MORE)
            return e == ERR_CLOSED ? LINE_CLOSED : tls_failed(l);
        const enum line_result r = feed(l, until_ms);
        if (r != LINE_OK)
            return r;
    }
}

enum line_result line_read(struct line *l, uint8_t *out, size_t cap, size_t *n, uint64_t until_ms)
{
    const enum line_result r =
        l->tls != NULL ? tls_read(l, out, cap, n, until_ms) : socket_read(l, out, cap, n, until_ms);
    return r == LINE_TIMEOUT && l->broken != LINE_OK ? l->broken : r;
}

void line_write(struct line *l, struct span bytes)
{
    if (l->broken != LINE_OK)
        return;
    if (l->tls == NULL)
        socket_write(l, bytes);
    else if (tls_conn_write(l->tls, bytes) != ERR_OK && l->broken == LINE_OK)
        l->broken = tls_failed(l);
}

/* ---- facts ---- */

const char *line_error(const struct line *l)
{
    if (l->error != 0)
        return strerror(l->error);
    return l->tls != NULL ? tls_conn_error(l->tls) : "";
}

const struct tls_conn *line_tls(const struct line *l)
{
    return l->tls;
}

bool line_local(const struct line *l, struct addr *out)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;

    return getsockname(l->fd, (struct sockaddr *)&sa, &n) == 0 &&
           addr_from_sockaddr((struct sockaddr *)&sa, out) == ERR_OK;
}

void line_close(struct line *l)
{
    if (l == NULL)
        return;
    if (l->tls != NULL) {
        l->deadline_ms = line_now(); /* close_notify is sent only if the socket takes it at once */
        tls_conn_shutdown(l->tls);
    }
    tls_conn_free(l->tls);
    if (l->fd >= 0)
        close(l->fd);
    explicit_bzero(l, sizeof *l);
    free(l);
}
