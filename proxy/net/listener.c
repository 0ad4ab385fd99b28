#include "net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#include "base/insist.h"
#include "net/worker.h"

enum { BACKLOG = 1024 };

/* The listeners of one worker. */
struct listeners {
    struct worker_part part;
    struct listener *full; /* listeners with a connection that waits for the next round */
    unsigned accepts;      /* connections accepted in this round */
};

/* ---- sockets ---- */

/* Allows a bind to an address that another machine holds at present. */
static bool set_freebind(int fd, int family)
{
    const int on = 1;
    return family == AF_INET6 ? setsockopt(fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof on) == 0
                              : setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on) == 0;
}

/* Returns a bound socket; -1: errno has the cause. It is made without libuv, because libuv 1.44 has
 * no flag for SO_REUSEPORT, and reports EADDRINUSE only at listen. */
static int bound_socket(const struct addr *at, const struct listener_options *options,
                        bool reuseport)
{
    struct sockaddr_storage sa;
    socklen_t len = addr_to_sockaddr(at, &sa);
    int on = 1, v6only = options == NULL || !options->both;
    const char *interface = options == NULL ? NULL : options->interface;
    int fd = socket(at->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        (at->family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, sizeof v6only) != 0) ||
        (options != NULL && options->freebind && !set_freebind(fd, at->family)) ||
        (interface != NULL && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface,
                                         (socklen_t)strlen(interface)) != 0) ||
        bind(fd, (struct sockaddr *)&sa, len) != 0) {
        int e = errno;
        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

bool listener_address(int fd, struct addr *bound)
{
    struct sockaddr_storage sa;
    socklen_t len = sizeof sa;

    return getsockname(fd, (struct sockaddr *)&sa, &len) == 0 &&
           addr_from_sockaddr((struct sockaddr *)&sa, bound) == ERR_OK;
}

enum err listener_bind(const struct addr *want, const struct listener_options *options,
                       size_t count, int *fds, struct addr *bound)
{
    size_t n = 0;

    *bound = *want;
    if (want->port != 0 && (options == NULL || !options->ours)) {
        /* Two programs of one user that both set SO_REUSEPORT share a port without an error. A
         * bind without it detects the other program. */
        int probe = bound_socket(want, options, false);
        if (probe < 0)
            return ERR_SYSTEM;
        close(probe);
    }
    for (; n < count; n++) {
        fds[n] = bound_socket(bound, options, true);
        if (fds[n] < 0)
            goto fail;
        if (listen(fds[n], BACKLOG) != 0 || !listener_address(fds[n], bound)) {
            n++;
            goto fail;
        }
    }
    return ERR_OK;
fail:;
    int e = errno;
    while (n > 0)
        close(fds[--n]);
    errno = e;
    return ERR_SYSTEM;
}

/* ---- connections ---- */

/* Accepts the connection that waits at l->tcp, but at most LISTENER_ACCEPTS in one round of the
 * loop: libuv would continue until the kernel's queue is empty, and thousands of simultaneous
 * connections would delay all streams. libuv pauses when a connection is not accepted. */
static void accept_or_wait(struct listener *l)
{
    struct listeners *all = l->all;

    if (all->accepts < LISTENER_ACCEPTS) {
        all->accepts++;
        worker_count(l->worker);
        l->waiting = !l->on_connection(l);
        return;
    }
    l->waiting = true;
    if (!l->later)
        DL_APPEND(all->full, l);
    l->later = true;
    worker_turn(l->worker);
}

static void later_end(struct listener *l)
{
    if (l->later)
        DL_DELETE(l->all->full, l);
    l->later = false;
}

/* Accepts the connections that waited for this round. A listener that still has one joins the list,
 * and requests a turn, again. */
static bool listeners_turn(struct worker_part *part)
{
    struct listeners *all = (struct listeners *)part;
    struct listener *l, *next;

    DL_FOREACH_SAFE(all->full, l, next) {
        later_end(l);
        if (l->waiting)
            accept_or_wait(l);
    }
    return all->full != NULL;
}

static bool listeners_round(struct worker_part *part)
{
    struct listeners *all = (struct listeners *)part;
    const bool counted = all->accepts != 0;

    all->accepts = 0;
    return counted;
}

static void listeners_fini(struct worker_part *part)
{
    INSIST(((struct listeners *)part)->full == NULL);
}

static const struct worker_part_ops listeners_ops = {.size = sizeof(struct listeners),
                                                     .turn = listeners_turn,
                                                     .round = listeners_round,
                                                     .fini = listeners_fini};

static void on_uv_connection(uv_stream_t *handle, int status)
{
    struct listener *l = handle->data;

    /* An error comes from the kernel (no descriptor left, a connection that was reset in the
     * queue); libuv continues to listen. */
    if (status == 0)
        accept_or_wait(l);
    worker_settle(l->worker);
}

int listener_open(struct listener *l, struct worker *w, int fd,
                  bool (*on_connection)(struct listener *l), void *owner, size_t tag)
{
    *l = (struct listener){.worker = w,
                           .all = (struct listeners *)worker_part(w, &listeners_ops),
                           .on_connection = on_connection,
                           .owner = owner,
                           .tag = tag};
    INSIST_UV(uv_tcp_init(&w->loop, &l->tcp));
    l->tcp.data = l;
    l->open = true;
    int r = uv_tcp_open(&l->tcp, fd);
    if (r != 0) {
        close(fd);
        return r;
    }
    return uv_listen((uv_stream_t *)&l->tcp, BACKLOG, on_uv_connection);
}

int listener_fd(const struct listener *l)
{
    uv_os_fd_t fd;

    INSIST_UV(uv_fileno((const uv_handle_t *)&l->tcp, &fd));
    return fd;
}

void listener_retry(struct listener *l)
{
    if (l->open && l->waiting)
        l->waiting = !l->on_connection(l);
}

static void on_uv_close(uv_handle_t *handle)
{
    struct listener *l = handle->data;
    struct worker *w = l->worker;
    if (l->on_closed != NULL)
        l->on_closed(l);
    worker_settle(w);
}

void listener_close(struct listener *l, void (*on_closed)(struct listener *l))
{
    INSIST(worker_is_here(l->worker));
    if (!l->open)
        return;
    l->open = false;
    later_end(l);
    l->on_closed = on_closed;
    uv_close((uv_handle_t *)&l->tcp, on_uv_close);
}
