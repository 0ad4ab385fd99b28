#include "gate/inherited.h"

#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/log.h"
#include "net/udp.h"

enum { FIRST = 3, COUNT_MAX = 8192 };

enum inherited_kind { OTHER, LISTENS, DATAGRAMS, UNIX };

struct inherited {
    int fd; /* -1: taken */
    unsigned number;
    enum inherited_kind kind;
    struct addr at, want; /* LISTENS and DATAGRAMS */
    char *path;           /* UNIX; NULL: none */
    char *name;
    size_t group; /* of sockets that belong together */
    bool shared;  /* the service manager has it, too */
};

static struct {
    struct inherited *item;
    size_t count, groups;
} all;

/* ---- begin and end ---- */

static enum inherited_kind kind_of(struct inherited *i)
{
    union {
        struct sockaddr any;
        struct sockaddr_un un;
        struct sockaddr_storage room;
    } sa;
    socklen_t len = sizeof sa, size = sizeof(int);
    int listens = 0, type = 0;

    if (getsockopt(i->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) != 0 ||
        getsockopt(i->fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0 ||
        getsockname(i->fd, &sa.any, &len) != 0)
        return OTHER;
    if (sa.any.sa_family == AF_UNIX && listens && len > offsetof(struct sockaddr_un, sun_path)) {
        i->path =
            insist_alloc(strndup(sa.un.sun_path, len - offsetof(struct sockaddr_un, sun_path)));
        return UNIX;
    }
    if (addr_from_sockaddr(&sa.any, &i->at) != ERR_OK)
        return OTHER;
    i->want = i->at;
    return listens ? LISTENS : type == SOCK_DGRAM ? DATAGRAMS : OTHER;
}

static void item_add(unsigned number, struct span name)
{
    struct inherited *i = &all.item[all.count];

    *i = (struct inherited){.fd = FIRST + (int)number, .number = FIRST + number};
    const int flags = fcntl(i->fd, F_GETFD);
    if (flags < 0)
        return; /* LISTEN_FDS is too large */
    (void)fcntl(i->fd, F_SETFD, flags | FD_CLOEXEC);
    i->name = insist_alloc(strndup((const char *)name.p, name.n));
    i->kind = kind_of(i);
    i->group = all.groups++;
    i->shared = true;
    if (i->kind != OTHER)
        (void)fcntl(i->fd, F_SETFL, fcntl(i->fd, F_GETFL) | O_NONBLOCK);
    all.count++;
}

size_t inherited_begin(void)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    long count = 0;

    if (pid != NULL && fds != NULL && strtol(pid, NULL, 10) == (long)getpid())
        count = strtol(fds, NULL, 10);
    if (count > 0 && count <= COUNT_MAX)
        all.item = insist_alloc(calloc((size_t)count, sizeof *all.item));
    for (unsigned i = 0; all.item != NULL && i < (unsigned)count; i++) {
        const size_t n = names == NULL ? 0 : strcspn(names, ":");
        item_add(i, span_of(names == NULL ? "" : names, n));
        if (names != NULL)
            names += n + (names[n] == ':');
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return all.count;
}

/* Returns whether another descriptor of the same socket, or of its address, was taken. */
static bool is_spare(const struct inherited *i)
{
    for (size_t k = 0; k < all.count; k++)
        if (all.item[k].kind == i->kind && all.item[k].fd < 0 &&
            (i->kind == LISTENS || i->kind == DATAGRAMS) && addr_equal(&all.item[k].at, &i->at))
            return true;
    return false;
}

static void warn_unused(const struct inherited *i)
{
    char text[ADDR_TEXT_MAX];

    if (is_spare(i))
        return;
    if (i->kind == LISTENS)
        log_msg(LOG_LEVEL_WARNING, "inherited",
                "descriptor %u listens on %s, but no listener has this address with the same "
                "interface and v6only: closed",
                i->number, addr_format(&i->at, text));
    else if (i->kind == DATAGRAMS)
        log_msg(LOG_LEVEL_WARNING, "inherited",
                "descriptor %u receives on %s (UDP), but no [radius NAME] listens there: closed",
                i->number, addr_format(&i->at, text));
    else if (i->kind == UNIX)
        log_msg(LOG_LEVEL_WARNING, "inherited",
                "descriptor %u listens on unix:%s, which the configuration does not name: closed",
                i->number, i->path);
    else
        log_msg(LOG_LEVEL_WARNING, "inherited",
                "descriptor %u is not a listening TCP socket: closed", i->number);
}

void inherited_end(void)
{
    for (size_t k = 0; k < all.count; k++) {
        struct inherited *i = &all.item[k];
        if (i->fd >= 0) {
            warn_unused(i);
            close(i->fd);
        }
        free(i->name);
        free(i->path);
    }
    free(all.item);
    memset(&all, 0, sizeof all);
}

/* ---- by name ---- */

static struct inherited *find_named(struct span name)
{
    for (size_t k = 0; k < all.count; k++)
        if (all.item[k].fd >= 0 && span_eq(span_str(all.item[k].name), name))
            return &all.item[k];
    return NULL;
}

static int take(struct inherited *i)
{
    const int fd = i == NULL ? -1 : i->fd;

    if (i != NULL)
        i->fd = -1;
    return fd;
}

int inherited_take(const char *name)
{
    return take(find_named(span_str(name)));
}

void inherited_describe(const struct addr *want, struct span names, bool shared)
{
    const size_t group = all.groups++;

    while (names.n > 0) {
        const uint8_t *blank = memchr(names.p, ' ', names.n);
        const size_t n = blank == NULL ? names.n : (size_t)(blank - names.p);
        struct inherited *i = find_named(span_sub(names, 0, n));
        if (i != NULL) {
            i->want = *want;
            i->group = group;
            i->shared = shared;
        }
        names = span_from(names, n + 1);
    }
}

/* ---- by address ---- */

static struct inherited *find_at(enum inherited_kind kind, const struct addr *want)
{
    for (size_t k = 0; k < all.count; k++) {
        struct inherited *i = &all.item[k];
        if (i->fd >= 0 && i->kind == kind && addr_equal(&i->want, want))
            return i;
    }
    return NULL;
}

static bool accepts_the_same(int fd, const struct addr *want, const char *interface, bool v6only)
{
    char bound_to[IF_NAMESIZE] = "";
    socklen_t len = sizeof bound_to;
    int only = 0;
    socklen_t size = sizeof only;

    if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, bound_to, &len) != 0 ||
        strcmp(bound_to, interface == NULL ? "" : interface) != 0)
        return false;
    /* V6ONLY matters for the wildcard address only. */
    return want->family != AF_INET6 || !addr_is_any(want) ||
           (getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, &size) == 0 && (only != 0) == v6only);
}

static size_t take_group(size_t group, int *fds)
{
    size_t n = 0;

    for (size_t k = 0; k < all.count; k++)
        if (all.item[k].fd >= 0 && all.item[k].kind == LISTENS && all.item[k].group == group)
            fds[n++] = take(&all.item[k]);
    return n;
}

size_t inherited_listening(const struct addr *want, const char *interface, bool v6only,
                           size_t least, int **fds, bool *shared)
{
    const struct inherited *i = find_at(LISTENS, want);

    *fds = NULL;
    *shared = i != NULL && i->shared;
    if (i == NULL || !accepts_the_same(i->fd, want, interface, v6only))
        return 0;
    *fds = insist_alloc(calloc(all.count + least, sizeof **fds));
    const size_t own = take_group(i->group, *fds);
    size_t n = own;
    for (; n < least; n++) {
        (*fds)[n] = fcntl((*fds)[n % own], F_DUPFD_CLOEXEC, 0);
        if ((*fds)[n] < 0)
            break;
    }
    if (n >= least)
        return n;
    while (n > 0)
        close((*fds)[--n]);
    free(*fds);
    *fds = NULL;
    return 0;
}

int inherited_datagrams(const struct addr *want)
{
    struct inherited *i = find_at(DATAGRAMS, want);

    return i == NULL || !udp_prepare(i->fd, want->family) ? -1 : take(i);
}

/* Returns whether the service manager has a socket, too: it did not come from an old process, or
 * that one had it from the service manager. */
static bool is_held(const char *name)
{
    static const char held[] = INHERITED_HELD, ours[] = INHERITED_OURS;

    return strncmp(name, held, sizeof held - 1) == 0 || strncmp(name, ours, sizeof ours - 1) != 0;
}

int inherited_unix(const char *path, bool *held)
{
    *held = false;
    for (size_t k = 0; k < all.count; k++) {
        struct inherited *i = &all.item[k];
        if (i->kind != UNIX || i->fd < 0 || strcmp(i->path, path) != 0)
            continue;
        *held = is_held(i->name);
        return take(i);
    }
    return -1;
}

bool inherited_holds(const struct addr *want)
{
    for (size_t k = 0; k < all.count; k++) {
        const struct addr *at = &all.item[k].at;
        if (all.item[k].kind == LISTENS && at->port == want->port &&
            (addr_is_any(at) || addr_is_any(want) || addr_equal(at, want)))
            return true;
    }
    return false;
}
