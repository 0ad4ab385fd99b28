/* Messages to a service manager: a datagram socket of this test. */
#include "gate/notify.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static int manager = -1;

static void listen_at(const char *name)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    const size_t n = strlen(name);

    memcpy(sa.sun_path, name, n);
    if (name[0] == '@')
        sa.sun_path[0] = '\0';
    manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_true(manager >= 0);
    assert_int_equal(bind(manager, (struct sockaddr *)&sa,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
                     0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
}

static void assert_message(const char *expected)
{
    char text[600];
    const ssize_t n = recv(manager, text, sizeof text - 1, 0);

    assert_true(n > 0);
    text[n] = '\0';
    assert_string_equal(text, expected);
}

static void assert_says(const char *name)
{
    listen_at(name);
    assert_true(notify_wanted());
    assert_true(notify_send("READY=1\nSTATUS=%u tunnels", 5));
    assert_message("READY=1\nSTATUS=5 tunnels");
    close(manager);
}

static void paths_and_abstract_names(void **state)
{
    char path[64], abstract[64];

    (void)state;
    snprintf(path, sizeof path, "/tmp/test-notify-%ld", (long)getpid());
    snprintf(abstract, sizeof abstract, "@test-notify-%ld", (long)getpid());
    assert_says(path);
    assert_false(notify_send("READY=1")); /* the manager has gone */
    assert_int_equal(unlink(path), 0);
    assert_says(abstract);
}

static void without_a_manager(void **state)
{
    static const char *const names[] = {"", "@", "relative", "vsock:2:1234"};

    (void)state;
    unsetenv("NOTIFY_SOCKET");
    assert_false(notify_wanted() || notify_send("READY=1") || notify_store(0, "x"));
    assert_false(notify_barrier(0));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        assert_false(notify_wanted());
    }
    char longer[200];
    memset(longer, '/', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    setenv("NOTIFY_SOCKET", longer, 1);
    assert_false(notify_wanted());
}

static void a_descriptor_is_stored(void **state)
{
    char name[64], text[600], control[CMSG_SPACE(sizeof(int))];
    struct iovec iov = {.iov_base = text, .iov_len = sizeof text};
    struct msghdr m = {
        .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    int fds[2], copy;

    (void)state;
    snprintf(name, sizeof name, "@test-notify-%ld", (long)getpid());
    listen_at(name);
    assert_int_equal(pipe(fds), 0);
    assert_true(notify_store(fds[1], "sstpgate-0"));
    const ssize_t n = recvmsg(manager, &m, 0);
    assert_true(n > 0);
    text[n] = '\0';
    assert_string_equal(text, "FDSTORE=1\nFDPOLL=0\nFDNAME=sstpgate-0");
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    assert_non_null(c);
    memcpy(&copy, CMSG_DATA(c), sizeof copy);
    assert_int_equal(write(copy, "x", 1), 1);
    assert_int_equal(read(fds[0], text, 1), 1);
    close(copy);
    close(fds[0]);
    close(fds[1]);
    assert_false(notify_barrier(1)); /* the manager does not read */
    assert_true(notify_heard(1));    /* so nothing shows that it obeys another process */
    close(manager);
}

static void the_time_of_the_watchdog(void **state)
{
    char pid[32];

    (void)state;
    setenv("NOTIFY_SOCKET", "@x", 1);
    unsetenv("WATCHDOG_PID");
    unsetenv("WATCHDOG_USEC");
    assert_int_equal(notify_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    assert_int_equal(notify_watchdog_ms(), 30000);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    assert_int_equal(notify_watchdog_ms(), 30000);
    setenv("WATCHDOG_PID", "1", 1);
    assert_int_equal(notify_watchdog_ms(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_and_abstract_names),
        cmocka_unit_test(without_a_manager),
        cmocka_unit_test(a_descriptor_is_stored),
        cmocka_unit_test(the_time_of_the_watchdog),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
