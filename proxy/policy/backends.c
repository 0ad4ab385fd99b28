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

/* What is known of a server, whatever the configuration. */
struct known {
    struct known *prev, *next; /* of all->known */
    struct backends *all;      /* NULL: shared with nobody */
    unsigned refs;             /* under all->lock */
    char *backend, *host;
    uint16_t port;

    atomic_uint tunnels;
    atomic_bool draining;
    atomic_bool down;
    atomic_uint row;               /* failures one after the other while up, good ones while down */
    atomic_uint_least64_t fresh;   /* ms: when slow-start began; 0: never */
    atomic_uint_least64_t retry;   /* ms: down, and not checked: when a call may try it */
    atomic_uint_least64_t changed; /* ms */
    pthread_mutex_t cause_lock;    /* at changes, and for who looks at them */
    char cause[BACKENDS_CAUSE_MAX];
};

struct backends {
    pthread_mutex_t lock; /* of the list: at reloads */
    struct known *known;
};

struct member {
    struct known *known;
    uint64_t hash; /* of host and port, for source */
    /* Where in the group's virtual time it had its latest turn: see turn_of(). */
    atomic_uint_least64_t turn;
};

struct backends_group {
    const struct backends_settings *settings;
    atomic_uint_least64_t turn; /* the latest of all */
    struct member member[];
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
    INSIST(all->known == NULL);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

static struct known *known_new(struct backends *all, const struct backends_settings *c,
                               const struct backends_server *s)
{
    struct known *k = NEW(struct known);
    k->all = all;
    k->refs = 1;
    k->backend = insist_alloc(strdup(c->name));
    k->host = insist_alloc(strdup(s->host));
    k->port = s->port;
    /* Nobody knows it yet: the first check decides. */
    atomic_init(&k->row, c->probed ? c->fall - 1 : 0);
    INSIST(pthread_mutex_init(&k->cause_lock, NULL) == 0);
    return k;
}

static struct known *known_get(struct backends *all, const struct backends_settings *c,
                               const struct backends_server *s)
{
    struct known *k;

    if (all == NULL)
        return known_new(NULL, c, s);
    pthread_mutex_lock(&all->lock);
    DL_FOREACH(all->known, k) {
        if (k->port == s->port && strcmp(k->host, s->host) == 0 && strcmp(k->backend, c->name) == 0)
            break;
    }
    if (k != NULL) {
        k->refs++;
    } else {
        k = known_new(all, c, s);
        DL_APPEND(all->known, k);
    }
    pthread_mutex_unlock(&all->lock);
    return k;
}

static void known_put(struct known *k)
{
    struct backends *all = k->all;

    if (all != NULL) {
        pthread_mutex_lock(&all->lock);
        const bool last = --k->refs == 0;
        if (last)
            DL_DELETE(all->known, k);
        pthread_mutex_unlock(&all->lock);
        if (!last)
            return;
    }
    INSIST(atomic_load(&k->tunnels) == 0);
    pthread_mutex_destroy(&k->cause_lock);
    free(k->backend);
    free(k->host);
    free(k);
}

/* The same in every process and on every gate, so that all of them send a client to the same
 * server. Who could choose his address might choose his server by it, as he might by trying. */
static const struct siphash_key source_key = {.k0 = 0x737374706761, .k1 = 0x7465};

static uint64_t hash_server(const struct backends_server *s)
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
        g->member[i].known = known_get(all, c, &c->item[i]);
        g->member[i].hash = hash_server(&c->item[i]);
    }
    return g;
}

void backends_leave(struct backends_group *g)
{
    if (g == NULL)
        return;
    for (size_t i = 0; i < g->settings->count; i++)
        known_put(g->member[i].known);
    free(g);
}

const char *backends_name(const struct backends_group *g, size_t server,
                          char out[BACKENDS_NAME_MAX])
{
    const struct backends_server *s = &g->settings->item[server];
    const bool ip6 = strchr(s->host, ':') != NULL;
    snprintf(out, BACKENDS_NAME_MAX, "%s%s%s:%u", ip6 ? "[" : "", s->host, ip6 ? "]" : "",
             (unsigned)s->port);
    return out;
}

/* ---- choosing ------------------------------------------------------------------------------- */

/* One call at weight 1 is so much of the virtual time and of the load. */
enum { WEIGHT_UNIT = 256 };
static const uint64_t one_call = (uint64_t)1 << 32;

/* In 1/WEIGHT_UNIT. A server that has just come back gets a part that grows with the time. */
static uint64_t weight_of(const struct backends_group *g, size_t i, uint64_t now)
{
    const uint64_t whole = (uint64_t)g->settings->item[i].weight * WEIGHT_UNIT;
    const uint64_t fresh = atomic_load(&g->member[i].known->fresh);
    const uint64_t slow = g->settings->slow_start;

    if (fresh == 0 || slow == 0 || now >= fresh + slow)
        return whole;
    /* Another thread's clock may be a little ahead of ours. */
    const uint64_t part = now <= fresh ? 0 : whole * (now - fresh) / slow;
    return part == 0 ? 1 : part;
}

/* Start-time fair queuing (Goyal, Vin, Cheng 1996): a turn costs the more virtual time the less the
 * weight is, and whoever would be served earliest is next. One that was away does not get what it
 * has missed: it begins where the others are. Counted from the turn before, so that the weight of
 * now holds. */
static uint64_t turn_of(const struct backends_group *g, size_t i, uint64_t last, uint64_t now)
{
    const uint64_t here = atomic_load(&g->turn), next = last + one_call / weight_of(g, i, now);
    return next > here ? next : here;
}

/* -log2(hash / 2^64) with 24 bits behind the point, a bit for each squaring. */
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

/* Weighted rendezvous hashing (Thaler, Ravishankar 1998): each server draws a number for this
 * client, distributed so that the smallest is its own as often as its weight says. The others'
 * numbers do not change when one goes. */
static uint64_t draw_of(const struct backends_group *g, size_t i, const struct addr *client,
                        uint64_t now)
{
    uint8_t octets[sizeof client->ip + sizeof(uint64_t)] = {0};
    const size_t n = client->family == AF_INET ? 4 : sizeof client->ip;

    for (size_t k = 0; k < sizeof(uint64_t); k++) /* the same on every machine */
        octets[k] = (uint8_t)(g->member[i].hash >> 8 * k);
    memcpy(octets + sizeof(uint64_t), client->ip, n);
    const uint64_t hash = siphash(&source_key, octets, sizeof(uint64_t) + n);
    return negative_log2(hash) * one_call / weight_of(g, i, now);
}

/* The smaller, the sooner it is chosen. */
struct rank {
    unsigned tier;
    uint64_t by_balance, by_turn;
};

enum { TIER_UP = 0, TIER_BACKUP = 1, TIER_DOWN = 2 /* and 3: backups that are down */ };

static bool rank_less(const struct rank *a, const struct rank *b)
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

/* False: not this one. *turn: the turn that it had before. */
static bool rank_of(const struct backends_group *g, size_t i, const struct addr *client,
                    uint64_t now, struct rank *out, uint64_t *turn)
{
    const struct backends_server *s = &g->settings->item[i];
    const struct member *m = &g->member[i];
    const unsigned tunnels = atomic_load(&m->known->tunnels);

    if (atomic_load(&m->known->draining) || is_full(s, tunnels))
        return false;
    *out = (struct rank){.tier = s->backup ? TIER_BACKUP : TIER_UP};
    if (atomic_load(&m->known->down)) {
        if (g->settings->probed)
            return false;
        if (now < atomic_load(&m->known->retry))
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

/* False: another call was quicker, and it is to be chosen anew. */
static bool take(struct backends_group *g, size_t i, uint64_t turn, uint64_t next, uint64_t now)
{
    struct member *m = &g->member[i];
    struct known *k = m->known;

    if (is_full(&g->settings->item[i], atomic_fetch_add(&k->tunnels, 1)))
        goto undo;
    if (next != 0) { /* it is a matter of turns */
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

bool backends_choose(struct backends_group *g, const struct addr *client, uint64_t *tried,
                     uint64_t now_ms, size_t *server)
{
    for (;;) {
        struct rank best = {0}, rank;
        uint64_t best_turn = 0, turn;
        size_t found = BACKENDS_SERVERS_MAX;

        for (size_t i = 0; i < g->settings->count; i++) {
            if ((*tried >> i & 1) != 0 || !rank_of(g, i, client, now_ms, &rank, &turn))
                continue;
            if (found != BACKENDS_SERVERS_MAX && !rank_less(&rank, &best))
                continue;
            found = i;
            best = rank;
            best_turn = turn;
        }
        if (found == BACKENDS_SERVERS_MAX)
            return false;
        if (!take(g, found, best_turn, best.by_turn, now_ms))
            continue;
        *tried |= (uint64_t)1 << found;
        *server = found;
        return true;
    }
}

void backends_release(struct backends_group *g, size_t server)
{
    INSIST(atomic_fetch_sub(&g->member[server].known->tunnels, 1) > 0);
}

void backends_why_none(const struct backends_group *g, char out[BACKENDS_CAUSE_MAX])
{
    static const char *const words[] = {"drained", "full", "down"};
    unsigned count[3] = {0};
    size_t n = 0;

    for (size_t i = 0; i < g->settings->count; i++) {
        struct known *k = g->member[i].known;
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

static void cause_keep(struct known *k, const char *cause)
{
    pthread_mutex_lock(&k->cause_lock);
    snprintf(k->cause, sizeof k->cause, "%s", cause);
    pthread_mutex_unlock(&k->cause_lock);
}

/* True for the one who has changed it. */
static bool turn_to(struct known *k, bool down, const char *cause, uint64_t now)
{
    bool was = !down;

    if (!atomic_compare_exchange_strong(&k->down, &was, down))
        return false;
    atomic_store(&k->row, 0);
    atomic_store(&k->changed, now);
    cause_keep(k, cause);
    return true;
}

enum backends_change backends_report(struct backends_group *g, size_t server, bool good,
                                     const char *cause, uint64_t now_ms)
{
    struct known *k = g->member[server].known;
    const unsigned rise = g->settings->probed ? g->settings->rise : 1;
    const unsigned needed = good ? rise : g->settings->fall;

    if (good != atomic_load(&k->down)) { /* as it was */
        if (atomic_load(&k->row) != 0) /* what is shared is written no more often than it must be */
            atomic_store(&k->row, 0);
        if (!good)
            atomic_store(&k->retry, now_ms + g->settings->down_time);
        return BACKENDS_SAME;
    }
    if (atomic_fetch_add(&k->row, 1) + 1 < needed)
        return BACKENDS_SAME;
    if (good) {
        atomic_store(&k->fresh, now_ms); /* first, or who comes now would meet its whole weight */
        return turn_to(k, false, cause, now_ms) ? BACKENDS_CAME_UP : BACKENDS_SAME;
    }
    atomic_store(&k->retry, now_ms + g->settings->down_time);
    return turn_to(k, true, cause, now_ms) ? BACKENDS_WENT_DOWN : BACKENDS_SAME;
}

bool backends_drain(struct backends_group *g, size_t server, bool drain, uint64_t now_ms)
{
    struct known *k = g->member[server].known;

    if (!drain && atomic_load(&k->draining))
        atomic_store(&k->fresh, now_ms); /* for calls it is as good as one that was down */
    return atomic_exchange(&k->draining, drain) != drain;
}

void backends_state(struct backends_group *g, size_t server, struct backends_state *out)
{
    struct known *k = g->member[server].known;

    *out = (struct backends_state){
        .up = !atomic_load(&k->down),
        .draining = atomic_load(&k->draining),
        .tunnels = atomic_load(&k->tunnels),
        .changed_ms = atomic_load(&k->changed),
    };
    pthread_mutex_lock(&k->cause_lock);
    memcpy(out->cause, k->cause, sizeof out->cause);
    pthread_mutex_unlock(&k->cause_lock);
}
