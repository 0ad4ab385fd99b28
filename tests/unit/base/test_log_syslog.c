/* The daemon is a socket in a directory of the test. */
#include "base/log_syslog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static char folder[] = "/tmp/sstpgate-syslog-XXXXXX";
static char path[64];

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/log", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static int daemon_start(int type)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(fd >= 0);
    strcpy(at.sun_path, path);
    unlink(path);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

static const struct log_target ours = {LOG_TO_SYSLOG, LOG_DAEMON, "sstpgate"};
static const struct log_target other = {LOG_TO_SYSLOG, LOG_LOCAL0, "gate-2"};

static bool send_text(int fd, const char *text)
{
    return log_syslog_send(fd, path, &ours, LOG_WARNING, text, strlen(text));
}

/* Returns the next message without its header; NULL: the queue is empty. */
static const char *received(int daemon)
{
    static char text[4096];
    const ssize_t n = recv(daemon, text, sizeof text - 1, 0);
    if (n < 0)
        return NULL;
    text[n] = '\0';
    const char *behind = strstr(text, "]: ");
    assert_non_null(behind);
    return behind + 3;
}

/* The form that syslog(3) writes, which every daemon understands. */
static void a_message_has_priority_time_and_tag(void **state)
{
    static const struct {
        const struct log_target *target;
        int severity, pri;
    } cases[] = {{&ours, LOG_ERR, 27},
                 {&ours, LOG_WARNING, 28},
                 {&ours, LOG_INFO, 30},
                 {&ours, LOG_DEBUG, 31},
                 {&other, LOG_INFO, 134}};
    char text[128], want[128], when[32];
    const int daemon = daemon_start(SOCK_DGRAM), fd = log_syslog_open(path);

    (void)state;
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const time_t before = time(NULL);
        assert_true(
            log_syslog_send(fd, path, cases[i].target, cases[i].severity, "call a=b%s", 10));
        const time_t after = time(NULL);
        const ssize_t n = recv(daemon, text, sizeof text - 1, 0);
        assert_true(n > 0);
        text[n] = '\0';
        bool same = false;
        for (time_t t = before; t <= after && !same; t++) {
            strftime(when, sizeof when, "%b %e %T", localtime(&t));
            snprintf(want, sizeof want, "<%d>%s %s[%d]: call a=b%%s", cases[i].pri, when,
                     cases[i].target->tag, (int)getpid());
            same = strcmp(text, want) == 0;
        }
        assert_true(same);
    }
    close(fd);
    close(daemon);
}

/* A call that blocked would end this test by its alarm. */
static void a_daemon_that_does_not_read_blocks_no_sender(void **state)
{
    enum { MANY = 5000 };
    const int daemon = daemon_start(SOCK_DGRAM), fd = log_syslog_open(path);
    unsigned sent = 0, read = 0;

    (void)state;
    assert_true(fd >= 0);
    alarm(60);
    for (unsigned i = 0; i < MANY; i++)
        sent += send_text(fd, "nothing reads this");
    alarm(0);
    assert_true(sent > 0 && sent < MANY);
    while (received(daemon) != NULL)
        read++;
    assert_int_equal(read, sent);
    assert_true(send_text(fd, "there is room again"));
    assert_string_equal(received(daemon), "there is room again");
    close(fd);
    close(daemon);
}

static void a_daemon_that_is_absent_is_an_error(void **state)
{
    (void)state;
    unlink(path);
    assert_int_equal(log_syslog_open(path), -1);
    assert_int_equal(errno, ENOENT);
    close(daemon_start(SOCK_DGRAM)); /* its socket is stale */
    assert_int_equal(log_syslog_open(path), -1);
    assert_int_equal(errno, ECONNREFUSED);
}

static void a_daemon_may_start_again(void **state)
{
    int first = daemon_start(SOCK_DGRAM);
    const int fd = log_syslog_open(path);

    (void)state;
    assert_true(fd >= 0);
    close(first);
    assert_false(send_text(fd, "absent"));
    for (int i = 0; i < 2; i++) {
        const int daemon = daemon_start(SOCK_DGRAM);
        assert_true(send_text(fd, "present"));
        assert_string_equal(received(daemon), "present");
        assert_null(received(daemon));
        close(daemon);
        assert_false(send_text(fd, "its socket is stale"));
    }
    close(fd);
}

static void a_stream_socket_is_refused(void **state)
{
    const int daemon = daemon_start(SOCK_STREAM);

    (void)state;
    assert_int_equal(listen(daemon, 1), 0);
    assert_int_equal(log_syslog_open(path), -1);
    assert_int_equal(errno, EPROTOTYPE);
    close(daemon);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_has_priority_time_and_tag),
        cmocka_unit_test(a_daemon_that_does_not_read_blocks_no_sender),
        cmocka_unit_test(a_daemon_that_is_absent_is_an_error),
        cmocka_unit_test(a_daemon_may_start_again),
        cmocka_unit_test(a_stream_socket_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
