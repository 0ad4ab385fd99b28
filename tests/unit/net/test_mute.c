/* A kept connection receives nothing and sends nothing, and is closed when its time is over or its
 * place is needed. */
#include "net/mute.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

/* Opens both sides of a connection; closing the first one resets it. */
static void connection(int fds[2])
{
    const struct linger reset = {1, 0};
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof at;
    int l = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(l >= 0 && fds[1] >= 0);
    assert_int_equal(bind(l, (struct sockaddr *)&at, len), 0);
    assert_int_equal(listen(l, 1), 0);
    assert_int_equal(getsockname(l, (struct sockaddr *)&at, &len), 0);
    assert_int_equal(connect(fds[1], (struct sockaddr *)&at, len), 0);
    fds[0] = accept4(l, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fds[0] >= 0);
    close(l);
    assert_int_equal(setsockopt(fds[0], SOL_SOCKET, SO_LINGER, &reset, sizeof reset), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
}

static void keep(struct mute *m, int fd, uint64_t now)
{
    mute_keep(m, fd, now);
    close(fd); /* as its owner does */
}

static int reset_at(int fd)
{
    char octet;
    return recv(fd, &octet, 1, 0) < 0 ? errno : 0;
}

static void nothing_is_received_until_its_time_is_over(void **state)
{
    (void)state;
    struct mute m = {0};
    int fds[2], more[2];
    connection(fds);
    connection(more);
    keep(&m, fds[0], 1000);
    keep(&m, more[0], 2000);
    assert_int_equal(m.count, 2);
    assert_int_equal(send(fds[1], "hello", 5, MSG_NOSIGNAL), 5);
    mute_sweep(&m, 1000 + MUTE_MS - 1);
    assert_int_equal(reset_at(fds[1]), EAGAIN);
    int waiting = 0;
    assert_int_equal(ioctl(fds[1], TIOCOUTQ, &waiting), 0);
    assert_int_equal(waiting, 5); /* an acknowledgement would be immediate on loopback */
    mute_sweep(&m, 1000 + MUTE_MS);
    assert_int_equal(m.count, 1);
    assert_int_equal(reset_at(fds[1]), ECONNRESET);
    assert_int_equal(reset_at(more[1]), EAGAIN);
    mute_fini(&m);
    assert_int_equal(reset_at(more[1]), ECONNRESET);
    close(fds[1]);
    close(more[1]);
}

static void the_first_makes_room(void **state)
{
    (void)state;
    enum { MORE = MUTE_MAX + 10 };
    struct mute m = {0};
    int fds[2], peer[MORE];
    for (int i = 0; i < MORE; i++) {
        connection(fds);
        peer[i] = fds[1];
        keep(&m, fds[0], (uint64_t)i);
        assert_int_equal(m.count, i < MUTE_MAX ? i + 1 : MUTE_MAX);
    }
    for (int i = 0; i < MORE; i++)
        assert_int_equal(reset_at(peer[i]), i < MORE - MUTE_MAX ? ECONNRESET : EAGAIN);
    mute_fini(&m);
    for (int i = 0; i < MORE; i++)
        close(peer[i]);
}

/* Not a socket: it is not kept. */
static void what_cannot_be_kept_is_not(void **state)
{
    (void)state;
    struct mute m = {0};
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    keep(&m, fds[0], 0);
    assert_int_equal(m.count, 0);
    mute_fini(&m);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_received_until_its_time_is_over),
        cmocka_unit_test(the_first_makes_room),
        cmocka_unit_test(what_cannot_be_kept_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
