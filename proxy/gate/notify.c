#include "gate/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { TEXT_MAX = 512 };

/* Reads NOTIFY_SOCKET: a path, or `@` and the name of an abstract socket. Returns the length of
 * *sa; 0: it is not set. */
static socklen_t address(struct sockaddr_un *sa)
{
    const char *text = getenv("NOTIFY_SOCKET");
    const size_t n = text == NULL ? 0 : strlen(text);

    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (n < 2 || n >= sizeof sa->sun_path || (text[0] != '/' && text[0] != '@'))
        return 0;
    memcpy(sa->sun_path, text, n);
    if (text[0] == '@')
        sa->sun_path[0] = '\0';
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

bool notify_wanted(void)
{
    struct sockaddr_un sa;
    return address(&sa) > 0;
}

/* Sends text, with a copy of fd if that is not -1. flags: MSG_DONTWAIT, or 0: waits up to a second.
 */
static bool send_with(const char *text, int fd, int flags)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct sockaddr_un sa;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
    struct msghdr m = {
        .msg_name = &sa, .msg_namelen = address(&sa), .msg_iov = &iov, .msg_iovlen = 1};

    if (m.msg_namelen == 0)
        return false;
    if (fd >= 0) {
        m.msg_control = control.bytes;
        m.msg_controllen = sizeof control.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    const int s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (s < 0)
        return false;
    /* hundreds of descriptors may be stored at once */
    const struct timeval patience = {.tv_sec = 1};
    (void)setsockopt(s, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    const ssize_t n = sendmsg(s, &m, MSG_NOSIGNAL | flags);
    close(s);
    return n == (ssize_t)iov.iov_len;
}

__attribute__((format(printf, 2, 0))) static bool send_text(int flags, const char *fmt,
                                                            va_list args)
{
    char text[TEXT_MAX];
    const int n = vsnprintf(text, sizeof text, fmt, args);

    return n > 0 && (size_t)n < sizeof text && send_with(text, -1, flags);
}

bool notify_send(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    const bool sent = send_text(0, fmt, args);
    va_end(args);
    return sent;
}

bool notify_hint(const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    const bool sent = send_text(MSG_DONTWAIT, fmt, args);
    va_end(args);
    return sent;
}

bool notify_store(int fd, const char *name)
{
    char text[TEXT_MAX];

    snprintf(text, sizeof text, "FDSTORE=1\nFDPOLL=0\nFDNAME=%s", name);
    return send_with(text, fd, 0);
}

/* The service manager closes its copy of the pipe when it handles the message. */
bool notify_barrier(int timeout_ms)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0)
        return false;
    const bool sent = send_with("BARRIER=1", fds[1], 0);
    close(fds[1]);
    struct pollfd p = {.fd = fds[0]};
    const bool handled = sent && poll(&p, 1, timeout_ms) == 1;
    close(fds[0]);
    return handled;
}

/* Stores a pipe, because a service manager that ignores the message closes its copy at once. */
bool notify_heard(int timeout_ms)
{
    static const char name[] = "sstpgate-probe";
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0)
        return true;
    const bool sent = notify_store(fds[1], name);
    close(fds[1]);
    const bool handled = sent && notify_barrier(timeout_ms);
    struct pollfd p = {.fd = fds[0]};
    const bool closed = handled && poll(&p, 1, 0) == 1;
    close(fds[0]);
    if (!closed)
        (void)notify_send("FDSTOREREMOVE=1\nFDNAME=%s", name);
    return !closed;
}

uint64_t notify_watchdog_ms(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");

    if (usec == NULL || !notify_wanted() ||
        (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
        return 0;
    return strtoull(usec, NULL, 10) / 1000;
}
