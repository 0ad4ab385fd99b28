#include "client/line.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

enum { LONG_MS = 60000 };

struct server {
    int listening, fd;
    struct addr address;
};

static void server_listen(struct server *s)
{
    struct sockaddr_storage sa;
    socklen_t n = sizeof sa;

    assert_int_equal(addr_parse("127.0.0.1:0", 0, &s->address), ERR_OK);
    s->fd = -1;
    s->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    n = addr_to_sockaddr(&s->address, &sa);
    assert_int_equal(bind(s->listening, (struct sockaddr *)&sa, n), 0);
    assert_int_equal(listen(s->listening, 1), 0);
    n = sizeof sa;
    assert_int_equal(getsockname(s->listening, (struct sockaddr *)&sa, &n), 0);
    assert_int_equal(addr_from_sockaddr((struct sockaddr *)&sa, &s->address), ERR_OK);
}

static struct line *server_connect(struct server *s)
{
    struct line *l;

    server_listen(s);
    assert_int_equal(line_open(&l, &s->address, line_now() + LONG_MS), LINE_OK);
    s->fd = accept(s->listening, NULL, NULL);
    assert_true(s->fd >= 0);
    return l;
}

static void server_close(struct server *s)
{
    close(s->fd);
    close(s->listening);
}

static void bytes_in_both_directions(void **state)
{
    (void)state;
    struct server s;
    struct line *l = server_connect(&s);
    struct addr local;
    uint8_t in[16];
    char got[4];
    size_t n;

    line_write(l, span_str("ping"));
    assert_int_equal(recv(s.fd, got, sizeof got, MSG_WAITALL), 4);
    assert_memory_equal(got, "ping", 4);
    assert_int_equal(send(s.fd, "pong", 4, 0), 4);
    assert_int_equal(line_read(l, in, sizeof in, &n, line_now() + LONG_MS), LINE_OK);
    assert_int_equal(n, 4);
    assert_memory_equal(in, "pong", 4);
    assert_true(line_local(l, &local));
    assert_int_equal(line_read(l, in, sizeof in, &n, line_now()), LINE_TIMEOUT);
    shutdown(s.fd, SHUT_WR);
    assert_int_equal(line_read(l, in, sizeof in, &n, line_now() + LONG_MS), LINE_CLOSED);
    line_close(l);
    server_close(&s);
}

/* The deadline ends the reads from a server that never stops sending. */
static void deadline_ends_a_read_of_available_bytes(void **state)
{
    (void)state;
    struct server s;
    struct line *l = server_connect(&s);
    uint8_t in[16];
    size_t n;

    assert_int_equal(send(s.fd, "more", 4, 0), 4);
    line_set_deadline(l, line_now());
    assert_int_equal(line_read(l, in, sizeof in, &n, line_now() + LONG_MS), LINE_TIMEOUT);
    line_set_deadline(l, line_now() + LONG_MS);
    assert_int_equal(line_read(l, in, sizeof in, &n, line_now() + LONG_MS), LINE_OK);
    line_close(l);
    server_close(&s);
}

/* A server that does not read: the write ends at the deadline, and the read reports it. */
static void deadline_of_a_write(void **state)
{
    (void)state;
    static uint8_t much[16 << 20];
    struct server s;
    struct line *l = server_connect(&s);
    uint8_t in[16];
    size_t n;

    line_set_deadline(l, line_now() + 50);
    line_write(l, span_of(much, sizeof much));
    line_write(l, span_str("no-op"));
    assert_int_equal(line_read(l, in, sizeof in, &n, line_now()), LINE_TIMEOUT);
    line_close(l);
    server_close(&s);
}

static void reset(void **state)
{
    (void)state;
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    struct server s;
    struct line *l = server_connect(&s);
    uint8_t in[16];
    size_t n;

    assert_int_equal(setsockopt(s.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once), 0);
    server_close(&s);
    assert_int_equal(line_read(l, in, sizeof in, &n, line_now() + LONG_MS), LINE_CLOSED);
    assert_string_equal(line_error(l), "Connection reset by peer");
    line_close(l);
}

/* A server that resets each connection at once has accepted it: whether the reset comes before or
 * after the look at the result, the step that fails is not the connect. */
static void reset_at_once(void **state)
{
    (void)state;
    enum { ROUNDS = 300 };
    struct server s;

    server_listen(&s);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        const struct linger now = {.l_onoff = 1};
        for (int fd; (fd = accept(s.listening, NULL, NULL)) >= 0; close(fd))
            (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        _exit(0);
    }
    size_t good = 0;
    for (int i = 0; i < ROUNDS; i++) {
        struct addr local;
        struct line *l;
        uint8_t in[16];
        size_t n;
        good += line_open(&l, &s.address, line_now() + LONG_MS) == LINE_OK &&
                line_local(l, &local) &&
                line_read(l, in, sizeof in, &n, line_now() + LONG_MS) == LINE_CLOSED;
        line_close(l);
    }
    assert_int_equal(kill(pid, SIGKILL), 0); /* before a failure, after which it would stay */
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(good, ROUNDS);
    server_close(&s);
}

static void closed_port(void **state)
{
    (void)state;
    struct server s;
    struct line *l;

    server_listen(&s);
    close(s.listening);
    assert_int_equal(line_open(&l, &s.address, line_now() + LONG_MS), LINE_REFUSED);
    assert_string_equal(line_error(l), "Connection refused");
    line_close(l);
    line_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(bytes_in_both_directions),
                                       cmocka_unit_test(deadline_ends_a_read_of_available_bytes),
                                       cmocka_unit_test(deadline_of_a_write),
                                       cmocka_unit_test(reset),
                                       cmocka_unit_test(reset_at_once),
                                       cmocka_unit_test(closed_port)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
