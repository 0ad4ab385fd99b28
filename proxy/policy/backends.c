#include "policy/backends.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/addr.h"
#include "base/insist.h"
#include "base/siphash.h"

/* A server, which outlives a configuration. */
struct backends_place {
    struct backends_place *prev, *next; /* in all->servers */
    struct backends *all;               /* NULL: not shared */
    atomic_uint refs; /* of groups and calls; from 0 to 1 and back under all->lock only */
    char *backend, *host;
    uint16_t port;

    atomic_uint tunnels;
    atomic_bool draining;
    atomic_bool down;
    atomic_uint row;             /* consecutive failures while up, successes while down */
    atomic_uint_least64_t fresh; /* ms: start of slow-start; 0: never */
    atomic_uint_least64_t retry; /* ms: when a call may try a server that is down and not checked */
    atomic_uint_least64_t changed; /* ms */
    atomic_uint_least64_t check;   /* ms that the latest check took, + 1; 0: none has passed */
    pthread_mutex_t cause_lock;    /* protects cause */
    char cause[BACKENDS_CAUSE_MAX];
};

struct backends {
    pthread_mutex_t lock; /* protects the list */
    struct backends_place *servers;
};

struct group_member {
    struct backends_place *state;
    uint64_t hash; /* of host and port, for source */
    /* Its last turn in the virtual time of the group: see turn_of(). */
    atomic_uint_least64_t turn;
};

struct backends_group {
    const struct backends_settings *settings;
    atomic_uint_least64_t turn; /* the latest of all members */
    struct group_member member[];
};

/* ---- groups --------------------------------------------------------------------------------- */

struct backends *backends_new(void)
{
    struct backends *all = NEW(struct backends);
    INSIST(pthread_mutex_init(&all->lock, NULL) == 0);
    return all;
}

void backends_free(struct backends *all)
{
    if (all == NULL)
        return;
    INSIST(all->servers == NULL);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

static struct backends_place *server_new(struct backends *all, const struct backends_settings *c,
                                         const struct backends_server *s)
{
    struct backends_place *k = NEW(struct backends_place);
    k->all = all;
    atomic_init(&k->refs, 1);
    k->backend = insist_alloc(strdup(c->name));
    k->host = insist_alloc(strdup(s->host));
    k->port = s->port;
    /* A new server: the first check decides. */
    atomic_init(&k->row, c->probed ? c->fall - 1 : 0);
    INSIST(pthread_mutex_init(&k->cause_lock, NULL) == 0);
    return k;
}

static struct backends_place *server_get(struct backends *all, const struct backends_settings *c,
                                         const struct backends_server *s)
{
    struct backends_place *k;

    if (all == NULL)
        return server_new(NULL, c, s);
    pthread_mutex_lock(&all->lock);
    DL_FOREACH(all->servers, k) {
        if (k->port == s->port && strcmp(k->host, s->host) == 0 && strcmp(k->backend, c->name) == 0)
            break;
    }
    if (k != NULL) {
        atomic_fetch_add(&k->refs, 1);
    } else {
        k = server_new(all, c, s);
        DL_APPEND(all->servers, k);
    }
    pthread_mutex_unlock(&all->lock);
    return k;
}

static void server_free(struct backends_place *k)
{
    INSIST(atomic_load(&k->tunnels) == 0);
    pthread_mutex_destroy(&k->cause_lock);
    free(k->backend);
    free(k->host);
    free(k);
}

/* Releases the last reference, unless server_get() has added another one meanwhile. */
static void server_put_last(struct backends_place *k)
{
    struct backends *all = k->all;

    if (all != NULL)
        pthread_mutex_lock(&all->lock);
    const bool last = atomic_fetch_sub(&k->refs, 1) == 1;
    if (last && all != NULL)
        DL_DELETE(all->servers, k);
    if (all != NULL)
        pthread_mutex_unlock(&all->lock);
    if (last)
        server_free(k);
}

/* Releases a reference; takes the lock for the last one only. */
static void server_put(struct backends_place *k)
{
    unsigned refs = atomic_load(&k->refs);

    while (refs > 1)
        if (atomic_compare_exchange_weak(&k->refs, &refs, refs - 1))
            return;
    server_put_last(k);
}

/* The same in every process and on every gate, so that all of them choose the same server for a
 * client. It need not be secret: an attacker who can choose an address can choose a server,
 * too, but could also find such an address by trying. */
static const struct siphash_key source_key = {.k0 = 0x737374706761, .k1 = 0x7465};

static uint64_t server_hash(const struct backends_server *s)
{
    char text[300];
    const int n = snprintf(text, sizeof text, "%s:%u", s->host, s->port);
    INSIST(n > 0 && (size_t)n < sizeof text);
    return siphash(&source_key, text, (size_t)n);
}

struct backends_group *backends_join(struct backends *all, const struct backends_settings *c)
{
    struct backends_group *g = insist_alloc(calloc(1, sizeof *g + c->count * sizeof *g->member));

    INSIST(c->count <= BACKENDS_SERVERS_MAX);
    g->settings = c;
    for (size_t i = 0; i < c->count; i++) {
        g->member[i].state = server_get(all, c, &c->item[i]);
        g->member[i].hash = server_hash(&c->item[i]);
    }
    return g;
}

void backends_leave(struct backends_group *g)
{
    if (g == NULL)
        return;
    for (size_t i = 0; i < g->settings->count; i++)
        server_put(g->member[i].state);
    free(g);
}

struct backends_place *backends_place_at(const struct backends_group *g, size_t server)
{
    return g->member[server].state;
}

const char *backends_place_name(const struct backends_place *place, char out[BACKENDS_NAME_MAX])
{
    const bool ip6 = strchr(place->host, ':') != NULL;
    snprintf(out, BACKENDS_NAME_MAX, "%s%s%s:%u", ip6 ? "[" : "", place->host, ip6 ? "]" : "",
             (unsigned)place->port);
    return out;
}

const char *backends_name(const struct backends_group *g, size_t server,
                          char out[BACKENDS_NAME_MAX])
{
    return backends_place_name(backends_place_at(g, server), out);
}

/* ---- choosing ------------------------------------------------------------------------------- */

/* The virtual time of one call at weight 1, and its load. */
enum { WEIGHT_UNIT = 256 };
static const uint64_t one_call = (uint64_t)1 << 32;

/* Returns the weight in 1/WEIGHT_UNIT. During slow-start it grows with the time. */
static uint64_t weight_of(const struct backends_group *g, size_t i, uint64_t now)
{
    const uint64_t whole = (uint64_t)g->settings->item[i].weight * WEIGHT_UNIT;
    const uint64_t fresh = atomic_load(&g->member[i].state->fresh);
    const uint64_t slow = g->settings->slow_start;

    if (fresh == 0 || slow == 0 || now >= fresh + slow)
        return whole;
    /* The clock of another thread may be a little ahead. */
    const uint64_t part = now <= fresh ? 0 : whole * (now - fresh) / slow;
    return part == 0 ? 1 : part;
}

/* Returns the next turn of a server by start-time fair queuing (Goyal, Vin, Cheng 1996): the
 * smaller the weight, the more virtual time a turn costs, and the server with the earliest next
 * turn is chosen. A server that was down does not catch up on missed turns: it continues where
 * the others are. The next turn is computed from the last one, so that the current weight
 * counts. */
static uint64_t turn_of(const struct backends_group *g, size_t i, uint64_t last, uint64_t now)
{
    const uint64_t here = atomic_load(&g->turn), next = last + one_call / weight_of(g, i, now);
    return next > here ? next : here;
}

/* Returns -log2(hash / 2^64) with 24 fractional bits, one for each squaring. */
static uint64_t negative_log2(uint64_t hash)
{
    uint64_t log = 63, x;

    if (hash == 0)
        hash = 1;
    for (x = hash; x >> 63 == 0; x <<= 1)
        log--;
    for (int bit = 0; bit < 24; bit++) {
        log <<= 1;
        x = (x >> 32) * (x >> 32);
        if (x >> 63 != 0)
            log |= 1;
        else
            x <<= 1;
    }
    return ((uint64_t)64 << 24) - log;
}

/* Returns the number of a server for this client by weighted rendezvous hashing (Thaler,
 * Ravishankar 1998). The numbers are distributed so that a server has the smallest number in
 * proportion to its weight. When a server is removed, the numbers of the others do not
 * change. */
static uint64_t draw_of(const struct backends_group *g, size_t i, const struct addr *client,
                        uint64_t now)
{
    uint8_t bytes[sizeof client->ip + sizeof(uint64_t)] = {0};
    const size_t n = client->family == AF_INET ? 4 : sizeof client->ip;

    for (size_t k = 0; k < sizeof(uint64_t); k++) /* in the same byte order on every machine */
        bytes[k] = (uint8_t)(g->member[i].hash >> 8 * k);
    memcpy(bytes + sizeof(uint64_t), client->ip, n);
    const uint64_t hash = siphash(&source_key, bytes, sizeof(uint64_t) + n);
    return negative_log2(hash) * one_call / weight_of(g, i, now);
}

/* The server with the smallest rank is chosen. */
struct server_rank {
    unsigned tier;
    uint64_t by_balance, by_turn;
};

enum { TIER_UP = 0, TIER_BACKUP = 1, TIER_DOWN = 2 /* and 3: backups that are down */ };

static bool rank_less(const struct server_rank *a, const struct server_rank *b)
{
    if (a->tier != b->tier)
        return a->tier < b->tier;
    if (a->by_balance != b->by_balance)
        return a->by_balance < b->by_balance;
    return a->by_turn < b->by_turn;
}

static bool is_full(const struct backends_server *s, unsigned tunnels)
{
    return s->max_tunnels != 0 && tunnels >= s->max_tunnels;
}

/* Returns false if the server cannot be chosen. *turn: its last turn. */
static bool rank_of(const struct backends_group *g, size_t i, const struct addr *client,
                    uint64_t now, struct server_rank *out, uint64_t *turn)
{
    const struct backends_server *s = &g->settings->item[i];
    const struct group_member *m = &g->member[i];
    const unsigned tunnels = atomic_load(&m->state->tunnels);

    if (atomic_load(&m->state->draining) || is_full(s, tunnels))
        return false;
    *out = (struct server_rank){.tier = s->backup ? TIER_BACKUP : TIER_UP};
    if (atomic_load(&m->state->down)) {
        if (g->settings->probed)
            return false;
        if (now < atomic_load(&m->state->retry))
            out->tier += TIER_DOWN;
    }
    *turn = atomic_load(&m->turn);
    switch (g->settings->balance) {
    case BACKENDS_FIRST: break;
    case BACKENDS_ROUNDROBIN: out->by_turn = turn_of(g, i, *turn, now); break;
    case BACKENDS_LEASTCONN:
        out->by_balance = ((uint64_t)tunnels + 1) * one_call / weight_of(g, i, now);
        out->by_turn = turn_of(g, i, *turn, now);
        break;
    case BACKENDS_SOURCE: out->by_balance = draw_of(g, i, client, now); break;
    }
    return true;
}

static void turn_forward(struct backends_group *g, uint64_t turn)
{
    uint64_t here = atomic_load(&g->turn);
    while (here < turn && !atomic_compare_exchange_weak(&g->turn, &here, turn))
        ;
}

/* Returns false if another call was faster: then choose again. */
static bool server_take(struct backends_group *g, size_t i, uint64_t turn, uint64_t next,
                        uint64_t now)
{
    struct group_member *m = &g->member[i];
    struct backends_place *k = m->state;

    if (is_full(&g->settings->item[i], atomic_fetch_add(&k->tunnels, 1)))
        goto undo;
    if (next != 0) { /* the balance is by turns */
        if (!atomic_compare_exchange_strong(&m->turn, &turn, next))
            goto undo;
        turn_forward(g, next);
    }
    uint64_t retry = atomic_load(&k->retry);
    if (atomic_load(&k->down) && now >= retry &&
        !atomic_compare_exchange_strong(&k->retry, &retry, now + g->settings->down_time))
        goto undo;
    return true;
undo:
    atomic_fetch_sub(&k->tunnels, 1);
    return false;
}

/* A server that may be chosen. */
struct server_choice {
    size_t server;
    struct server_rank rank;
    uint64_t turn; /* its last */
};

/* Returns false if no server is left. */
static bool find_best(const struct backends_group *g, const struct addr *client, uint64_t tried,
                      uint64_t now_ms, struct server_choice *best)
{
    bool found = false;

    for (size_t i = 0; i < g->settings->count; i++) {
        struct server_choice c = {.server = i};
        if ((tried >> i & 1) != 0 || !rank_of(g, i, client, now_ms, &c.rank, &c.turn))
            continue;
        if (found && !rank_less(&c.rank, &best->rank))
            continue;
        found = true;
        *best = c;
    }
    return found;
}

bool backends_choose(struct backends_group *g, const struct addr *client, uint64_t *tried,
                     uint64_t now_ms, size_t *server)
{
    struct server_choice best;

    do {
        if (!find_best(g, client, *tried, now_ms, &best))
            return false;
    } while (!server_take(g, best.server, best.turn, best.rank.by_turn, now_ms));
    atomic_fetch_add(&g->member[best.server].state->refs, 1);
    *tried |= (uint64_t)1 << best.server;
    *server = best.server;
    return true;
}

bool backends_peek(const struct backends_group *g, const struct addr *client, uint64_t *tried,
                   uint64_t now_ms, size_t *server)
{
    struct server_choice best;

    if (!find_best(g, client, *tried, now_ms, &best))
        return false;
    *tried |= (uint64_t)1 << best.server;
    *server = best.server;
    return true;
}

void backends_release(struct backends_place *place)
{
    INSIST(atomic_fetch_sub(&place->tunnels, 1) > 0);
    server_put(place);
}

void backends_why_none(const struct backends_group *g, char out[BACKENDS_CAUSE_MAX])
{
    static const char *const words[] = {"drained", "full", "down"};
    unsigned count[3] = {0};
    size_t n = 0;

    for (size_t i = 0; i < g->settings->count; i++) {
        struct backends_place *k = g->member[i].state;
        if (atomic_load(&k->draining))
            count[0]++;
        else if (is_full(&g->settings->item[i], atomic_load(&k->tunnels)))
            count[1]++;
        else if (atomic_load(&k->down))
            count[2]++;
    }
    out[0] = '\0';
    for (size_t i = 0; i < 3; i++)
        if (count[i] > 0)
            n += (size_t)snprintf(out + n, BACKENDS_CAUSE_MAX - n, "%s%u %s", n == 0 ? "" : ", ",
                                  count[i], words[i]);
}

/* ---- up and down ---------------------------------------------------------------------------- */

static void server_keep_cause(struct backends_place *k, const char *cause)
{
    pthread_mutex_lock(&k->cause_lock);
    snprintf(k->cause, sizeof k->cause, "%s", cause);
    pthread_mutex_unlock(&k->cause_lock);
}

/* Returns true for the one caller that has changed the state. */
static bool server_turn(struct backends_place *k, bool down, const char *cause, uint64_t now)
{
    bool was = !down;

    if (!atomic_compare_exchange_strong(&k->down, &was, down))
        return false;
    atomic_store(&k->row, 0);
    atomic_store(&k->changed, now);
    server_keep_cause(k, cause);
    return true;
}

enum backends_change backends_report(struct backends_group *g, size_t server, bool good,
                                     const char *cause, uint64_t now_ms)
{
    struct backends_place *k = g->member[server].state;
    const unsigned rise = g->settings->probed ? g->settings->rise : 1;
    const unsigned needed = good ? rise : g->settings->fall;

    if (good != atomic_load(&k->down)) { /* no change */
        if (atomic_load(&k->row) != 0)   /* avoids writes to a shared cache line */
            atomic_store(&k->row, 0);
        if (!good)
            atomic_store(&k->retry, now_ms + g->settings->down_time);
        return BACKENDS_SAME;
    }
    if (atomic_fetch_add(&k->row, 1) + 1 < needed)
        return BACKENDS_SAME;
    if (good) {
        atomic_store(&k->fresh, now_ms); /* first, or concurrent calls would use the full weight */
        return server_turn(k, false, cause, now_ms) ? BACKENDS_CAME_UP : BACKENDS_SAME;
    }
    atomic_store(&k->retry, now_ms + g->settings->down_time);
    return server_turn(k, true, cause, now_ms) ? BACKENDS_WENT_DOWN : BACKENDS_SAME;
}

bool backends_drain(struct backends_group *g, size_t server, bool drain, uint64_t now_ms)
{
    struct backends_place *k = g->member[server].state;

    if (!drain && atomic_load(&k->draining))
        atomic_store(&k->fresh, now_ms); /* slow-start, as for a server that was down */
    return atomic_exchange(&k->draining, drain) != drain;
}

void backends_timed(struct backends_group *g, size_t server, uint64_t ms)
{
    atomic_store(&g->member[server].state->check, ms + 1);
}

void backends_state(struct backends_group *g, size_t server, struct backends_state *out)
{
    struct backends_place *k = g->member[server].state;

    *out = (struct backends_state){
        .up = !atomic_load(&k->down),
        .draining = atomic_load(&k->draining),
        .tunnels = atomic_load(&k->tunnels),
        .check_ms = atomic_load(&k->check) - 1,
        .changed_ms = atomic_load(&k->changed),
    };
    pthread_mutex_lock(&k->cause_lock);
    memcpy(out->cause, k->cause, sizeof out->cause);
    pthread_mutex_unlock(&k->cause_lock);
}

void backends_restore(struct backends_group *g, size_t server, const struct backends_state *in)
{
    struct backends_place *k = g->member[server].state;

    atomic_store(&k->draining, in->draining);
    if (in->changed_ms == 0)
        return; /* no check or call has decided yet */
    atomic_store(&k->row, 0);
    atomic_store(&k->down, !in->up);
    atomic_store(&k->changed, in->changed_ms);
    server_keep_cause(k, in->cause);
}
