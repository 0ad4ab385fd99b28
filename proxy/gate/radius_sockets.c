#include "gate/radius_sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/insist.h"
#include "gate/inherited.h"
#include "net/udp.h"

/* Returns the socket of `now` with this address, unless an entry of `next` has it already, because
 * several entries may have port 0; NULL: none. */
static const struct radius_socket *radius_sockets_find_kept(const struct radius_sockets *now,
                                                            const struct radius_sockets *next,
                                                            const struct addr *want)
{
    for (size_t i = 0; i < now->count; i++) {
        const struct radius_socket *s = &now->item[i];
        bool claimed = false;
        for (size_t k = 0; k < next->count; k++)
            claimed |= next->item[k].id == s->id;
        if (!claimed && addr_equal(&s->want, want))
            return s;
    }
    return NULL;
}

/* Adds a socket for this address: the one of `now`, or a new one. s: the entry, without id and
 * descriptor. False: the reason was written to problems. */
static bool radius_socket_add(struct radius_sockets *next, const struct radius_sockets *now,
                              struct radius_socket s, const struct config *c, FILE *problems)
{
    const struct config_radius *r = &c->radius[s.section];
    const struct radius_socket *kept = radius_sockets_find_kept(now, next, &s.want);
    char text[ADDR_TEXT_MAX];

    s.fd = -1;
    if (kept != NULL) {
        s.id = kept->id;
        s.bound = kept->bound;
        next->item[next->count++] = s;
        return true;
    }
    s.id = next->next_id++;
    s.fd = inherited_datagrams(&s.want);
    if (s.fd < 0 || !udp_address(s.fd, &s.bound))
        s.fd = udp_bind(&s.want, &s.bound);
    next->item[next->count++] = s;
    if (s.fd < 0)
        fprintf(problems, "%s:%u: radius %s: cannot listen on %s (UDP): %s\n", r->file,
                config_line(c, r, s.accounting ? "accounting-listen" : "listen"), r->name,
                addr_format(&s.want, text), strerror(errno));
    return s.fd >= 0;
}

bool radius_sockets_prepare(struct radius_sockets *next, const struct radius_sockets *now,
                            const struct config *c, FILE *problems)
{
    size_t total = 0;
    bool ok = true;

    for (size_t i = 0; i < c->radius_count; i++)
        total += c->radius[i].listen.count + c->radius[i].accounting_listen.count;
    *next = (struct radius_sockets){.next_id = now->next_id};
    next->item = insist_alloc(calloc(total + 1, sizeof *next->item));
    for (size_t i = 0; i < c->radius_count; i++) {
        const struct config_radius *r = &c->radius[i];
        struct radius_socket s = {.section = i};
        for (size_t k = 0; k < r->listen.count; k++) {
            s.want = r->listen.item[k];
            ok &= radius_socket_add(next, now, s, c, problems);
        }
        s.accounting = true;
        for (size_t k = 0; k < r->accounting_listen.count; k++) {
            s.want = r->accounting_listen.item[k];
            ok &= radius_socket_add(next, now, s, c, problems);
        }
    }
    if (!ok)
        radius_sockets_free(next);
    return ok;
}

void radius_sockets_free(struct radius_sockets *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->item[i].fd >= 0)
            close(s->item[i].fd);
    free(s->item);
    *s = (struct radius_sockets){0};
}

const char *radius_socket_kind(const struct radius_socket *s)
{
    return s->accounting ? "accounting" : "radius";
}
