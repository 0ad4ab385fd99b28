/* All ways in which a call can end, in each of its states: on a real loop, with a client and a
 * backend that are plain sockets. The call must end, every block, handle and byte must come back,
 * and the worker must be able to stop. test_call.c and tests/integration test the messages to the
 * peers. */
#include "call/calls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "call/call.h"
#include "certs.h"
#include "net/listener.h"
#include "net/worker.h"
#include "policy/limits.h"
#include "radius/keyring.h"
#include "site/site.h"
#include "site/snapshot.h"

static struct certs certs;
static struct cert cert;
static SSL_CTX *client_ctx;
static const char *config_file;
static const char *listener_keys = ""; /* more lines of [listener l] */

static int setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    certs_init(&certs);
    cert_make(&certs, &cert, "cert.pem", &(struct cert_spec){.name = "DNS:vpn.test"});
    config_file = certs_path(&certs, "gate.conf");
    client_ctx = SSL_CTX_new(TLS_client_method());
    return client_ctx != NULL && log_open("/dev/null", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT) == ERR_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    (void)state;
    SSL_CTX_free(client_ctx);
    cert_free(&cert);
    certs_fini(&certs);
    return log_open("stderr", LOG_LEVEL_INFO, LOG_FORMAT_TEXT) == ERR_OK ? 0 : -1;
}

/* ---- one gate with one call ---- */

static struct {
    struct worker w;
    struct calls calls;
    struct calls_shared shared;
    struct site *site;
    struct addr at;      /* of the listener */
    int listening;       /* the backend's */
    int client, backend; /* -1: none */
    SSL *ssl;            /* the client's */
    char received[4096]; /* what the backend has received */
    size_t received_len;
} g;

static struct addr listen_somewhere(int *fd)
{
    struct sockaddr_storage sa;
    socklen_t len;
    struct addr at;
    assert_int_equal(addr_parse("127.0.0.1:0", 0, &at), ERR_OK);
    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(*fd >= 0);
    len = addr_to_sockaddr(&at, &sa);
    assert_int_equal(bind(*fd, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(*fd, 8), 0);
    len = sizeof sa;
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&sa, &len), 0);
    assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, &at), ERR_OK);
    return at;
}

/* Loads the site that the file describes now. */
static struct site *site_load(void)
{
    struct snapshot *snapshot = snapshot_load(config_file, NULL, stderr);
    assert_non_null(snapshot);
    struct site *site = site_new(snapshot, stderr);
    snapshot_unref(snapshot);
    assert_non_null(site);
    return site;
}

static void gate_open(bool backend_tls, unsigned max)
{
    char text[1024];
    struct addr any;
    int fd;

    memset(&g, 0, sizeof g);
    g.client = g.backend = -1;
    struct addr at = listen_somewhere(&g.listening);
    snprintf(text, sizeof text,
             "[gate]\ntimeout-idle = 60s\n[listener l]\nlisten = 127.0.0.1:0\ncertificate = %s\n"
             "default = allow\nbackend = b\n%s[backend b]\nserver = 127.0.0.1:%u\ntls = %s\n"
             "%scrypto-binding = off\n",
             cert.pem, listener_keys, at.port, backend_tls ? "yes" : "no",
             backend_tls ? "verify = off\n" : "");
    FILE *f = fopen(config_file, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    g.site = site_load();
    g.shared.max = max;
    worker_init(&g.w, 0, calls_sweep, &g.calls);
    g.shared.keyring = keyring_new();
    g.shared.limits = limits_new(&g.site->config->gate.limits);
    calls_init(&g.calls, &g.w, &g.shared);
    assert_int_equal(addr_parse("127.0.0.1:0", 0, &any), ERR_OK);
    assert_int_equal(listener_bind(&any, NULL, 1, &fd, &g.at), ERR_OK);
    calls_switch(&g.calls, g.site, &(struct calls_place){.fd = fd}, 1);
}

/* All calls have ended: the worker stops by itself and nothing is left. */
static void gate_close(void)
{
    calls_finish(&g.calls);
    worker_settle(&g.w);
    worker_run(&g.w);
    assert_int_equal(g.calls.set.count, 0);
    assert_int_equal(g.shared.count, 0);
    assert_int_equal(g.w.pool.lent, 0);
    calls_fini(&g.calls);
    worker_fini(&g.w);
    limits_free(g.shared.limits);
    keyring_free(g.shared.keyring);
    SSL_free(g.ssl);
    if (g.client >= 0)
        close(g.client);
    if (g.backend >= 0)
        close(g.backend);
    close(g.listening);
}

static void step(void)
{
    worker_settle(&g.w);
    uv_run(&g.w.loop, UV_RUN_NOWAIT);
}

/* The peers are not part of the loop, so it runs until their condition holds. */
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        uint64_t start = uv_hrtime();                                                              \
        while (!(condition)) {                                                                     \
            step();                                                                                \
            if (uv_hrtime() - start > 20000000000u)                                                \
                fail_msg("line %d waits in vain", __LINE__);                                       \
        }                                                                                          \
    } while (0)

static struct call *the_call(void)
{
    for (int s = 0; s < CALL_STATES; s++)
        if (g.calls.set.list[s] != NULL)
            return g.calls.set.list[s];
    return NULL;
}

static bool is_in(enum call_state s)
{
    struct call *call = g.calls.set.list[s];
    assert_true(call == NULL || call->state == s);
    return call != NULL;
}

static int call_in(void)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(&g.at, &sa);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
    /* otherwise each small write after another one costs 40 ms */
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int)), 0);
    assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
    return fd;
}

static bool backend_has(const char *what)
{
    if (g.backend < 0)
        g.backend = accept4(g.listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (g.backend < 0)
        return false;
    ssize_t n =
        recv(g.backend, g.received + g.received_len, sizeof g.received - 1 - g.received_len, 0);
    if (n > 0)
        g.received_len += (size_t)n;
    g.received[g.received_len] = '\0';
    return strstr(g.received, what) != NULL;
}

static void client_sends(const char *octets, size_t n)
{
    assert_int_equal(SSL_write(g.ssl, octets, (int)n), (int)n);
}

static void backend_sends(const char *octets, size_t n)
{
    assert_int_equal(send(g.backend, octets, n, MSG_NOSIGNAL), (ssize_t)n);
}

static const char request[] =
    "SSTP_DUPLEX_POST /sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/ HTTP/1.1\r\n"
    "Content-Length: 18446744073709551615\r\nHost: vpn.test\r\n\r\n";
static const char answer[] = "HTTP/1.1 200\r\nContent-Length: 18446744073709551615\r\n\r\n";
static const char connect_request[] = "\x10\x01\x00\x0e\x00\x01\x00\x01\x00\x01\x00\x06\x00\x01";
static const char connect_ack[] = "\x10\x01\x00\x08\x00\x02\x00\x00";
static const char call_connected[] = "\x10\x01\x00\x08\x00\x04\x00\x00";
static const char ipcp[] = "\x10\0\0\x0c\xff\x03\x80\x21\x01\x01\0\x04";

static const enum call_state states[] = {
    CALL_HELLO,     CALL_HANDSHAKE, CALL_REQUEST, CALL_DIAL,   CALL_ANSWER,
    CALL_NEGOTIATE, CALL_RELAY,     CALL_DRAIN,   CALL_LINGER,
};
enum { STATES = sizeof states / sizeof *states };

/* Brings a call into a state by the actions of its peers. */
static void reach(enum call_state want)
{
    gate_open(want == CALL_DIAL, 10);
    g.client = call_in();
    UNTIL(is_in(CALL_HELLO));
    if (want == CALL_HELLO)
        return;
    g.ssl = SSL_new(client_ctx);
    SSL_set_fd(g.ssl, g.client);
    assert_int_equal(SSL_connect(g.ssl), -1); /* the ClientHello is out */
    UNTIL(is_in(CALL_HANDSHAKE));
    if (want == CALL_HANDSHAKE)
        return;
    UNTIL(SSL_connect(g.ssl) == 1);
    UNTIL(is_in(CALL_REQUEST));
    if (want == CALL_REQUEST)
        return;
    client_sends(request, sizeof request - 1);
    if (want == CALL_DIAL) { /* a ClientHello came, which is not answered */
        UNTIL(backend_has("\x16"));
        assert_true(is_in(CALL_DIAL));
        return;
    }
    UNTIL(backend_has("\r\n\r\n"));
    assert_true(is_in(CALL_ANSWER));
    client_sends(connect_request,
                 sizeof connect_request - 1); /* the client does not wait: held back */
    if (want == CALL_ANSWER)
        return;
    backend_sends(answer, sizeof answer - 1);
    UNTIL(is_in(CALL_NEGOTIATE));
    if (want == CALL_NEGOTIATE)
        return;
    backend_sends(connect_ack, sizeof connect_ack - 1);
    UNTIL(the_call()->record.down.packets == 1);
    client_sends(call_connected, sizeof call_connected - 1);
    UNTIL(the_call()->record.up.packets == 2); /* an IPCP before that would prove nothing */
    backend_sends(ipcp, sizeof ipcp - 1);      /* the server has accepted the client */
    UNTIL(is_in(CALL_RELAY));
    if (want == CALL_RELAY)
        return;
    if (want == CALL_DRAIN) {
        shutdown(g.backend, SHUT_WR);
        UNTIL(is_in(CALL_DRAIN));
        return;
    }
    assert_int_equal(want, CALL_LINGER);
    call_end(the_call(), REASON_CLIENT_OUT_OF_PLACE);
    assert_true(is_in(CALL_LINGER));
}

/* Runs the sweep at that time, which is also the loop's clock meanwhile. */
static void sweep(uint64_t now)
{
    g.w.loop.time = now;
    calls_sweep(&g.calls, now);
}

/* ---- the ends ---- */

static void close_fd(int *fd, bool reset)
{
    const struct linger now = {1, 0};
    if (*fd < 0)
        return;
    if (reset)
        setsockopt(*fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(*fd);
    *fd = -1;
}

static void end_drop(void)
{
    call_end(the_call(), REASON_SHUTDOWN_NOW);
}

static void end_close(void)
{
    call_end(the_call(), REASON_SHUTDOWN);
    call_end(the_call(), REASON_CLIENT_CLOSED); /* the first reason is kept */
    assert_int_not_equal(the_call()->reason, REASON_CLIENT_CLOSED);
    close_fd(&g.client, false);
    close_fd(&g.backend, false);
}

static void end_every_reason(void)
{
    for (int r = REASON_NONE + 1; r < REASON_COUNT; r++)
        call_end(the_call(), (enum reason)r);
    close_fd(&g.client, false);
    close_fd(&g.backend, false);
}

static void end_by_time(void)
{
    for (uint64_t now = worker_now(&g.w); the_call() != NULL; now += 100000000) {
        sweep(now);
        step(); /* to the close callbacks */
    }
}

static void end_stop(void)
{
    calls_stop(&g.calls);
    calls_stop(&g.calls);
}

static void end_stop_politely(void)
{
    calls_stop(&g.calls);
    close_fd(&g.client, false);
    close_fd(&g.backend, false);
}

static void end_client_closes(void)
{
    close_fd(&g.client, false);
    step();
    close_fd(&g.backend, false);
}

static void end_client_resets(void)
{
    close_fd(&g.client, true);
}

static void end_backend_closes(void)
{
    close_fd(&g.backend, false);
    step();
    close_fd(&g.client, false);
}

static void end_backend_resets(void)
{
    close_fd(&g.backend, true);
    step();
    step();
    close_fd(&g.client, false);
}

static void end_both_reset(void)
{
    close_fd(&g.backend, true);
    close_fd(&g.client, true);
}

static void end_client_half_closes(void)
{
    shutdown(g.client, SHUT_WR);
    step();
    close_fd(&g.backend, false);
    step();
    close_fd(&g.client, false);
}

static void end_client_talks_nonsense(void)
{
    (void)!write(g.client, "nonsense\r\n\r\n", 12);
    step();
    close_fd(&g.client, false);
    close_fd(&g.backend, false);
}

static void end_backend_talks_nonsense(void)
{
    if (g.backend >= 0)
        (void)!write(g.backend, "nonsense\r\n\r\n", 12);
    step();
    close_fd(&g.client, false);
    close_fd(&g.backend, false);
}

static void each_end_in_each_state(void **state)
{
    (void)state;
    static void (*const ends[])(void) = {
        end_drop,
        end_close,
        end_every_reason,
        end_by_time,
        end_stop,
        end_stop_politely,
        end_client_closes,
        end_client_resets,
        end_backend_closes,
        end_backend_resets,
        end_both_reset,
        end_client_half_closes,
        end_client_talks_nonsense,
        end_backend_talks_nonsense,
    };
    for (size_t n = 0; n < STATES; n++)
        for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
            reach(states[n]);
            assert_int_equal(g.calls.set.count, 1);
            assert_int_equal(g.shared.count, 1);
            ends[i]();
            UNTIL(g.calls.set.count == 0);
            gate_close();
        }
}

/* ---- deadlines ---- */

static uint64_t timeout_of(enum call_state s)
{
    const struct config_gate *c = &g.site->config->gate;
    switch (s) {
    case CALL_HELLO:
    case CALL_HANDSHAKE: return c->timeout_handshake;
    case CALL_REQUEST: return c->timeout_request;
    case CALL_DIAL: return c->timeout_connect;
    case CALL_ANSWER: return c->timeout_answer;
    case CALL_NEGOTIATE: return c->timeout_negotiate;
    case CALL_RELAY: return c->timeout_idle;
    case CALL_DRAIN:
    case CALL_LINGER: return c->timeout_drain;
    default: return 0;
    }
}

static void each_state_has_its_deadline(void **state)
{
    (void)state;
    static const enum reason reasons[] = {
        [CALL_HELLO] = REASON_HANDSHAKE_TIMEOUT,    [CALL_HANDSHAKE] = REASON_HANDSHAKE_TIMEOUT,
        [CALL_REQUEST] = REASON_REQUEST_TIMEOUT,    [CALL_DIAL] = REASON_BACKEND_TLS,
        [CALL_ANSWER] = REASON_ANSWER_TIMEOUT,      [CALL_NEGOTIATE] = REASON_NEGOTIATE_TIMEOUT,
        [CALL_RELAY] = REASON_IDLE_TIMEOUT,         [CALL_DRAIN] = REASON_BACKEND_CLOSED,
        [CALL_LINGER] = REASON_CLIENT_OUT_OF_PLACE,
    };
    for (size_t n = 0; n < STATES; n++) {
        reach(states[n]);
        struct call *call = the_call();
        uint64_t due = call->active + timeout_of(states[n]);
        assert_int_not_equal(timeout_of(states[n]), 0);
        sweep(due - 1);
        assert_true(is_in(states[n]));
        sweep(due);
        if (states[n] == CALL_DIAL || states[n] == CALL_ANSWER) {
            UNTIL(is_in(CALL_LINGER)); /* this server has failed, and there is no other one */
            assert_int_equal(the_call()->reason, reasons[states[n]]);
        } else {
            assert_false(is_in(states[n]));
            assert_int_equal(the_call()->reason, reasons[states[n]]);
        }
        end_by_time();
        UNTIL(g.calls.set.count == 0);
        gate_close();
    }
}

/* Sends the ClientHello of another client, which is silent afterwards. */
static int hello_in(void)
{
    int fd = call_in();
    SSL *ssl = SSL_new(client_ctx);
    SSL_set_fd(ssl, fd);
    assert_int_equal(SSL_connect(ssl), -1);
    SSL_free(ssl);
    return fd;
}

/* A client that waits for its turn until its deadline has done nothing wrong. */
static void a_handshake_without_a_turn_has_a_reason_of_its_own(void **state)
{
    (void)state;
    reach(CALL_HELLO);
    stream_limit_handshakes(&g.w, 0);
    int fd = hello_in();
    UNTIL(g.calls.set.count == 2 && stream_hellos_wait(&g.w));
    struct call *silent = g.calls.set.list[CALL_HELLO], *waiting = silent->next;
    sweep(waiting->deadline);
    assert_int_equal(silent->reason, REASON_HANDSHAKE_TIMEOUT);
    assert_int_equal(waiting->reason, REASON_HANDSHAKE_QUEUE);
    close_fd(&fd, false);
    UNTIL(g.calls.set.count == 0);
    gate_close();
}

/* handshakes-at-once is reached and a client waits: a handshake has a second from then on. */
static void a_silent_handshake_makes_room(void **state)
{
    (void)state;
    reach(CALL_HANDSHAKE);
    stream_limit_handshakes(&g.w, 1);
    struct call *call = the_call();
    const uint64_t due = call->active + 1000;
    sweep(due); /* no client waits, so the deadline is not shortened */
    assert_true(is_in(CALL_HANDSHAKE));
    int fd = hello_in();
    UNTIL(g.calls.set.count == 2 && stream_hellos_wait(&g.w));
    sweep(due - 1);
    assert_int_equal(call->state, CALL_HANDSHAKE);
    sweep(due);
    assert_int_equal(call->state, CALL_CLOSED);
    assert_int_equal(call->reason, REASON_HANDSHAKE_TIMEOUT);
    UNTIL(g.calls.set.count == 1 && is_in(CALL_HANDSHAKE));
    close_fd(&fd, false);
    UNTIL(g.calls.set.count == 0);
    gate_close();
}

/* Many deadlines pass at once: a sweep ends at most EXPIRE_AT_ONCE calls, and the next one follows
 * in WORKER_AGAIN_MS. */
static void a_sweep_ends_few_calls(void **state)
{
    (void)state;
    enum { ALL = 40, AT_ONCE = 16 };
    int fd[ALL];
    gate_open(false, ALL);
    for (size_t i = 0; i < ALL; i++)
        fd[i] = call_in();
    UNTIL(g.calls.set.count == ALL);
    const uint64_t due = g.calls.set.list[CALL_HELLO]->prev->deadline;
    for (size_t left = ALL; left > 0;) {
        g.w.sweep_again = false;
        sweep(due);
        size_t closed = 0;
        for (struct call *call = g.calls.set.list[CALL_CLOSED]; call != NULL; call = call->next)
            closed++;
        assert_int_equal(closed, left < AT_ONCE ? left : AT_ONCE);
        assert_int_equal(g.w.sweep_again, left >= AT_ONCE);
        left -= closed;
        UNTIL(g.calls.set.count == left);
    }
    for (size_t i = 0; i < ALL; i++)
        close_fd(&fd[i], false);
    gate_close();
}

/* The list of tunnels is walked only when the first one is due. */
static void a_tunnel_ends_after_max_session(void **state)
{
    (void)state;
    listener_keys = "max-session = 10s\n";
    reach(CALL_RELAY);
    listener_keys = "";
    const uint64_t end = the_call()->tunnel.end;
    assert_true(g.calls.set.first_end <= end);
    sweep(end - 1);
    assert_int_equal(g.calls.set.first_end, end);
    assert_true(is_in(CALL_RELAY));
    sweep(end);
    assert_int_equal(the_call()->reason, REASON_MAX_SESSION);
    assert_false(is_in(CALL_RELAY));
    assert_int_equal(g.calls.set.first_end, UINT64_MAX);
    end_by_time();
    gate_close();
}

static void without_max_session_no_tunnel_is_due(void **state)
{
    (void)state;
    reach(CALL_RELAY);
    const uint64_t now = worker_now(&g.w);
    sweep(now);
    assert_int_equal(the_call()->tunnel.end, UINT64_MAX);
    assert_int_equal(g.calls.set.first_end, UINT64_MAX);
    assert_true(is_in(CALL_RELAY));
    end_by_time();
    gate_close();
}

static void data_puts_the_idle_deadline_off(void **state)
{
    (void)state;
    static const char data[] = "\x10\x00\x00\x08\x00\x21\x45\x00";
    reach(CALL_RELAY);
    struct call *call = the_call();
    uint64_t began = call->active, idle = timeout_of(CALL_RELAY);
    for (int i = 0; i < 2; i++) {
        uint64_t packets = call->record.up.packets + call->record.down.packets;
        call->active = began; /* as if the last byte had come long ago */
        call->deadline = began + idle;
        if (i == 0)
            client_sends(data, sizeof data - 1);
        else
            backend_sends(data, sizeof data - 1);
        UNTIL(call->record.up.packets + call->record.down.packets == packets + 1);
        call->active = began + 5000;
        sweep(began + idle + 4999);
        assert_true(is_in(CALL_RELAY));
        assert_int_equal(call->deadline, began + 5000 + idle);
    }
    sweep(began + 5000 + idle);
    assert_false(is_in(CALL_RELAY));
    end_by_time();
    UNTIL(g.calls.set.count == 0);
    gate_close();
}

/* ---- limits and the end ---- */

static void more_than_max_wait_their_turn(void **state)
{
    (void)state;
    int fd[3];
    gate_open(false, 2);
    for (size_t i = 0; i < 3; i++)
        fd[i] = call_in();
    UNTIL(g.calls.set.count == 2);
    for (int i = 0; i < 20; i++)
        step();
    assert_int_equal(g.calls.set.count, 2);
    assert_int_equal(g.shared.count, 2);
    close_fd(&fd[0], false); /* the waiting client gets its place */
    UNTIL(g.calls.set.next_number == 3);
    assert_int_equal(g.calls.set.count, 2);
    /* the sweep finds a place that a call of another worker has left */
    int late = call_in();
    for (int i = 0; i < 20; i++)
        step();
    assert_int_equal(g.calls.set.count, 2);
    g.shared.max = 3;
    sweep(worker_now(&g.w));
    assert_int_equal(g.calls.set.count, 3);
    calls_stop(&g.calls);
    UNTIL(g.calls.set.count == 0);
    gate_close();
    close_fd(&fd[1], false);
    close_fd(&fd[2], false);
    close_fd(&late, false);
}

/* A call keeps the site with which it began until its tunnel is up, or until it ends. */
static void a_new_site_is_for_new_calls(void **state)
{
    (void)state;
    for (size_t n = 0; n < STATES; n++) {
        reach(states[n]);
        struct call *old = the_call();
        struct site *first = site_ref(g.site);
        const bool keeps = states[n] < CALL_RELAY;
        assert_ptr_equal(old->site, keeps ? first : NULL);
        g.site = site_load();
        calls_switch(&g.calls, g.site, &(struct calls_place){.fd = -1}, 1);
        assert_ptr_equal(old->site, keeps ? first : NULL);
        assert_int_equal(first->refs, keeps ? 2 : 1);
        site_unref(first);
        assert_true(is_in(states[n]));
        int later = call_in(); /* at the same socket */
        UNTIL(g.calls.set.count == 2);
        assert_ptr_equal(g.calls.set.list[CALL_HELLO]->prev->site, g.site);
        close_fd(&later, false);
        UNTIL(g.calls.set.count == 1);
        end_client_closes();
        UNTIL(g.calls.set.count == 0);

        /* no call may come in at a place that the new site does not have */
        g.site = site_load();
        calls_switch(&g.calls, g.site, NULL, 0);
        gate_close();
    }
}

/* The set-up of a call, and a call that ends, leave memory that malloc keeps. */
static void memory_returns_after_many_calls(void **state)
{
    (void)state;
    reach(CALL_RELAY);
    struct call_set *set = &g.calls.set;
    const uint64_t now = worker_now(&g.w);
    assert_int_equal(set->settled, 1); /* the tunnel came up */
    set->settled = 499;
    sweep(now);
    assert_int_equal(set->settled, 499);
    set->settled = set->count = 500;
    sweep(now);
    assert_int_equal(set->settled, 0);
    set->settled = 1000;
    set->count = 1001;
    sweep(now + 59999);
    sweep(now + 60000);
    assert_int_equal(set->settled, 1000); /* fewer than there are now */
    set->count = 1;
    sweep(now + 59999);
    assert_int_equal(set->settled, 1000); /* too early */
    sweep(now + 60000);
    assert_int_equal(set->settled, 0);
    end_client_closes();
    UNTIL(set->count == 0);
    assert_int_equal(set->settled, 1); /* the tunnel has ended */
    gate_close();
}

/* A tunnel goes on until it ends, and then the worker ends, too. */
static void draining_waits_for_the_calls(void **state)
{
    (void)state;
    static const char data[] = "\x10\x00\x00\x08\x00\x21\x45\x00";
    reach(CALL_RELAY);
    calls_finish(&g.calls);
    calls_finish(&g.calls);
    struct call *call = the_call();
    uint64_t packets = call->record.up.packets;
    client_sends(data, sizeof data - 1);
    UNTIL(call->record.up.packets == packets + 1);
    assert_true(is_in(CALL_RELAY));
    end_client_closes();
    gate_close();
}

static void note_idle(void *arg)
{
    *(bool *)arg = true;
}

/* The worker of a gate that was replaced takes requests, such as those of drain-time, until the
 * program ends it. */
static void leaving_waits_for_the_program(void **state)
{
    (void)state;
    bool idle = false;
    reach(CALL_RELAY);
    g.shared.on_idle = note_idle;
    g.shared.idle_arg = &idle;
    calls_leave(&g.calls);
    assert_true(is_in(CALL_RELAY));
    assert_null(g.calls.doors);
    assert_false(idle);
    end_client_closes();
    UNTIL(idle);
    assert_int_equal(g.calls.phase, CALLS_DRAINING);
    g.shared.on_idle = NULL;
    gate_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_end_in_each_state),
        cmocka_unit_test(each_state_has_its_deadline),
        cmocka_unit_test(a_handshake_without_a_turn_has_a_reason_of_its_own),
        cmocka_unit_test(a_silent_handshake_makes_room),
        cmocka_unit_test(a_sweep_ends_few_calls),
        cmocka_unit_test(a_tunnel_ends_after_max_session),
        cmocka_unit_test(without_max_session_no_tunnel_is_due),
        cmocka_unit_test(data_puts_the_idle_deadline_off),
        cmocka_unit_test(more_than_max_wait_their_turn),
        cmocka_unit_test(a_new_site_is_for_new_calls),
        cmocka_unit_test(memory_returns_after_many_calls),
        cmocka_unit_test(draining_waits_for_the_calls),
        cmocka_unit_test(leaving_waits_for_the_program),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
