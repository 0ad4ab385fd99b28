#include "net/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { KEEPALIVE_S = 60, USER_TIMEOUT_MS = 120000 };

int tcp_fd(const uv_tcp_t *tcp)
{
    uv_os_fd_t fd;

    return uv_fileno((const uv_handle_t *)tcp, &fd) == 0 ? fd : -1;
}

int tcp_unix(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof to.sun_path)
        return UV_ENAMETOOLONG;
    memcpy(to.sun_path, path, strlen(path));
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) == 0)
        return fd < 0 ? uv_translate_sys_error(errno) : fd;
    const int r = uv_translate_sys_error(errno);
    close(fd);
    return r;
}

void tcp_set_options(uv_tcp_t *tcp)
{
    /* TCP_USER_TIMEOUT ends a connection whose peer takes none of the queued bytes, even with a
     * window of zero. The other side is paused meanwhile, so no other timeout would detect that
     * either peer has gone. */
    const unsigned patience = USER_TIMEOUT_MS;

    /* A peer waits for every packet (PROTOCOL.md 7.1). Keepalive detects a peer that has gone
     * silently even where no idle timeout is set. */
    (void)uv_tcp_nodelay(tcp, 1);
    (void)uv_tcp_keepalive(tcp, 1, KEEPALIVE_S);
    (void)setsockopt(tcp_fd(tcp), IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
}

static int address_of(int failed, const struct sockaddr_storage *sa, struct addr *out)
{
    if (failed != 0)
        return failed;
    return addr_from_sockaddr((const struct sockaddr *)sa, out) == ERR_OK ? 0 : UV_EAFNOSUPPORT;
}

int tcp_local(const uv_tcp_t *tcp, struct addr *out)
{
    struct sockaddr_storage sa;
    int len = sizeof sa;

    return address_of(uv_tcp_getsockname(tcp, (struct sockaddr *)&sa, &len), &sa, out);
}

/* Returns the address of a connection that was reset before it was accepted, which getpeername()
 * refuses and SO_PEERNAME does not. The kernel refuses a length beyond that of the address, so
 * the longer family comes first. */
static int peer_of_reset(int fd, struct sockaddr_storage *sa)
{
    socklen_t ip6 = sizeof(struct sockaddr_in6), ip4 = sizeof(struct sockaddr_in);

    if (getsockopt(fd, SOL_SOCKET, SO_PEERNAME, sa, &ip6) == 0 ||
        getsockopt(fd, SOL_SOCKET, SO_PEERNAME, sa, &ip4) == 0)
        return 0;
    return UV_ENOTCONN;
}

int tcp_peer(const uv_tcp_t *tcp, struct addr *out)
{
    struct sockaddr_storage sa;
    int len = sizeof sa;
    int r = uv_tcp_getpeername(tcp, (struct sockaddr *)&sa, &len);

    if (r == UV_ENOTCONN)
        r = peer_of_reset(tcp_fd(tcp), &sa);
    return address_of(r, &sa, out);
}

ssize_t tcp_read(const uv_tcp_t *tcp, void *out, size_t cap)
{
    return recv(tcp_fd(tcp), out, cap, 0);
}

bool tcp_has_bytes(const uv_tcp_t *tcp)
{
    int n;

    return ioctl(tcp_fd(tcp), FIONREAD, &n) == 0 && n > 0;
}

bool tcp_was_reset(const uv_tcp_t *tcp)
{
    char byte;

    return recv(tcp_fd(tcp), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && errno == ECONNRESET;
}

void tcp_end_silently(const uv_tcp_t *tcp)
{
    const int fd = tcp_fd(tcp), on = 1, hops = 1;

    if (setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) == 0)
        return;
    (void)setsockopt(fd, IPPROTO_IP, IP_TTL, &hops, sizeof hops);
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, &hops, sizeof hops);
}
