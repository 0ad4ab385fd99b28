#include "radius/radius_section.h"

#include <openssl/crypto.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"
#include "base/log.h"
#include "config/config.h"
#include "net/udp.h"
#include "net/worker.h"
#include "radius/keyring.h"
#include "radius/radius_carry.h"
#include "radius/radius_memory.h"
#include "radius/radius_server.h"
#include "radius/radius_table.h"
#include "site/snapshot.h"
#include "users/secret.h"

/* Why a packet was dropped. */
enum drop {
    STRANGER,   /* not among clients; or not from the server that was asked */
    MALFORMED,  /* no packet, or none that belongs there */
    FORGED,     /* signed with another secret, or not at all what was asked for */
    UNSIGNED,   /* without the Message-Authenticator that it must have */
    REPLAYED,   /* the authenticator of another request (RFC 2865 3) */
    UNEXPECTED, /* an answer for which nobody waits (any more) */
    FULL,       /* too many requests wait */
    NO_SERVER,  /* nobody can be asked now: no address, or no identifier is free */
    DROPS
};

static const char *const drop_names[DROPS] = {
    [STRANGER] = "stranger", [MALFORMED] = "malformed", [FORGED] = "forged",
    [UNSIGNED] = "unsigned", [REPLAYED] = "replayed",   [UNEXPECTED] = "unexpected",
    [FULL] = "full",         [NO_SERVER] = "no-server",
};

enum {
    SEEN_MAX = 8192,  /* authenticators of Access-Requests, */
    SEEN_MS = 300000, /* none of which should come again for so long */
    /* States, one for each login between a challenge and its answer; the user may be typing. Twice
     * the number of requests, because abandoned logins stay until others need the room. */
    STATES_MAX = 2 * RADIUS_REQUESTS_MAX
};

struct servers {
    struct radius_server **item;
    size_t count;
};

struct radius_section {
    struct worker *worker;
    struct keyring *keyring;
    char *name;
    const struct config_radius *config;       /* of the snapshot */
    struct span client_secret, server_secret; /* the same */
    struct servers access, accounting;
    struct radius_table table;
    struct radius_memory seen; /* from authenticator to time of arrival */
    /* From State to the server that sent it (its index + 1), and to the marks of its login. */
    struct radius_memory origin, chain, proof;
    struct {
        atomic_ullong requests, repeated, answers, accepts, keys, unfollowed, dropped[DROPS];
        atomic_size_t waiting;
    } count;
    struct log_limit limit[DROPS];

    /* Empty between two callbacks: a packet that is being made, and an EAP packet that came in
     * pieces. Both hold what helps to guess passwords, and keys until they are hidden. */
    struct radius_out out;
    uint8_t eap[RADIUS_MAX];
};

/* ---- what is told ---- */

static void drop(struct radius_section *s, enum drop why, const struct addr *from)
{
    char text[ADDR_TEXT_MAX];
    struct log_line l;
    unsigned missed;

    atomic_fetch_add(&s->count.dropped[why], 1);
    if (!log_limit_pass(&s->limit[why], worker_now(s->worker), 1, &missed))
        return;
    log_begin(&l, LOG_LEVEL_WARNING, "radius");
    log_str(&l, "radius", s->name);
    log_str(&l, "dropped", drop_names[why]);
    log_str(&l, "from", addr_format(from, text));
    if (missed > 0)
        log_num(&l, "lines-left-out", missed);
    log_end(&l);
}

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

void radius_section_print(struct radius_section *s, FILE *out)
{
    const struct servers *all[] = {&s->access, &s->accounting};
    size_t silent = 0;

    fprintf(out,
            "radius %s: requests %llu, repeated %llu, waiting %zu, answers %llu, accepts %llu, "
            "keys %llu, unfollowed %llu; dropped",
            s->name, atomic_load(&s->count.requests), atomic_load(&s->count.repeated),
            atomic_load(&s->count.waiting), atomic_load(&s->count.answers),
            atomic_load(&s->count.accepts), atomic_load(&s->count.keys),
            atomic_load(&s->count.unfollowed));
    for (size_t k = 0; k < DROPS; k++)
        fprintf(out, "%s %s %llu", k == 0 ? "" : ",", drop_names[k],
                atomic_load(&s->count.dropped[k]));
    fputs("; silent", out);
    for (size_t k = 0; k < 2; k++) {
        for (size_t n = 0; n < all[k]->count; n++) {
            const struct radius_server *server = all[k]->item[n];
            if (atomic_load(&server->silent))
                fprintf(out, "%s %s:%u", silent++ == 0 ? "" : ",", server->host,
                        server->port_number);
        }
    }
    fputs(silent == 0 ? " none\n" : "\n", out);
}

const char *radius_section_name(const struct radius_section *s)
{
    return s->name;
}

/* ---- requests and their servers ---- */

static struct servers *servers_of(struct radius_section *s, bool accounting)
{
    return accounting ? &s->accounting : &s->access;
}

static struct span authenticator_of(const struct radius_trip *trip)
{
    return span_of(trip->client_authenticator, RADIUS_AUTHENTICATOR);
}

static void request_drop(struct radius_section *s, struct radius_request *r)
{
    if (r->state == RADIUS_PENDING) /* its client may ask once more, and is then right to do so */
        radius_memory_put(&s->seen, authenticator_of(&r->trip), 0);
    radius_server_release(r);
    radius_table_drop(&s->table, r);
}

/* Rounds of EAP go where the earlier ones went: only that server knows the State it gave. */
static struct radius_server *find_origin(const struct radius_section *s,
                                         const struct radius_packet *p)
{
    struct span state;

    if (p->code != RADIUS_ACCESS_REQUEST || !radius_find(p, RADIUS_STATE, &state))
        return NULL;
    const uint64_t server = radius_memory_get(&s->origin, state);
    return server > 0 ? s->access.item[server - 1] : NULL;
}

static size_t index_of(const struct radius_section *s, const struct radius_server *server)
{
    size_t i = 0;

    while (i < s->access.count && s->access.item[i] != server)
        i++;
    return i;
}

static void put_state(struct radius_section *s, struct span state, uint64_t origin,
                      struct keyring_marks marks)
{
    radius_memory_put(&s->origin, state, origin);
    radius_memory_put(&s->chain, state, marks.chain);
    radius_memory_put(&s->proof, state, marks.proof);
}

/* Removes the State of a request that has its answer, to leave the room to logins that go on. */
static void forget_state(struct radius_section *s, const struct radius_packet *request)
{
    struct span state;

    if (radius_find(request, RADIUS_STATE, &state))
        put_state(s, state, 0, (struct keyring_marks){0});
}

/* Keeps the marks of a login under the challenge's State, because the login's next request has it.
 */
static void remember_state(struct radius_section *s, const struct radius_packet *challenge,
                           const struct radius_request *r)
{
    struct keyring_marks marks = r->marks;
    const struct span eap = radius_eap(challenge, s->eap);
    struct span state;

    if (!radius_find(challenge, RADIUS_STATE, &state))
        return;
    if (eap.n > 0)
        keyring_follow(s->keyring, &marks, eap);
    put_state(s, state, index_of(s, r->server) + 1, marks);
}

/* Finds the login that a request belongs to. False: the request continues a login by EAP whose
 * earlier packets are unknown: another gate had them, the server gave no State, or their entry was
 * replaced. */
static bool login_of(struct radius_section *s, const struct radius_packet *p,
                     struct keyring_login *out)
{
    struct radius_login login;
    struct span state;

    radius_carry_login(p, s->eap, &login);
    *out = (struct keyring_login){.user = login.user};
    if (login.eap.n == 0) {
        out->marks.proof = keyring_proof(s->keyring, login.proof);
        return true;
    }
    if (radius_find(p, RADIUS_STATE, &state))
        out->marks = (struct keyring_marks){.chain = radius_memory_get(&s->chain, state),
                                            .proof = radius_memory_get(&s->proof, state)};
    keyring_follow(s->keyring, &out->marks, login.eap);
    return out->marks.chain != 0;
}

/* In the order written, those that are silent last; not `but`. Gives r an identifier. */
static bool choose_server(struct radius_section *s, struct radius_request *r,
                          const struct radius_server *but, uint64_t now_ms)
{
    const struct servers *all = servers_of(s, r->key.accounting);

    for (int silent = 0; silent < 2; silent++)
        for (size_t i = 0; i < all->count; i++)
            if (all->item[i] != but &&
                radius_server_is_silent(all->item[i], now_ms) == (silent == 1) &&
                radius_server_take(all->item[i], r))
                return true;
    return false;
}

/* The identifier is part of what is signed: the packet is finished when it has one. */
static void send_signed(struct radius_section *s, struct radius_request *r, struct radius_out *out,
                        uint64_t now_ms)
{
    radius_carry_sign(out, &r->trip, r->server_id);
    radius_table_set(&s->table, r, RADIUS_PENDING, span_of(out->octets, out->len), now_ms);
    r->sent_ms = now_ms;
    radius_server_send(r);
}

/* ---- from clients ---- */

/* RFC 5997 3: a proxy answers for itself. It says "I am here", not who may come in. */
static void answer_status(struct radius_section *s, struct udp *u, bool accounting,
                          const struct radius_packet *p, const struct udp_path *path)
{
    static const uint8_t to_be_signed[RADIUS_AUTHENTICATOR];
    struct radius_out *out = &s->out;

    radius_begin(out, accounting ? RADIUS_ACCOUNTING_RESPONSE : RADIUS_ACCESS_ACCEPT, p->id);
    radius_add(out, RADIUS_MESSAGE_AUTHENTICATOR, span_of(to_be_signed, sizeof to_be_signed));
    INSIST(radius_end(out));
    radius_sign(out, p->authenticator.p, s->client_secret);
    (void)udp_send(u, span_of(out->octets, out->len), path);
    atomic_fetch_add(&s->count.answers, 1);
}

static void send_answer(const struct radius_request *r)
{
    (void)udp_send(r->udp, span_of(r->octets, r->len), &r->path);
}

/* The client's request, once more. */
static void repeat(struct radius_section *s, struct radius_request *r, uint64_t now_ms)
{
    struct radius_server *old = r->server;
    struct radius_out *out = &s->out;

    atomic_fetch_add(&s->count.repeated, 1);
    if (r->state == RADIUS_ANSWERED) {
        send_answer(r);
        return;
    }
    radius_table_touch(&s->table, r, now_ms);
    if (now_ms - r->sent_ms >= s->config->timeout_server) {
        radius_server_missed(old, r, now_ms);
        if (choose_server(s, r, old, now_ms) ||
            (radius_server_moved(old, r) && radius_server_take(old, r))) {
            memcpy(out->octets, r->octets, r->len);
            out->len = r->len;
            send_signed(s, r, out, now_ms);
            return;
        }
    }
    /* To the same server it is the same packet (RFC 2865 2.5). */
    radius_server_send(r);
}

/* Sets the marks of an Access-Request. Returns its client's address if wanted and known. */
static const struct addr *identify(struct radius_section *s, const struct radius_packet *p,
                                   uint64_t now_ms, struct keyring_marks *marks,
                                   struct addr *caller)
{
    struct keyring_login login;

    if (p->code != RADIUS_ACCESS_REQUEST)
        return NULL;
    const bool followed = login_of(s, p, &login);
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

static void forward(struct radius_section *s, struct udp *u, const struct radius_packet *p,
                    const struct radius_key *key, const struct udp_path *path, uint64_t now_ms)
{
    struct radius_trip trip = {.client_secret = s->client_secret,
                               .server_secret = s->server_secret};
    struct keyring_marks marks = {0};
    struct radius_out *out = &s->out;
    struct addr caller;

    if (!radius_carry_request(p, &trip, identify(s, p, now_ms, &marks, &caller), out)) {
        drop(s, MALFORMED, &path->peer);
        return;
    }
    struct radius_request *r = radius_table_surplus(&s->table);
    if (r != NULL) {
        /* Of requests that wait the one that has waited longest: a flood of them hides those who
         * get their answer at once for no longer than that takes. */
        if (r->state == RADIUS_PENDING)
            drop(s, FULL, &r->key.from);
        request_drop(s, r);
    }
    r = radius_table_add(&s->table, key, now_ms);
    r->trip = trip;
    r->marks = marks;
    r->udp = u;
    r->path = *path;
    struct radius_server *origin = find_origin(s, p);
    if ((origin == NULL || !radius_server_take(origin, r)) && !choose_server(s, r, NULL, now_ms)) {
        drop(s, NO_SERVER, &path->peer);
        request_drop(s, r);
        return;
    }
    if (p->code == RADIUS_ACCESS_REQUEST)
        radius_memory_put(&s->seen, authenticator_of(&trip), now_ms);
    send_signed(s, r, out, now_ms);
}

/* Codes that are asked there. */
static bool is_asked(bool accounting, uint8_t code)
{
    return code == RADIUS_STATUS_SERVER ||
           code == (accounting ? RADIUS_ACCOUNTING_REQUEST : RADIUS_ACCESS_REQUEST);
}

/* RFC 3579 3.2: with EAP-Message there must be a Message-Authenticator; RFC 5997 3: the same for
 * Status-Server. */
static bool must_be_signed(const struct radius_section *s, const struct radius_packet *p)
{
    struct span eap;

    switch (p->code) {
    case RADIUS_STATUS_SERVER: return true;
    case RADIUS_ACCOUNTING_REQUEST:
    case RADIUS_ACCOUNTING_RESPONSE: return false; /* its authenticator is a signature */
    default:
        return s->config->require_message_authenticator || radius_find(p, RADIUS_EAP_MESSAGE, &eap);
    }
}

/* The authenticator of another request of the last minutes: then it is none of ours that was lost,
 * but somebody's who repeats what he has heard (RFC 2865 3). */
static bool is_replay(const struct radius_section *s, const struct radius_packet *p,
                      uint64_t now_ms)
{
    const uint64_t seen_ms = radius_memory_get(&s->seen, p->authenticator);
    return p->code == RADIUS_ACCESS_REQUEST && seen_ms > 0 && now_ms - seen_ms < SEEN_MS;
}

/* It is signed as it must be, and not about the gate itself. */
static void take_request(struct radius_section *s, struct udp *u, const struct radius_packet *p,
                         const struct radius_key *key, const struct udp_path *path)
{
    const uint64_t now_ms = worker_now(s->worker);
    struct radius_request *r = radius_table_find(&s->table, key);

    if (r != NULL && span_eq(authenticator_of(&r->trip), p->authenticator)) {
        r->udp = u;
        r->path = *path;
        repeat(s, r, now_ms);
    } else if (is_replay(s, p, now_ms)) {
        drop(s, REPLAYED, &path->peer);
    } else {
        if (r != NULL) /* the client has given it up (RFC 5080 2.2.2) */
            request_drop(s, r);
        forward(s, u, p, key, path, now_ms);
    }
}

/* Overwrites the stack below its caller, where a copy of a key was found with AddressSanitizer. The
 * code that makes the copy is not known, so the whole depth of a callback of this thread is wiped:
 * 16 KiB. */
static __attribute__((noinline)) void burn_stack(void)
{
    uint8_t room[16384];
    OPENSSL_cleanse(room, sizeof room);
}

/* Between two callbacks: nothing is left that is not needed. */
static void settle(struct radius_section *s)
{
    burn_stack();
    explicit_bzero(&s->out, sizeof s->out);
    explicit_bzero(s->eap, sizeof s->eap);
    atomic_store(&s->count.waiting, s->table.waiting);
}

void radius_section_take(struct radius_section *s, struct udp *u, bool accounting,
                         struct span octets, const struct udp_path *path)
{
    struct radius_key key = {.from = path->peer, .accounting = accounting};
    struct radius_packet p;

    if (!cidrs_have(&s->config->clients, &path->peer)) {
        drop(s, STRANGER, &path->peer);
        return;
    }
    if (radius_parse(octets, &p) != ERR_OK || !is_asked(accounting, p.code)) {
        drop(s, MALFORMED, &path->peer);
        return;
    }
    const enum radius_proof proof = radius_verify(&p, NULL, s->client_secret);
    if (proof == RADIUS_FORGED || (proof == RADIUS_UNSIGNED && must_be_signed(s, &p))) {
        drop(s, proof == RADIUS_FORGED ? FORGED : UNSIGNED, &path->peer);
        return;
    }
    atomic_fetch_add(&s->count.requests, 1);
    key.id = p.id;
    if (p.code == RADIUS_STATUS_SERVER)
        answer_status(s, u, accounting, &p, path);
    else
        take_request(s, u, &p, &key, path);
    settle(s);
}

void radius_section_forget(struct radius_section *s, const struct udp *u)
{
    struct radius_request *r, *next;

    for (size_t i = 0; i < 2; i++) {
        DL_FOREACH_SAFE(s->table.list[i], r, next) {
            if (r->udp == u)
                request_drop(s, r);
        }
    }
}

/* ---- from servers ---- */

static bool answers(const struct radius_request *r, uint8_t code)
{
    if (r->key.accounting)
        return code == RADIUS_ACCOUNTING_RESPONSE;
    return code == RADIUS_ACCESS_ACCEPT || code == RADIUS_ACCESS_REJECT ||
           code == RADIUS_ACCESS_CHALLENGE;
}

/* Keys of the login go to the keyring. Returns how many. */
static size_t take_keys(struct radius_section *s, const struct radius_request *r,
                        const struct radius_packet *accept, const struct keyring_login *login,
                        const struct radius_packet *request, uint64_t now_ms)
{
    const struct radius_side side = {.secret = s->server_secret,
                                     .authenticator = r->trip.server_authenticator};
    struct hlak keys[KEYRING_PER_LOGIN];
    struct span challenge = span_of(NULL, 0);

    (void)radius_ms_find(request, RADIUS_MS_CHAP_CHALLENGE, &challenge);
    const size_t n = radius_keys(accept, &side, challenge, keys, KEYRING_PER_LOGIN);
    if (n > 0)
        keyring_put(s->keyring, s->name, login, keys, n, now_ms);
    for (size_t i = 0; i < n; i++)
        hlak_wipe(&keys[i]);
    atomic_fetch_add(&s->count.keys, n);
    return n;
}

/* It is right, and goes to the client. */
static void hand_over(struct radius_section *s, struct radius_request *r,
                      const struct radius_packet *p, struct radius_out *out, uint64_t now_ms)
{
    struct keyring_login login = {.marks = r->marks};
    struct radius_packet request;
    size_t keys = 0;

    INSIST(radius_parse(span_of(r->octets, r->len), &request) == ERR_OK);
    (void)radius_find(&request, RADIUS_USER_NAME, &login.user);
    if (p->code == RADIUS_ACCESS_ACCEPT) {
        atomic_fetch_add(&s->count.accepts, 1);
        keys = take_keys(s, r, p, &login, &request, now_ms); /* before the server acts on it */
    }
    if (!r->key.accounting)
        forget_state(s, &request);
    if (p->code == RADIUS_ACCESS_CHALLENGE)
        remember_state(s, p, r);
    atomic_fetch_add(&s->count.answers, 1);
    log_answer(s, r, p->code, login.user, keys);
    radius_server_release(r);
    radius_table_set(&s->table, r, RADIUS_ANSWERED, span_of(out->octets, out->len), now_ms);
    send_answer(r);
}

static void on_answer(void *owner, struct radius_request *r, struct span octets)
{
    struct radius_section *s = owner;
    const uint64_t now_ms = worker_now(s->worker);
    struct radius_out *out = &s->out;
    struct radius_packet p;

    if (radius_parse(octets, &p) != ERR_OK || !answers(r, p.code)) {
        drop(s, MALFORMED, &r->to);
        return;
    }
    const enum radius_proof proof =
        radius_verify(&p, r->trip.server_authenticator, s->server_secret);
    if (proof == RADIUS_FORGED || (proof == RADIUS_UNSIGNED && must_be_signed(s, &p))) {
        drop(s, proof == RADIUS_FORGED ? FORGED : UNSIGNED, &r->to);
        return;
    }
    radius_server_answered(r->server, now_ms);
    if (radius_carry_answer(&p, &r->trip, out))
        hand_over(s, r, &p, out, now_ms);
    else
        drop(s, MALFORMED, &r->to);
    settle(s);
}

static void on_stray(void *owner, const struct addr *from)
{
    drop(owner, UNEXPECTED, from);
}

static const struct radius_server_calls server_calls = {.on_answer = on_answer,
                                                        .on_stray = on_stray};

/* ---- its configuration, begin and end ---- */

static void servers_open(struct radius_section *s, struct servers *all,
                         const struct config_hosts *hosts)
{
    all->item = insist_alloc(calloc(hosts->count + 1, sizeof(struct radius_server *)));
    for (; all->count < hosts->count; all->count++)
        all->item[all->count] =
            radius_server_new(s->worker, &hosts->item[all->count], &server_calls, s, s->name);
}

static void servers_close(struct servers *all)
{
    for (size_t i = 0; i < all->count; i++)
        radius_server_free(all->item[i]);
    free(all->item);
    *all = (struct servers){0};
}

/* Nothing waits any more, and nobody is asked. */
static void section_empty(struct radius_section *s)
{
    for (size_t i = 0; i < 2; i++)
        while (s->table.list[i] != NULL)
            request_drop(s, s->table.list[i]);
    servers_close(&s->access);
    servers_close(&s->accounting);
    radius_memory_clear(&s->seen);
    radius_memory_clear(&s->origin);
    radius_memory_clear(&s->chain);
    radius_memory_clear(&s->proof);
    atomic_store(&s->count.waiting, 0);
}

void radius_section_free(struct radius_section *s)
{
    section_empty(s);
    radius_memory_fini(&s->seen);
    radius_memory_fini(&s->origin);
    radius_memory_fini(&s->chain);
    radius_memory_fini(&s->proof);
    free(s->name);
    free(s);
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
    radius_memory_init(&s->origin, STATES_MAX);
    radius_memory_init(&s->chain, STATES_MAX);
    radius_memory_init(&s->proof, STATES_MAX);
    return s;
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
    for (size_t i = 0; i < 2; i++) { /* the old snapshot's are about to go */
        struct radius_request *r;
        DL_FOREACH(s->table.list[i], r) {
            r->trip.client_secret = client;
            r->trip.server_secret = server;
        }
    }
}

void radius_section_sweep(struct radius_section *s, uint64_t now_ms)
{
    struct radius_request *r;

    while ((r = radius_table_old(&s->table, now_ms)) != NULL)
        request_drop(s, r);
    for (size_t i = 0; i < s->access.count; i++)
        radius_server_sweep(s->access.item[i], now_ms);
    for (size_t i = 0; i < s->accounting.count; i++)
        radius_server_sweep(s->accounting.item[i], now_ms);
    atomic_store(&s->count.waiting, s->table.waiting);
}
