/* Health checks that end at each of their steps, on a real loop with a plain socket, or OpenSSL on
 * one, as the server: every handle must be closed, and the report must be right. */
#include "upstream/probes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/log.h"
#include "certs.h"
#include "net/worker.h"
#include "policy/backends.h"
#include "site/sessions.h"
#include "site/site.h"
#include "site/snapshot.h"
#include "tls/tls_session.h"

enum { STEPS = 8, TLS_STEPS = 16 };

static struct certs certs;
static struct cert cert;
static const char *config_file;
static SSL_CTX *tickets, *no_tickets; /* of servers with TLS 1.3 */

static SSL_CTX *server_ctx(size_t count)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

    assert_non_null(ctx);
    assert_int_equal(SSL_CTX_use_certificate_file(ctx, cert.pem, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(ctx, cert.pem, SSL_FILETYPE_PEM), 1);
    SSL_CTX_set_num_tickets(ctx, count);
    return ctx;
}

static int setup(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    certs_init(&certs);
    cert_make(&certs, &cert, "cert.pem", &(struct cert_spec){.name = "DNS:vpn.test"});
    config_file = certs_path(&certs, "gate.conf");
    tickets = server_ctx(2);
    no_tickets = server_ctx(0);
    return log_open("/dev/null", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT) == ERR_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    SSL_CTX_free(tickets);
    SSL_CTX_free(no_tickets);
    cert_free(&cert);
    certs_fini(&certs);
    return log_open("stderr", LOG_LEVEL_INFO, LOG_FORMAT_TEXT) == ERR_OK ? 0 : -1;
}

/* ---- a worker that probes one server ---- */

static struct {
    struct worker w;
    struct probes *probes;
    struct site *site;
    uint64_t now;          /* ms, of the sweeps */
    int listening, server; /* descriptors; -1: none */
    const char *answer;
    SSL_CTX *tls; /* NULL: plain */
    SSL *ssl;     /* on `server` */
    char received[1024];
    size_t received_len;
} g;

static void on_sweep(void *arg, uint64_t now)
{
    (void)arg, (void)now; /* the tests call probes_sweep with their own time */
}

static unsigned listen_somewhere(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof sa;

    g.listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(g.listening >= 0);
    assert_int_equal(bind(g.listening, (struct sockaddr *)&sa, len), 0);
    assert_int_equal(listen(g.listening, 8), 0);
    assert_int_equal(getsockname(g.listening, (struct sockaddr *)&sa, &len), 0);
    return ntohs(sa.sin_port);
}

static void begin_at(const char *check, const char *answer, SSL_CTX *tls)
{
    char text[1024];

    memset(&g, 0, sizeof g);
    g.server = -1;
    g.answer = answer;
    g.tls = tls;
    snprintf(text, sizeof text,
             "[listener l]\nlisten = 127.0.0.1:0\ncertificate = %s\n[backend b]\n"
             "server = 127.0.0.1:%u\n%s\ncrypto-binding = off\ncheck = %s\n",
             cert.pem, listen_somewhere(), tls == NULL ? "tls = no" : "verify = off", check);
    FILE *f = fopen(config_file, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
    struct snapshot *snapshot = snapshot_load(config_file, NULL, stderr);
    assert_non_null(snapshot);
    g.site = site_new(snapshot, stderr);
    snapshot_unref(snapshot);
    assert_non_null(g.site);
    worker_init(&g.w, 0, on_sweep, NULL);
    g.probes = probes_new(&g.w);
    probes_switch(g.probes, g.site);
    g.now = worker_now(&g.w);
}

static void begin(const char *check, const char *answer)
{
    begin_at(check, answer, NULL);
}

static void server_opened(void)
{
    if (g.server < 0 || g.tls == NULL)
        return;
    g.ssl = SSL_new(g.tls);
    assert_non_null(g.ssl);
    SSL_set_fd(g.ssl, g.server);
    SSL_set_accept_state(g.ssl);
}

static void server_close(void)
{
    SSL_free(g.ssl);
    g.ssl = NULL;
    if (g.server >= 0)
        close(g.server);
    g.server = -1;
}

/* As recv: 0: the end; less: nothing has arrived. */
static ssize_t server_read(char *out, size_t n)
{
    if (g.ssl == NULL)
        return recv(g.server, out, n, 0);
    const int r = SSL_read(g.ssl, out, (int)n);
    if (r > 0)
        return r;
    return SSL_get_error(g.ssl, r) == SSL_ERROR_WANT_READ ? -1 : 0;
}

static void server_write(const char *text)
{
    if (g.ssl == NULL)
        (void)!write(g.server, text, strlen(text));
    else
        (void)SSL_write(g.ssl, text, (int)strlen(text));
}

/* Runs the loop once, and lets the server act once. */
/* The most turns of the loop until an event. A thread resolves names meanwhile. */
enum { PATIENCE = 2000000 };

static void step(void)
{
    worker_settle(&g.w);
    uv_run(&g.w.loop, UV_RUN_NOWAIT);
    if (g.server < 0) {
        g.server = accept4(g.listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        server_opened();
        return;
    }
    ssize_t n = server_read(g.received + g.received_len, sizeof g.received - g.received_len);
    if (n > 0) {
        g.received_len += (size_t)n;
        if (g.answer != NULL)
            server_write(g.answer);
    } else if (n == 0) {
        server_close();
    }
}

static void steps(unsigned n)
{
    while (n-- > 0)
        step();
}

static void sweep(uint64_t ms)
{
    g.now += ms;
    probes_sweep(g.probes, g.now);
}

static struct backends_state state_of(void)
{
    struct backends_state s;
    backends_state(g.site->backend[0].servers, 0, &s);
    return s;
}

static void end(void)
{
    probes_stop(g.probes);
    worker_stop(&g.w);
    worker_settle(&g.w);
    worker_run(&g.w);
    probes_free(g.probes);
    worker_fini(&g.w);
    site_unref(g.site);
    server_close();
    if (g.listening >= 0)
        close(g.listening);
}

/* Returns whether calls can resume a session of the server. */
static bool has_session(void)
{
    struct sockaddr_in sa;
    socklen_t len = sizeof sa;
    struct addr at = {.family = AF_INET, .ip = {127, 0, 0, 1}};

    assert_int_equal(getsockname(g.listening, (struct sockaddr *)&sa, &len), 0);
    at.port = ntohs(sa.sin_port);
    struct tls_session *s = sessions_get(g.site->backend[0].sessions, 0, &at);
    tls_session_unref(s);
    return s != NULL;
}

/* ---- tests ---- */

static const char good[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

static const struct kind {
    const char *check, *answer;
    bool up;
} kinds[] = {
    {"tcp", NULL, true},
    {"http", good, true},
    {"http", "HTTP/1.1 503 No\r\n\r\n", false},
    {"http", "nonsense\r\n\r\n", false},
    {"sstp", good, true},
    {"sstp", "HTTP/1.1 404 No\r\n\r\n", false},
    {"sstp", NULL, true}, /* no answer yet */
};
enum { KINDS = sizeof kinds / sizeof *kinds };

static void each_kind_and_its_verdict(void **state)
{
    (void)state;
    for (size_t i = 0; i < KINDS; i++) {
        begin(kinds[i].check, kinds[i].answer);
        sweep(1000);
        steps(200);
        assert_int_equal(state_of().up, kinds[i].up);
        assert_int_equal(g.received_len > 0, strcmp(kinds[i].check, "tcp") != 0);
        end();
    }
}

static void do_stop(void)
{
}

static void do_switch(void)
{
    probes_switch(g.probes, g.site);
}

static void do_deadline(void)
{
    sweep(g.site->config->gate.timeout_connect);
}

static void do_twice(void)
{
    do_deadline();
    do_deadline();
}

static void do_close(void)
{
    server_close();
}

static void do_reset(void)
{
    const struct linger now = {.l_onoff = 1};
    if (g.server >= 0)
        setsockopt(g.server, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    do_close();
}

static void each_end_at_each_step(void **state)
{
    (void)state;
    static void (*const ends[])(void) = {do_stop,  do_switch, do_deadline,
                                         do_twice, do_close,  do_reset};
    for (size_t i = 0; i < KINDS; i++)
        for (size_t k = 0; k < sizeof ends / sizeof *ends; k++)
            for (unsigned n = 0; n < STEPS; n++)
                for (unsigned after = 0; after < 2; after++) {
                    begin(kinds[i].check, kinds[i].answer);
                    sweep(1000);
                    steps(n);
                    ends[k]();
                    steps(after);
                    end();
                }
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < sizeof ends / sizeof *ends; k++)
            for (unsigned n = 0; n < TLS_STEPS; n++) {
                begin_at("tls", NULL, i == 0 ? tickets : no_tickets);
                sweep(1000);
                steps(n);
                ends[k]();
                steps(1);
                end();
            }
}

/* The verdict comes at once; the session when its ticket has arrived, and only then. */
static void a_check_waits_for_its_ticket(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        begin_at("tls", NULL, i == 0 ? tickets : no_tickets);
        sweep(1000);
        for (int n = 0; n < PATIENCE && (g.ssl == NULL || !SSL_is_init_finished(g.ssl)); n++)
            step();
        steps(2000);
        assert_true(state_of().check_ms != UINT64_MAX && g.server >= 0);
        assert_false(has_session());
        assert_true(g.server >= 0);
        sweep(0);
        assert_true(g.server >= 0);
        sweep(2000);
        assert_int_equal(has_session(), i == 0);
        for (int n = 0; n < PATIENCE && g.server >= 0; n++)
            step();
        assert_int_equal(g.server, -1); /* closed in order */
        assert_true(state_of().up);
        end();
    }
}

static void until_session(bool has)
{
    for (int n = 0; n < PATIENCE && has_session() != has; n++)
        step();
    assert_int_equal(has_session(), has);
}

static void a_failed_check_has_no_session(void **state)
{
    (void)state;
    begin_at("sstp", good, tickets);
    sweep(1000);
    until_session(true); /* its ticket came before the answer */
    for (int n = 0; n < PATIENCE && g.server >= 0; n++)
        step();
    steps(200);
    g.answer = "HTTP/1.1 503 No\r\n\r\n";
    sweep(2 * g.site->config->backend[0].check_interval);
    until_session(false);
    assert_true(state_of().up); /* the first failure of three */
    end();
}

/* A server that does not answer is down, and is probed again after the interval. */
static void silence_has_a_deadline(void **state)
{
    (void)state;
    begin("sstp", NULL);
    sweep(1000);
    steps(50);
    assert_true(g.received_len > 0);
    sweep(g.site->config->gate.timeout_connect - 1);
    assert_true(state_of().up);
    sweep(1);
    assert_false(state_of().up);
    assert_string_equal(state_of().cause, "check: answer: timed out");
    steps(50);
    g.received_len = 0;
    g.answer = good;
    for (int i = 0; i < 2; i++) { /* rise */
        assert_false(state_of().up);
        sweep(2 * g.site->config->backend[0].check_interval);
        steps(200);
    }
    assert_true(g.received_len > 0 && state_of().up);
    end();
}

/* If this machine has no descriptors left, the server is not reported as down. */
static void missing_descriptors_are_not_a_failure(void **state)
{
    struct rlimit before, none;

    (void)state;
    begin("tcp", NULL);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(g.listening);
    assert_true(next >= 0);
    close(next);
    none = before;
    none.rlim_cur = (rlim_t)next;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    sweep(1000);
    steps(50);
    assert_true(state_of().up);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    close(g.listening);
    g.listening = -1;
    sweep(2 * g.site->config->backend[0].check_interval);
    for (int i = 0; i < 100 && state_of().up; i++)
        uv_run(&g.w.loop, UV_RUN_NOWAIT);
    assert_false(state_of().up); /* and now it is */
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_and_its_verdict),
        cmocka_unit_test(each_end_at_each_step),
        cmocka_unit_test(a_check_waits_for_its_ticket),
        cmocka_unit_test(a_failed_check_has_no_session),
        cmocka_unit_test(silence_has_a_deadline),
        cmocka_unit_test(missing_descriptors_are_not_a_failure),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
