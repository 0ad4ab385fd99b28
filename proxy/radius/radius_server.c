#include "radius/radius_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"
#include "base/log.h"
#include "config/config.h"
#include "net/dial.h"
#include "net/worker.h"

enum { IDENTIFIERS = 256 };

/* A socket for 256 requests. The kernel chooses its port at random, which makes answers harder to
 * forge. */
struct radius_port {
    struct udp udp;
    struct radius_server *server;
    struct radius_port *next;
    sa_family_t family;
    uint8_t last; /* identifiers are used in turn, so that a late answer finds no new request */
    unsigned used;
    struct radius_request *by_id[IDENTIFIERS];
};

static void log_server(const struct radius_server *s, enum log_level level, const char *text)
{
    struct log_line l;
    char address[ADDR_TEXT_MAX];

    log_begin(&l, level, "radius");
    log_str(&l, "radius", s->section);
    log_fmt(&l, "server", "%s:%u", s->host, s->port_number);
    log_str(&l, "address",
            s->address_count == 0 ? NULL : addr_format(&s->address[s->current], address));
    log_str(&l, "msg", text);
    log_end(&l);
}

/* ---- addresses ---- */

static void on_resolved(void *arg, int status)
{
    struct radius_server *s = arg;
    const struct addr was = s->address_count > 0 ? s->address[s->current] : (struct addr){0};
    const uint64_t now_ms = worker_now(s->worker);
    struct addr a;
    size_t n = 0, current = 0;

    while (n < RADIUS_ADDRESSES_MAX && dial_next(s->dial, &a)) {
        if (s->address_count > 0 && addr_equal(&a, &was))
            current = n; /* the address in use stays in use */
        s->address[n++] = a;
    }
    dial_free(s->dial);
    s->dial = NULL;
    s->looked_ms = now_ms;
    s->lookup_ms = now_ms + (n > 0 ? RADIUS_LOOKUP_MS : RADIUS_LOOKUP_SOON_MS);
    const bool was_unresolved = s->unresolved;
    s->unresolved = n == 0;
    if (n > 0) {
        s->address_count = n;
        s->current = current;
    } else if (s->address_count == 0) {
        log_server(s, LOG_LEVEL_WARNING, status == 0 ? "has no address" : uv_strerror(status));
    } else if (!was_unresolved) {
        log_server(s, LOG_LEVEL_WARNING,
                   "its name no longer resolves: the known addresses stay in use");
    }
}

/* Returns whether the host is an address, which needs no look-up. */
static bool server_take_literal(struct radius_server *s)
{
    char text[ADDR_TEXT_MAX];

    snprintf(text, sizeof text, strchr(s->host, ':') == NULL ? "%s" : "[%s]", s->host);
    if (addr_parse(text, s->port_number, &s->address[0]) != ERR_OK)
        return false;
    s->address_count = 1;
    s->lookup_ms = UINT64_MAX;
    return true;
}

static void server_lookup(struct radius_server *s)
{
    s->dial = dial_new(s->worker, s->host, s->port_number, on_resolved, s);
}

struct radius_server *radius_server_new(struct worker *w, const struct config_host *at,
                                        const struct radius_server_calls *calls, void *owner,
                                        const char *section)
{
    struct radius_server *s = NEW(struct radius_server);

    s->worker = w;
    s->calls = calls;
    s->owner = owner;
    s->section = section;
    s->host = insist_alloc(strdup(at->host));
    s->port_number = at->port;
    if (!server_take_literal(s))
        server_lookup(s);
    return s;
}

static void on_port_closed(struct udp *u)
{
    free(u->owner);
}

void radius_server_free(struct radius_server *s)
{
    dial_free(s->dial);
    for (struct radius_port *p = s->ports, *next; p != NULL; p = next) {
        next = p->next;
        INSIST(p->used == 0);
        udp_close(&p->udp, on_port_closed);
    }
    free(s->host);
    free(s);
}

void radius_server_sweep(struct radius_server *s, uint64_t now_ms)
{
    if (s->dial == NULL && now_ms >= s->lookup_ms)
        server_lookup(s);
    atomic_store(&s->silent, radius_server_is_silent(s, now_ms));
}

/* ---- silence ---- */

/* Returns the likely cause of the silence. */
static const char *cause_of(const struct radius_server *s)
{
    if (s->unverified)
        return "its answers are not signed with server-secret-file, or not signed as "
               "require-message-authenticator demands";
    switch (s->error) {
    case 0:
        return "does not answer: it is down, a firewall drops the packets, the gate is not among "
               "its clients, or its secret for the gate differs from server-secret-file";
    case ECONNREFUSED:
        return "does not answer: its port is closed (ICMP): no RADIUS server runs there, or it "
               "listens on another port";
    case EPERM:
    case EACCES: return "cannot be reached: a firewall rejects the packets";
    default: return "cannot be reached: there is no route, or the host is down";
    }
}

void radius_server_missed(struct radius_server *s, struct radius_request *r, uint64_t now_ms)
{
    const bool again = r->lost;

    r->lost = true;
    if (!again)
        s->calls->on_lost(s->owner, r);
    if (s->answered_ms > r->sent_ms) /* another request was answered since */
        return;
    if (s->silent_until == 0)
        log_server(s, LOG_LEVEL_WARNING, cause_of(s));
    s->silent_until = now_ms + RADIUS_SILENT_MS;
    atomic_store(&s->silent, true);
    if (again)
        return;
    if (s->address_count > 0 && !radius_server_moved(s, r))
        s->current = (s->current + 1) % s->address_count;
    /* The name may have another address by now. */
    if (s->lookup_ms != UINT64_MAX && s->lookup_ms > s->looked_ms + RADIUS_LOOKUP_SOON_MS)
        s->lookup_ms = s->looked_ms + RADIUS_LOOKUP_SOON_MS;
}

void radius_server_unverified(struct radius_server *s)
{
    s->unverified = true;
}

static void server_failed(struct radius_server *s, struct radius_request *r, int error)
{
    s->error = error;
    radius_server_missed(s, r, worker_now(s->worker));
}

/* ---- identifiers ---- */

static void on_server_datagram(struct udp *u, struct span octets, const struct udp_path *path)
{
    struct radius_port *p = u->owner;
    struct radius_server *s = p->server;
    struct radius_request *r = octets.n < 2 ? NULL : p->by_id[octets.p[1]];

    if (r == NULL || !addr_equal(&path->peer, &r->to))
        s->calls->on_stray(s->owner, &path->peer);
    else
        s->calls->on_answer(s->owner, r, octets);
}

static void on_server_error(struct udp *u, struct span octets, const struct addr *peer, int error)
{
    struct radius_port *p = u->owner;
    struct radius_request *r = octets.n < 2 ? NULL : p->by_id[octets.p[1]];

    if (r != NULL && addr_equal(peer, &r->to))
        server_failed(p->server, r, error);
}

static struct radius_port *port_open(struct radius_server *s, sa_family_t family)
{
    const struct addr any = {.family = family};
    struct addr bound;

    if (s->port_count == RADIUS_PORTS_MAX)
        return NULL;
    const int fd = udp_bind(&any, &bound);
    if (fd < 0)
        return NULL;
    struct radius_port *p = NEW(struct radius_port);
    if (udp_open(&p->udp, s->worker, fd, on_server_datagram, p) != 0) {
        free(p);
        return NULL;
    }
    udp_report_errors(&p->udp, on_server_error);
    p->server = s;
    p->family = family;
    LL_PREPEND(s->ports, p);
    s->port_count++;
    return p;
}

bool radius_server_take(struct radius_server *s, struct radius_request *r)
{
    struct radius_port *p = s->ports;

    if (s->address_count == 0)
        return false;
    const struct addr to = s->address[s->current];
    while (p != NULL && (p->family != to.family || p->used == IDENTIFIERS))
        p = p->next;
    if (p == NULL)
        p = port_open(s, to.family);
    if (p == NULL)
        return false;
    radius_server_release(r);
    r->to = to;
    do
        p->last++;
    while (p->by_id[p->last] != NULL);
    p->by_id[p->last] = r;
    p->used++;
    r->server = s;
    r->port = p;
    r->server_id = p->last;
    return true;
}

void radius_server_release(struct radius_request *r)
{
    if (r->port == NULL)
        return;
    INSIST(r->port->by_id[r->server_id] == r);
    r->port->by_id[r->server_id] = NULL;
    r->port->used--;
    r->port = NULL;
}

void radius_server_send(struct radius_request *r)
{
    const struct udp_path path = {.peer = r->to};
    struct radius_server *s = r->port->server;

    s->error = 0;
    /* A packet that is lost here is as one lost on the network: the client retransmits it. */
    if (!udp_send(&r->port->udp, span_of(r->octets, r->len), &path))
        server_failed(s, r, errno);
}

bool radius_server_is_silent(const struct radius_server *s, uint64_t now_ms)
{
    return now_ms < s->silent_until;
}

bool radius_server_moved(const struct radius_server *s, const struct radius_request *r)
{
    return s->address_count > 0 && !addr_equal(&s->address[s->current], &r->to);
}

void radius_server_answered(struct radius_server *s, uint64_t now_ms)
{
    s->answered_ms = now_ms;
    s->unverified = false;
    if (s->silent_until == 0)
        return;
    s->silent_until = 0;
    atomic_store(&s->silent, false);
    log_server(s, LOG_LEVEL_INFO, "answers again");
}
