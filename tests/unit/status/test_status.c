/* The listener on real sockets, with a main thread that this file plays. requests.c has its tests
 * here, too. */
#include "status/status.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <netinet/in.h>
#include <semaphore.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "status/peers.h"

/* ---- the clock: it moves only in pass(), so that a busy machine misses no deadline ---- */

int __wrap_clock_gettime(clockid_t clock, struct timespec *t);

static atomic_int now_s = 1000;

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
    (void)clock;
    *t = (struct timespec){.tv_sec = atomic_load(&now_s)};
    return 0;
}

/* ---- the end of the thread ---- */

int __real_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_join(pthread_t thread, void **result);

static sem_t end_begun;

int __wrap_pthread_join(pthread_t thread, void **result)
{
    sem_post(&end_begun);
    return __real_pthread_join(thread, result);
}

/* ---- a gate ---- */

struct world {
    struct status *status;
    int listener;
    struct sockaddr_in at;
    sem_t asked;
    atomic_bool is_well, is_banned;
    atomic_bool is_held; /* a request for its health waits in the thread until the end begins */
    sem_t holds;
    atomic_uint wrong_tokens;
    size_t answer_n;        /* bytes of each answer; 0: it describes the question */
    struct question *later; /* the last question with `later` */
};

static void wake(void *arg)
{
    struct world *w = arg;
    sem_post(&w->asked);
}

static bool health(void *arg, FILE *out)
{
    struct world *w = arg;
    const bool ok = atomic_load(&w->is_well);

    if (atomic_load(&w->is_held)) {
        sem_post(&w->holds);
        sem_wait(&end_begun);
    }
    fputs(ok ? "ok\n" : "worker 1 does not answer\n", out);
    return ok;
}

static bool is_banned(void *arg, const struct addr *client)
{
    struct world *w = arg;
    (void)client;
    return atomic_load(&w->is_banned);
}

static void on_wrong_token(void *arg, const struct addr *client)
{
    struct world *w = arg;
    (void)client;
    atomic_fetch_add(&w->wrong_tokens, 1);
}

static unsigned answer(void *arg, const struct status_question *q, FILE *out)
{
    static const char part[1 << 20];
    struct world *w = arg;

    if (form_value(q->form, "later") != NULL) {
        w->later = q->later;
        fputs("ignored", out);
        return STATUS_LATER;
    }
    for (size_t n = 0; n < w->answer_n; n += sizeof part)
        assert_int_equal(fwrite(part, 1, sizeof part, out), sizeof part);
    if (w->answer_n > 0)
        return 200;
    fprintf(out, "%s from %s", q->route->name,
            strncmp(q->client, "127.0.0.1:", 10) == 0 ? "v4" : "?");
    for (size_t i = 0; i < q->form->count; i++)
        fprintf(out, " %s=%s", q->form->param[i].name, q->form->param[i].value);
    return form_value(q->form, "bad") == NULL ? 200 : 409;
}

static const struct status_ops ops = {.wake = wake,
                                      .health = health,
                                      .is_banned = is_banned,
                                      .on_wrong_token = on_wrong_token,
                                      .answer = answer};

static void configure(struct world *w, const char *token)
{
    static const struct cidrs none;
    status_configure(w->status, &(struct guard_settings){.allow = &none, .token = span_str(token)});
}

static int begin(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    socklen_t n = sizeof w->at;

    assert_non_null(w);
    sem_init(&w->asked, 0, 0);
    sem_init(&w->holds, 0, 0);
    sem_init(&end_begun, 0, 0);
    w->is_well = true;
    w->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    w->at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(bind(w->listener, (struct sockaddr *)&w->at, sizeof w->at), 0);
    assert_int_equal(listen(w->listener, 256), 0);
    assert_int_equal(getsockname(w->listener, (struct sockaddr *)&w->at, &n), 0);
    w->status = status_new(&w->listener, 1, &ops, w);
    configure(w, "secret");
    status_start(w->status);
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;

    status_free(w->status);
    close(w->listener);
    sem_destroy(&w->asked);
    sem_destroy(&w->holds);
    sem_destroy(&end_begun);
    free(w);
    return 0;
}

/* Plays the main thread: answers the next question. */
static void serve(struct world *w)
{
    sem_wait(&w->asked);
    assert_true(status_serve(w->status));
}

/* ---- a client ---- */

static int dial(const struct world *w)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&w->at, sizeof w->at), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* Reads up to the end of the connection; a reset is an end, too. */
static const char *receive(int fd)
{
    static char text[65536];
    size_t n = 0;
    ssize_t more;

    while (n < sizeof text - 1 && (more = recv(fd, text + n, sizeof text - 1 - n, 0)) > 0)
        n += (size_t)more;
    text[n] = '\0';
    close(fd);
    return text;
}

static int request(const struct world *w, const char *line, const char *fields, const char *body)
{
    char text[20000];
    const int fd = dial(w);

    snprintf(text, sizeof text, "%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n%s\r\n%s",
             line, fields, body);
    say(fd, text);
    return fd;
}

static void assert_answer(const char *text, unsigned status, const char *part)
{
    char first[32];

    snprintf(first, sizeof first, "HTTP/1.1 %u ", status);
    if (strncmp(text, first, strlen(first)) != 0 || strstr(text, part) == NULL)
        fail_msg("expected %u and '%s', not: %s", status, part, text);
}

#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"
#define TOKEN "Authorization: Bearer secret\r\n"

/* ---- tests ---- */

static void the_main_thread_answers(void **state)
{
    struct world *w = *state;

    int fd = request(w, "GET /api/v1/tunnels?user=a%20b&limit=3", "", "");
    serve(w);
    const char *text = receive(fd);
    assert_answer(text, 200, "\r\n\r\ntunnels from v4 user=a b limit=3");
    assert_non_null(strstr(text, "Content-Type: application/json\r\n"));
    fd = request(w, "GET /metrics", "", "");
    serve(w);
    assert_answer(receive(fd), 200, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    fd = request(w, "HEAD /readyz", "", "");
    serve(w);
    text = receive(fd);
    assert_answer(text, 200, "Content-Length: 14\r\n");
    assert_null(strstr(text, "readyz from"));
    fd = request(w, "POST /api/v1/end?a=1", TOKEN FORM "Content-Length: 5\r\n", "bad=2");
    serve(w);
    assert_answer(receive(fd), 409, "\r\n\r\nend from v4 a=1 bad=2");
}

static void the_thread_answers_for_itself(void **state)
{
    struct world *w = *state;

    assert_answer(receive(request(w, "GET /healthz", "", "")), 200, "\r\n\r\nok\n");
    w->is_well = false;
    assert_answer(receive(request(w, "GET /healthz", "", "")), 503, "worker 1 does not answer");
    const char *page = receive(request(w, "GET /", "", ""));
    assert_answer(page, 200, "Content-Type: text/html");
    assert_non_null(strstr(page, "Content-Security-Policy: default-src 'none'; "));
    assert_non_null(strstr(page, "X-Content-Type-Options: nosniff\r\n"));
    assert_non_null(strstr(page, "Cache-Control: no-store\r\n"));
    assert_non_null(strstr(page, "Referrer-Policy: no-referrer\r\n"));
}

static const struct {
    const char *line, *fields, *body;
    unsigned status;
    const char *part;
} refused[] = {
    {"GET /nothing", "", "", 404, "there is nothing"},
    {"GET /api/v1/nothing", "", "", 404, "{\"ok\":false,\"error\":\"there is nothing"},
    {"DELETE /metrics", "", "", 405, "Allow: GET, HEAD\r\n"},
    {"POST /metrics", "Content-Length: 0\r\n", "", 405, "Allow: GET, HEAD\r\n"},
    {"OPTIONS /api/v1/end", "Origin: http://evil.example\r\n", "", 405, "Allow: POST\r\n"},
    {"GET /api/v1/end", TOKEN, "", 405, "Allow: POST\r\n"},
    {"GET /api/v1/tunnels?user=%4", "", "", 400, "without two hexadecimal digits"},
    {"GET /api/v1/tunnels?a=1&a=2", "", "", 400, "appears twice"},
    {"POST /api/v1/end", TOKEN "Content-Length: 65537\r\n", "", 413, "too large"},
    {"POST /api/v1/end", TOKEN "Content-Length: 99999999999999999999\r\n", "", 413, ""},
    {"POST /api/v1/end", TOKEN "Transfer-Encoding: chunked\r\n", "", 411, "Content-Length"},
    {"POST /api/v1/end", TOKEN "Content-Type: application/json\r\nContent-Length: 2\r\n", "{}", 415,
     "urlencoded"},
    {"POST /api/v1/end", TOKEN FORM "Content-Length: 4\r\n", "a=%4", 400, "hexadecimal"},
    {"POST /api/v1/end", FORM "Content-Length: 4\r\n", "id=1", 401,
     "WWW-Authenticate: Bearer realm=\"sstpgate\"\r\n"},
    {"POST /api/v1/end", FORM "Origin: http://evil.example\r\n" TOKEN "Content-Length: 4\r\n",
     "id=1", 403, "another origin"},
    {"POST /api/v1/end", "Sec-Fetch-Site: cross-site\r\n" TOKEN "Content-Length: 4\r\n", "id=1",
     403, "another origin"},
};

/* The main thread is not asked. */
static void mistakes_are_refused(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_answer(receive(request(w, refused[i].line, refused[i].fields, refused[i].body)),
                      refused[i].status, refused[i].part);
    assert_int_equal(sem_trywait(&w->asked), -1);
    assert_int_equal(w->wrong_tokens, 0);
}

static void other_names_of_this_host_are_refused(void **state)
{
    struct world *w = *state;
    int fd = dial(w);

    say(fd, "GET /healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_answer(receive(fd), 421, "status-host");
    fd = dial(w);
    say(fd, "GET /healthz HTTP/1.0\r\n\r\n"); /* as of a load balancer */
    assert_non_null(strstr(receive(fd), " 200 "));
}

static void each_wrong_token_is_counted(void **state)
{
    static const char wrong[] = "Authorization: Bearer secres\r\nContent-Length: 0\r\n";
    struct world *w = *state;
    int fd = dial(w);

    /* the connection ends, so the second guess has no answer */
    say(fd, "POST /api/v1/drain HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer a\r\n"
            "Content-Length: 0\r\n\r\n"
            "POST /api/v1/drain HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer b\r\n"
            "Content-Length: 0\r\n\r\n");
    assert_answer(receive(fd), 403, "the token is wrong");
    assert_int_equal(w->wrong_tokens, 1);
    assert_answer(receive(request(w, "POST /api/v1/end", wrong, "")), 403, "the token is wrong");
    assert_int_equal(w->wrong_tokens, 2);
    w->is_banned = true;
    assert_answer(receive(request(w, "POST /api/v1/end", wrong, "")), 403, "banned");
    assert_answer(receive(request(w, "POST /api/v1/end", TOKEN "Content-Length: 0\r\n", "")), 403,
                  "banned");
    assert_int_equal(w->wrong_tokens, 2);
    assert_answer(receive(request(w, "GET /healthz", "", "")), 200, "ok"); /* monitoring goes on */
    configure(w, "");
    assert_answer(receive(request(w, "POST /api/v1/end", TOKEN "Content-Length: 0\r\n", "")), 403,
                  "read-only");
}

static void a_large_head_is_refused(void **state)
{
    struct world *w = *state;
    static char fields[STATUS_HEAD_MAX + 2000];

    memset(fields, 'a', sizeof fields - 3);
    memcpy(fields, "X: ", 3);
    memcpy(fields + sizeof fields - 3, "\r\n", 3);
    assert_answer(receive(request(w, "GET /healthz", fields, "")), 431, "");
    memcpy(fields + STATUS_HEAD_MAX - 1000, "\r\n", 3);
    assert_answer(receive(request(w, "GET /healthz", fields, "")), 200, "ok");
}

/* Lets time pass, and wakes the thread with a request. */
static void pass(struct world *w, int seconds)
{
    atomic_fetch_add(&now_s, seconds);
    assert_answer(receive(request(w, "GET /healthz", "", "")), 200, "ok");
}

static void a_busy_main_thread_delays_no_client(void **state)
{
    struct world *w = *state;
    int fd = request(w, "POST /api/v1/end", TOKEN FORM "Content-Length: 4\r\n", "id=1");

    sem_wait(&w->asked);
    pass(w, STATUS_ANSWER_MS / 1000 + 1);
    assert_answer(receive(fd), 503, "has not begun this request");
    assert_false(status_serve(w->status)); /* and never will */
}

/* Answers the question of w->later. */
static void answer_later(struct world *w, const char *text)
{
    char *copy = strdup(text);

    assert_non_null(w->later);
    assert_non_null(copy);
    status_answer_later(w->status, w->later, 200, copy, strlen(text));
    w->later = NULL;
}

static void an_answer_may_come_later(void **state)
{
    struct world *w = *state;
    int fd = request(w, "GET /api/v1/tunnels?later=1", "", "");

    serve(w);
    int other = request(w, "GET /api/v1/tunnels", "", "");
    serve(w); /* the main thread does not wait */
    assert_answer(receive(other), 200, "tunnels from v4");
    answer_later(w, "at last");
    assert_answer(receive(fd), 200, "at last");
}

static void an_answer_that_comes_too_late_is_freed(void **state)
{
    struct world *w = *state;
    int fd = request(w, "GET /api/v1/tunnels?later=1", "", "");

    serve(w);
    pass(w, STATUS_ANSWER_MS / 1000 + 1);
    assert_answer(receive(fd), 503, "has not finished");
    answer_later(w, "too late");
    fd = request(w, "GET /api/v1/tunnels?later=1", "", "");
    serve(w);
    status_free(w->status);
    w->status = NULL;
    (void)receive(fd);
    answer_later(w, "the listener has ended");
}

static void a_slow_client_is_cut(void **state)
{
    struct world *w = *state;
    const int head = dial(w), body = dial(w), idle = dial(w);

    say(head, "GET /healthz HTTP/1.1\r\nHost: local");
    say(body,
        "POST /api/v1/end HTTP/1.1\r\nHost: localhost\r\n" TOKEN "Content-Length: 9\r\n\r\nid");
    say(idle, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    pass(w, 0); /* the thread has read all of this when it has answered twice */
    pass(w, 0);
    pass(w, PEERS_REQUEST_MS / 1000 - 1);
    say(head, "host\r\n"); /* a byte now and then does not help */
    pass(w, 2);
    assert_string_equal(receive(head), "");
    assert_string_equal(receive(body), "");
    assert_answer(receive(idle), 200, "ok");
}

static void a_slow_reader_is_cut(void **state)
{
    struct world *w = *state;
    const int small = 4096;
    const int fd = dial(w);

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small), 0);
    w->answer_n = 8 << 20;
    say(fd, "GET /api/v1/tunnels HTTP/1.1\r\nHost: localhost\r\n\r\n");
    serve(w);
    while (recv(fd, &(char){0}, 1, 0) != 1) /* the answer has begun */
        ;
    pass(w, PEERS_RECEIVE_MS / 1000 + 1);
    size_t n = 1;
    ssize_t more;
    static char part[65536];
    while ((more = recv(fd, part, sizeof part, 0)) > 0)
        n += (size_t)more;
    assert_true(n < w->answer_n);
    close(fd);
}

/* Answers that clients do not receive fill at most a bounded part of the memory. */
static void answers_that_are_not_received_are_bounded(void **state)
{
    struct world *w = *state;
    const int fd = dial(w);

    w->answer_n = STATUS_HELD_MAX + (1 << 20);
    say(fd, "GET /api/v1/tunnels HTTP/1.1\r\nHost: localhost\r\n\r\n");
    serve(w);
    assert_int_equal(recv(fd, &(char){0}, 1, 0), 1); /* the answer has begun */
    assert_answer(receive(request(w, "GET /api/v1/tunnels", "", "")), 503, "try again");
    close(fd);
}

static void idle_connections_exclude_no_client(void **state)
{
    struct world *w = *state;
    int fd[200];

    for (size_t i = 0; i < sizeof fd / sizeof *fd; i++)
        fd[i] = dial(w);
    for (int i = 0; i < 20; i++)
        assert_answer(receive(request(w, "GET /healthz", "", "")), 200, "ok");
    /* most of them were ended for others */
    size_t ended = 0;
    for (size_t i = 0; i < sizeof fd / sizeof *fd; i++) {
        char c;
        ended += recv(fd[i], &c, 1, MSG_DONTWAIT) == 0;
        close(fd[i]);
    }
    assert_true(ended >= sizeof fd / sizeof *fd - PEERS_PER_ADDRESS);
}

static void several_requests_use_one_connection(void **state)
{
    struct world *w = *state;
    const int fd = dial(w);

    for (int i = 0; i < 3; i++) {
        char text[4096];
        say(fd, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n");
        serve(w);
        const ssize_t n = recv(fd, text, sizeof text - 1, 0);
        assert_true(n > 0);
        text[n] = '\0';
        assert_answer(text, 200, "readyz from v4");
    }
    close(fd);
}

/* The end comes while a question waits, another one is answered, and clients are connected. */
static void the_end_leaves_nothing(void **state)
{
    struct world *w = *state;
    const int waiting = request(w, "GET /readyz", "", ""), idle = dial(w);

    sem_wait(&w->asked);
    status_free(w->status);
    w->status = NULL;
    assert_answer(receive(waiting), 503, "has not begun");
    assert_string_equal(receive(idle), "");
}

/* A request that arrives after the last answers of the main thread is not left suspended, which
 * libmicrohttpd does not allow at its end. */
static void requests_during_the_end_are_refused(void **state)
{
    struct world *w = *state;
    const int fd = dial(w);

    say(fd, "GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"
            "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    sem_wait(&w->asked);
    w->is_held = true;
    const int holder = request(w, "GET /healthz", "", "");
    sem_wait(&w->holds);
    assert_true(status_serve(w->status));
    status_free(w->status);
    w->status = NULL;
    const char *text = receive(fd);
    assert_answer(text, 200, "readyz from v4");
    assert_non_null(strstr(text, "HTTP/1.1 503 "));
    assert_non_null(strstr(text, "the gate is stopping"));
    assert_answer(receive(holder), 200, "ok");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_main_thread_answers),
        TEST(an_answer_may_come_later),
        TEST(an_answer_that_comes_too_late_is_freed),
        TEST(the_thread_answers_for_itself),
        TEST(mistakes_are_refused),
        TEST(other_names_of_this_host_are_refused),
        TEST(each_wrong_token_is_counted),
        TEST(a_large_head_is_refused),
        TEST(a_busy_main_thread_delays_no_client),
        TEST(a_slow_client_is_cut),
        TEST(a_slow_reader_is_cut),
        TEST(answers_that_are_not_received_are_bounded),
        TEST(idle_connections_exclude_no_client),
        TEST(several_requests_use_one_connection),
        TEST(the_end_leaves_nothing),
        TEST(requests_during_the_end_are_refused),
    };

    signal(SIGPIPE, SIG_IGN); /* as in the gate */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
