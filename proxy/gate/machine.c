#include "gate/machine.h"

#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/insist.h"
#include "base/log_syslog.h"
#include "base/log_target.h"
#include "config/config.h"

/* ---- addresses and interfaces ---- */

/* Returns 0, or why no socket can be bound to a. The socket is a datagram socket without a port, so
 * nothing that listens is disturbed, and no address that a route or a sysctl adds is missed. */
static int bind_error(const struct addr *a)
{
    struct addr without_port = *a;
    struct sockaddr_storage sa;

    without_port.port = 0;
    const socklen_t n = addr_to_sockaddr(&without_port, &sa);
    const int fd = socket(a->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int error = fd < 0 ? errno : 0;
    if (fd >= 0 && bind(fd, (struct sockaddr *)&sa, n) != 0)
        error = errno;
    if (fd >= 0)
        close(fd);
    return error;
}

bool machine_has_address(const struct addr *a)
{
    return bind_error(a) == 0;
}

static void check_place(const char *file, const char *kind, const char *name, unsigned line,
                        const struct addr *a, FILE *to)
{
    char text[ADDR_TEXT_MAX];
    const int error = bind_error(a);

    if (error == EADDRNOTAVAIL)
        fprintf(to, "%s:%u: warning: %s %s: this machine does not have the address of %s\n", file,
                line, kind, name, addr_format(a, text));
    else if (error == EAFNOSUPPORT)
        fprintf(to, "%s:%u: warning: %s %s: this machine has no IPv%c, which %s needs\n", file,
                line, kind, name, a->family == AF_INET ? '4' : '6', addr_format(a, text));
}

static void check_radius_places(const struct config *c, const struct config_radius *r,
                                const char *key, const struct config_places *places, FILE *to)
{
    for (size_t i = 0; i < places->count; i++)
        check_place(r->file, "radius", r->name, config_line(c, r, key), &places->item[i], to);
}

void machine_check_places(const struct config *c, FILE *to)
{
    for (size_t i = 0; i < c->gate.status.count; i++) {
        const struct config_socket *s = &c->gate.status.item[i];
        if (s->path == NULL)
            check_place(c->gate.file, "status", "listener", s->line, &s->addr, to);
    }
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct config_listener *l = &c->listener[i];
        for (size_t k = 0; !l->freebind && k < l->listen_count; k++)
            check_place(l->file, "listener", l->name, l->listen_line[k], &l->listen[k], to);
        if (l->interface != NULL && if_nametoindex(l->interface) == 0)
            fprintf(to, "%s:%u: warning: listener %s: interface: this machine has no '%s'\n",
                    l->file, config_line(c, l, "interface"), l->name, l->interface);
    }
    for (size_t i = 0; i < c->radius_count; i++) {
        const struct config_radius *r = &c->radius[i];
        check_radius_places(c, r, "listen", &r->listen, to);
        check_radius_places(c, r, "accounting-listen", &r->accounting_listen, to);
    }
}

/* ---- the log ---- */

/* A start opens the daemon's socket, too, and fails without it. */
void machine_check_log(const struct config *c, FILE *to)
{
    const char *why;
    struct log_target target;

    if (log_target_parse(c->gate.log, &target, &why) != ERR_OK || target.kind != LOG_TO_SYSLOG)
        return;
    const int fd = log_syslog_open(LOG_SYSLOG_PATH);
    if (fd < 0)
        fprintf(to, "%s:%u: warning: log: no syslog daemon can be reached here: %s: %s\n",
                c->gate.file, config_line(c, &c->gate, "log"), LOG_SYSLOG_PATH, strerror(errno));
    else
        close(fd);
}

/* ---- directories ---- */

/* path: value of this key of [gate]; NULL: none. */
static void check_directory(const struct config *c, const char *key, const char *path, FILE *to)
{
    struct stat st;

    if (path == NULL)
        return;
    const char *slash = strrchr(path, '/'); /* the path is absolute */
    char *directory = insist_alloc(strndup(path, slash == path ? 1 : (size_t)(slash - path)));
    const int reason = stat(directory, &st) != 0 ? errno : S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
    if (reason != 0)
        fprintf(to, "%s:%u: warning: %s: its directory %s: %s\n", c->gate.file,
                config_line(c, &c->gate, key), key, directory, strerror(reason));
    free(directory);
}

void machine_check_directories(const struct config *c, FILE *to)
{
    check_directory(c, "log", *c->gate.log == '/' ? c->gate.log : NULL, to);
    check_directory(c, "ban-file", c->gate.limits.ban_file, to);
    check_directory(c, "key-log", c->gate.key_log, to);
    check_directory(c, "admin", c->gate.admin, to);
    for (size_t i = 0; i < c->gate.status.count; i++)
        check_directory(c, "status", c->gate.status.item[i].path, to);
}
