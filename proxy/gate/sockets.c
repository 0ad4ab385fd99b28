#include "gate/sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/insist.h"
#include "gate/inherited.h"
#include "net/listener.h"

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
        return " (the key interface needs CAP_NET_RAW, which the gate has only at its start: "
               "restart it)";
    if (e == EACCES)
        return " (a port below 1024 needs CAP_NET_BIND_SERVICE, which the gate keeps only if it "
               "had "
               "such a port at its start)";
    if (e == ENODEV)
        return " (no such interface)";
    if (e == EADDRNOTAVAIL)
        return " (if the machine gets the address later, set freebind = yes)";
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
static bool socket_bind(struct listening_socket *s, bool ours, const struct config_listener *l,
                        size_t which, size_t workers, FILE *problems)
{
    struct listener_options options = {
        .interface = l->interface, .both = !l->v6only, .freebind = l->freebind, .ours = ours};
    char text[ADDR_TEXT_MAX];

    s->fd_count =
        inherited_listening(&s->want, s->interface, s->v6only, workers, &s->fds, &s->inherited);
    if (s->fd_count > 0)
        return listener_address(s->fds[0], &s->bound);
    s->fd_count = workers;
    s->fds = insist_alloc(calloc(workers, sizeof *s->fds));
    if (listener_bind(&s->want, &options, workers, s->fds, &s->bound) == ERR_OK)
        return true;
    int e = errno;
    fprintf(problems, "%s:%u: listener %s: cannot listen on %s%s%s: %s%s\n", l->file,
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
    *next = (struct sockets){.next_id = now->next_id};
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
            s->plain = l->listen_plain[k];
            if (kept != NULL) {
                s->id = kept->id;
                s->bound = kept->bound;
                s->inherited = kept->inherited;
            } else {
                s->id = next->next_id++;
                const bool ours = sockets_hold(now, &s->want) || sockets_hold(next, &s->want) ||
                                  inherited_holds(&s->want);
                ok &= socket_bind(s, ours, l, k, workers, problems);
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
        for (size_t k = 0; s->item[i].fds != NULL && k < s->item[i].fd_count; k++)
            close(s->item[i].fds[k]);
        free(s->item[i].fds);
        free(s->item[i].interface);
    }
    free(s->item);
    *s = (struct sockets){0};
}
