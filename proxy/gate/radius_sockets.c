#include "gate/radius_sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/insist.h"
#include "net/udp.h"

/* The socket of `now` with this address, if no other entry has claimed it: port 0 may stand more
 * than once. */
static const struct radius_socket *find_kept(const struct radius_sockets *now,
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

static bool prepare_one(struct radius_sockets *next, const struct radius_sockets *now,
                        const struct config *c, size_t section, bool accounting, size_t place,
                        FILE *problems)
{
    const struct config_radius *r = &c->radius[section];
    const struct addr *want =
        accounting ? &r->accounting_listen.item[place] : &r->listen.item[place];
    const char *key = accounting ? "accounting-listen" : "listen";
    const struct radius_socket *kept = find_kept(now, next, want);
    struct radius_socket *s = &next->item[next->count++];
    char text[ADDR_TEXT_MAX];

    *s = (struct radius_socket){
        .section = section, .accounting = accounting, .want = *want, .fd = -1};
    if (kept != NULL) {
        s->id = kept->id;
        s->bound = kept->bound;
        return true;
    }
    s->id = next->next_id++;
    s->fd = udp_bind(want, &s->bound);
    if (s->fd < 0)
        fprintf(problems, "%s:%u: radius %s: cannot listen on %s (UDP): %s\n", c->path,
                config_line(c, r, key), r->name, addr_format(want, text), strerror(errno));
    return s->fd >= 0;
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
        for (size_t k = 0; k < c->radius[i].listen.count; k++)
            ok &= prepare_one(next, now, c, i, false, k, problems);
        for (size_t k = 0; k < c->radius[i].accounting_listen.count; k++)
            ok &= prepare_one(next, now, c, i, true, k, problems);
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
