/* Bytes in both directions at once through a real call, between peers that send and receive at
 * random. A peer that receives must get all bytes that the other one has sent, with any events in
 * the other direction: a lost wake-up appears as bytes that do not arrive.
 *
 * The peers' sockets are AF_UNIX pairs in place of TCP. Bytes that are written there can be read at
 * once, without a timer of the kernel, so after a few steps without a moved byte none will ever
 * move, and a seed always gives the same sequence: `test_relay SEED [COUNT]`. */
#include "call/relay.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/log.h"
#include "call/call.h"
#include "call/calls.h"
#include "call/course.h"
#include "certs.h"
#include "net/listener.h"
#include "net/worker.h"
#include "policy/limits.h"
#include "site/site.h"
#include "site/snapshot.h"

/* ---- random numbers ---- */

static uint64_t seed, story;

/* splitmix64 */
static uint64_t draw(uint64_t *from)
{
    uint64_t z = *from += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static unsigned below(unsigned n)
{
    return (unsigned)(draw(&story) % n);
}

static bool once_in(unsigned n)
{
    return below(n) == 0;
}

/* ---- the data: SSTP packets without end ---- */

enum { PACKET_MAX = 4095 };

struct flow {
    uint64_t seed;  /* the same seed gives the same bytes */
    size_t at, len; /* in the packet */
    uint64_t octets;
};

static uint8_t flow_next(struct flow *f)
{
    if (f->at == f->len) {
        uint64_t dice = draw(&f->seed);
        f->at = 0;
        f->len = 4 + (dice >> 8) % (dice % 2 == 0 ? 60 : PACKET_MAX - 3);
    }
    f->octets++;
    switch (f->at++) {
    case 0: return 0x10;
    case 1: return 0;
    case 2: return (uint8_t)(f->len >> 8);
    case 3: return (uint8_t)f->len;
    default: return (uint8_t)(f->octets ^ f->seed);
    }
}

/* ---- end: one of the two peers ---- */

enum { RECORD_MAX = 16384, SOCKET_MAX = 65536 };

struct end {
    int fd, gates; /* both sides of its connection; gates: until the gate has taken it */
    SSL *ssl;      /* NULL: plain; BIOs in memory, so that records can be cut anywhere */
    bool secure;
    struct flow writes, reads;
    unsigned records; /* received, with data */
    struct end *other;
    bool chatting; /* receives the flow of the other one; before that, a head */
    char head[1024];
    size_t head_len;
    uint8_t out[4 * SOCKET_MAX]; /* for the socket, [from, to) */
    size_t from, to;
    size_t talks, listens; /* bytes in a step, at most */
    enum { TALKS_ON, LEAVES, HAS_LEFT } leaving;
    bool eof;
};

static struct end client, backend;

static void end_out(struct end *e, const void *octets, size_t n)
{
    if (n == 0)
        return;
    assert_true(e->to + n <= sizeof e->out);
    memcpy(e->out + e->to, octets, n);
    e->to += n;
}

/* Collects what OpenSSL has written, handshake and alerts included. */
static void end_collect(struct end *e)
{
    char *octets;
    if (e->ssl == NULL)
        return;
    BIO *bio = SSL_get_wbio(e->ssl);
    long n = BIO_get_mem_data(bio, &octets);
    end_out(e, octets, (size_t)n);
    (void)BIO_reset(bio);
}

static void end_say(struct end *e, const void *octets, size_t n)
{
    if (e->ssl == NULL)
        end_out(e, octets, n);
    else
        assert_int_equal(SSL_write(e->ssl, octets, (int)n), (int)n);
    end_collect(e);
}

static void end_chat(struct end *e, size_t n)
{
    uint8_t octets[RECORD_MAX];
    for (size_t i = 0; i < n; i++)
        octets[i] = flow_next(&e->writes);
    if (e->ssl != NULL && SSL_version(e->ssl) == TLS1_3_VERSION && once_in(64))
        assert_int_equal(SSL_key_update(e->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    end_say(e, octets, n);
}

static void end_receive(struct end *e, const uint8_t *octets, size_t n)
{
    if (!e->chatting) {
        assert_true(e->head_len + n < sizeof e->head);
        memcpy(e->head + e->head_len, octets, n);
        e->head_len += n;
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (octets[i] != flow_next(&e->reads))
            fail_msg("byte %llu is wrong", (unsigned long long)e->reads.octets);
}

static void end_decrypt(struct end *e, const uint8_t *octets, size_t n)
{
    uint8_t text[RECORD_MAX];
    int got;

    assert_int_equal(BIO_write(SSL_get_rbio(e->ssl), octets, (int)n), (int)n);
    if (!e->secure)
        e->secure = SSL_do_handshake(e->ssl) == 1;
    for (; e->secure && (got = SSL_read(e->ssl, text, sizeof text)) > 0; e->records++)
        end_receive(e, text, (size_t)got);
    end_collect(e);
}

/* Reads from the socket; returns the number of bytes. */
static size_t end_listen(struct end *e)
{
    static uint8_t octets[SOCKET_MAX];
    if (e->listens == 0 || e->eof)
        return 0;
    ssize_t n = recv(e->fd, octets, 1 + below((unsigned)e->listens), 0);
    if (n < 0) {
        assert_int_equal(errno, EAGAIN);
        return 0;
    }
    e->eof = n == 0;
    if (e->eof && e->ssl != NULL)
        assert_int_equal(SSL_get_shutdown(e->ssl) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
    if (n > 0 && e->ssl != NULL)
        end_decrypt(e, octets, (size_t)n);
    else if (n > 0)
        end_receive(e, octets, (size_t)n);
    /* After an SSTP call the gate leaves the FIN to the backend. */
    if (e == &backend && e->ssl != NULL && SSL_get_shutdown(e->ssl) & SSL_RECEIVED_SHUTDOWN)
        e->eof = true;
    return (size_t)n;
}

/* Writes to the socket; returns the number of bytes. */
static size_t end_send(struct end *e)
{
    if (e->from == e->to)
        return 0;
    size_t n = e->to - e->from;
    if (n > 1 && once_in(2))
        n = 1 + below((unsigned)n);
    ssize_t sent = send(e->fd, e->out + e->from, n, MSG_NOSIGNAL);
    if (sent < 0) {
        assert_int_equal(errno, EAGAIN);
        return 0;
    }
    e->from += (size_t)sent;
    if (e->from == e->to)
        e->from = e->to = 0;
    return (size_t)sent;
}

static size_t end_turn(struct end *e)
{
    if (e->from == e->to && e->leaving == TALKS_ON && e->talks > 0)
        end_chat(e, 1 + below((unsigned)e->talks));
    if (e->from == e->to && e->leaving == LEAVES) {
        shutdown(e->fd, SHUT_WR);
        e->leaving = HAS_LEFT;
    }
    return end_send(e) + end_listen(e);
}

/* Sends its last packet to the end and then nothing more: the gate does not forward half a packet.
 */
static void end_falls_silent(struct end *e)
{
    e->talks = 0;
    if (e->leaving == TALKS_ON && e->writes.at < e->writes.len)
        end_chat(e, e->writes.len - e->writes.at);
}

static void end_leaves(struct end *e)
{
    end_falls_silent(e);
    if (e->ssl != NULL)
        SSL_shutdown(e->ssl);
    end_collect(e);
    e->leaving = LEAVES;
}

/* ---- in place of TCP ---- */

static uv_connect_t *connecting;
static uv_connect_cb on_connected;

int __wrap_uv_accept(uv_stream_t *server, uv_stream_t *handle);
int __wrap_uv_accept(uv_stream_t *server, uv_stream_t *handle)
{
    (void)server;
    int fd = client.gates;
    client.gates = -1;
    return uv_tcp_open((uv_tcp_t *)handle, fd);
}

int __wrap_uv_tcp_connect(uv_connect_t *req, uv_tcp_t *handle, const struct sockaddr *to,
                          uv_connect_cb cb);
int __wrap_uv_tcp_connect(uv_connect_t *req, uv_tcp_t *handle, const struct sockaddr *to,
                          uv_connect_cb cb)
{
    (void)to;
    connecting = req;
    on_connected = cb;
    req->handle = (uv_stream_t *)handle;
    int fd = backend.gates;
    backend.gates = -1;
    return uv_tcp_open(handle, fd);
}

static int some_name(struct sockaddr *sa, int *len)
{
    const struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    memcpy(sa, &name, sizeof name);
    *len = sizeof name;
    return 0;
}

int __wrap_uv_tcp_getpeername(const uv_tcp_t *h, struct sockaddr *sa, int *len);
int __wrap_uv_tcp_getpeername(const uv_tcp_t *h, struct sockaddr *sa, int *len)
{
    (void)h;
    return some_name(sa, len);
}

int __wrap_uv_tcp_getsockname(const uv_tcp_t *h, struct sockaddr *sa, int *len);
int __wrap_uv_tcp_getsockname(const uv_tcp_t *h, struct sockaddr *sa, int *len)
{
    (void)h;
    return some_name(sa, len);
}

/* ---- the gate ---- */

static struct certs certs;
static struct cert cert;
static const char *config_file;
static SSL_CTX *caller, *server;

static struct worker w;
static struct calls calls;

static struct call *the_call(void)
{
    for (int s = 0; s < CALL_STATES; s++)
        if (calls.set.list[s] != NULL)
            return calls.set.list[s];
    return NULL;
}

/* A paused stream has something to wake it: the queue of the other side, which is being written. */
static void check_pause(const struct stream *paused, const struct stream *full)
{
    if (paused->handle != STREAM_HANDLE_LIVE || !stream_paused(paused))
        return;
    assert_true(stream_queued(full) > 0);
    assert_true(full->queue.flying > 0);
}

static void check_call(const struct call *call)
{
    const size_t bound = STREAM_HIGH + 3 * WORKER_WINDOW; /* a window full of small records */
    assert_true(stream_queued(&call->client) <= bound && stream_queued(&call->backend) <= bound);
    if (call->state < CALL_NEGOTIATE || call->state > CALL_DRAIN)
        return;
    check_pause(&call->client, &call->backend);
    check_pause(&call->backend, &call->client);
}

/* Gives each object one turn. Returns the number of bytes that the peers moved. */
static size_t step(void)
{
    size_t moved = end_turn(&client) + end_turn(&backend);
    uv_run(&w.loop, UV_RUN_NOWAIT);
    if (connecting != NULL) {
        uv_connect_t *req = connecting;
        connecting = NULL;
        on_connected(req, 0);
    }
    if (the_call() != NULL)
        check_call(the_call());
    return moved;
}

static void stuck(int line)
{
    const struct call *call = the_call();
    fprintf(stderr, "line %d waits in vain; sent and received: up %llu %llu, down %llu %llu\n",
            line, (unsigned long long)client.writes.octets,
            (unsigned long long)backend.reads.octets, (unsigned long long)backend.writes.octets,
            (unsigned long long)client.reads.octets);
    for (int i = 0; call != NULL && i < 2; i++) {
        const struct stream *s = i == 0 ? &call->client : &call->backend;
        fprintf(stderr, "%s: state %d in %d out %d paused %d due %u queued %zu flying %u\n",
                i == 0 ? "client" : "backend", (int)call->state, (int)s->in, (int)s->out, s->paused,
                s->due, stream_queued(s), s->queue.flying);
    }
    fail();
}

/* A peer may take one byte in a step, and a packet is forwarded when it is whole. */
enum { IDLE_STEPS = 100 };

#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        for (unsigned idle = 0; !(condition);)                                                     \
            if ((idle = step() > 0 ? 0 : idle + 1) > IDLE_STEPS)                                   \
                stuck(__LINE__);                                                                   \
    } while (0)

static void end_open(struct end *e, struct end *other, SSL_CTX *ctx, const int *sizes)
{
    int fds[2];

    *e = (struct end){.other = other, .listens = SOCKET_MAX};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    e->fd = fds[0];
    e->gates = fds[1];
    for (int i = 0; i < 2; i++)
        assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &sizes[below(4)], sizeof *sizes),
                         0);
    if (ctx == NULL)
        return;
    e->ssl = SSL_new(ctx);
    assert_non_null(e->ssl);
    SSL_set_bio(e->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
}

static void end_close(struct end *e)
{
    SSL_free(e->ssl);
    close(e->fd);
    if (e->gates >= 0)
        close(e->gates);
}

/* From here on the two send each other packets. */
static void chat(void)
{
    client.chatting = backend.chatting = true;
    client.writes.seed = backend.reads.seed = draw(&story);
    backend.writes.seed = client.reads.seed = draw(&story);
}

static bool end_received(struct end *e, const void *what, size_t n)
{
    return memmem(e->head, e->head_len, what, n) != NULL;
}

#define SAY(end, octets) end_say((end), (octets), sizeof(octets) - 1)
#define RECEIVED(end, octets) end_received((end), (octets), sizeof(octets) - 1)

static void sstp_up(void)
{
    SAY(&client, "SSTP_DUPLEX_POST /sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/ HTTP/1.1\r\n"
                 "Content-Length: 18446744073709551615\r\nHost: vpn.test\r\n\r\n");
    UNTIL(RECEIVED(&backend, "\r\n\r\n"));
    SAY(&backend, "HTTP/1.1 200\r\nContent-Length: 18446744073709551615\r\n\r\n");
    UNTIL(RECEIVED(&client, "\r\n\r\n"));
    SAY(&client, "\x10\x01\x00\x0e\x00\x01\x00\x01\x00\x01\x00\x06\x00\x01"); /* Connect Request */
    UNTIL(RECEIVED(&backend, "\x10\x01\x00\x0e"));
    SAY(&backend, "\x10\x01\x00\x08\x00\x02\x00\x00"); /* the Ack; there is no binding here */
    UNTIL(RECEIVED(&client, "\x10\x01\x00\x08"));
    SAY(&client, "\x10\x01\x00\x08\x00\x04\x00\x00"); /* Call Connected */
    UNTIL(RECEIVED(&backend, "\x10\x01\x00\x08"));
    SAY(&backend, "\x10\0\0\x0c\xff\x03\x80\x21\x01\x01\0\x04"); /* IPCP: the server has accepted
                                                                    the client */
    UNTIL(RECEIVED(&client, "\x80\x21"));
    assert_int_equal(the_call()->state, CALL_RELAY);
}

static void web_up(void)
{
    SAY(&client, "POST /form HTTP/1.1\r\nHost: vpn.test\r\nContent-Length: 99999999999\r\n\r\n");
    UNTIL(RECEIVED(&backend, "\r\n\r\n"));
    assert_int_equal(the_call()->state, CALL_WEB);
}

/* ---- the sequences ---- */

/* Everything that `from` has sent arrives, even if `from` receives nothing. */
static void arrives(struct end *from)
{
    end_falls_silent(from);
    from->other->listens = SOCKET_MAX;
    UNTIL(from->from == from->to && from->writes.octets == from->other->reads.octets);
}

static size_t mood(size_t most)
{
    switch (below(4)) {
    case 0: return 0;
    case 1: return 1 + below(200);
    default: return 1 + below((unsigned)most);
    }
}

static void chaos(unsigned steps)
{
    for (; steps > 0; steps--) {
        struct end *e = once_in(2) ? &client : &backend;
        if (once_in(16))
            e->talks = mood(RECORD_MAX);
        if (once_in(16))
            e->listens = mood(SOCKET_MAX);
        step();
    }
}

/* Both send until the buffers are full, and receive nothing. */
static void jam(void)
{
    const struct call *call = the_call();
    client.listens = backend.listens = 0;
    client.talks = backend.talks = RECORD_MAX;
    for (unsigned idle = 0; idle < 5;)
        idle = step() > 0 ? 0 : idle + 1;
    assert_true(stream_paused(&call->client) && stream_paused(&call->backend));
}

/* Both directions at once, then one alone while the other is not read, again and again; then one
 * peer leaves, and at some time the other. */
static void tell_story(void)
{
    struct end *first = once_in(2) ? &client : &backend, *last = first->other;

    for (unsigned scenes = 2 + below(3); scenes > 0; scenes--) {
        chaos(50 + below(300));
        if (once_in(2))
            jam();
        struct end *from = once_in(2) ? &client : &backend;
        from->listens = 0;
        arrives(from);
        if (once_in(2)) {
            arrives(from->other);
            assert_int_equal(
                stream_queued(&the_call()->client) + stream_queued(&the_call()->backend), 0);
        }
    }
    chaos(50 + below(100));
    end_leaves(first);
    chaos(50 + below(100));
    first->listens = 0;
    arrives(first);
    last->listens = SOCKET_MAX;
    UNTIL(last->eof);
    arrives(last);
    chaos(10);
    end_leaves(last);
    first->listens = SOCKET_MAX;
    UNTIL(first->eof && last->leaving == HAS_LEFT);
    assert_int_equal(first->reads.octets, last->writes.octets);
}

static void ignore_sweep(void *arg, uint64_t now_ms)
{
    (void)arg, (void)now_ms;
}

static struct calls_shared shared;

static bool full_records; /* the gate joins packets for the client */

static void scene_open(bool web, bool tls_behind, int client_version)
{
    static const int sizes[] = {4096, 16384, 65536, 262144};
    const char *const tls_word = tls_behind ? "yes" : "no";
    const char *const verify = tls_behind ? "verify = off\n" : "";
    char text[1024];

    snprintf(text, sizeof text,
             "[listener l]\nlisten = 127.0.0.1:0\ncertificate = %s\ndefault = allow\nbackend = b\n"
             "records = %s\nfallback = site\n[backend b]\nserver = 127.0.0.1:1\ncrypto-binding = "
             "off\ntls = %s\n%s"
             "[backend site]\nserver = 127.0.0.1:2\ntls = %s\n%s",
             cert.pem, full_records ? "full" : "packet", tls_word, verify, tls_word, verify);
    FILE *f = fopen(config_file, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    struct snapshot *snapshot = snapshot_load(config_file, NULL, stderr);
    assert_non_null(snapshot);
    struct site *site = site_new(snapshot, stderr);
    snapshot_unref(snapshot);
    assert_non_null(site);
    shared = (struct calls_shared){.limits = limits_new(&site->config->gate.limits)};
    worker_init(&w, 0, ignore_sweep, NULL); /* no deadline helps */
    calls_init(&calls, &w, &shared);
    calls_switch(&calls, site, NULL, 0);

    end_open(&client, &backend, caller, sizes);
    SSL_set_connect_state(client.ssl);
    assert_int_equal(SSL_set_max_proto_version(client.ssl, client_version), 1);
    end_open(&backend, &client, tls_behind ? server : NULL, sizes);
    if (tls_behind)
        SSL_set_accept_state(backend.ssl);
    struct listener l = {.worker = &w};
    shared.count = shared.max = 1;
    course_open(&calls.set, &site->listener[0], &l, false);
    worker_settle(&w);
    assert_int_equal(SSL_do_handshake(client.ssl), -1);
    end_collect(&client);
    UNTIL(client.secure);
    if (web)
        web_up();
    else
        sstp_up();
    chat();
}

static void scene_close(void)
{
    UNTIL(calls.set.count == 0);
    calls_finish(&calls);
    worker_run(&w);
    assert_int_equal(shared.count, 0);
    assert_int_equal(w.pool.lent, 0);
    calls_fini(&calls);
    worker_fini(&w);
    limits_free(shared.limits);
    end_close(&client);
    end_close(&backend);
}

/* A side that has ended receives nothing more, and the other one goes on, even when TLS asks for a
 * key update. */
static void a_key_update_behind_the_end_is_not_answered(void **state)
{
    (void)state;
    struct end *const sides[] = {&client, &backend};
    for (int i = 0; i < 2; i++) {
        struct end *first = sides[i], *last = sides[1 - i];
        scene_open(false, true, TLS1_3_VERSION);
        end_leaves(first);
        UNTIL(last->eof);
        for (int k = 0; k < 3; k++) { /* OpenSSL answers a key update when the next one arrives */
            assert_int_equal(SSL_key_update(last->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
            end_chat(last, 10000);
            arrives(last);
        }
        end_leaves(last);
        UNTIL(first->eof);
        scene_close();
    }
}

/* Sends three packets, of at most 4095 bytes each, in one record. */
static void three_packets(struct end *e)
{
    uint8_t octets[RECORD_MAX];
    size_t n = 0;

    for (int i = 0; i < 3; i++)
        do {
            octets[n++] = flow_next(&e->writes);
        } while (e->writes.at != e->writes.len);
    end_say(e, octets, n);
}

static void packets_for_a_client_share_a_record_only_on_request(void **state)
{
    (void)state;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++)
        for (int full = 0; full < 2; full++) {
            full_records = full == 1;
            scene_open(false, true, version);
            const unsigned up = backend.records, down = client.records;
            three_packets(&backend);
            arrives(&backend);
            assert_int_equal(client.records - down, full_records ? 1 : 3);
            three_packets(&client);
            arrives(&client);
            assert_int_equal(backend.records - up, 1);
            end_leaves(&client);
            UNTIL(backend.eof);
            end_leaves(&backend);
            UNTIL(client.eof);
            scene_close();
        }
    full_records = false;
}

static uint64_t first_seed = 1, seeds = 16;

static void a_reader_receives_every_byte(void **state)
{
    (void)state;
    for (seed = first_seed; seed < first_seed + seeds; seed++) {
        story = seed;
        bool web = once_in(4), tls_behind = once_in(2);
        full_records = seed % 2 == 0;
        scene_open(web, tls_behind, once_in(2) ? TLS1_2_VERSION : TLS1_3_VERSION);
        tell_story();
        scene_close();
    }
}

static int setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    certs_init(&certs);
    cert_make(&certs, &cert, "cert.pem", &(struct cert_spec){.name = "DNS:vpn.test"});
    config_file = certs_path(&certs, "gate.conf");
    caller = SSL_CTX_new(TLS_client_method());
    server = SSL_CTX_new(TLS_server_method());
    if (caller == NULL || server == NULL ||
        SSL_CTX_use_certificate_chain_file(server, cert.pem) != 1 ||
        SSL_CTX_use_PrivateKey_file(server, cert.pem, SSL_FILETYPE_PEM) != 1)
        return -1;
    return log_open("/dev/null", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    if (seed > 0 && seed < first_seed + seeds)
        fprintf(stderr, "it was seed %llu\n", (unsigned long long)seed);
    SSL_CTX_free(caller);
    SSL_CTX_free(server);
    cert_free(&cert);
    certs_fini(&certs);
    return log_open("stderr", LOG_LEVEL_INFO, LOG_FORMAT_TEXT) == ERR_OK ? 0 : -1;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reader_receives_every_byte),
        cmocka_unit_test(packets_for_a_client_share_a_record_only_on_request),
        cmocka_unit_test(a_key_update_behind_the_end_is_not_answered),
    };
    if (argc > 1) {
        first_seed = strtoull(argv[1], NULL, 10);
        seeds = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    }
    return cmocka_run_group_tests(tests, setup, teardown);
}
