#include "net/udp.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/insist.h"
#include "net/worker.h"

/* AT_ONCE: datagrams received in one callback; other handles have their turn in between. ROOM: the
 * receive buffer, for datagrams that arrive while the thread is busy; by default it has room for
 * some 250 small ones. */
enum { AT_ONCE = 64, ROOM = 1 << 20 };

bool udp_prepare(int fd, int family)
{
    const int room = ROOM, on = 1;
    const bool ip6 = family == AF_INET6;

    /* The kernel grants at most net.core.rmem_max. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
    return setsockopt(fd, ip6 ? (int)IPPROTO_IPV6 : (int)IPPROTO_IP,
                      ip6 ? IPV6_RECVPKTINFO : IP_PKTINFO, &on, sizeof on) == 0;
}

bool udp_address(int fd, struct addr *bound)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;

    return getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
           addr_from_sockaddr((struct sockaddr *)&sa, bound) == ERR_OK;
}

int udp_bind(const struct addr *want, struct addr *bound)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(want, &sa);
    const int on = 1;
    const int fd = socket(want->family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if ((want->family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        !udp_prepare(fd, want->family) || bind(fd, (struct sockaddr *)&sa, len) != 0 ||
        !udp_address(fd, bound)) {
        const int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

/* ---- addresses ---- */

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

static void take_local(struct msghdr *m, struct udp_path *path)
{
    path->local.family = 0;
    path->interface = 0;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            path->local.family = AF_INET;
            memcpy(path->local.ip, &info.ipi_spec_dst, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof info);
            path->local.family = AF_INET6;
            path->interface = info.ipi6_ifindex;
            memcpy(path->local.ip, &info.ipi6_addr, 16);
        }
    }
}

static void add_control(struct msghdr *m, union control *control, int level, int type,
                        const void *info, size_t n)
{
    memset(control, 0, sizeof *control);
    m->msg_control = control->bytes;
    m->msg_controllen = CMSG_SPACE(n);
    struct cmsghdr *c = CMSG_FIRSTHDR(m);
    c->cmsg_level = level;
    c->cmsg_type = type;
    c->cmsg_len = CMSG_LEN(n);
    memcpy(CMSG_DATA(c), info, n);
}

bool udp_send(struct udp *u, struct span bytes, const struct udp_path *path)
{
    struct sockaddr_storage sa;
    union control control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes.p, .iov_len = bytes.n};
    struct msghdr m = {.msg_name = &sa, .msg_iov = &iov, .msg_iovlen = 1};

    INSIST(worker_is_here(u->worker) && u->open);
    m.msg_namelen = addr_to_sockaddr(&path->peer, &sa);
    if (path->local.family == AF_INET) {
        struct in_pktinfo info = {0}; /* the route chooses the interface */
        memcpy(&info.ipi_spec_dst, path->local.ip, 4);
        add_control(&m, &control, IPPROTO_IP, IP_PKTINFO, &info, sizeof info);
    } else if (path->local.family == AF_INET6) {
        struct in6_pktinfo info = {.ipi6_ifindex = path->peer.scope != 0 ? path->interface : 0};
        memcpy(&info.ipi6_addr, path->local.ip, 16);
        add_control(&m, &control, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof info);
    }
    ssize_t n = sendmsg(u->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && u->on_error != NULL) /* the first attempt may report an earlier ICMP error */
        n = sendmsg(u->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n == (ssize_t)bytes.n;
}

/* ---- errors ---- */

void udp_report_errors(struct udp *u, void (*on_error)(struct udp *u, struct span bytes,
                                                       const struct addr *peer, int error))
{
    const int on = 1;

    u->on_error = on_error;
    /* A socket has one of these options, depending on its family. */
    (void)setsockopt(u->fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    (void)setsockopt(u->fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
}

/* Returns the errno of an ICMP error; 0: the message has none. */
static int error_of(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c != NULL; c = CMSG_NXTHDR(m, c)) {
        if ((c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
            (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR)) {
            struct sock_extended_err e;
            memcpy(&e, CMSG_DATA(c), sizeof e);
            return (int)e.ee_errno;
        }
    }
    return 0;
}

/* Reports one ICMP error. Returns false if none is left. */
static bool error_receive(struct udp *u)
{
    struct sockaddr_storage sa;
    union {
        struct cmsghdr align;
        char bytes[512]; /* an error with the address of its sender, and IP_PKTINFO */
    } control;
    struct iovec iov = {.iov_base = u->worker->window, .iov_len = UDP_MAX};
    struct msghdr m = {.msg_name = &sa,
                       .msg_namelen = sizeof sa,
                       .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    struct addr peer;
    const ssize_t n = recvmsg(u->fd, &m, MSG_DONTWAIT | MSG_ERRQUEUE);

    if (n < 0)
        return false;
    const int error = error_of(&m);
    if (error != 0 && addr_from_sockaddr((struct sockaddr *)&sa, &peer) == ERR_OK)
        u->on_error(u, span_of(u->worker->window, (size_t)n), &peer, error);
    explicit_bzero(u->worker->window, (size_t)n);
    return true;
}

/* Receives one datagram. Returns false if none is left. */
static bool datagram_receive(struct udp *u)
{
    struct sockaddr_storage sa;
    union control control;
    struct iovec iov = {.iov_base = u->worker->window, .iov_len = UDP_MAX};
    struct msghdr m = {.msg_name = &sa,
                       .msg_namelen = sizeof sa,
                       .msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.bytes,
                       .msg_controllen = sizeof control.bytes};
    struct udp_path path;
    const ssize_t n = recvmsg(u->fd, &m, MSG_DONTWAIT);

    if (n < 0) /* an error that an earlier datagram caused (ICMP) is reported once */
        return errno != EAGAIN && errno != EWOULDBLOCK;
    if (addr_from_sockaddr((struct sockaddr *)&sa, &path.peer) == ERR_OK) {
        take_local(&m, &path);
        u->on_datagram(u, span_of(u->worker->window, (size_t)n), &path);
    }
    explicit_bzero(u->worker->window,
                   (size_t)n); /* RADIUS packets contain challenges and responses */
    return true;
}

static void on_uv_poll(uv_poll_t *poll, int status, int events)
{
    struct udp *u = poll->data;

    (void)events;
    for (int i = 0; i < AT_ONCE && u->on_error != NULL && error_receive(u); i++)
        ;
    for (int i = 0; i < AT_ONCE && datagram_receive(u); i++)
        ;
    if (status != 0 && !u->paused) /* libuv stops polling after an error of the socket */
        INSIST_UV(uv_poll_start(&u->poll, UV_READABLE, on_uv_poll));
    worker_settle(u->worker);
}

int udp_open(struct udp *u, struct worker *w, int fd,
             void (*on_datagram)(struct udp *u, struct span bytes, const struct udp_path *path),
             void *owner)
{
    _Static_assert((int)UDP_MAX <= (int)WORKER_WINDOW, "datagrams are received into the window");
    *u = (struct udp){.worker = w, .fd = fd, .on_datagram = on_datagram, .owner = owner};
    INSIST(worker_is_here(w));
    const int r = uv_poll_init(&w->loop, &u->poll, fd);
    if (r != 0) {
        close(fd);
        return r;
    }
    u->open = true;
    u->poll.data = u;
    INSIST_UV(uv_poll_start(&u->poll, UV_READABLE, on_uv_poll));
    return 0;
}

void udp_pause(struct udp *u)
{
    INSIST(worker_is_here(u->worker));
    u->paused = true;
    if (u->open)
        INSIST_UV(uv_poll_stop(&u->poll));
}

static void on_uv_close(uv_handle_t *handle)
{
    struct udp *u = handle->data;
    struct worker *w = u->worker;

    close(u->fd); /* not before: libuv polls it until now */
    if (u->on_closed != NULL)
        u->on_closed(u);
    worker_settle(w);
}

void udp_close(struct udp *u, void (*on_closed)(struct udp *u))
{
    INSIST(worker_is_here(u->worker));
    if (!u->open)
        return;
    u->open = false;
    u->on_closed = on_closed;
    uv_close((uv_handle_t *)&u->poll, on_uv_close);
}
