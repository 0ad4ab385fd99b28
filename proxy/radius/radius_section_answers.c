#include "radius/radius_section_answers.h"

#include "base/insist.h"
#include "config/config.h"
#include "net/worker.h"
#include "radius/radius_section_state.h"

static void log_answer(const struct radius_section *s, const struct radius_request *r, uint8_t code,
                       struct span user, size_t keys)
{
    char client[ADDR_TEXT_MAX], server[ADDR_TEXT_MAX];
    struct log_line l;

    if (!log_wanted(LOG_LEVEL_DEBUG))
        return;
    log_begin(&l, LOG_LEVEL_DEBUG, "radius");
    log_str(&l, "radius", s->name);
    log_str(&l, "answer", radius_code_name(code));
    log_str(&l, "client", addr_format(&r->key.from, client));
    log_str(&l, "server", addr_format(&r->to, server));
    log_span(&l, "user", user);
    log_num(&l, "keys", keys);
    log_end(&l);
}

/* Returns whether a packet with this code can be the answer to r. */
static bool answers(const struct radius_request *r, uint8_t code)
{
    if (r->key.accounting)
        return code == RADIUS_ACCOUNTING_RESPONSE;
    return code == RADIUS_ACCESS_ACCEPT || code == RADIUS_ACCESS_REJECT ||
           code == RADIUS_ACCESS_CHALLENGE;
}

/* Puts the keys in an Access-Accept into the keyring. Returns their number. */
static size_t put_keys(struct radius_section *s, const struct radius_request *r,
                       const struct radius_packet *accept, const struct keyring_login *login,
                       const struct radius_packet *request)
{
    const struct radius_side side = {.secret = s->server_secret,
                                     .authenticator = r->trip.server_authenticator};
    struct hlak keys[KEYRING_PER_LOGIN];
    struct span challenge = span_of(NULL, 0);

    (void)radius_ms_find(request, RADIUS_MS_CHAP_CHALLENGE, &challenge);
    const size_t n = radius_keys(accept, &side, challenge, keys, KEYRING_PER_LOGIN);
    if (n > 0)
        keyring_put(s->keyring, s->name, login, keys, n, worker_now(s->worker));
    for (size_t i = 0; i < n; i++)
        hlak_wipe(&keys[i]);
    atomic_fetch_add(&s->count.keys, n);
    return n;
}

/* Returns the index of a server for access requests; s->access.count: not one of them. */
static size_t index_of(const struct radius_section *s, const struct radius_server *server)
{
    size_t i = 0;

    while (i < s->access.count && s->access.item[i] != server)
        i++;
    return i;
}

static enum keyring_verdict verdict_of(uint8_t code)
{
    switch (code) {
    case RADIUS_ACCESS_ACCEPT: return KEYRING_ACCEPTED;
    case RADIUS_ACCESS_REJECT: return KEYRING_REJECTED;
    default: return KEYRING_CHALLENGED;
    }
}

static void count_answer(struct radius_section *s, uint8_t code)
{
    static const enum radius_verdict verdicts[] = {
        [RADIUS_ACCESS_ACCEPT] = RADIUS_ACCEPTED,
        [RADIUS_ACCESS_REJECT] = RADIUS_REJECTED,
        [RADIUS_ACCESS_CHALLENGE] = RADIUS_CHALLENGED,
        [RADIUS_ACCOUNTING_RESPONSE] = RADIUS_ACCOUNTED,
    };
    atomic_fetch_add(&s->count.verdicts[verdicts[code]], 1); /* no other code: see answers() */
    atomic_fetch_add(&s->count.answers, 1);
}

/* Sends the answer p, rebuilt in s->out, to the client. */
static void hand_over(struct radius_section *s, struct radius_request *r,
                      const struct radius_packet *p)
{
    struct keyring_login login = {.marks = r->marks};
    struct radius_out *out = &s->out;
    struct radius_packet request;
    size_t keys = 0;

    INSIST(radius_parse(span_of(r->octets, r->len), &request) == ERR_OK);
    (void)radius_find(&request, RADIUS_USER_NAME, &login.user);
    if (p->code == RADIUS_ACCESS_ACCEPT) {
        keys = put_keys(s, r, p, &login, &request); /* before the VPN server acts on the answer */
        if (s->config->calling_station_client)
            radius_stations_accept(&s->stations, &r->key.from, &request, p, &r->caller,
                                   worker_now(s->worker));
    }
    radius_section_judge(s, &request, r->marks, verdict_of(p->code));
    if (!r->key.accounting)
        radius_logins_forget(&s->logins, &request);
    if (p->code == RADIUS_ACCESS_CHALLENGE)
        radius_logins_put(&s->logins, p, index_of(s, r->server), r->marks, s->eap);
    count_answer(s, p->code);
    log_answer(s, r, p->code, login.user, keys);
    radius_server_release(r);
    radius_table_set(&s->table, r, RADIUS_ANSWERED, span_of(out->octets, out->len),
                     worker_now(s->worker));
    radius_section_send_answer(r);
}

static void on_answer(void *owner, struct radius_request *r, struct span octets)
{
    struct radius_section *s = owner;
    struct radius_packet p;

    if (radius_parse(octets, &p) != ERR_OK || !answers(r, p.code)) {
        radius_section_drop(s, RADIUS_DROP_MALFORMED, &r->to);
        return;
    }
    if (!radius_section_verify(s, &p, r->trip.server_authenticator, s->server_secret, &r->to)) {
        radius_server_unverified(r->server);
        return;
    }
    radius_server_answered(r->server, worker_now(s->worker));
    if (radius_carry_answer(&p, &r->trip, &s->out))
        hand_over(s, r, &p);
    else
        radius_section_drop(s, RADIUS_DROP_NO_ROOM, &r->to);
    radius_section_settle(s);
}

static void on_stray(void *owner, const struct addr *from)
{
    radius_section_drop(owner, RADIUS_DROP_UNEXPECTED, from);
}

static void on_lost(void *owner, struct radius_request *r)
{
    struct radius_packet request;

    INSIST(radius_parse(span_of(r->octets, r->len), &request) == ERR_OK);
    radius_section_judge(owner, &request, r->marks, KEYRING_LOST);
}

const struct radius_server_calls radius_section_answers = {
    .on_answer = on_answer, .on_stray = on_stray, .on_lost = on_lost};
