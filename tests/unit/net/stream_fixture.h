/* stream_fixture: streams with an owner that records what it was called for, and peers that are
 * plain sockets (or TLS over them) on the same loop. To be included after cmocka.h. */
#ifndef SSTPGATE_TESTS_STREAM_FIXTURE_H
#define SSTPGATE_TESTS_STREAM_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "certs.h"
#include "loop_fixture.h"
#include "net/listener.h"
#include "net/stream.h"
#include "net/stream_internal.h"
#include "tls/tls_conn.h"

/* Appends to n bytes at *p; the room is doubled when it is used up. */
static inline void append(char **p, size_t *n, struct span octets)
{
    size_t room = 4096, want = *n + octets.n;
    while (room < *n)
        room *= 2;
    if (*p == NULL || want > room) {
        while (room < want)
            room *= 2;
        *p = realloc(*p, room);
        assert_non_null(*p);
    }
    if (octets.n > 0)
        memcpy(*p + *n, octets.p, octets.n);
    *n = want;
}

/* ---- owner: what a test has of one stream ---- */

enum event { CONNECT, HELLO, SECURE, READ, END, FULL, SENT, CLOSED, LAST, EVENTS };

struct owner {
    struct stream s;
    unsigned count[EVENTS];
    int status;
    enum stream_end why;
    char *in; /* what was read and used */
    size_t in_len;
    size_t seen;                                /* bytes in the last call of on_read */
    size_t (*use)(struct owner *, struct span); /* NULL: all */
    void (*act)(struct owner *, enum event);    /* after everything else; may be NULL */
    struct owner *other;
    bool inside; /* of a call of the test: no callback may come */
    bool closed; /* stream_close was called: nothing but on_closed may come */
};

static inline struct owner *of(struct stream *s)
{
    return (struct owner *)s;
}

static inline void comes(struct owner *o, enum event e)
{
    o->count[e]++;
    assert_false(o->inside);
    assert_true(!o->closed || e == CLOSED);
    assert_int_equal(o->count[CLOSED], e == CLOSED ? 1 : 0);
}

static inline void happened(struct owner *o, enum event e)
{
    if (o->act != NULL)
        o->act(o, e);
}

static inline void on_connect(struct stream *s, int status)
{
    comes(of(s), CONNECT);
    of(s)->status = status;
    happened(of(s), CONNECT);
}

static struct tls_ctx *server_ctx, *client_ctx;

static inline struct tls_conn *on_hello(struct stream *s)
{
    comes(of(s), HELLO);
    happened(of(s), HELLO);
    return tls_conn_new_server(server_ctx, stream_sink, s);
}

static inline void on_secure(struct stream *s)
{
    comes(of(s), SECURE);
    happened(of(s), SECURE);
}

static inline size_t on_read(struct stream *s, struct span octets)
{
    struct owner *o = of(s);
    assert_int_not_equal(octets.n, 0);
    comes(o, READ);
    o->seen = octets.n;
    size_t n = o->use == NULL ? octets.n : o->use(o, octets);
    append(&o->in, &o->in_len, span_sub(octets, 0, n));
    happened(o, READ);
    return n;
}

static inline void on_end(struct stream *s, enum stream_end why)
{
    comes(of(s), END);
    assert_int_equal(of(s)->count[END], 1);
    of(s)->why = why;
    happened(of(s), END);
}

static inline void on_full(struct stream *s)
{
    comes(of(s), FULL);
    assert_true(stream_queued(s) > (s->narrow ? 0 : STREAM_HIGH));
    happened(of(s), FULL);
}

static inline void on_sent(struct stream *s)
{
    comes(of(s), SENT);
    happened(of(s), SENT);
}

static inline void on_closed(struct stream *s)
{
    comes(of(s), CLOSED);
    happened(of(s), CLOSED);
}

static inline void on_last(struct stream *s)
{
    comes(of(s), LAST);
    assert_int_equal(of(s)->count[END], 0);
    happened(of(s), LAST);
}

static const struct stream_ops ops = {
    .on_connect = on_connect,
    .on_hello = on_hello,
    .on_secure = on_secure,
    .on_read = on_read,
    .on_end = on_end,
    .on_full = on_full,
    .on_sent = on_sent,
    .on_closed = on_closed,
    .on_last = on_last,
};

/* The turns of the worker's streams. */
static inline struct turns *turns(void)
{
    struct stream any;
    stream_init(&any, &w, &ops);
    return &any.all->turns;
}

static inline bool is_warm(const struct owner *o)
{
    return warm_has(&o->s.all->warm, o->s.tls, o->s.warm_slot);
}

static inline void owner_init(struct owner *o)
{
    *o = (struct owner){0};
    stream_init(&o->s, &w, &ops);
}

static inline void owner_close(struct owner *o, bool reset)
{
    o->closed = true;
    stream_close(&o->s, reset);
}

/* Closes the stream if the test has not, and waits. */
static inline void owner_fini(struct owner *o)
{
    if (o->s.handle != STREAM_HANDLE_NONE) {
        owner_close(o, false);
        UNTIL(o->count[CLOSED] == 1);
    }
    free(o->in);
    o->in = NULL;
}

static inline bool got(const struct owner *o, const char *text)
{
    return span_eq(span_of(o->in, o->in_len), span_str(text));
}

static inline void say(struct owner *o, const char *text)
{
    o->inside = true;
    stream_write(&o->s, span_str(text));
    o->inside = false;
}

static inline size_t use_none(struct owner *o, struct span octets)
{
    (void)o, (void)octets;
    return 0;
}

/* ---- peer: the other end, a socket ---- */

struct peer {
    uv_poll_t poll;
    int fd;
    struct tls_conn *tls;
    bool secure;
    char *in;
    size_t in_len;
    char *out; /* all that it sends; the kernel has taken `sent` of it */
    size_t out_len, sent;
    bool deaf; /* does not read */
    bool eof, closed_notify;
    int error; /* of the socket, or EPROTO: of TLS */
    bool gone;
};

static inline void peer_flush(struct peer *p)
{
    while (p->sent < p->out_len) {
        ssize_t n = send(p->fd, p->out + p->sent, p->out_len - p->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) {
                p->error = errno;
                p->sent = p->out_len;
            }
            return;
        }
        p->sent += (size_t)n;
    }
}

static inline void peer_send(void *arg, struct span octets)
{
    struct peer *p = arg;
    append(&p->out, &p->out_len, octets);
}

static inline void peer_decrypt(struct peer *p, struct span octets)
{
    uint8_t text[4096];
    size_t n;
    enum err e = ERR_OK;
    tls_conn_feed(p->tls, octets);
    if (!p->secure) {
        e = tls_conn_handshake(p->tls);
        p->secure = e == ERR_OK;
    }
    while (e == ERR_OK && (e = tls_conn_read(p->tls, text, sizeof text, &n)) == ERR_OK)
        append(&p->in, &p->in_len, span_of(text, n));
    if (e == ERR_CLOSED)
        p->closed_notify = true;
    else if (e == ERR_TLS)
        p->error = EPROTO;
}

static inline void peer_watch(struct peer *p);

static inline void on_poll(uv_poll_t *poll, int status, int events)
{
    struct peer *p = poll->data;
    static uint8_t octets[65536];
    /* libuv reports a reset (POLLERR) by a status, without events */
    bool readable = status < 0 || ((events & UV_READABLE) && !p->deaf);
    if (readable && !p->eof && p->error == 0) {
        ssize_t n = recv(p->fd, octets, sizeof octets, 0);
        if (n == 0)
            p->eof = true;
        else if (n < 0 && errno != EAGAIN)
            p->error = errno;
        else if (n > 0 && p->tls != NULL)
            peer_decrypt(p, span_of(octets, (size_t)n));
        else if (n > 0)
            append(&p->in, &p->in_len, span_of(octets, (size_t)n));
    }
    peer_watch(p);
}

static inline void peer_watch(struct peer *p)
{
    peer_flush(p);
    int events = (p->sent < p->out_len ? UV_WRITABLE : 0) |
                 (p->deaf || p->eof || p->error != 0 ? 0 : UV_READABLE);
    if (events == 0)
        uv_poll_stop(&p->poll);
    else
        uv_poll_start(&p->poll, events, on_poll);
}

static inline void peer_open(struct peer *p, int fd)
{
    *p = (struct peer){.fd = fd};
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(uv_poll_init(&w.loop, &p->poll, fd), 0);
    p->poll.data = p;
    peer_watch(p);
}

static inline void peer_write(struct peer *p, const void *octets, size_t n)
{
    if (p->tls != NULL)
        assert_int_equal(tls_conn_write(p->tls, span_of(octets, n)), ERR_OK);
    else
        peer_send(p, span_of(octets, n));
    peer_watch(p);
}

static inline void peer_says(struct peer *p, const char *text)
{
    peer_write(p, text, strlen(text));
}

static inline bool peer_received(const struct peer *p, const char *text)
{
    return span_eq(span_of(p->in, p->in_len), span_str(text));
}

static inline void peer_listens(struct peer *p, bool yes)
{
    p->deaf = !yes;
    peer_watch(p);
}

static inline void peer_reset(struct peer *p)
{
    const struct linger now = {1, 0};
    setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static inline void on_poll_closed(uv_handle_t *handle)
{
    struct peer *p = handle->data;
    close(p->fd);
    p->gone = true;
}

static inline void peer_fini(struct peer *p)
{
    if (!p->gone) {
        uv_close((uv_handle_t *)&p->poll, on_poll_closed);
        UNTIL(p->gone);
    }
    tls_conn_free(p->tls);
    free(p->in);
    free(p->out);
}

/* A peer that goes away, with its memory kept for the rest of the test. */
static inline void peer_leaves(struct peer *p)
{
    uv_close((uv_handle_t *)&p->poll, on_poll_closed);
    UNTIL(p->gone);
}

/* Sends close_notify, with TLS and in the segment of the previous data, and FIN. */
static inline void peer_ends(struct peer *p, bool notify)
{
    if (p->tls != NULL && notify)
        tls_conn_shutdown(p->tls);
    peer_flush(p);
    shutdown(p->fd, SHUT_WR);
}

/* ---- how they meet ---- */

struct door {
    struct listener l;
    struct addr at;
    struct owner *next; /* takes the next connection; NULL: it waits */
    struct addr peer;
    unsigned knocks;
    int result;
};

static inline bool on_connection(struct listener *l)
{
    struct door *d = l->owner;
    d->knocks++;
    if (d->next == NULL)
        return false;
    struct owner *o = d->next;
    d->next = NULL;
    d->result = stream_accept(&o->s, &l->tcp, &d->peer);
    if (d->result != 0)
        o->closed = true;
    return true;
}

static inline enum err bind_to(const struct addr *want, size_t count, int *fds, struct addr *bound)
{
    return listener_bind(want, NULL, count, fds, bound);
}

static inline void door_close(struct door *d)
{
    listener_close(&d->l, NULL);
}

static inline void door_open(struct door *d)
{
    struct addr any;
    int fd;
    *d = (struct door){.result = 1};
    assert_int_equal(addr_parse("127.0.0.1:0", 0, &any), ERR_OK);
    assert_int_equal(bind_to(&any, 1, &fd, &d->at), ERR_OK);
    assert_int_not_equal(d->at.port, 0);
    assert_int_equal(listener_open(&d->l, &w, fd, on_connection, d, 7), 0);
    assert_int_equal(d->l.tag, 7);
}

static inline int connect_to(const struct addr *at, int window)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(at, &sa);
    int fd = socket(at->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (window > 0)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    /* otherwise each small write after another one costs 40 ms */
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    return fd;
}

/* Opens a stream that was accepted, but not started, and its peer. */
static inline void meet_window(struct owner *o, struct peer *p, int window)
{
    struct door d;
    door_open(&d);
    owner_init(o);
    d.next = o;
    peer_open(p, connect_to(&d.at, window));
    UNTIL(d.result == 0);
    assert_int_equal(d.peer.family, AF_INET);
    door_close(&d);
    door_close(&d); /* harmless */
    turn();
}

static inline void meet_plain(struct owner *o, struct peer *p)
{
    meet_window(o, p, 0);
    stream_start(&o->s, NULL);
}

static struct certs certs;
static struct cert cert;

static inline int setup(void **state)
{
    static const struct tls_settings settings = {
        .min = TLS_1_2, .max = TLS_1_3, .security_level = -1};
    char error[TLS_ERROR_MAX];
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    certs_init(&certs);
    cert_make(&certs, &cert, "cert.pem", &(struct cert_spec){.name = "DNS:vpn.test"});
    server_ctx = certs_server(&settings, cert.pem, NULL, error);
    client_ctx = tls_ctx_new_client(&settings, NULL, error);
    return server_ctx == NULL || client_ctx == NULL ? -1 : 0;
}

static inline int teardown(void **state)
{
    (void)state;
    tls_ctx_free(server_ctx);
    tls_ctx_free(client_ctx);
    cert_free(&cert);
    certs_fini(&certs);
    return 0;
}

static inline void peer_tls(struct peer *p)
{
    p->tls = tls_conn_new_client(client_ctx, NULL, NULL, peer_send, p);
    assert_int_equal(tls_conn_handshake(p->tls), ERR_MORE);
    peer_watch(p);
}

static inline void meet_tls(struct owner *o, struct peer *p)
{
    meet_window(o, p, 0);
    stream_start(&o->s, tls_conn_new_server(server_ctx, stream_sink, &o->s));
    peer_tls(p);
    UNTIL(o->count[SECURE] == 1 && p->secure);
}

typedef void meet_fn(struct owner *, struct peer *);
static meet_fn *const both_ways[] = {meet_plain, meet_tls};

static inline size_t echo(struct owner *o, struct span octets)
{
    stream_write(&o->s, octets);
    return octets.n;
}

#endif
