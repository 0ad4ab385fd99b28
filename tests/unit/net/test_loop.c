/* Streams, listeners, look-ups and letters on a real loop, with peers that are plain sockets (or
 * TLS over them) watched by the same loop. Nothing here waits for time: each step runs the loop
 * until what it waits for has happened. A guard ends a test that would wait for ever. */
#include "net/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka wants the four above before it */
#include <cmocka.h>

#include "certs.h"
#include "net/dial.h"
#include "net/listener.h"
#include "net/stream_internal.h"
#include "net/worker.h"
#include "tls/tls_conn.h"

enum { GUARD_MS = 20000 };

/* ---- libuv, with one call made to fail ---- */

static struct {
    const char *name; /* NULL: none fails */
    unsigned in;      /* calls until it fails; 0: it has */
    int error;
} fault;

static bool faulty(const char *name)
{
    return fault.name != NULL && strcmp(fault.name, name) == 0 && fault.in > 0 && --fault.in == 0;
}

#define WRAP(name, parameters, arguments)                                                          \
    int __real_##name parameters;                                                                  \
    int __wrap_##name parameters;                                                                  \
    int __wrap_##name parameters                                                                   \
    {                                                                                              \
        return faulty(#name) ? fault.error : __real_##name arguments;                              \
    }

WRAP(uv_tcp_init, (uv_loop_t * loop, uv_tcp_t *h), (loop, h))
WRAP(uv_tcp_getpeername, (const uv_tcp_t *h, struct sockaddr *sa, int *n), (h, sa, n))
WRAP(uv_tcp_connect, (uv_connect_t * r, uv_tcp_t *h, const struct sockaddr *sa, uv_connect_cb cb),
     (r, h, sa, cb))
WRAP(uv_read_start, (uv_stream_t * s, uv_alloc_cb a, uv_read_cb r), (s, a, r))
WRAP(uv_try_write, (uv_stream_t * s, const uv_buf_t b[], unsigned n), (s, b, n))
WRAP(uv_write, (uv_write_t * r, uv_stream_t *s, const uv_buf_t b[], unsigned n, uv_write_cb cb),
     (r, s, b, n, cb))
WRAP(uv_shutdown, (uv_shutdown_t * r, uv_stream_t *s, uv_shutdown_cb cb), (r, s, cb))
WRAP(uv_tcp_close_reset, (uv_tcp_t * h, uv_close_cb cb), (h, cb))
WRAP(pthread_create, (pthread_t * t, const pthread_attr_t *attr, void *(*fn)(void *), void *arg),
     (t, attr, fn, arg))
WRAP(uv_tcp_open, (uv_tcp_t * h, uv_os_sock_t fd), (h, fd))
WRAP(uv_listen, (uv_stream_t * s, int backlog, uv_connection_cb cb), (s, backlog, cb))

/* Where this one fails the connection is gone, as in libuv: it does not wait any longer. */
int __real_uv_accept(uv_stream_t *server, uv_stream_t *client);
int __wrap_uv_accept(uv_stream_t *server, uv_stream_t *client);
int __wrap_uv_accept(uv_stream_t *server, uv_stream_t *client)
{
    int r = __real_uv_accept(server, client);
    return faulty("uv_accept") ? fault.error : r;
}

/* ---- a resolver that knows one name and may be slow ---- */

static struct {
    atomic_bool slow;
    sem_t asked, answers, freed;
} resolver;

int __real_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **all);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **all);
int __wrap_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                       struct addrinfo **all)
{
    if ((hints->ai_flags & AI_NUMERICHOST) != 0)
        return __real_getaddrinfo(node, service, hints, all);
    if (resolver.slow) {
        sem_post(&resolver.asked);
        sem_wait(&resolver.answers);
    }
    /* The machine's resolver is never asked, because it may be slow and need not know localhost. */
    if (strcasecmp(node, "localhost") != 0)
        return EAI_NONAME;
    return __real_getaddrinfo("127.0.0.1", service, hints, all);
}

void __real_freeaddrinfo(struct addrinfo *all);
void __wrap_freeaddrinfo(struct addrinfo *all);
void __wrap_freeaddrinfo(struct addrinfo *all)
{
    __real_freeaddrinfo(all);
    if (resolver.slow)
        sem_post(&resolver.freed);
}

/* ---- sockets that are never empty ---- */

static bool plenty;

ssize_t __real_recv(int fd, void *buf, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t n, int flags);
ssize_t __wrap_recv(int fd, void *buf, size_t n, int flags)
{
    if (!plenty)
        return __real_recv(fd, buf, n, flags);
    memset(buf, 0, n);
    return (ssize_t)n;
}

/* ---- the loop ---- */

static struct worker w;
static uv_timer_t guard;

static void on_guard(uv_timer_t *timer)
{
    (void)timer;
    fputs("the test waits for something that does not come\n", stderr);
    abort();
}

static void ignore_sweep(void *arg, uint64_t now_ms)
{
    (void)arg, (void)now_ms;
}

static void loop_open(void)
{
    worker_init(&w, 0, ignore_sweep, NULL);
    assert_int_equal(uv_timer_init(&w.loop, &guard), 0);
    assert_int_equal(uv_timer_start(&guard, on_guard, GUARD_MS, 0), 0);
    uv_unref((uv_handle_t *)&guard);
}

/* All handles of the test are closing: runs the loop to its end and looks for what was left. */
static void loop_close(void)
{
    fault.name = NULL;
    uv_close((uv_handle_t *)&guard, NULL);
    worker_settle(&w);
    worker_stop(&w);
    worker_run(&w);
    assert_int_equal(w.pool.lent, 0);
    worker_fini(&w);
}

/* What a test did from outside of a callback is settled as at the end of one. */
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        worker_settle(&w);                                                                         \
        while (!(condition))                                                                       \
            uv_run(&w.loop, UV_RUN_ONCE);                                                          \
    } while (0)

/* Everything that is there now has been seen: what did not happen will not. A turn through the
 * kernel for each party, there and back. */
static void turn(void)
{
    worker_settle(&w);
    for (int i = 0; i < 8; i++)
        uv_run(&w.loop, UV_RUN_NOWAIT);
}

/* Appends to n octets at *p; the room behind them is doubled when it is used up. */
static void append(char **p, size_t *n, struct span octets)
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
    size_t seen;                                /* octets shown to on_read last */
    size_t (*use)(struct owner *, struct span); /* NULL: all */
    void (*act)(struct owner *, enum event);    /* after all else; may be NULL */
    struct owner *other;
    bool inside; /* of a call the test makes: no callback may come */
    bool closed; /* stream_close was called: nothing but on_closed may come */
};

static struct owner *of(struct stream *s)
{
    return (struct owner *)s;
}

static void comes(struct owner *o, enum event e)
{
    o->count[e]++;
    assert_false(o->inside);
    assert_true(!o->closed || e == CLOSED);
    assert_int_equal(o->count[CLOSED], e == CLOSED ? 1 : 0);
}

static void happened(struct owner *o, enum event e)
{
    if (o->act != NULL)
        o->act(o, e);
}

static void on_connect(struct stream *s, int status)
{
    comes(of(s), CONNECT);
    of(s)->status = status;
    happened(of(s), CONNECT);
}

static struct tls_ctx *server_ctx, *client_ctx;

static struct tls_conn *on_hello(struct stream *s)
{
    comes(of(s), HELLO);
    happened(of(s), HELLO);
    return tls_conn_new_server(server_ctx, stream_sink, s);
}

static void on_secure(struct stream *s)
{
    comes(of(s), SECURE);
    happened(of(s), SECURE);
}

static size_t on_read(struct stream *s, struct span octets)
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

static void on_end(struct stream *s, enum stream_end why)
{
    comes(of(s), END);
    assert_int_equal(of(s)->count[END], 1);
    of(s)->why = why;
    happened(of(s), END);
}

static void on_full(struct stream *s)
{
    comes(of(s), FULL);
    assert_true(stream_queued(s) > (s->narrow ? 0 : STREAM_HIGH));
    happened(of(s), FULL);
}

static void on_sent(struct stream *s)
{
    comes(of(s), SENT);
    happened(of(s), SENT);
}

static void on_closed(struct stream *s)
{
    comes(of(s), CLOSED);
    happened(of(s), CLOSED);
}

static void on_last(struct stream *s)
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
static struct turns *turns(void)
{
    struct stream any;
    stream_init(&any, &w, &ops);
    return &any.all->turns;
}

static bool is_warm(const struct owner *o)
{
    return warm_has(&o->s.all->warm, o->s.tls, o->s.warm_slot);
}

static void owner_init(struct owner *o)
{
    *o = (struct owner){0};
    stream_init(&o->s, &w, &ops);
}

static void owner_close(struct owner *o, bool reset)
{
    o->closed = true;
    stream_close(&o->s, reset);
}

/* Closes it where that was not done, and waits. */
static void owner_fini(struct owner *o)
{
    if (o->s.handle != STREAM_HANDLE_NONE) {
        owner_close(o, false);
        UNTIL(o->count[CLOSED] == 1);
    }
    free(o->in);
    o->in = NULL;
}

static bool got(const struct owner *o, const char *text)
{
    return span_eq(span_of(o->in, o->in_len), span_str(text));
}

static void say(struct owner *o, const char *text)
{
    o->inside = true;
    stream_write(&o->s, span_str(text));
    o->inside = false;
}

/* ---- peer: the other end, a socket ---- */

struct peer {
    uv_poll_t poll;
    int fd;
    struct tls_conn *tls;
    bool secure;
    char *in;
    size_t in_len;
    char *out; /* all it says; the kernel has taken `sent` of it */
    size_t out_len, sent;
    bool deaf; /* does not read */
    bool eof, closed_notify;
    int error; /* of the socket, or EPROTO: of TLS */
    bool gone;
};

static void peer_flush(struct peer *p)
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

static void peer_send(void *arg, struct span octets)
{
    struct peer *p = arg;
    append(&p->out, &p->out_len, octets);
}

static void peer_decrypt(struct peer *p, struct span octets)
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

static void peer_watch(struct peer *p);

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct peer *p = poll->data;
    static uint8_t octets[65536];
    /* libuv tells of a reset (POLLERR) by a status, without events */
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

static void peer_watch(struct peer *p)
{
    peer_flush(p);
    int events = (p->sent < p->out_len ? UV_WRITABLE : 0) |
                 (p->deaf || p->eof || p->error != 0 ? 0 : UV_READABLE);
    if (events == 0)
        uv_poll_stop(&p->poll);
    else
        uv_poll_start(&p->poll, events, on_poll);
}

static void peer_open(struct peer *p, int fd)
{
    *p = (struct peer){.fd = fd};
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(uv_poll_init(&w.loop, &p->poll, fd), 0);
    p->poll.data = p;
    peer_watch(p);
}

static void peer_write(struct peer *p, const void *octets, size_t n)
{
    if (p->tls != NULL)
        assert_int_equal(tls_conn_write(p->tls, span_of(octets, n)), ERR_OK);
    else
        peer_send(p, span_of(octets, n));
    peer_watch(p);
}

static void peer_says(struct peer *p, const char *text)
{
    peer_write(p, text, strlen(text));
}

static bool heard(const struct peer *p, const char *text)
{
    return span_eq(span_of(p->in, p->in_len), span_str(text));
}

static void peer_listens(struct peer *p, bool yes)
{
    p->deaf = !yes;
    peer_watch(p);
}

static void peer_reset(struct peer *p)
{
    const struct linger now = {1, 0};
    setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct peer *p = handle->data;
    close(p->fd);
    p->gone = true;
}

static void peer_fini(struct peer *p)
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
static void peer_leaves(struct peer *p)
{
    uv_close((uv_handle_t *)&p->poll, on_poll_closed);
    UNTIL(p->gone);
}

/* Sends close_notify, with TLS and in the segment of the previous data, and FIN. */
static void peer_ends(struct peer *p, bool notify)
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

static bool on_connection(struct listener *l)
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

static enum err bind_to(const struct addr *want, size_t count, int *fds, struct addr *bound)
{
    return listener_bind(want, NULL, count, fds, bound);
}

static void door_close(struct door *d)
{
    listener_close(&d->l, NULL);
}

static void door_open(struct door *d)
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

static int connect_to(const struct addr *at, int window)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(at, &sa);
    int fd = socket(at->family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    if (window > 0)
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &window, sizeof window), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    /* or each small write behind another one costs 40 ms */
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    return fd;
}

/* A stream that was accepted, and the peer that called. Not started. */
static void meet_window(struct owner *o, struct peer *p, int window)
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

static void meet_plain(struct owner *o, struct peer *p)
{
    meet_window(o, p, 0);
    stream_start(&o->s, NULL);
}

static struct certs certs;
static struct cert cert;

static int setup(void **state)
{
    sem_init(&resolver.asked, 0, 0);
    sem_init(&resolver.answers, 0, 0);
    sem_init(&resolver.freed, 0, 0);
    static const struct tls_settings settings = {TLS_1_2, TLS_1_3, -1, NULL, NULL, NULL};
    char error[TLS_ERROR_MAX];
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    certs_init(&certs);
    cert_make(&certs, &cert, "cert.pem", &(struct cert_spec){.name = "DNS:vpn.test"});
    server_ctx = certs_server(&settings, cert.pem, NULL, error);
    client_ctx = tls_ctx_new_client(&settings, NULL, error);
    return server_ctx == NULL || client_ctx == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    tls_ctx_free(server_ctx);
    tls_ctx_free(client_ctx);
    cert_free(&cert);
    certs_fini(&certs);
    return 0;
}

static void peer_tls(struct peer *p)
{
    p->tls = tls_conn_new_client(client_ctx, NULL, NULL, peer_send, p);
    assert_int_equal(tls_conn_handshake(p->tls), ERR_MORE);
    peer_watch(p);
}

static void meet_tls(struct owner *o, struct peer *p)
{
    meet_window(o, p, 0);
    stream_start(&o->s, tls_conn_new_server(server_ctx, stream_sink, &o->s));
    peer_tls(p);
    UNTIL(o->count[SECURE] == 1 && p->secure);
}

typedef void meet_fn(struct owner *, struct peer *);
static meet_fn *const both_ways[] = {meet_plain, meet_tls};

/* ---- talking ---- */

static void octets_go_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        assert_int_equal(o.count[SECURE], i);
        peer_says(&p, "from the peer");
        UNTIL(got(&o, "from the peer"));
        say(&o, "from ");
        say(&o, "the stream");
        UNTIL(heard(&p, "from the stream"));
        assert_int_equal(stream_queued(&o.s), 0);
        assert_int_equal(o.count[END], 0);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

static size_t echo(struct owner *o, struct span octets)
{
    stream_write(&o->s, octets);
    return octets.n;
}

static void stop_when_full_go_on_when_sent(struct owner *o, enum event e)
{
    if (e == FULL)
        stream_pause(&o->s);
    if (e == SENT) {
        assert_true(stream_queued(&o->s) <= STREAM_LOW);
        stream_resume(&o->s);
    }
}

enum { MUCH = 2 * 1024 * 1024 };

/* More than all buffers hold, so that both back-pressure and its end are needed. */
static void much_is_echoed(void **state)
{
    (void)state;
    char *octets = malloc(MUCH);
    assert_non_null(octets);
    for (size_t i = 0; i < MUCH; i++)
        octets[i] = (char)(i * 2654435761u >> 13);
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        o.use = echo;
        o.act = stop_when_full_go_on_when_sent;
        peer_write(&p, octets, MUCH);
        UNTIL(p.in_len == MUCH || p.error != 0);
        assert_int_equal(p.error, 0);
        assert_memory_equal(p.in, octets, MUCH);
        assert_int_equal(o.in_len, MUCH);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
    free(octets);
}

/* A peer that does not read: the queue says when it is above its mark, and when it is low again. */
static void the_queue_tells_how_full_it_is(void **state)
{
    (void)state;
    static uint8_t octets[4000];
    struct owner o;
    struct peer p;
    size_t total = 0;

    loop_open();
    meet_window(&o, &p, 4096);
    stream_start(&o.s, NULL);
    peer_listens(&p, false);
    while (stream_queued(&o.s) <= STREAM_HIGH) {
        for (size_t i = 0; i < sizeof octets; i++)
            octets[i] = (uint8_t)((total + i) % 251);
        stream_write(&o.s, span_of(octets, sizeof octets));
        total += sizeof octets;
        assert_int_equal(o.count[FULL], 0);
        worker_settle(&w);
        assert_true(total < 64u << 20);
    }
    assert_int_equal(o.count[FULL], 1);
    turn();
    assert_int_equal(o.count[FULL], 1);
    assert_int_equal(o.count[SENT], 0);
    assert_true(stream_queued(&o.s) <= STREAM_HIGH + sizeof octets);
    assert_in_range(w.pool.lent, stream_queued(&o.s) / POOL_BLOCK,
                    stream_queued(&o.s) / POOL_BLOCK + 3);
    peer_listens(&p, true);
    UNTIL(o.count[SENT] > 0);
    assert_true(stream_queued(&o.s) <= STREAM_LOW);
    UNTIL(p.in_len == total);
    for (size_t i = 0; i < total; i++)
        if ((uint8_t)p.in[i] != i % 251)
            fail_msg("octet %zu is wrong", i);
    UNTIL(stream_queued(&o.s) == 0);
    assert_int_equal(w.pool.lent, 0);
    owner_fini(&o);
    peer_fini(&p);
    loop_close();
}

static void stop_when_full_go_on_when_all_is_sent(struct owner *o, enum event e)
{
    if (e == FULL)
        stream_pause(&o->s);
    if (e == SENT && stream_queued(&o->s) == 0)
        stream_resume(&o->s);
}

/* The queue to a peer that does not read is one small read and its records, however much the other
 * side sends. When the peer reads again, all data arrives. */
static void a_narrow_stream_queues_little(void **state)
{
    (void)state;
    char *octets = malloc(MUCH);
    assert_non_null(octets);
    for (size_t i = 0; i < MUCH; i++)
        octets[i] = (char)(i * 2654435761u >> 13);
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        stream_narrow(&o.s);
        o.use = echo;
        o.act = stop_when_full_go_on_when_all_is_sent;
        peer_write(&p, octets, MUCH);
        peer_listens(&p, false);
        for (size_t turns = 0; turns < 20; turns++) {
            turn();
            assert_in_range(stream_queued(&o.s), 0, 2 * STREAM_NARROW);
            assert_in_range(w.pool.lent, 0, 3);
        }
        peer_listens(&p, true);
        UNTIL(p.in_len == MUCH || p.error != 0);
        assert_int_equal(p.error, 0);
        assert_memory_equal(p.in, octets, MUCH);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
    free(octets);
}

/* A window of the smallest packets, in the longest records there are: behind a queue that was not
 * told to be full it is no reason to end the connection. */
static void a_window_of_the_smallest_packets_has_room(void **state)
{
    (void)state;
    static const struct tls_settings longest = {TLS_1_2, TLS_1_2, -1, "ECDHE+SHA384", NULL, NULL};
    static const uint8_t packet[] = {0x10, 0x00, 0x00, 0x04};
    static const char octets[4000];
    char error[TLS_ERROR_MAX];
    struct tls_ctx *ctx = certs_server(&longest, cert.pem, NULL, error);
    struct owner o;
    struct peer p;

    loop_open();
    meet_window(&o, &p, 4096);
    stream_start(&o.s, tls_conn_new_server(ctx, stream_sink, &o.s));
    peer_tls(&p);
    UNTIL(o.count[SECURE] == 1 && p.secure);
    peer_listens(&p, false);
    while (stream_queued(&o.s) <= STREAM_HIGH - sizeof octets) {
        stream_write(&o.s, span_of(octets, sizeof octets));
        worker_settle(&w);
    }
    for (size_t n = 0; n < WORKER_WINDOW; n += sizeof packet)
        stream_write(&o.s, span_of(packet, sizeof packet));
    turn();
    assert_int_equal(o.count[END], 0);
    assert_true(stream_queued(&o.s) > 80 * (WORKER_WINDOW / sizeof packet)); /* no shorter ones */
    owner_fini(&o);
    peer_fini(&p);
    tls_ctx_free(ctx);
    loop_close();
}

static void a_paused_stream_does_not_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        stream_pause(&o.s);
        assert_true(stream_paused(&o.s));
        peer_says(&p, "later");
        turn();
        assert_int_equal(o.count[READ], 0);
        stream_resume(&o.s);
        assert_false(stream_paused(&o.s));
        stream_resume(&o.s); /* harmless */
        UNTIL(got(&o, "later"));
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

/* Two have something to read, the first of them much: the second one comes behind one glance at it,
 * and not behind all of it. */
static void nobody_waits_for_more_than_a_glance_at_another(void **state)
{
    (void)state;
    struct owner bulk, quiet;
    struct peer to_bulk, to_quiet;
    const size_t much = 4 * WORKER_WINDOW;
    char *octets = calloc(1, much);

    assert_non_null(octets);
    loop_open();
    meet_plain(&bulk, &to_bulk);
    meet_plain(&quiet, &to_quiet);
    stream_pause(&bulk.s);
    stream_pause(&quiet.s);
    peer_write(&to_bulk, octets, much);
    peer_says(&to_quiet, "I");
    turn();
    stream_resume(&bulk.s); /* the first to be seen */
    stream_resume(&quiet.s);
    UNTIL(quiet.count[READ] > 0);
    assert_in_range(bulk.in_len, 1, STREAM_GLANCE);
    UNTIL(bulk.in_len == much);
    assert_null(turns()->bulk);
    owner_fini(&bulk);
    owner_fini(&quiet);
    peer_fini(&to_bulk);
    peer_fini(&to_quiet);
    loop_close();
    free(octets);
}

/* Bulk has a window of one stream for each round of the loop, and they take turns; what comes for
 * another stream meanwhile is read in the next round. */
static void bulk_takes_turns_behind_all_others(void **state)
{
    (void)state;
    enum { BULKS = 3 };
    static const char octets[STREAM_GLANCE];
    struct owner bulk[BULKS], quiet;
    struct peer to_bulk[BULKS], to_quiet;

    loop_open();
    meet_plain(&quiet, &to_quiet);
    for (int i = 0; i < BULKS; i++) {
        meet_plain(&bulk[i], &to_bulk[i]);
        stream_pause(&bulk[i].s);
        peer_write(&to_bulk[i], octets, sizeof octets);
    }
    turn();
    for (int i = 0; i < BULKS; i++)
        stream_resume(&bulk[i].s);
    uv_run(&w.loop, UV_RUN_ONCE);
    plenty = true;
    for (size_t round = 0; round < 3 * BULKS; round++) {
        assert_int_equal(send(to_quiet.fd, "I", 1, 0), 1);
        uv_run(&w.loop, UV_RUN_ONCE);
        assert_int_equal(quiet.in_len, round + 1);
        for (size_t i = 0; i < BULKS; i++)
            assert_int_equal(bulk[i].in_len,
                             STREAM_GLANCE +
                                 (round / BULKS + (i <= round % BULKS)) * WORKER_WINDOW);
    }
    plenty = false;
    turn();
    for (int i = 0; i < BULKS; i++) {
        assert_null(bulk[i].s.turn.line);
        owner_fini(&bulk[i]);
        peer_fini(&to_bulk[i]);
    }
    owner_fini(&quiet);
    peer_fini(&to_quiet);
    loop_close();
}

/* A stream that does not read yet, and whose peer has said what fills a glance. */
static void meet_bulk(struct owner *o, struct peer *p)
{
    static const char octets[STREAM_GLANCE];

    loop_open();
    meet_plain(o, p);
    stream_pause(&o->s);
    peer_write(p, octets, sizeof octets);
}

/* Opens a stream that waits for its peer's ClientHello; says: the peer sends it first. The peer
 * does not go on with the handshake. */
static void meet_hello(struct owner *o, struct peer *p, bool says)
{
    meet_window(o, p, 0);
    stream_expect(&o->s);
    peer_listens(p, false);
    if (says)
        peer_tls(p);
}

static unsigned sum_of(const struct owner *o, size_t n, enum event e)
{
    unsigned sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += o[i].count[e];
    return sum;
}

enum { HELLOS = 24 };

/* Many ClientHellos arrive at once: a packet of another stream waits for at most one of them. */
static void handshakes_take_turns_behind_all_others(void **state)
{
    (void)state;
    struct owner o[HELLOS], quiet;
    struct peer p[HELLOS], to_quiet;

    loop_open();
    turns()->step_budget_ns = 0; /* one step for each round, however short */
    meet_plain(&quiet, &to_quiet);
    for (size_t i = 0; i < HELLOS; i++)
        meet_hello(&o[i], &p[i], false);
    for (size_t i = 0; i < HELLOS; i++)
        peer_tls(&p[i]);
    unsigned begun = 0;
    for (size_t round = 0; begun < HELLOS; round++) {
        assert_int_equal(send(to_quiet.fd, "I", 1, 0), 1);
        turns()->stepped_at = 0; /* one step, however long a busy machine makes the round */
        uv_run(&w.loop, UV_RUN_ONCE);
        assert_int_equal(quiet.in_len, round + 1);
        assert_in_range(sum_of(o, HELLOS, HELLO), begun, begun + 1);
        begun = sum_of(o, HELLOS, HELLO);
        assert_true(round < 2 * HELLOS); /* each round, or nearly, makes one */
    }
    for (size_t i = 0; i < HELLOS; i++)
        peer_listens(&p[i], true);
    UNTIL(sum_of(o, HELLOS, SECURE) == HELLOS);
    assert_int_equal(turns()->handshakes, 0);
    for (size_t i = 0; i < HELLOS; i++) {
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    owner_fini(&quiet);
    peer_fini(&to_quiet);
    loop_close();
}

/* A client's flight that must wait for its turn is read, and libuv goes on to watch the socket. It
 * stops at the end of the connection, or at more than a glance, and both come behind the flight. */
static void a_flight_is_kept_until_its_turn(void **state)
{
    (void)state;
    static const size_t sizes[] = {6, 4 * STREAM_GLANCE};

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        uint8_t *octets = calloc(1, sizes[i]);
        struct owner o;
        struct peer p;
        loop_open();
        turns()->step_budget_ns = 0;
        meet_hello(&o, &p, true);
        UNTIL(o.count[HELLO] == 1);
        peer_listens(&p, true);
        while (blocks_empty(&o.s.held)) {
            turns()->step_ns = 1; /* the budget of this round is spent */
            worker_count(&w);
            uv_run(&w.loop, UV_RUN_ONCE);
        }
        uv_idle_stop(&w.turns); /* the turn does not come yet */
        assert_true(p.secure && stream_waits(&o.s));
        assert_true(uv_is_active((uv_handle_t *)&o.s.tcp));
        peer_write(&p, octets, sizes[i]);
        if (sizes[i] == 6)
            shutdown(p.fd, SHUT_WR);
        UNTIL(!uv_is_active((uv_handle_t *)&o.s.tcp));
        assert_int_equal(o.count[SECURE] + o.count[END], 0);
        worker_turn(&w);
        UNTIL(o.in_len == sizes[i]);
        assert_int_equal(o.count[SECURE], 1);
        UNTIL(sizes[i] != 6 || o.count[END] == 1);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
        free(octets);
    }
}

/* Above the bound no handshake begins; the first to have a ClientHello is the first to get a place.
 */
static void handshakes_have_a_bound(void **state)
{
    (void)state;
    enum { ALL = 5 };
    static const unsigned at_first[ALL] = {1, 1, 0, 0, 0}, then[ALL] = {1, 1, 1, 0, 0};
    struct owner o[ALL];
    struct peer p[ALL];

    loop_open();
    stream_limit_handshakes(&w, 2);
    for (size_t i = 0; i < ALL; i++)
        meet_hello(&o[i], &p[i], true);
    turn();
    for (size_t i = 0; i < ALL; i++) {
        assert_int_equal(o[i].count[HELLO], at_first[i]);
        assert_int_equal(o[i].s.tls != NULL, at_first[i]);
        assert_true(at_first[i] || stream_waits(&o[i].s));
    }
    assert_true(stream_hellos_wait(&w));
    owner_close(&o[1], true);
    turn();
    for (size_t i = 0; i < ALL; i++)
        assert_int_equal(o[i].count[HELLO], then[i]);
    peer_listens(&p[0], true);
    UNTIL(o[0].count[SECURE] == 1 && o[3].count[HELLO] == 1);
    stream_limit_handshakes(&w, 3);
    UNTIL(o[4].count[HELLO] == 1);
    assert_false(stream_hellos_wait(&w));
    for (size_t i = 0; i < ALL; i++) {
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    assert_int_equal(turns()->handshakes, 0);
    loop_close();
}

static size_t use_one_then_secure(struct owner *o, struct span octets)
{
    (void)octets;
    o->use = NULL;
    stream_secure(&o->s);
    return 1;
}

/* Bytes that came with the plain beginning wait for a place, too. */
static void tls_behind_a_plain_beginning(void **state)
{
    (void)state;
    for (int full = 0; full < 2; full++) {
        struct owner o;
        struct peer p;
        loop_open();
        stream_limit_handshakes(&w, full ? 0 : 1);
        meet_plain(&o, &p);
        o.use = use_one_then_secure;
        peer_says(&p, "X");
        peer_tls(&p);
        if (full) {
            turn();
            assert_int_equal(o.count[HELLO], 0);
            assert_true(stream_hellos_wait(&w) && stream_waits(&o.s));
            stream_limit_handshakes(&w, 1);
        }
        UNTIL(o.count[SECURE] == 1 && p.secure);
        say(&o, "secret");
        UNTIL(heard(&p, "secret"));
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

/* A peer that ends before its ClientHello makes no TLS object. */
static void an_end_before_the_hello(void **state)
{
    (void)state;
    for (int reset = 0; reset < 2; reset++) {
        const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};
        struct owner o;
        struct peer p;
        loop_open();
        meet_hello(&o, &p, false);
        if (reset)
            assert_int_equal(connect(p.fd, &nowhere, sizeof nowhere), 0);
        else
            shutdown(p.fd, SHUT_WR);
        UNTIL(o.count[END] == 1);
        assert_int_equal(o.why, reset ? STREAM_RESET : STREAM_EOF);
        assert_int_equal(o.count[HELLO], 0);
        assert_null(o.s.tls);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

/* A round makes at most TURNS_READS reads of early streams; the others wait for their turn. */
static void early_reads_are_few_in_a_round(void **state)
{
    (void)state;
    enum { ALL = 3 * TURNS_READS };
    struct owner o[ALL];
    struct peer p[ALL];

    loop_open();
    turns()->step_budget_ns = 0;
    turns()->read_budget_ns = UINT64_MAX; /* the number alone, however busy the machine is */
    for (size_t i = 0; i < ALL; i++) {
        meet_plain(&o[i], &p[i]);
        stream_early(&o[i].s, true);
        stream_pause(&o[i].s);
        assert_int_equal(send(p[i].fd, "I", 1, 0), 1);
    }
    turn();
    for (size_t i = 0; i < ALL; i++)
        stream_resume(&o[i].s);
    uv_run(&w.loop, UV_RUN_ONCE);
    assert_int_equal(sum_of(o, ALL, READ), TURNS_READS);
    stream_early(&o[ALL - 1].s, false); /* it waits no longer, */
    UNTIL(o[ALL - 1].count[READ] == 1);
    assert_in_range(sum_of(o, ALL, READ), TURNS_READS + 1, ALL - 2);
    UNTIL(sum_of(o, ALL, READ) == ALL); /* and the others have their turn */
    for (size_t i = 0; i < ALL; i++) {
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    loop_close();
}

/* Handshakes behind a plain beginning do not keep out the others, however many there are. */
static void fresh_handshakes_alternate_with_others(void **state)
{
    (void)state;
    enum { PLAIN = 3 };
    struct owner o[PLAIN + 1];
    struct peer p[PLAIN + 1];

    loop_open();
    stream_limit_handshakes(&w, 0);
    for (size_t i = 0; i < PLAIN; i++) {
        meet_plain(&o[i], &p[i]);
        o[i].use = use_one_then_secure;
        peer_says(&p[i], "X");
        peer_tls(&p[i]);
        UNTIL(o[i].s.turn.line == &turns()->fresh);
        peer_listens(&p[i], false);
    }
    meet_hello(&o[PLAIN], &p[PLAIN], true);
    turn();
    stream_limit_handshakes(&w, 2);
    UNTIL(turns()->handshakes == 2);
    assert_int_equal(o[PLAIN].count[HELLO], 1);
    assert_int_equal(sum_of(o, PLAIN, HELLO), 1);
    for (size_t i = 0; i <= PLAIN; i++) {
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    loop_close();
}

/* A read of an early stream that takes long is the last one of its round. */
static void early_reads_share_a_time(void **state)
{
    (void)state;
    enum { ALL = 8 };
    struct owner o[ALL];
    struct peer p[ALL];

    loop_open();
    turns()->step_budget_ns = 0;
    turns()->read_budget_ns = 1;
    for (size_t i = 0; i < ALL; i++) {
        meet_plain(&o[i], &p[i]);
        stream_early(&o[i].s, true);
        stream_pause(&o[i].s);
        peer_write(&p[i], "I", 1);
    }
    for (int i = 0; i < 10; i++)
        turn();
    for (size_t i = 0; i < ALL; i++)
        stream_resume(&o[i].s);
    for (unsigned round = 0, before = 0; before < ALL; round++) {
        turns()->stepped_at = 0; /* one step, however long a busy machine makes the round */
        uv_run(&w.loop, UV_RUN_ONCE);
        /* the first one in its place, and one at its turn */
        assert_in_range(sum_of(o, ALL, READ), before, before + 2);
        before = sum_of(o, ALL, READ);
        assert_true(round < 4 * ALL);
    }
    for (size_t i = 0; i < ALL; i++) {
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    loop_close();
}

/* Early streams whose peers send as much as they can hold up the others for few octets only: in all
 * reads of a round, and in a turn. */
static void early_reads_are_short(void **state)
{
    (void)state;
    enum { ALL = 2 * TURNS_READS };
    struct owner o[ALL];
    struct peer p[ALL];
    char *octets = calloc(1, STREAM_GLANCE);
    size_t most = 0;

    assert_non_null(octets);
    loop_open();
    for (size_t i = 0; i < ALL; i++) {
        meet_plain(&o[i], &p[i]);
        stream_early(&o[i].s, true);
        stream_pause(&o[i].s);
        peer_write(&p[i], octets, STREAM_GLANCE);
    }
    for (int i = 0; i < 10; i++)
        turn();
    for (size_t i = 0; i < ALL; i++)
        stream_resume(&o[i].s);
    uv_run(&w.loop, UV_RUN_ONCE);
    for (size_t i = 0; i < ALL; i++) {
        assert_in_range(o[i].in_len, 0, o[i].count[READ] * STREAM_EARLY);
        most += o[i].in_len;
    }
    assert_in_range(most, 1, TURNS_READS * STREAM_EARLY);
    for (size_t i = 0; i < ALL; i++)
        UNTIL(o[i].in_len == STREAM_GLANCE);
    for (size_t i = 0; i < ALL; i++) {
        assert_in_range(o[i].count[READ], STREAM_GLANCE / STREAM_EARLY, STREAM_GLANCE);
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    loop_close();
    free(octets);
}

/* Whose turn has not come yet may be closed, or find at its turn that the peer has gone. */
static void bulk_may_end_while_it_waits(void **state)
{
    (void)state;
    enum { EOF_COMES, RESET_COMES, CLOSES, ENDS };
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

    for (int how = 0; how < ENDS; how++) {
        struct owner o;
        struct peer p;
        meet_bulk(&o, &p);
        turn();
        stream_resume(&o.s);
        UNTIL(o.s.turn.line != NULL);
        if (how == EOF_COMES)
            shutdown(p.fd, SHUT_WR);
        else if (how == RESET_COMES)
            assert_int_equal(connect(p.fd, &nowhere, sizeof nowhere), 0);
        else
            owner_close(&o, true);
        UNTIL(o.count[how == CLOSES ? CLOSED : END] == 1);
        if (how != CLOSES)
            assert_int_equal(o.why, how == EOF_COMES ? STREAM_EOF : STREAM_RESET);
        assert_int_equal(o.in_len, STREAM_GLANCE);
        assert_null(turns()->bulk);
        assert_false(uv_is_active((uv_handle_t *)&w.turns));
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

static size_t use_none(struct owner *o, struct span octets)
{
    (void)o, (void)octets;
    return 0;
}

static void stop_when_read(struct owner *o, enum event e)
{
    if (e == READ && o->in_len == STREAM_GLANCE)
        stream_pause(&o->s);
}

/* Who has nothing more, must not read or is at its end leaves the ring, and is watched again when
 * it may go on. */
static void bulk_ends_with_its_reason(void **state)
{
    (void)state;
    enum { DRY, STOPPED_BEFORE, STOPPED, GOES_ON, OVERFLOWS, REASONS };

    for (int why = 0; why < REASONS; why++) {
        struct owner o;
        struct peer p;
        meet_bulk(&o, &p);
        if (why == STOPPED_BEFORE || why == STOPPED)
            peer_says(&p, "more");
        turn();
        o.act = why == STOPPED_BEFORE ? stop_when_read : NULL;
        o.use = why == OVERFLOWS ? use_none : NULL;
        stream_resume(&o.s);
        if (why != STOPPED_BEFORE) {
            UNTIL(o.s.turn.line != NULL);
            assert_false(uv_is_active((uv_handle_t *)&o.s.tcp));
        }
        if (why == STOPPED)
            stream_pause(&o.s);
        if (why == GOES_ON) {
            stream_resume(&o.s);
            assert_false(uv_is_active((uv_handle_t *)&o.s.tcp));
        }
        plenty = why == OVERFLOWS;
        turn();
        plenty = false;
        assert_null(o.s.turn.line);
        assert_null(turns()->bulk);
        assert_false(uv_is_active((uv_handle_t *)&w.turns));
        assert_int_equal(o.count[END], why == OVERFLOWS);
        if (why == OVERFLOWS) {
            assert_int_equal(o.why, STREAM_OVERFLOW);
        } else {
            assert_int_equal(o.in_len, STREAM_GLANCE);
            if (stream_paused(&o.s))
                stream_resume(&o.s);
            else
                peer_says(&p, "more");
            UNTIL(o.in_len == STREAM_GLANCE + 4);
        }
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

/* So many streams keep their buffers and no more, for a second at most; all go on working. */
static void few_are_warm_and_not_for_long(void **state)
{
    (void)state;
    enum { MANY = WARM_MAX + 3 };
    static struct owner o[MANY];
    static struct peer p[MANY];
    size_t warm = 0;

    loop_open();
    for (size_t i = 0; i < MANY; i++)
        meet_tls(&o[i], &p[i]);
    for (size_t i = 0; i < MANY; i++) {
        peer_says(&p[i], "one");
        UNTIL(got(&o[i], "one"));
        assert_true(is_warm(&o[i]));
        say(&o[i], "two");
        UNTIL(heard(&p[i], "two"));
    }
    for (size_t i = 0; i < MANY; i++)
        warm += is_warm(&o[i]);
    assert_int_equal(warm, WARM_MAX);
    warm_cool(&o[0].s.all->warm);
    for (size_t i = 0; i < MANY; i++) {
        assert_false(is_warm(&o[i]));
        peer_says(&p[i], "three");
        UNTIL(got(&o[i], "onethree"));
    }
    for (size_t i = 0; i < MANY; i++) {
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    for (size_t i = 0; i < WARM_MAX; i++)
        assert_null(o[0].s.all->warm.conn[i]);
    loop_close();
}

/* ---- what the owner leaves ---- */

static size_t use_words(struct owner *o, struct span octets)
{
    (void)o;
    for (size_t i = 0; i < octets.n; i++)
        if (octets.p[i] == ' ')
            return i + 1;
    return 0;
}

static void what_is_left_comes_again_with_more_behind_it(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        o.use = use_words;
        peer_says(&p, "one two thr");
        UNTIL(got(&o, "one two "));
        assert_int_equal(o.seen, 3);
        assert_int_equal(w.pool.lent, 1);
        peer_says(&p, "e");
        UNTIL(o.seen == 4);
        unsigned reads = o.count[READ];
        o.inside = true;
        stream_kick(&o.s);
        o.inside = false;
        UNTIL(o.count[READ] == reads + 1);
        assert_int_equal(o.seen, 4);
        peer_says(&p, "e ");
        UNTIL(got(&o, "one two three "));
        assert_int_equal(w.pool.lent, 0);
        stream_kick(&o.s); /* nothing there */
        turn();
        assert_int_equal(o.seen, 6);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

static void more_than_a_block_left_is_an_overflow(void **state)
{
    (void)state;
    static const char octets[STREAM_HELD];
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        o.use = use_none;
        peer_write(&p, octets, sizeof octets);
        UNTIL(o.seen == STREAM_HELD);
        turn();
        assert_int_equal(o.count[END], 0);
        o.use = NULL; /* it can still be had */
        stream_kick(&o.s);
        UNTIL(o.in_len == STREAM_HELD);
        o.use = use_none;
        peer_write(&p, octets, sizeof octets);
        peer_write(&p, octets, 1);
        UNTIL(o.count[END] == 1);
        assert_int_equal(o.why, STREAM_OVERFLOW);
        assert_int_equal(w.pool.lent, 0);
        say(&o, "what a pity"); /* our direction stands */
        UNTIL(heard(&p, "what a pity"));
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

/* ---- ends ---- */

static void fin_without_close_notify_is_an_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        peer_says(&p, "bye");
        shutdown(p.fd, SHUT_WR);
        UNTIL(o.count[END] == 1);
        assert_int_equal(o.why, STREAM_EOF);
        assert_true(got(&o, "bye"));
        say(&o, "and you?"); /* the other direction goes on */
        UNTIL(heard(&p, "and you?"));
        stream_shutdown(&o.s);
        UNTIL(p.eof && o.s.out == STREAM_OUT_ENDED);
        assert_int_equal(p.closed_notify, i == 1);
        assert_int_equal(o.count[SENT], 1);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

static void stop_at_once(struct owner *o, enum event e)
{
    if (e == READ)
        stream_pause(&o->s);
}

/* Also if the end comes together with the bytes at which the owner paused. */
static void an_end_waits_while_paused(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        o.use = use_words;
        o.act = stop_at_once;
        peer_says(&p, "hello the");
        peer_ends(&p, true);
        UNTIL(o.count[READ] > 0);
        turn();
        assert_int_equal(o.count[LAST] + o.count[END], 0);
        o.use = NULL;
        stream_resume(&o.s);
        stream_kick(&o.s);
        UNTIL(o.count[READ] > 1);
        turn();
        assert_true(got(&o, "hello the"));
        stream_resume(&o.s);
        UNTIL(o.count[END] == 1);
        assert_int_equal(o.why, STREAM_EOF);
        assert_int_equal(o.count[LAST], 0);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

static void pause_at_the_last(struct owner *o, enum event e)
{
    if (e == LAST)
        stream_pause(&o->s);
}

/* The owner may leave bytes for later, and take them before the end. */
static void what_is_left_is_announced_before_the_end(void **state)
{
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        const bool pauses = i < 2, notify = i % 2 != 0;
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[1](&o, &p);
        o.use = use_words;
        o.act = pauses ? pause_at_the_last : NULL;
        peer_says(&p, "bye b");
        peer_ends(&p, notify);
        UNTIL(o.count[LAST] == 1);
        if (pauses) {
            turn();
            assert_int_equal(o.count[END], 0);
            o.use = NULL;
            stream_resume(&o.s);
            stream_kick(&o.s);
        }
        UNTIL(o.count[END] == 1);
        assert_int_equal(o.why, STREAM_EOF);
        assert_int_equal(o.count[LAST], 1);
        assert_true(got(&o, pauses ? "bye b" : "bye "));
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

static void our_end_first_then_theirs(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[i](&o, &p);
        say(&o, "last words");
        stream_shutdown(&o.s);
        stream_shutdown(&o.s);
        say(&o, "too late");
        UNTIL(p.eof);
        assert_true(heard(&p, "last words"));
        assert_int_equal(p.closed_notify, i == 1);
        peer_says(&p, "answer");
        if (p.tls != NULL)
            tls_conn_shutdown(p.tls);
        peer_watch(&p);
        UNTIL(got(&o, "answer"));
        if (p.tls == NULL)
            shutdown(p.fd, SHUT_WR);
        UNTIL(o.count[END] == 1 && o.count[SENT] == 1);
        assert_int_equal(o.why, STREAM_EOF);
        assert_int_equal(o.s.out, STREAM_OUT_ENDED);
        say(&o, "and later still");
        turn();
        assert_int_equal(stream_queued(&o.s), 0);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

/* So the peer's port is in TIME_WAIT. Its close_notify and its FIN arrive separately. */
static void a_notified_peer_closes_first(void **state)
{
    (void)state;
    for (int theirs_first = 0; theirs_first < 2; theirs_first++) {
        struct owner o;
        struct peer p;
        loop_open();
        both_ways[1](&o, &p);
        if (theirs_first) {
            tls_conn_shutdown(p.tls);
            peer_watch(&p);
            UNTIL(o.count[END] == 1);
        }
        say(&o, "last words");
        stream_notify(&o.s);
        say(&o, "too late");
        UNTIL(p.closed_notify);
        assert_true(heard(&p, "last words"));
        if (!theirs_first) {
            peer_says(&p, "answer");
            tls_conn_shutdown(p.tls);
            peer_watch(&p);
            UNTIL(o.count[END] == 1);
            assert_true(got(&o, "answer"));
        }
        turn();
        assert_false(p.eof);
        assert_int_equal(o.s.out, STREAM_OUT_ENDING);
        assert_int_equal(o.count[SENT], 0);
        shutdown(p.fd, SHUT_WR);
        UNTIL(o.count[SENT] == 1);
        assert_int_equal(o.s.out, STREAM_OUT_ENDED);
        assert_int_equal(o.count[END], 1);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

/* A FIN without close_notify, before and after ours; without TLS the FIN alone. */
static void a_notified_peer_may_have_closed_before(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int before = 0; before < 2; before++) {
            struct owner o;
            struct peer p;
            loop_open();
            both_ways[i](&o, &p);
            if (before) {
                shutdown(p.fd, SHUT_WR);
                UNTIL(o.count[END] == 1);
            }
            stream_notify(&o.s);
            if (!before) {
                UNTIL(i == 1 ? p.closed_notify : p.eof);
                shutdown(p.fd, SHUT_WR);
            }
            UNTIL(o.count[SENT] == 1 && o.count[END] == 1);
            assert_int_equal(o.s.out, STREAM_OUT_ENDED);
            assert_int_equal(p.eof, i == 0);
            owner_fini(&o);
            peer_fini(&p);
            loop_close();
        }
}

/* FIN goes behind a full queue, not into its place. */
static void shutdown_waits_for_the_queue(void **state)
{
    (void)state;
    static uint8_t octets[8000];
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        size_t total = 0;
        loop_open();
        both_ways[i](&o, &p);
        peer_listens(&p, false);
        for (; stream_queued(&o.s) <= STREAM_HIGH; total += sizeof octets) {
            stream_write(&o.s, span_of(octets, sizeof octets));
            worker_settle(&w);
        }
        stream_shutdown(&o.s);
        turn();
        assert_int_equal(o.s.out, STREAM_OUT_ENDING);
        peer_listens(&p, true);
        UNTIL(p.eof && o.s.out == STREAM_OUT_ENDED);
        assert_int_equal(p.in_len, total);
        assert_int_equal(p.error, 0);
        assert_int_equal(p.closed_notify, i == 1);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

static void a_reset_is_told(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int paused = 0; paused < 2; paused++) {
            struct owner o;
            struct peer p;
            loop_open();
            both_ways[i](&o, &p);
            if (paused)
                stream_pause(&o.s);
            peer_reset(&p);
            peer_leaves(&p);
            if (paused) { /* nobody reads, so writing has to find out */
                turn();
                assert_int_equal(o.count[END], 0);
                say(&o, "hello?");
            }
            UNTIL(o.count[END] == 1);
            assert_int_equal(o.why, STREAM_RESET);
            say(&o, "anybody?");
            stream_shutdown(&o.s);
            turn();
            assert_int_equal(stream_queued(&o.s), 0);
            owner_fini(&o);
            peer_fini(&p);
            loop_close();
        }
}

/* After the peer's end nothing is left to tell but that nothing can be sent either. */
static void a_failed_write_after_the_end_is_told_by_on_sent(void **state)
{
    (void)state;
    struct owner o;
    struct peer p;
    loop_open();
    meet_plain(&o, &p);
    shutdown(p.fd, SHUT_WR);
    UNTIL(o.count[END] == 1);
    peer_reset(&p);
    peer_leaves(&p);
    say(&o, "hello?");
    UNTIL(o.count[SENT] == 1);
    assert_int_equal(o.s.out, STREAM_OUT_ENDED);
    assert_int_equal(o.count[END], 1);
    owner_fini(&o);
    peer_fini(&p);
    loop_close();
}

static void close_is_orderly_or_a_reset(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int reset = 0; reset < 2; reset++) {
            struct owner o;
            struct peer p;
            loop_open();
            both_ways[i](&o, &p);
            say(&o, "gone");
            owner_close(&o, reset);
            owner_close(&o, !reset); /* harmless */
            say(&o, "nobody hears this");
            stream_shutdown(&o.s);
            stream_pause(&o.s);
            stream_resume(&o.s);
            stream_kick(&o.s);
            UNTIL(o.count[CLOSED] == 1 && (p.eof || p.error != 0));
            assert_int_equal(p.error, reset ? ECONNRESET : 0);
            assert_int_equal(p.closed_notify, !reset && i == 1);
            assert_true(heard(&p, reset ? "" : "gone"));
            owner_fini(&o);
            peer_fini(&p);
            loop_close();
        }
}

static void shutdown_then_close(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        for (int reset = 0; reset < 2; reset++)
            for (int settled = 0; settled < 3; settled++) {
                struct owner o;
                struct peer p;
                loop_open();
                both_ways[i](&o, &p);
                say(&o, "words");
                stream_shutdown(&o.s);
                if (settled > 0)
                    worker_settle(&w); /* uv_shutdown is under way */
                if (settled > 1)
                    UNTIL(o.s.out == STREAM_OUT_ENDED);
                owner_close(&o, reset);
                UNTIL(o.count[CLOSED] == 1 && (p.eof || p.error != 0));
                if (!reset)
                    assert_true(heard(&p, "words"));
                owner_fini(&o);
                peer_fini(&p);
                loop_close();
            }
}

/* A full queue does not keep a stream from closing, nor its blocks. */
static void close_with_a_full_queue(void **state)
{
    (void)state;
    static uint8_t octets[8000];
    for (size_t i = 0; i < 2; i++)
        for (int reset = 0; reset < 2; reset++) {
            struct owner o;
            struct peer p;
            loop_open();
            both_ways[i](&o, &p);
            peer_listens(&p, false);
            while (stream_queued(&o.s) <= 2 * STREAM_HIGH) {
                stream_write(&o.s, span_of(octets, sizeof octets));
                worker_settle(&w);
            }
            say(&o, "not settled yet");
            owner_close(&o, reset);
            UNTIL(o.count[CLOSED] == 1);
            assert_int_equal(w.pool.lent, 0);
            owner_fini(&o);
            peer_fini(&p);
            loop_close();
        }
}

/* ---- TLS that fails ---- */

static void garbage_is_a_tls_end_with_a_text(void **state)
{
    (void)state;
    static const struct {
        const char *octets;
        size_t n;
        const char *text;
        bool alert; /* OpenSSL sends none where it sees HTTP */
    } cases[] = {
        {"GET / HTTP/1.0\r\n\r\n", 18, "http request", false},
        {"\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9, "", true},
    };
    for (size_t i = 0; i < 2; i++) {
        struct owner o;
        struct peer p;
        loop_open();
        meet_window(&o, &p, 0);
        stream_start(&o.s, tls_conn_new_server(server_ctx, stream_sink, &o.s));
        peer_write(&p, cases[i].octets, cases[i].n);
        UNTIL(o.count[END] == 1);
        assert_int_equal(o.why, STREAM_TLS);
        assert_non_null(strstr(stream_error(&o.s), cases[i].text));
        owner_close(&o, false);
        UNTIL(p.eof);
        assert_int_equal(p.in_len > 0, cases[i].alert);
        owner_fini(&o);
        peer_fini(&p);
        loop_close();
    }
}

static void garbage_behind_the_handshake_too(void **state)
{
    (void)state;
    struct owner o;
    struct peer p;
    loop_open();
    meet_tls(&o, &p);
    peer_says(&p, "good");
    peer_send(&p, span_of("\x17\x03\x03\x00\x14xxxxxxxxxxxxxxxxxxxx", 25));
    peer_watch(&p);
    UNTIL(o.count[END] == 1);
    assert_int_equal(o.why, STREAM_TLS);
    assert_true(got(&o, "good"));
    assert_string_not_equal(stream_error(&o.s), "");
    owner_fini(&o);
    peer_fini(&p);
    loop_close();
}

/* Half a message that wants to renegotiate leaves TLS unable to write (see test_tls_conn): that is
 * what the log has to say, and not that somebody reset the connection. */
static void tls_that_cannot_write_is_a_tls_end(void **state)
{
    (void)state;
    static char name[256];
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    struct owner o;
    struct door d;
    char *hello;

    loop_open();
    door_open(&d);
    owner_init(&o);
    d.next = &o;
    int fd = connect_to(&d.at, 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    UNTIL(d.result == 0);
    door_close(&d);
    stream_start(&o.s, tls_conn_new_server(server_ctx, stream_sink, &o.s));
    worker_settle(&w);

    assert_non_null(ctx);
    SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
    SSL *ssl = SSL_new(ctx);
    SSL_set_fd(ssl, fd);
    while (SSL_connect(ssl) != 1)
        uv_run(&w.loop, UV_RUN_NOWAIT);
    UNTIL(o.count[SECURE] == 1);
    memset(name, 'n', sizeof name - 1);
    SSL_set_tlsext_host_name(ssl, name);
    SSL_set_cipher_list(ssl, "ALL@SECLEVEL=0");
    SSL_set_max_send_fragment(ssl, 512);
    SSL_set0_wbio(ssl, BIO_new(BIO_s_mem()));
    SSL_renegotiate(ssl);
    (void)SSL_do_handshake(ssl);
    assert_true(BIO_get_mem_data(SSL_get_wbio(ssl), &hello) > 512 + 5);
    ssize_t half = 5 + ((uint8_t)hello[3] << 8 | (uint8_t)hello[4]);
    assert_int_equal(send(fd, hello, (size_t)half, MSG_NOSIGNAL), half);
    turn();
    assert_int_equal(o.count[END], 0);
    say(&o, "an answer");
    UNTIL(o.count[END] == 1);
    assert_int_equal(o.why, STREAM_TLS);
    assert_string_not_equal(stream_error(&o.s), "");
    SSL_free(ssl);
    SSL_CTX_free(ctx);
    close(fd);
    owner_fini(&o);
    loop_close();
}

static void eof_in_the_handshake(void **state)
{
    (void)state;
    struct owner o;
    struct peer p;
    loop_open();
    meet_window(&o, &p, 0);
    stream_start(&o.s, tls_conn_new_server(server_ctx, stream_sink, &o.s));
    peer_send(&p, span_of("\x16\x03\x01", 3));
    peer_watch(&p);
    shutdown(p.fd, SHUT_WR);
    UNTIL(o.count[END] == 1);
    assert_int_equal(o.why, STREAM_EOF);
    owner_fini(&o);
    peer_fini(&p);
    loop_close();
}

/* A client whose settings leave it nothing to offer fails before it has said a word; told all the
 * same from the loop, not from inside of stream_start. */
static void a_handshake_that_fails_at_once_is_told_later(void **state)
{
    (void)state;
    static const struct tls_settings impossible = {TLS_1_0, TLS_1_1, 4, NULL, NULL, NULL};
    char error[TLS_ERROR_MAX];
    struct owner o;
    struct peer p;
    struct tls_ctx *ctx = tls_ctx_new_client(&impossible, NULL, error);
    assert_non_null(ctx);
    loop_open();
    meet_window(&o, &p, 0);
    o.inside = true;
    stream_start(&o.s, tls_conn_new_client(ctx, NULL, NULL, stream_sink, &o.s));
    o.inside = false;
    UNTIL(o.count[END] == 1);
    assert_int_equal(o.why, STREAM_TLS);
    owner_fini(&o);
    peer_fini(&p);
    loop_close();
    tls_ctx_free(ctx);
}

/* ---- closing from inside ---- */

static enum event close_at;
static bool close_by_reset;

static void close_when_it_happens(struct owner *o, enum event e)
{
    if (e == close_at)
        owner_close(o, close_by_reset);
}

static void close_from_inside_each_callback(void **state)
{
    (void)state;
    static const enum event at[] = {CONNECT, SECURE, READ, END, SENT};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++)
        for (int reset = 0; reset < 2; reset++) {
            struct owner server, client;
            struct door d;
            close_at = at[i];
            close_by_reset = reset;
            loop_open();
            door_open(&d);
            owner_init(&server);
            owner_init(&client);
            d.next = &server;
            server.act = client.act = close_when_it_happens;
            assert_int_equal(stream_connect(&client.s, &d.at), 0);
            UNTIL(d.result == 0 && (client.count[CONNECT] == 1 || client.count[CLOSED] == 1));
            if (!client.closed)
                stream_start(&client.s,
                             tls_conn_new_client(client_ctx, NULL, NULL, stream_sink, &client.s));
            stream_start(&server.s, tls_conn_new_server(server_ctx, stream_sink, &server.s));
            if (at[i] > SECURE) {
                UNTIL(client.count[SECURE] == 1 && server.count[SECURE] == 1);
                say(&server, "both");
                say(&client, "talk");
                stream_shutdown(&server.s);
            }
            /* the first to close makes the other one end */
            UNTIL(client.count[CLOSED] == 1 || server.count[CLOSED] == 1);
            if (!client.closed)
                owner_close(&client, false);
            if (!server.closed)
                owner_close(&server, false);
            UNTIL(client.count[CLOSED] == 1 && server.count[CLOSED] == 1);
            door_close(&d);
            free(client.in);
            free(server.in);
            loop_close();
        }
}

static size_t use_one_and_close(struct owner *o, struct span octets)
{
    (void)octets;
    owner_close(o, false);
    return 1;
}

/* A struct may be used for the next connection; nothing of the last one is in it. */
static void a_stream_can_be_used_again(void **state)
{
    (void)state;
    static const char old[60000];
    struct owner o, server;
    struct peer p;
    struct door d;
    loop_open();
    meet_plain(&o, &p);
    o.use = use_one_and_close;
    say(&o, "old");
    stream_pause(&o.s); /* more at once than is handed out at once */
    peer_write(&p, old, sizeof old);
    turn();
    stream_resume(&o.s);
    UNTIL(o.count[CLOSED] == 1);
    peer_fini(&p);

    o.count[CLOSED] = 0;
    o.closed = false;
    o.use = NULL;
    o.in_len = 0;
    door_open(&d);
    owner_init(&server);
    d.next = &server;
    assert_int_equal(stream_connect(&o.s, &d.at), 0);
    UNTIL(o.count[CONNECT] == 1 && d.result == 0);
    assert_int_equal(o.status, 0);
    stream_start(&o.s, NULL);
    stream_kick(&o.s);
    stream_start(&server.s, NULL);
    turn();
    assert_int_equal(o.in_len, 0);
    say(&server, "new");
    UNTIL(got(&o, "new"));
    assert_int_equal(server.in_len, 0);
    door_close(&d);
    owner_fini(&server);
    owner_fini(&o);
    loop_close();
}

/* ---- connecting ---- */

static void connecting_to_nobody(void **state)
{
    (void)state;
    struct owner o;
    struct door d;
    loop_open();
    door_open(&d); /* a port that was ours a moment ago */
    door_close(&d);
    turn();
    owner_init(&o);
    o.inside = true;
    assert_int_equal(stream_connect(&o.s, &d.at), 0);
    o.inside = false;
    UNTIL(o.count[CONNECT] == 1);
    assert_int_equal(o.status, UV_ECONNREFUSED);
    owner_fini(&o);
    loop_close();
}

static void close_while_connecting(void **state)
{
    (void)state;
    struct owner o;
    struct door d;
    loop_open();
    door_open(&d);
    owner_init(&o);
    assert_int_equal(stream_connect(&o.s, &d.at), 0);
    stream_write(&o.s, span_str("never sent"));
    owner_close(&o, false);
    UNTIL(o.count[CLOSED] == 1);
    assert_int_equal(o.count[CONNECT], 0);
    door_close(&d);
    owner_fini(&o);
    loop_close();
}

/* ---- listeners ---- */

static void a_full_listener_lets_callers_wait(void **state)
{
    (void)state;
    struct owner first, second;
    struct peer p, q;
    struct door d;
    loop_open();
    door_open(&d);
    peer_open(&p, connect_to(&d.at, 0));
    UNTIL(d.knocks == 1);
    assert_true(d.l.waiting);
    peer_open(&q, connect_to(&d.at, 0));
    turn();
    assert_int_equal(d.knocks, 1); /* the kernel keeps the second one */
    listener_retry(&d.l);
    assert_int_equal(d.knocks, 2);
    assert_true(d.l.waiting);

    owner_init(&first);
    d.next = &first;
    listener_retry(&d.l);
    assert_false(d.l.waiting);
    stream_start(&first.s, NULL);
    UNTIL(d.l.waiting); /* the second one */
    owner_init(&second);
    d.next = &second;
    listener_retry(&d.l);
    stream_start(&second.s, NULL);
    say(&first, "1");
    say(&second, "2");
    UNTIL(heard(&p, "1") && heard(&q, "2"));
    listener_retry(&d.l); /* nobody waits */
    assert_int_equal(d.knocks, 5);
    owner_fini(&first);
    owner_fini(&second);
    door_close(&d);
    listener_retry(&d.l);
    peer_fini(&p);
    peer_fini(&q);
    loop_close();
}

enum { CALLERS = 3 * LISTENER_ACCEPTS };

static bool accept_each(struct listener *l)
{
    struct owner *o = l->owner;
    struct addr peer;
    while (o->s.handle != STREAM_HANDLE_NONE)
        o++;
    assert_int_equal(stream_accept(&o->s, &l->tcp, &peer), 0);
    return true;
}

static size_t accepted(const struct owner *o)
{
    size_t n = 0;
    while (n < CALLERS && o[n].s.handle != STREAM_HANDLE_NONE)
        n++;
    return n;
}

/* A round of the loop accepts at most LISTENER_ACCEPTS of many simultaneous connections. */
static void few_are_accepted_in_a_round(void **state)
{
    (void)state;
    struct owner o[CALLERS];
    struct peer p[CALLERS];
    struct door d;

    loop_open();
    door_open(&d);
    d.l.owner = o;
    d.l.on_connection = accept_each;
    for (size_t i = 0; i < CALLERS; i++) {
        owner_init(&o[i]);
        peer_open(&p[i], connect_to(&d.at, 0));
    }
    for (size_t n = 0; n < CALLERS; n = accepted(o)) {
        uv_run(&w.loop, UV_RUN_NOWAIT);
        assert_in_range(accepted(o), n, n + LISTENER_ACCEPTS);
    }
    door_close(&d);
    for (size_t i = 0; i < CALLERS; i++) {
        owner_fini(&o[i]);
        peer_fini(&p[i]);
    }
    loop_close();
}

static void who_waits_at_a_listener_that_closes_is_reset(void **state)
{
    (void)state;
    struct peer p;
    struct door d;
    loop_open();
    door_open(&d);
    peer_open(&p, connect_to(&d.at, 0));
    UNTIL(d.l.waiting);
    door_close(&d);
    UNTIL(p.eof || p.error != 0);
    peer_fini(&p);
    loop_close();
}

static void an_address_in_use_is_told(void **state)
{
    (void)state;
    struct addr any, bound, again;
    int fds[3], other[1];
    assert_int_equal(addr_parse("127.0.0.1:0", 0, &any), ERR_OK);
    assert_int_equal(bind_to(&any, 3, fds, &bound), ERR_OK);
    assert_int_not_equal(bound.port, 0);
    errno = 0;
    assert_int_equal(bind_to(&bound, 1, other, &again), ERR_SYSTEM);
    assert_int_equal(errno, EADDRINUSE);
    for (size_t i = 0; i < 3; i++) {
        struct sockaddr_storage sa;
        socklen_t len = sizeof sa;
        struct addr a;
        assert_int_equal(getsockname(fds[i], (struct sockaddr *)&sa, &len), 0);
        assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, &a), ERR_OK);
        assert_true(addr_equal(&a, &bound));
        close(fds[i]);
    }
    assert_int_equal(addr_parse("192.0.2.1:0", 0, &any), ERR_OK); /* not an address of ours */
    assert_int_equal(bind_to(&any, 2, fds, &bound), ERR_SYSTEM);
    assert_int_equal(errno, EADDRNOTAVAIL);
}

static void ipv6_only(void **state)
{
    (void)state;
    struct addr any, bound;
    int fd, v6only = 0;
    socklen_t len = sizeof v6only;
    assert_int_equal(addr_parse("[::1]:0", 0, &any), ERR_OK);
    if (bind_to(&any, 1, &fd, &bound) != ERR_OK)
        return; /* a machine without IPv6 */
    assert_int_equal(getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &len), 0);
    assert_int_equal(v6only, 1);
    close(fd);
}

/* ---- names ---- */

struct answer {
    struct dial *dial;
    unsigned count;
    int status;
    bool inside, free_in_callback;
};

static void on_resolved(void *arg, int status)
{
    struct answer *a = arg;
    assert_false(a->inside);
    a->count++;
    a->status = status;
    if (a->free_in_callback) {
        dial_free(a->dial);
        a->dial = NULL;
    }
}

static void resolve(struct answer *a, const char *host)
{
    *a = (struct answer){.inside = true};
    a->dial = dial_new(&w, host, 4433, on_resolved, a);
    a->inside = false;
}

static void addresses_need_no_resolver(void **state)
{
    (void)state;
    static const struct {
        const char *host, *want;
    } cases[] = {{"127.0.0.1", "127.0.0.1:4433"}, {"2001:db8::1", "[2001:db8::1]:4433"}};
    loop_open();
    fault.name = "pthread_create"; /* no thread is bothered either */
    fault.in = 1;
    for (size_t i = 0; i < 2; i++) {
        struct answer a;
        struct addr to;
        char text[ADDR_TEXT_MAX];
        resolve(&a, cases[i].host);
        UNTIL(a.count == 1);
        assert_int_equal(a.status, 0);
        assert_true(dial_next(a.dial, &to));
        assert_string_equal(addr_format(&to, text), cases[i].want);
        assert_false(dial_next(a.dial, &to));
        assert_false(dial_next(a.dial, &to));
        dial_free(a.dial);
    }
    assert_int_equal(fault.in, 1);
    dial_free(NULL);
    loop_close();
}

static void no_such_name(void **state)
{
    (void)state;
    struct answer a;
    struct addr to;
    loop_open();
    resolve(&a, "999.1.1.1"); /* neither an address nor a name: no resolver is asked for long */
    UNTIL(a.count == 1);
    assert_true(a.status < 0);
    assert_false(dial_next(a.dial, &to));
    dial_free(a.dial);
    loop_close();
}

static void a_look_up_that_is_freed_says_nothing(void **state)
{
    (void)state;
    for (int literal = 0; literal < 2; literal++) {
        struct answer many[12];
        char name[12][10];
        loop_open();
        for (size_t i = 0; i < 12; i++) {
            /* the same name to the C library, another one to us */
            strcpy(name[i], literal ? "127.0.0.1" : "localhost");
            for (size_t bit = 0; bit < 4 && !literal; bit++)
                name[i][bit] ^= (i >> bit & 1) != 0 ? 0x20 : 0;
            resolve(&many[i], name[i]);
        }
        for (size_t i = 0; i < 12; i++)
            dial_free(many[i].dial);
        struct answer last[12];
        for (size_t i = 0; i < 12; i++) {
            resolve(&last[i], name[i]);
            last[i].free_in_callback = true;
        }
        for (size_t i = 0; i < 12; i++)
            UNTIL(last[i].count == 1);
        for (size_t i = 0; i < 12; i++) {
            assert_int_equal(last[i].status, 0);
            assert_int_equal(many[i].count, 0);
        }
        loop_close();
    }
}

static void free_the_next(void *arg, int status)
{
    struct answer *a = arg;
    on_resolved(a, status);
    dial_free(a[1].dial);
}

/* A resolver that does not answer must not be asked once for each call. */
static void a_name_is_looked_up_once(void **state)
{
    (void)state;
    struct answer many[12];
    loop_open();
    fault.name = "pthread_create";
    fault.in = 2;
    fault.error = EAGAIN;
    for (size_t i = 0; i < 12; i++) {
        resolve(&many[i], "localhost");
        many[i].free_in_callback = i < 6;
    }
    assert_int_equal(fault.in, 1);
    dial_free(many[0].dial);
    UNTIL(many[11].count == 1);
    for (size_t i = 1; i < 12; i++) {
        struct addr to;
        assert_int_equal(many[i].count, 1);
        assert_int_equal(many[i].status, 0);
        if (i < 6)
            continue;
        assert_true(dial_next(many[i].dial, &to));
        assert_int_equal(to.port, 4433);
        dial_free(many[i].dial);
    }
    assert_int_equal(many[0].count, 0);
    struct answer failed; /* once it is answered, the next one asks again */
    resolve(&failed, "localhost");
    assert_int_equal(fault.in, 0);
    UNTIL(failed.count == 1);
    assert_int_equal(failed.status, UV_EAGAIN);
    dial_free(failed.dial);

    /* one who waits may free another */
    struct answer two[2] = {0};
    two[0].dial = dial_new(&w, "localhost", 1, free_the_next, two);
    resolve(&two[1], "localhost");
    UNTIL(two[0].count == 1);
    dial_free(two[0].dial);
    turn();
    assert_int_equal(two[1].count, 0);
    loop_close();
}

static void a_look_up_that_cannot_start_is_told_later(void **state)
{
    (void)state;
    for (int freed = 0; freed < 2; freed++) {
        struct answer a;
        struct addr to;
        loop_open();
        fault.name = "pthread_create";
        fault.in = 1;
        fault.error = EAGAIN;
        resolve(&a, "localhost");
        assert_int_equal(fault.in, 0);
        if (!freed) {
            UNTIL(a.count == 1);
            assert_int_equal(a.status, UV_EAGAIN);
            assert_false(dial_next(a.dial, &to));
        }
        dial_free(a.dial);
        loop_close();
        assert_int_equal(a.count, !freed);
    }
}

static void a_worker_does_not_wait_for_a_resolver(void **state)
{
    (void)state;
    struct answer a;
    loop_open();
    alarm(GUARD_MS / 1000); /* ends the test in any of its waits */
    resolver.slow = true;
    resolve(&a, "localhost");
    sem_wait(&resolver.asked);
    dial_free(a.dial);
    loop_close();
    sem_post(&resolver.answers);
    sem_wait(&resolver.freed); /* the answer has no taker: its thread frees it */
    alarm(0);
    assert_int_equal(a.count, 0);
    resolver.slow = false;
}

static bool has_mail(void)
{
    uv_mutex_lock(&w.mailbox_lock);
    bool has = w.first != NULL;
    uv_mutex_unlock(&w.mailbox_lock);
    return has;
}

static void an_answer_that_was_never_read_is_not_lost_memory(void **state)
{
    (void)state;
    struct answer a;
    loop_open();
    resolve(&a, "localhost");
    while (!has_mail())
        sched_yield();
    dial_free(a.dial);
    loop_close();
    assert_int_equal(a.count, 0);
}

/* ---- letters ---- */

enum { LETTERS = 200 };
static unsigned letters;

static void on_letter(void *arg)
{
    assert_true(worker_is_here(&w));
    assert_ptr_equal(arg, &letters + letters);
    letters++;
    if (letters == LETTERS)
        worker_stop(&w);
}

static void *post_letters(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < LETTERS; i++)
        worker_post(&w, on_letter, &letters + i);
    return NULL;
}

static void letters_come_in_order_into_the_workers_thread(void **state)
{
    (void)state;
    pthread_t thread;
    letters = 0;
    loop_open();
    uv_close((uv_handle_t *)&guard, NULL);
    assert_int_equal(pthread_create(&thread, NULL, post_letters, NULL), 0);
    worker_run(&w);
    assert_int_equal(letters, LETTERS);
    assert_int_equal(pthread_join(thread, NULL), 0);
    worker_fini(&w);
}

static void count_letter(void *arg)
{
    ++*(unsigned *)arg;
}

static void a_letter_that_was_never_read_is_not_lost_memory(void **state)
{
    (void)state;
    unsigned read = 0;
    loop_open();
    worker_post(&w, count_letter, &read);
    worker_post(&w, count_letter, &read);
    loop_close();
    assert_int_equal(read, 0);
}

static uint64_t swept;

static void on_sweep(void *arg, uint64_t now_ms)
{
    assert_ptr_equal(arg, &swept);
    assert_int_equal(now_ms, worker_now(&w));
    swept = now_ms;
    worker_stop(&w);
}

static void the_sweep_comes_with_the_time(void **state)
{
    (void)state;
    swept = 0;
    worker_init(&w, 3, on_sweep, &swept);
    /* not to wait a second for it */
    uv_timer_start(&w.sweep, w.sweep.timer_cb, 0, 0);
    worker_run(&w);
    assert_int_not_equal(swept, 0);
    worker_fini(&w);
}

static unsigned sweeps;

static void sweep_thrice(void *arg, uint64_t now_ms)
{
    (void)arg, (void)now_ms;
    if (++sweeps < 3)
        worker_sweep_again(&w);
    else
        worker_stop(&w);
}

/* A sweep that asks for another one is called again in WORKER_AGAIN_MS. */
static void a_sweep_may_come_again(void **state)
{
    (void)state;
    sweeps = 0;
    worker_init(&w, 0, sweep_thrice, NULL);
    uv_timer_start(&w.sweep, w.sweep.timer_cb, 0, 0);
    const uint64_t begun = uv_hrtime();
    worker_run(&w);
    assert_int_equal(sweeps, 3);
    assert_true(uv_hrtime() - begun < WORKER_SWEEP_MS * 1000000ull);
    worker_fini(&w);
}

/* ---- each call fails once ---- */

static char big[300 * 1024];

static size_t pass_on(struct owner *o, struct span octets)
{
    stream_write(&o->s, octets);
    return octets.n;
}

static void give_up(struct owner *o, bool reset)
{
    if (!o->closed)
        owner_close(o, reset);
}

/* Both of them: at the first sign of trouble, close. The client ends when it has all back. */
static void fault_act(struct owner *o, enum event e)
{
    int little = 4096;
    switch (e) {
    case CONNECT:
        if (o->status != 0)
            give_up(o, true);
        else
            stream_start(&o->s, tls_conn_new_client(client_ctx, NULL, NULL, stream_sink, &o->s));
        break;
    case SECURE:
        uv_send_buffer_size((uv_handle_t *)&o->s.tcp, &little); /* so that some is queued */
        if (o->use == NULL)
            stream_write(&o->s, span_of(big, sizeof big));
        break;
    case READ:
        if (o->use == NULL && o->in_len == sizeof big)
            stream_shutdown(&o->s);
        break;
    case END:
        if (o->why == STREAM_EOF)
            stream_shutdown(&o->s);
        else
            give_up(o, true);
        break;
    default: break;
    }
    if (o->s.in == STREAM_IN_ENDED && o->s.out == STREAM_OUT_ENDED)
        give_up(o, o->use == NULL);
}

static bool over(const struct owner *o)
{
    return o->s.handle == STREAM_HANDLE_NONE;
}

/* A client dials, connects, sends much, has it echoed, and both end: with the fault of the moment.
 * Returns whether it struck. */
static bool run_with_fault(const char *name, unsigned nth, int error)
{
    struct owner server, client;
    struct answer a;
    struct door d = {.result = 1};
    struct addr any, to;
    int fd;

    loop_open();
    owner_init(&server);
    owner_init(&client);
    server.act = client.act = fault_act;
    server.use = pass_on;
    assert_int_equal(addr_parse("127.0.0.1:0", 0, &any), ERR_OK);
    assert_int_equal(bind_to(&any, 1, &fd, &d.at), ERR_OK);
    fault.name = name;
    fault.in = nth;
    fault.error = error;
    bool opened = listener_open(&d.l, &w, fd, on_connection, &d, 0) == 0;
    d.next = &server;
    resolve(&a, "127.0.0.1");
    UNTIL(a.count == 1);
    if (opened && dial_next(a.dial, &to)) {
        to.port = d.at.port;
        if (stream_connect(&client.s, &to) != 0)
            client.closed = true;
    }
    dial_free(a.dial);
    bool started = false;
    worker_settle(&w);
    while (!over(&client) || (d.result == 0 && !over(&server))) {
        uv_run(&w.loop, UV_RUN_ONCE);
        if (d.result == 0 && !started) {
            started = true;
            stream_start(&server.s, tls_conn_new_server(server_ctx, stream_sink, &server.s));
            worker_settle(&w);
        }
    }
    if (fault.in > 0) { /* nothing has failed: all must be there */
        assert_int_equal(client.in_len, sizeof big);
        assert_memory_equal(client.in, big, sizeof big);
    }
    door_close(&d);
    bool struck = fault.in == 0;
    loop_close();
    free(server.in);
    free(client.in);
    return struck;
}

static void each_call_of_libuv_may_fail(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int error;
    } calls[] = {
        {"uv_tcp_open", UV_EEXIST},
        {"uv_listen", UV_EADDRINUSE},
        {"uv_tcp_connect", UV_ENETUNREACH},
        {"uv_accept", UV_EMFILE},
        {"uv_tcp_getpeername", UV_ENOTCONN},
        {"uv_read_start", UV_ENOTCONN},
        {"uv_try_write", UV_ECONNRESET},
        {"uv_try_write", UV_EAGAIN},
        {"uv_write", UV_EPIPE},
        {"uv_shutdown", UV_ENOTCONN},
        {"uv_tcp_close_reset", UV_EINVAL},
    };
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i % 253);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        unsigned nth = 1;
        while (nth < 200 && run_with_fault(calls[i].name, nth, calls[i].error))
            nth++;
        if (nth == 1)
            fail_msg("%s was never called", calls[i].name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(octets_go_both_ways),
        cmocka_unit_test(much_is_echoed),
        cmocka_unit_test(the_queue_tells_how_full_it_is),
        cmocka_unit_test(a_narrow_stream_queues_little),
        cmocka_unit_test(a_window_of_the_smallest_packets_has_room),
        cmocka_unit_test(a_paused_stream_does_not_read),
        cmocka_unit_test(nobody_waits_for_more_than_a_glance_at_another),
        cmocka_unit_test(bulk_takes_turns_behind_all_others),
        cmocka_unit_test(handshakes_take_turns_behind_all_others),
        cmocka_unit_test(a_flight_is_kept_until_its_turn),
        cmocka_unit_test(handshakes_have_a_bound),
        cmocka_unit_test(tls_behind_a_plain_beginning),
        cmocka_unit_test(an_end_before_the_hello),
        cmocka_unit_test(early_reads_are_few_in_a_round),
        cmocka_unit_test(early_reads_share_a_time),
        cmocka_unit_test(early_reads_are_short),
        cmocka_unit_test(fresh_handshakes_alternate_with_others),
        cmocka_unit_test(bulk_may_end_while_it_waits),
        cmocka_unit_test(bulk_ends_with_its_reason),
        cmocka_unit_test(few_are_warm_and_not_for_long),
        cmocka_unit_test(what_is_left_comes_again_with_more_behind_it),
        cmocka_unit_test(more_than_a_block_left_is_an_overflow),
        cmocka_unit_test(fin_without_close_notify_is_an_end),
        cmocka_unit_test(an_end_waits_while_paused),
        cmocka_unit_test(what_is_left_is_announced_before_the_end),
        cmocka_unit_test(our_end_first_then_theirs),
        cmocka_unit_test(a_notified_peer_closes_first),
        cmocka_unit_test(a_notified_peer_may_have_closed_before),
        cmocka_unit_test(shutdown_waits_for_the_queue),
        cmocka_unit_test(a_reset_is_told),
        cmocka_unit_test(a_failed_write_after_the_end_is_told_by_on_sent),
        cmocka_unit_test(close_is_orderly_or_a_reset),
        cmocka_unit_test(shutdown_then_close),
        cmocka_unit_test(close_with_a_full_queue),
        cmocka_unit_test(garbage_is_a_tls_end_with_a_text),
        cmocka_unit_test(garbage_behind_the_handshake_too),
        cmocka_unit_test(tls_that_cannot_write_is_a_tls_end),
        cmocka_unit_test(eof_in_the_handshake),
        cmocka_unit_test(a_handshake_that_fails_at_once_is_told_later),
        cmocka_unit_test(close_from_inside_each_callback),
        cmocka_unit_test(a_stream_can_be_used_again),
        cmocka_unit_test(connecting_to_nobody),
        cmocka_unit_test(close_while_connecting),
        cmocka_unit_test(a_full_listener_lets_callers_wait),
        cmocka_unit_test(few_are_accepted_in_a_round),
        cmocka_unit_test(who_waits_at_a_listener_that_closes_is_reset),
        cmocka_unit_test(an_address_in_use_is_told),
        cmocka_unit_test(ipv6_only),
        cmocka_unit_test(addresses_need_no_resolver),
        cmocka_unit_test(no_such_name),
        cmocka_unit_test(a_look_up_that_is_freed_says_nothing),
        cmocka_unit_test(a_name_is_looked_up_once),
        cmocka_unit_test(a_look_up_that_cannot_start_is_told_later),
        cmocka_unit_test(a_worker_does_not_wait_for_a_resolver),
        cmocka_unit_test(an_answer_that_was_never_read_is_not_lost_memory),
        cmocka_unit_test(letters_come_in_order_into_the_workers_thread),
        cmocka_unit_test(a_letter_that_was_never_read_is_not_lost_memory),
        cmocka_unit_test(the_sweep_comes_with_the_time),
        cmocka_unit_test(a_sweep_may_come_again),
        cmocka_unit_test(each_call_of_libuv_may_fail),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
