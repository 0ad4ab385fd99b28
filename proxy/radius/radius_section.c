#include "radius/radius_section.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"
#include "config/config.h"
#include "net/worker.h"
#include "radius/radius_section_answers.h"
#include "radius/radius_section_requests.h"
#include "radius/radius_section_state.h"
#include "site/snapshot.h"
#include "users/secret.h"

enum {
    SEEN_MAX = 8192, /* authenticators of Access-Requests */
    /* Logins between a challenge and the next request, for which the user may be typing. Twice
     * the number of requests, because an abandoned login stays until another one needs the
     * room. */
    LOGINS_MAX = 2 * RADIUS_REQUESTS_MAX
};

/* ---- counters ---- */

static size_t print_silent(const struct radius_servers *all, size_t printed, FILE *out)
{
    for (size_t i = 0; i < all->count; i++) {
        const struct radius_server *server = all->item[i];
        if (atomic_load(&server->silent))
            fprintf(out, "%s %s:%u", printed++ == 0 ? "" : ",", server->host, server->port_number);
    }
    return printed;
}

void radius_section_print(struct radius_section *s, FILE *out)
{
    fprintf(out,
            "radius %s: requests %llu, repeated %llu, waiting %zu, answers %llu, accepts %llu, "
            "keys %llu, unfollowed %llu; dropped",
            s->name, atomic_load(&s->count.requests), atomic_load(&s->count.repeated),
            atomic_load(&s->count.waiting), atomic_load(&s->count.answers),
            atomic_load(&s->count.verdicts[RADIUS_ACCEPTED]), atomic_load(&s->count.keys),
            atomic_load(&s->count.unfollowed));
    for (enum radius_drop k = 0; k < RADIUS_DROPS; k++)
        fprintf(out, "%s %s %llu", k == 0 ? "" : ",", radius_drop_name(k),
                atomic_load(&s->count.dropped[k]));
    fputs("; silent", out);
    const size_t silent = print_silent(&s->accounting, print_silent(&s->access, 0, out), out);
    fputs(silent == 0 ? " none\n" : "\n", out);
}

void radius_section_verdicts(const struct radius_section *s,
                             void (*each)(void *arg, const char *verdict, uint64_t count),
                             void *arg)
{
    static const char *const names[RADIUS_VERDICTS] = {"accept",     "reject", "challenge",
                                                       "accounting", "status", "unanswered"};
    uint64_t dropped = 0;

    for (size_t i = 0; i < RADIUS_VERDICTS; i++)
        each(arg, names[i], atomic_load(&s->count.verdicts[i]));
    for (size_t i = 0; i < RADIUS_DROPS; i++)
        dropped += atomic_load(&s->count.dropped[i]);
    each(arg, "dropped", dropped);
}

const char *radius_section_name(const struct radius_section *s)
{
    return s->name;
}

/* ---- datagrams of clients ---- */

/* Returns whether requests of this code are accepted at such a socket. */
static bool code_fits(bool accounting, uint8_t code)
{
    return code == RADIUS_STATUS_SERVER ||
           code == (accounting ? RADIUS_ACCOUNTING_REQUEST : RADIUS_ACCESS_REQUEST);
}

void radius_section_take(struct radius_section *s, struct udp *u, bool accounting,
                         struct span octets, const struct udp_path *path)
{
    struct radius_arrival a = {.udp = u, .path = path, .accounting = accounting};

    if (!cidrs_have(&s->config->clients, &path->peer)) {
        radius_section_drop(s, RADIUS_DROP_STRANGER, &path->peer);
        return;
    }
    if (radius_parse(octets, &a.packet) != ERR_OK || !code_fits(accounting, a.packet.code)) {
        radius_section_drop(s, RADIUS_DROP_MALFORMED, &path->peer);
        return;
    }
    if (!radius_section_verify(s, &a.packet, NULL, s->client_secret, &path->peer))
        return;
    atomic_fetch_add(&s->count.requests, 1);
    radius_section_request(s, &a);
    radius_section_settle(s);
}

void radius_section_forget(struct radius_section *s, const struct udp *u)
{
    struct radius_request *r, *next;
    struct radius_parked *p, *after;

    for (size_t i = 0; i < 2; i++) {
        DL_FOREACH_SAFE(s->table.list[i], r, next) {
            if (r->udp == u)
                radius_section_drop_request(s, r);
        }
    }
    DL_FOREACH_SAFE(s->parked, p, after) {
        if (p->udp == u)
            radius_section_unpark(s, p);
    }
}

/* ---- configuration, begin and end ---- */

static void servers_open(struct radius_section *s, struct radius_servers *all,
                         const struct config_hosts *hosts)
{
    all->item = insist_alloc(calloc(hosts->count + 1, sizeof(struct radius_server *)));
    for (; all->count < hosts->count; all->count++)
        all->item[all->count] = radius_server_new(s->worker, &hosts->item[all->count],
                                                  &radius_section_answers, s, s->name);
}

static void servers_close(struct radius_servers *all)
{
    for (size_t i = 0; i < all->count; i++)
        radius_server_free(all->item[i]);
    free(all->item);
    *all = (struct radius_servers){0};
}

/* Removes all requests, servers and memories, except the stations: accounting sessions outlive a
 * change of servers. */
static void section_empty(struct radius_section *s)
{
    for (size_t i = 0; i < 2; i++)
        while (s->table.list[i] != NULL)
            radius_section_drop_request(s, s->table.list[i]);
    while (s->parked != NULL)
        radius_section_unpark(s, s->parked);
    servers_close(&s->access);
    servers_close(&s->accounting);
    radius_memory_clear(&s->seen);
    radius_logins_clear(&s->logins);
    atomic_store(&s->count.waiting, 0);
}

struct radius_section *radius_section_new(struct worker *w, struct keyring *keyring,
                                          const char *name)
{
    struct radius_section *s = NEW(struct radius_section);

    s->worker = w;
    s->keyring = keyring;
    s->name = insist_alloc(strdup(name));
    radius_table_init(&s->table);
    radius_memory_init(&s->seen, SEEN_MAX);
    radius_logins_init(&s->logins, keyring, LOGINS_MAX);
    radius_stations_init(&s->stations);
    return s;
}

void radius_section_free(struct radius_section *s)
{
    section_empty(s);
    radius_memory_fini(&s->seen);
    radius_logins_fini(&s->logins);
    radius_stations_fini(&s->stations);
    free(s->name);
    free(s);
}

static bool same_hosts(const struct config_hosts *a, const struct config_hosts *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (strcmp(a->item[i].host, b->item[i].host) != 0 || a->item[i].port != b->item[i].port)
            return false;
    return true;
}

static bool same_secret(struct span a, struct span b)
{
    return a.n == b.n && CRYPTO_memcmp(a.p, b.p, a.n) == 0;
}

void radius_section_configure(struct radius_section *s, const struct snapshot *snapshot,
                              size_t index)
{
    const struct config_radius *c = &snapshot->config->radius[index];
    const struct span client = secret_span(snapshot->radius[index].client);
    const struct span server = secret_span(snapshot->radius[index].server);
    const bool same = s->config != NULL && same_hosts(&s->config->server, &c->server) &&
                      same_hosts(&s->config->accounting_server, &c->accounting_server) &&
                      same_secret(s->client_secret, client) &&
                      same_secret(s->server_secret, server);

    if (!same && s->config != NULL)
        section_empty(s);
    s->config = c;
    s->client_secret = client;
    s->server_secret = server;
    if (!same) {
        servers_open(s, &s->access, &c->server);
        servers_open(s, &s->accounting, &c->accounting_server);
    }
    for (size_t i = 0; i < 2; i++) { /* the old snapshot is freed next */
        struct radius_request *r;
        DL_FOREACH(s->table.list[i], r) {
            r->trip.client_secret = client;
            r->trip.server_secret = server;
        }
    }
}

/* Notes the servers that were silent for timeout-server, because not every VPN server
 * retransmits. */
static void sweep_pending(struct radius_section *s, uint64_t now_ms)
{
    struct radius_request *r;

    DL_FOREACH(s->table.list[RADIUS_PENDING], r) {
        if (now_ms - r->sent_ms >= s->config->timeout_server)
            radius_server_missed(r->server, r, now_ms);
    }
}

void radius_section_sweep(struct radius_section *s, uint64_t now_ms)
{
    struct radius_request *r;

    sweep_pending(s, now_ms);
    while ((r = radius_table_old(&s->table, now_ms)) != NULL)
        radius_section_drop_request(s, r);
    for (size_t i = 0; i < s->access.count; i++)
        radius_server_sweep(s->access.item[i], now_ms);
    for (size_t i = 0; i < s->accounting.count; i++)
        radius_server_sweep(s->accounting.item[i], now_ms);
    atomic_store(&s->count.waiting, s->table.waiting);
}
