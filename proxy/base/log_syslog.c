#include "base/log_syslog.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

enum { HEADER_MAX = 64 + LOG_TAG_MAX };

static bool address_of(const char *path, struct sockaddr_un *to)
{
    const size_t n = strlen(path);

    *to = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (n >= sizeof to->sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(to->sun_path, path, n);
    return true;
}

static int datagram_socket(void)
{
    return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

/* Returns whether the daemon can be reached; otherwise errno has the cause. Connects another socket
 * to find out, because the socket that sends must remain unconnected, so that it has no state that
 * a restart of the daemon would invalidate. */
static bool is_reachable(const char *path)
{
    struct sockaddr_un to;
    const int fd = datagram_socket();

    if (fd < 0)
        return false;
    const bool reachable =
        address_of(path, &to) && connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
    const int cause = errno;
    close(fd);
    errno = cause;
    return reachable;
}

int log_syslog_open(const char *path)
{
    tzset(); /* otherwise localtime_r() reads the time zone at the first message */
    return is_reachable(path) ? datagram_socket() : -1;
}

/* Writes `<PRI>Mmm dd hh:mm:ss tag[pid]: ` (RFC 3164, local time, English names), which is the form
 * of syslog(3). Returns its length. */
static size_t header(char out[HEADER_MAX], const struct log_target *target, int severity)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const time_t now = time(NULL);
    struct tm tm;

    localtime_r(&now, &tm);
    return (size_t)snprintf(out, HEADER_MAX,
                            "<%d>%.3s %2d %02d:%02d:%02d %s[%d]: ", target->facility | severity,
                            months + 3 * tm.tm_mon, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                            target->tag, (int)getpid());
}

bool log_syslog_send(int fd, const char *path, const struct log_target *target, int severity,
                     const char *text, size_t n)
{
    char head[HEADER_MAX];
    struct sockaddr_un to;
    struct iovec parts[] = {{.iov_base = head, .iov_len = header(head, target, severity)},
                            {.iov_base = (void *)text, .iov_len = n}};
    const struct msghdr m = {
        .msg_name = &to, .msg_namelen = sizeof to, .msg_iov = parts, .msg_iovlen = 2};

    return address_of(path, &to) && sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}
