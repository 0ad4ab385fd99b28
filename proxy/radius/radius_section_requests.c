#include "radius/radius_section_requests.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"
#include "config/config.h"
#include "net/udp.h"
#include "net/worker.h"
#include "radius/radius_section_state.h"
#include "radius/radius_server.h"

/* Time in which no client may use an authenticator twice (RFC 2865 3). */
enum { SEEN_MS = 300000 };

static struct span authenticator_of(const struct radius_trip *trip)
{
    return span_of(trip->client_authenticator, RADIUS_AUTHENTICATOR);
}

/* ---- the server of a request ---- */

/* Gives r an identifier of a server: the first that has one, in the order of the configuration,
 * silent servers last. but: a server that is not chosen; NULL: none. */
static bool choose_server(struct radius_section *s, struct radius_request *r,
                          const struct radius_server *but, uint64_t now_ms)
{
    const struct radius_servers *all = r->key.accounting ? &s->accounting : &s->access;

    for (int silent = 0; silent < 2; silent++)
        for (size_t i = 0; i < all->count; i++)
            if (all->item[i] != but &&
                radius_server_is_silent(all->item[i], now_ms) == (silent == 1) &&
                radius_server_take(all->item[i], r))
                return true;
    return false;
}

/* Gives a new request an identifier: of the server that knows its State, or else of any server. */
static bool assign_server(struct radius_section *s, struct radius_request *r,
                          const struct radius_packet *p, uint64_t now_ms)
{
    const size_t origin = radius_logins_server(&s->logins, p);

    if (origin != RADIUS_LOGINS_NONE && radius_server_take(s->access.item[origin], r))
        return true;
    return choose_server(s, r, NULL, now_ms);
}

/* Signs the packet in s->out, which includes the identifier, and sends it. */
static void send_signed(struct radius_section *s, struct radius_request *r, uint64_t now_ms)
{
    struct radius_out *out = &s->out;

    radius_carry_sign(out, &r->trip, r->server_id);
    radius_table_set(&s->table, r, RADIUS_PENDING, span_of(out->octets, out->len), now_ms);
    r->sent_ms = now_ms;
    r->lost = false;
    radius_server_send(r);
}

/* ---- Status-Server ---- */

/* Answers Status-Server: a proxy answers for itself (RFC 5997 3), so the answer means only that
 * the gate is up. */
static void answer_status(struct radius_section *s, const struct radius_arrival *a)
{
    static const uint8_t to_be_signed[RADIUS_AUTHENTICATOR];
    struct radius_out *out = &s->out;

    radius_begin(out, a->accounting ? RADIUS_ACCOUNTING_RESPONSE : RADIUS_ACCESS_ACCEPT,
                 a->packet.id);
    radius_add(out, RADIUS_MESSAGE_AUTHENTICATOR, span_of(to_be_signed, sizeof to_be_signed));
    INSIST(radius_end(out));
    radius_sign(out, a->packet.authenticator.p, s->client_secret);
    (void)udp_send(a->udp, span_of(out->octets, out->len), a->path);
    atomic_fetch_add(&s->count.verdicts[RADIUS_STATUS], 1);
    atomic_fetch_add(&s->count.answers, 1);
}

/* ---- retransmissions ---- */

/* Moves a request to another server, or to another address of its server, if there is one. */
static bool reassign_server(struct radius_section *s, struct radius_request *r, uint64_t now_ms)
{
    struct radius_server *old = r->server;

    radius_server_missed(old, r, now_ms);
    return choose_server(s, r, old, now_ms) ||
           (radius_server_moved(old, r) && radius_server_take(old, r));
}

static void retransmit(struct radius_section *s, struct radius_request *r, uint64_t now_ms)
{
    atomic_fetch_add(&s->count.repeated, 1);
    if (r->state == RADIUS_ANSWERED) {
        radius_section_send_answer(r);
        return;
    }
    radius_table_touch(&s->table, r, now_ms);
    if ((r->lost || now_ms - r->sent_ms >= s->config->timeout_server) &&
        reassign_server(s, r, now_ms)) {
        memcpy(s->out.octets, r->octets, r->len);
        s->out.len = r->len;
        send_signed(s, r, now_ms);
        return;
    }
    /* The same server gets the same packet, with the same identifier (RFC 2865 2.5). */
    radius_server_send(r);
}

/* ---- new requests ---- */

/* Sets the marks of an Access-Request. Returns the address of the client, if the configuration asks
 * for it (calling-station-id = client) and the keyring (Access-Request) or the stations
 * (Accounting-Request) know it; otherwise NULL. */
static const struct addr *identify(struct radius_section *s, const struct radius_arrival *a,
                                   uint64_t now_ms, struct keyring_marks *marks,
                                   struct addr *caller)
{
    const struct radius_packet *p = &a->packet;
    struct keyring_login login;

    if (p->code != RADIUS_ACCESS_REQUEST)
        return s->config->calling_station_client
                   ? radius_stations_account(&s->stations, &a->path->peer, p, now_ms)
                   : NULL;
    const bool followed = radius_logins_find(&s->logins, p, s->eap, &login);
    *marks = login.marks;
    if (!followed) {
        atomic_fetch_add(&s->count.unfollowed, 1);
        return NULL;
    }
    return s->config->calling_station_client &&
                   keyring_client_of(s->keyring, s->name, &login, now_ms, caller)
               ? caller
               : NULL;
}

/* Drops a request if the table is full. Of pending requests the oldest is dropped, so that
 * during a flood a request that is answered at once is not dropped before its answer. */
static void make_room(struct radius_section *s)
{
    struct radius_request *r = radius_table_surplus(&s->table);

    if (r == NULL)
        return;
    if (r->state == RADIUS_PENDING)
        radius_section_drop(s, RADIUS_DROP_FULL, &r->key.from);
    radius_section_drop_request(s, r);
}

static void forward(struct radius_section *s, const struct radius_arrival *a,
                    const struct radius_key *key, uint64_t now_ms)
{
    const struct radius_packet *p = &a->packet;
    struct radius_trip trip = {.client_secret = s->client_secret,
                               .server_secret = s->server_secret};
    struct keyring_marks marks = {0};
    struct addr room;
    const struct addr *caller = identify(s, a, now_ms, &marks, &room);

    if (!radius_carry_request(p, &trip, caller, &s->out)) {
        radius_section_drop(s, RADIUS_DROP_NO_ROOM, &a->path->peer);
        radius_section_judge(s, p, marks, KEYRING_LOST);
        return;
    }
    make_room(s);
    struct radius_request *r = radius_table_add(&s->table, key, now_ms);
    r->trip = trip;
    r->marks = marks;
    r->caller = (struct addr){0};
    if (caller != NULL)
        r->caller = *caller;
    r->udp = a->udp;
    r->path = *a->path;
    if (!assign_server(s, r, p, now_ms)) {
        radius_section_drop(s, RADIUS_DROP_NO_SERVER, &a->path->peer);
        radius_section_judge(s, p, marks, KEYRING_LOST);
        radius_section_drop_request(s, r);
        return;
    }
    if (p->code == RADIUS_ACCESS_REQUEST)
        radius_memory_put(&s->seen, authenticator_of(&trip), now_ms);
    send_signed(s, r, now_ms);
}

/* Returns whether another request of the last minutes had this authenticator: then the packet is
 * not a retransmission of a request whose answer was lost, but a copy that an attacker has recorded
 * (RFC 2865 3). */
static bool is_replay(const struct radius_section *s, const struct radius_packet *p,
                      uint64_t now_ms)
{
    const uint64_t seen_ms = radius_memory_get(&s->seen, p->authenticator);
    return p->code == RADIUS_ACCESS_REQUEST && seen_ms > 0 && now_ms - seen_ms < SEEN_MS;
}

/* ---- clients whose calls are at other gates ---- */

/* The most requests that wait; each waits for shared-timeout at most. */
enum { PARKED_MAX = 1024 };

static struct radius_parked *parked_find(const struct radius_section *s,
                                         const struct radius_key *key)
{
    struct radius_parked *p;

    DL_FOREACH(s->parked, p) {
        if (p->key.id == key->id && addr_equal(&p->key.from, &key->from))
            break;
    }
    return p;
}

/* Forwards a parked request, with the client's address if it has come. */
static void on_client(void *arg)
{
    struct radius_parked *p = arg;
    struct radius_section *s = p->section;
    struct radius_arrival a = {.udp = p->udp, .path = &p->path};
    const struct radius_key key = p->key;

    p->search = NULL;
    INSIST(radius_parse(span_of(p->octets, p->len), &a.packet) == ERR_OK);
    if (is_replay(s, &a.packet, worker_now(s->worker)))
        radius_section_drop(s, RADIUS_DROP_REPLAYED, &p->path.peer);
    else
        forward(s, &a, &key, worker_now(s->worker));
    radius_section_unpark(s, p);
    radius_section_settle(s);
}

/* Parks a new request whose client's address another gate may know. False: there is none to ask.
 * The request's marks do not change while it waits, because the login goes on with its answer. */
static bool park(struct radius_section *s, const struct radius_arrival *a,
                 const struct radius_key *key, uint64_t now_ms)
{
    const struct span octets = a->packet.whole;
    struct keyring_login login;

    if (!s->config->calling_station_client || !keyring_is_shared(s->keyring) ||
        a->packet.code != RADIUS_ACCESS_REQUEST || s->parked_count == PARKED_MAX ||
        !radius_logins_find(&s->logins, &a->packet, s->eap, &login))
        return false;
    struct radius_parked *p = insist_alloc(calloc(1, sizeof *p + octets.n));
    p->search = keyring_want_client(s->keyring, s->name, &login, now_ms, s->worker, on_client, p);
    if (p->search == NULL) {
        free(p);
        return false;
    }
    p->section = s;
    p->key = *key;
    p->udp = a->udp;
    p->path = *a->path;
    p->len = octets.n;
    memcpy(p->octets, octets.p, octets.n);
    DL_APPEND(s->parked, p);
    s->parked_count++;
    return true;
}

/* Returns whether a request waits already; a new one of its client replaces it. */
static bool is_parked(struct radius_section *s, const struct radius_arrival *a,
                      const struct radius_key *key)
{
    struct radius_parked *p = key->accounting ? NULL : parked_find(s, key);

    if (p == NULL)
        return false;
    if (span_eq(span_of(p->octets, p->len), a->packet.whole)) {
        atomic_fetch_add(&s->count.repeated, 1);
        return true;
    }
    radius_section_unpark(s, p);
    return false;
}

void radius_section_request(struct radius_section *s, const struct radius_arrival *a)
{
    const struct radius_key key = {
        .from = a->path->peer, .accounting = a->accounting, .id = a->packet.id};
    const uint64_t now_ms = worker_now(s->worker);

    if (a->packet.code == RADIUS_STATUS_SERVER) {
        answer_status(s, a);
        return;
    }
    if (is_parked(s, a, &key))
        return;
    struct radius_request *r = radius_table_find(&s->table, &key);
    if (r != NULL && span_eq(authenticator_of(&r->trip), a->packet.authenticator)) {
        r->udp = a->udp;
        r->path = *a->path;
        retransmit(s, r, now_ms);
    } else if (is_replay(s, &a->packet, now_ms)) {
        radius_section_drop(s, RADIUS_DROP_REPLAYED, &a->path->peer);
    } else {
        if (r != NULL) /* the client has given up the old request (RFC 5080 2.2.2) */
            radius_section_drop_request(s, r);
        if (!park(s, a, &key, now_ms))
            forward(s, a, &key, now_ms);
    }
}
