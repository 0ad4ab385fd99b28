#include "gate/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/log.h"
#include "net/listener.h"

/* ---- sockets from a service manager ---- */

enum { LISTEN_FDS_START = 3 };

struct inherited_socket {
    int fd;
    struct addr at;
    bool used;
};

static struct inherited_socket *inherited;
static size_t inherited_count;

void sockets_inherited_begin(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    long count = 0;

    if (pid != NULL && fds != NULL && strtol(pid, NULL, 10) == (long)getpid())
        count = strtol(fds, NULL, 10);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    if (count <= 0 || count > 1024)
        return;
    inherited = insist_alloc(calloc((size_t)count, sizeof *inherited));
    for (int fd = LISTEN_FDS_START; fd < LISTEN_FDS_START + (int)count; fd++) {
        struct sockaddr_storage sa;
        socklen_t len = sizeof sa;
        int listening = 0;
        socklen_t size = sizeof listening;
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening ||
            getsockname(fd, (struct sockaddr *)&sa, &len) != 0 ||
            addr_from_sockaddr((struct sockaddr *)&sa, &inherited[inherited_count].at) != ERR_OK) {
            log_msg(LOG_LEVEL_WARNING, "inherited",
                    "descriptor %d is not a listening TCP socket: closed", fd);
            close(fd);
            continue;
        }
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
        inherited[inherited_count++].fd = fd;
    }
}

void sockets_inherited_end(void)
{
    for (size_t i = 0; i < inherited_count; i++) {
        char text[ADDR_TEXT_MAX];
        if (!inherited[i].used)
            log_msg(LOG_LEVEL_WARNING, "inherited",
                    "descriptor %d listens on %s, but no listener has this address with the same "
                    "interface and v6only: closed",
                    inherited[i].fd, addr_format(&inherited[i].at, text));
        close(inherited[i].fd); /* the workers have duplicates of those in use */
    }
    free(inherited);
    inherited = NULL;
    inherited_count = 0;
}

/* Returns whether the socket accepts exactly the connections that the configuration wants. */
static bool inherited_fits(int fd, const struct listening_socket *s)
{
    char interface[IF_NAMESIZE] = "";
    socklen_t len = sizeof interface;
    int v6only = 0;
    socklen_t size = sizeof v6only;

    if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, interface, &len) != 0 ||
        strcmp(interface, s->interface == NULL ? "" : s->interface) != 0)
        return false;
    /* V6ONLY matters for the wildcard address only. */
    return s->want.family != AF_INET6 || !addr_is_any(&s->want) ||
           (getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &size) == 0 &&
            (v6only != 0) == s->v6only);
}

static bool inherited_take(const struct listening_socket *s, size_t count, int *fds)
{
    for (size_t i = 0; i < inherited_count; i++) {
        if (!addr_equal(&inherited[i].at, &s->want) || !inherited_fits(inherited[i].fd, s))
            continue;
        for (size_t k = 0; k < count; k++) {
            fds[k] = fcntl(inherited[i].fd, F_DUPFD_CLOEXEC, 0);
            if (fds[k] < 0) {
                while (k > 0)
                    close(fds[--k]);
                return false;
            }
        }
        inherited[i].used = true;
        return true;
    }
    return false;
}

/* ---- the table ---- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Returns the socket of `now` that serves this address, unless an entry of `next` has it already,
 * because several entries may have port 0; NULL: none. */
static const struct listening_socket *sockets_find_kept(const struct sockets *now,
                                                        const struct sockets *next,
                                                        const struct addr *want,
                                                        const char *interface, bool v6only)
{
    for (size_t i = 0; i < now->count; i++) {
        const struct listening_socket *s = &now->item[i];
        bool claimed = false;
        if (!addr_equal(&s->want, want) || !same_text(s->interface, interface) ||
            s->v6only != v6only)
            continue;
        for (size_t k = 0; k < next->count; k++)
            claimed |= next->item[k].id == s->id;
        if (!claimed)
            return s;
    }
    return NULL;
}

static const char *bind_hint(int e, const struct listener_options *o)
{
    if (e == EPERM && o->interface != NULL)
        return " (interface = needs CAP_NET_RAW)";
    if (e == EACCES)
        return " (ports below 1024 need CAP_NET_BIND_SERVICE)";
    if (e == ENODEV)
        return " (no such interface)";
    return "";
}

/* Returns whether a socket of the table has this address or a part of it: a wildcard and a single
 * address may both be bound, and the kernel prefers the latter. */
static bool sockets_hold(const struct sockets *table, const struct addr *want)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct addr *bound = &table->item[i].bound;
        if (bound->port == want->port &&
            (addr_is_any(bound) || addr_is_any(want) || addr_equal(bound, want)))
            return true;
    }
    return false;
}

/* Binds address number `which` of listener l. ours: a socket of this program may share it. */
static bool socket_bind(struct listening_socket *s, bool ours, const struct config *c,
                        const struct config_listener *l, size_t which, size_t workers,
                        FILE *problems)
{
    struct listener_options options = {.interface = l->interface, .both = !l->v6only, .ours = ours};
    char text[ADDR_TEXT_MAX];

    s->bound = s->want;
    s->fds = insist_alloc(calloc(workers, sizeof *s->fds));
    s->inherited = inherited_take(s, workers, s->fds);
    if (s->inherited)
        return true;
    if (listener_bind(&s->want, &options, workers, s->fds, &s->bound) == ERR_OK)
        return true;
    int e = errno;
    fprintf(problems, "%s:%u: listener %s: cannot listen on %s%s%s: %s%s\n", c->path,
            l->listen_line[which], l->name, addr_format(&s->want, text),
            l->interface == NULL ? "" : " of interface ", l->interface == NULL ? "" : l->interface,
            strerror(e), bind_hint(e, &options));
    free(s->fds);
    s->fds = NULL;
    return false;
}

bool sockets_prepare(struct sockets *next, const struct sockets *now, const struct config *c,
                     size_t workers, FILE *problems)
{
    size_t total = 0;
    bool ok = true;

    for (size_t i = 0; i < c->listener_count; i++)
        total += c->listener[i].listen_count;
    *next = (struct sockets){.workers = workers, .next_id = now->next_id};
    next->item = insist_alloc(calloc(total, sizeof *next->item));
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct config_listener *l = &c->listener[i];
        for (size_t k = 0; k < l->listen_count; k++) {
            struct listening_socket *s = &next->item[next->count];
            const struct listening_socket *kept =
                sockets_find_kept(now, next, &l->listen[k], l->interface, l->v6only);
            s->listener = i;
            s->want = l->listen[k];
            s->interface = l->interface == NULL ? NULL : insist_alloc(strdup(l->interface));
            s->v6only = l->v6only;
            if (kept != NULL) {
                s->id = kept->id;
                s->bound = kept->bound;
                s->inherited = kept->inherited;
            } else {
                s->id = next->next_id++;
                bool ours = sockets_hold(now, &s->want) || sockets_hold(next, &s->want);
                ok &= socket_bind(s, ours, c, l, k, workers, problems);
            }
            next->count++;
        }
    }
    if (!ok)
        sockets_free(next);
    return ok;
}

void sockets_free(struct sockets *s)
{
    for (size_t i = 0; i < s->count; i++) {
        for (size_t w = 0; s->item[i].fds != NULL && w < s->workers; w++)
            close(s->item[i].fds[w]);
        free(s->item[i].fds);
        free(s->item[i].interface);
    }
    free(s->item);
    *s = (struct sockets){0};
}
