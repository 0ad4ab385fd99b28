#include "policy/limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/siphash.h"

/* Entries are some 200 octets, as many as calls that hold 15 kB each, or bounded by LIMITS_*_MAX:
 * no memory for one is no memory for any call. */
#define uthash_fatal(msg) insist_failed(msg, __FILE__, __LINE__)
#include <uthash.h>
#include <utlist.h>

/* Points are kept in as many slots of time, one more than ban-reset has: the oldest is on its way
 * out while the newest fills. With 8 of them a point lives an eighth too long at most. */
enum { RESET_SLOTS = 8, SLOTS = RESET_SLOTS + 1 };

enum { KEY = 1 + 16 }; /* family, and the address with its host bits zero */

/* Where a prefix is kept, besides the table: it follows from what is known of it (settle). */
enum place {
    NOWHERE, /* about to be freed, or just made */
    AT_WORK, /* has tunnels, no ban */
    IDLE,    /* no tunnels, no ban, but points or a used rate; on a list, last touched last */
    BANNED,  /* with or without tunnels; on a list, last banned last */
};

struct prefix {
    UT_hash_handle hh;
    struct prefix *prev, *next;
    enum place place;
    unsigned tunnels;
    uint64_t rate_full;     /* ns: when its rate is unused again; see rate_allows */
    uint64_t ban_until;     /* ms; 0: no ban */
    uint64_t slot;          /* the newest; time / slot_ms */
    uint16_t points[SLOTS]; /* at slot % SLOTS */
    uint8_t key[KEY];
};

struct user {
    UT_hash_handle hh;
    unsigned tunnels;
    size_t name_len;
    uint8_t name[]; /* letters in lower case */
};

struct list {
    struct prefix *head;
    size_t count, max;
};

struct limits {
    pthread_mutex_t lock; /* of everything below */
    struct limits_settings c;
    uint64_t slot_ms;
    struct siphash_key hash_key;
    struct prefix *prefixes;
    struct list idle, banned;
    size_t addresses; /* prefixes with tunnels */
    struct user *users;
    uint64_t rate_full; /* ns, as that of a prefix */
    uint64_t changes;   /* see limits_changes */
};

static void lock(struct limits *l)
{
    INSIST(pthread_mutex_lock(&l->lock) == 0);
}

static void unlock(struct limits *l)
{
    INSIST(pthread_mutex_unlock(&l->lock) == 0);
}

const char *limits_key(enum limits_verdict v)
{
    switch (v) {
    case LIMITS_OK: break;
    case LIMITS_BANNED: return "ban-points";
    case LIMITS_PER_ADDRESS: return "max-tunnels-per-address";
    case LIMITS_RATE_PER_ADDRESS: return "handshake-rate-per-address";
    case LIMITS_RATE: return "handshake-rate";
    case LIMITS_PER_USER: return "max-tunnels-per-user";
    }
    return "-";
}

/* ---- rates ----------------------------------------------------------------------------------
 * A token bucket of `count` tokens that fills in `per_ms`, kept as one number: the time at which
 * it will be full again. A token moves that time by one step; there is a token as long as it is no
 * more than count - 1 steps ahead. A number in the past is a full bucket, so 0 is a new one. */

static uint64_t rate_step(const struct limits_rate *r)
{
    return (uint64_t)r->per_ms * 1000000 / r->count;
}

static bool rate_allows(const struct limits_rate *r, uint64_t full, uint64_t now_ms)
{
    return r->count == 0 || full <= now_ms * 1000000 + rate_step(r) * (r->count - 1);
}

static void rate_take(const struct limits_rate *r, uint64_t *full, uint64_t now_ms)
{
    const uint64_t now = now_ms * 1000000;
    if (r->count > 0)
        *full = (*full > now ? *full : now) + rate_step(r);
}

static bool rate_equal(const struct limits_rate *a, const struct limits_rate *b)
{
    return a->count == b->count && a->per_ms == b->per_ms;
}

/* ---- points --------------------------------------------------------------------------------- */

static void points_clear(struct prefix *p)
{
    memset(p->points, 0, sizeof p->points);
}

/* Empties the slots whose time is over. The clock of another thread may be a little behind: then
 * the newest slot stays the newest. */
static void points_turn(const struct limits *l, struct prefix *p, uint64_t now_ms)
{
    const uint64_t slot = now_ms / l->slot_ms;
    if (slot >= p->slot + SLOTS)
        points_clear(p);
    for (uint64_t s = p->slot + 1; s <= slot && s < p->slot + SLOTS; s++)
        p->points[s % SLOTS] = 0;
    if (slot > p->slot)
        p->slot = slot;
}

static void points_add(struct prefix *p, unsigned points)
{
    uint16_t *in = &p->points[p->slot % SLOTS];
    *in = points > UINT16_MAX - (unsigned)*in ? UINT16_MAX : (uint16_t)(*in + points);
}

static unsigned points_sum(const struct prefix *p)
{
    unsigned sum = 0;
    for (size_t i = 0; i < SLOTS; i++)
        sum += p->points[i];
    return sum;
}

/* ---- prefixes ------------------------------------------------------------------------------- */

static unsigned bits_of(const struct limits *l, sa_family_t family)
{
    return family == AF_INET ? l->c.prefix_ipv4 : l->c.prefix_ipv6;
}

static void make_key(const struct limits *l, sa_family_t family, const uint8_t *ip,
                     uint8_t key[KEY])
{
    const unsigned bits = bits_of(l, family);
    memset(key, 0, KEY);
    key[0] = family == AF_INET ? 4 : 6;
    memcpy(key + 1, ip, bits / 8);
    if (bits % 8 != 0)
        key[1 + bits / 8] = ip[bits / 8] & (uint8_t)(0xff00 >> bits % 8);
}

static struct cidr net_of(const struct limits *l, const struct prefix *p)
{
    struct cidr net = {.family = p->key[0] == 4 ? AF_INET : AF_INET6};
    net.bits = (uint8_t)bits_of(l, net.family);
    memcpy(net.ip, p->key + 1, sizeof net.ip);
    return net;
}

static unsigned hash_of(const struct limits *l, const void *octets, size_t n)
{
    return (unsigned)siphash(&l->hash_key, octets, n);
}

static struct prefix *find(const struct limits *l, const uint8_t key[KEY])
{
    struct prefix *p = NULL;
    HASH_FIND_BYHASHVALUE(hh, l->prefixes, key, KEY, hash_of(l, key, KEY), p);
    return p;
}

static struct prefix *find_addr(const struct limits *l, const struct addr *who)
{
    uint8_t key[KEY];
    make_key(l, who->family, who->ip, key);
    return find(l, key);
}

/* The one with this key, made if there is none. To be settled when what happened is written down.
 */
static struct prefix *get(struct limits *l, sa_family_t family, const uint8_t *ip)
{
    uint8_t key[KEY];
    make_key(l, family, ip, key);
    struct prefix *p = find(l, key);
    if (p != NULL)
        return p;
    p = NEW(struct prefix);
    memcpy(p->key, key, KEY);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, l->prefixes, p->key, KEY, hash_of(l, p->key, KEY), p);
    return p;
}

static struct list *list_at(struct limits *l, enum place place)
{
    return place == IDLE ? &l->idle : place == BANNED ? &l->banned : NULL;
}

static enum place place_for(const struct prefix *p)
{
    if (p->ban_until != 0)
        return BANNED;
    if (p->tunnels > 0)
        return AT_WORK;
    return p->rate_full != 0 || points_sum(p) > 0 ? IDLE : NOWHERE;
}

/* Puts p where it belongs after something about it has changed, frees it when nothing is left, and
 * makes room if it was one too many. */
static void settle(struct limits *l, struct prefix *p)
{
    const enum place place = place_for(p);
    struct list *from = list_at(l, p->place), *to = list_at(l, place);

    if (place == BANNED && p->place == BANNED)
        return; /* it stays in the order of the bans */
    if (from != NULL) {
        DL_DELETE(from->head, p);
        from->count--;
    }
    p->place = place;
    if (to != NULL) {
        DL_APPEND(to->head, p);
        to->count++;
    }
    if (place == NOWHERE) {
        HASH_DEL(l->prefixes, p);
        free(p);
    }
    if (to != NULL && to->count > to->max) {
        struct prefix *oldest = to->head; /* not p, which was put at the end */
        oldest->ban_until = 0;
        oldest->rate_full = 0;
        points_clear(oldest);
        settle(l, oldest);
    }
}

static bool ban_holds(const struct prefix *p, uint64_t now_ms)
{
    return p->ban_until > now_ms;
}

/* No points while there is a ban: they begin at none when it ends. */
static void ban_begin(struct limits *l, struct prefix *p, uint64_t until_ms)
{
    points_clear(p);
    p->ban_until = until_ms;
    settle(l, p);
}

/* Its rate goes with the ban: it was not used meanwhile. So the list of the idle never grows here,
 * which lets those who walk a list or the table end bans on their way. */
static void ban_end(struct limits *l, struct prefix *p)
{
    p->ban_until = 0;
    p->rate_full = 0;
    settle(l, p);
}

static bool is_exempt(const struct limits *l, const struct addr *who)
{
    return cidrs_have(&l->c.ban_exempt, who) || cidrs_have(&l->c.proxies, who);
}

/* ---- a configuration ------------------------------------------------------------------------ */

static struct cidrs copy_nets(const struct cidrs *nets)
{
    struct cidrs copy = {0};

    if (nets->count == 0)
        return copy;
    copy.item = insist_alloc(calloc(nets->count, sizeof *copy.item));
    memcpy(copy.item, nets->item, nets->count * sizeof *copy.item);
    copy.count = nets->count;
    return copy;
}

static void copy_config(struct limits *l, const struct limits_settings *c)
{
    free(l->c.ban_exempt.item);
    free(l->c.proxies.item);
    l->c = *c;
    l->c.ban_file = NULL; /* callers pass the path to ban_file.h */
    l->c.ban_exempt = copy_nets(&c->ban_exempt);
    l->c.proxies = copy_nets(&c->proxies);
    l->slot_ms = (c->ban_reset + RESET_SLOTS - 1) / RESET_SLOTS;
    if (l->slot_ms == 0)
        l->slot_ms = 1;
}

struct limits *limits_new(const struct limits_settings *c)
{
    struct limits *l = NEW(struct limits);

    INSIST(pthread_mutex_init(&l->lock, NULL) == 0);
    INSIST(getentropy(&l->hash_key, sizeof l->hash_key) == 0);
    l->idle.max = LIMITS_IDLE_MAX;
    l->banned.max = LIMITS_BANS_MAX;
    copy_config(l, c);
    return l;
}

void limits_free(struct limits *l)
{
    struct prefix *p, *next_prefix;
    struct user *u, *next_user;

    if (l == NULL)
        return;
    HASH_ITER(hh, l->prefixes, p, next_prefix) {
        HASH_DEL(l->prefixes, p);
        free(p);
    }
    HASH_ITER(hh, l->users, u, next_user) {
        HASH_DEL(l->users, u);
        free(u);
    }
    free(l->c.ban_exempt.item);
    free(l->c.proxies.item);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void limits_configure(struct limits *l, const struct limits_settings *c)
{
    struct prefix *p, *next;

    lock(l);
    /* Numbers that were made with other keys would mean something else now. */
    const bool new_rate = !rate_equal(&l->c.rate_per_address, &c->rate_per_address);
    const bool new_points = l->c.ban_reset != c->ban_reset || c->ban_points == 0;
    const struct limits_settings old = l->c;
    if (!rate_equal(&l->c.rate, &c->rate))
        l->rate_full = 0;
    copy_config(l, c);
    l->c.prefix_ipv4 = old.prefix_ipv4;
    l->c.prefix_ipv6 = old.prefix_ipv6;
    HASH_ITER(hh, l->prefixes, p, next) {
        if (new_rate)
            p->rate_full = 0;
        if (new_points)
            points_clear(p);
        if (c->ban_points == 0 && p->ban_until != 0) {
            l->changes++;
            ban_end(l, p);
        } else if (place_for(p) != p->place) {
            settle(l, p);
        }
    }
    unlock(l);
}

/* ---- who comes and goes --------------------------------------------------------------------- */

static enum limits_verdict judge(const struct limits *l, const struct prefix *p,
                                 const struct addr *who, uint64_t now_ms)
{
    const struct limits_settings *c = &l->c;

    if (p != NULL && ban_holds(p, now_ms) && !is_exempt(l, who))
        return LIMITS_BANNED;
    if (p != NULL && c->tunnels_per_address > 0 && p->tunnels >= c->tunnels_per_address)
        return LIMITS_PER_ADDRESS;
    if (p != NULL && !rate_allows(&c->rate_per_address, p->rate_full, now_ms))
        return LIMITS_RATE_PER_ADDRESS;
    if (!rate_allows(&c->rate, l->rate_full, now_ms))
        return LIMITS_RATE;
    return LIMITS_OK;
}

enum limits_verdict limits_enter(struct limits *l, const struct addr *who, uint64_t now_ms)
{
    lock(l);
    const enum limits_verdict v = judge(l, find_addr(l, who), who, now_ms);
    if (v == LIMITS_OK) {
        struct prefix *p = get(l, who->family, who->ip);
        l->addresses += p->tunnels == 0;
        p->tunnels++;
        rate_take(&l->c.rate_per_address, &p->rate_full, now_ms);
        rate_take(&l->c.rate, &l->rate_full, now_ms);
        settle(l, p);
    }
    unlock(l);
    return v;
}

void limits_leave(struct limits *l, const struct addr *who)
{
    lock(l);
    struct prefix *p = find_addr(l, who);
    INSIST(p != NULL && p->tunnels > 0);
    p->tunnels--;
    l->addresses -= p->tunnels == 0;
    settle(l, p);
    unlock(l);
}

static struct user *new_user(struct span name)
{
    INSIST(name.n > 0);
    struct user *u = insist_alloc(calloc(1, sizeof *u + name.n));
    u->name_len = name.n;
    for (size_t i = 0; i < name.n; i++)
        u->name[i] = ascii_lower(name.p[i]);
    return u;
}

static struct user *find_user(const struct limits *l, const struct user *same)
{
    struct user *u = NULL;
    HASH_FIND_BYHASHVALUE(hh, l->users, same->name, same->name_len,
                          hash_of(l, same->name, same->name_len), u);
    return u;
}

enum limits_verdict limits_user_enter(struct limits *l, struct span user)
{
    enum limits_verdict v = LIMITS_OK;
    struct user *mine = new_user(user);

    lock(l);
    struct user *u = find_user(l, mine);
    if (u == NULL) {
        u = mine;
        mine = NULL;
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, l->users, u->name, u->name_len,
                                    hash_of(l, u->name, u->name_len), u);
    }
    if (l->c.tunnels_per_user > 0 && u->tunnels >= l->c.tunnels_per_user)
        v = LIMITS_PER_USER;
    else
        u->tunnels++;
    unlock(l);
    free(mine);
    return v;
}

void limits_user_leave(struct limits *l, struct span user)
{
    struct user *mine = new_user(user);

    lock(l);
    struct user *u = find_user(l, mine);
    INSIST(u != NULL && u->tunnels > 0);
    u->tunnels--;
    if (u->tunnels == 0)
        HASH_DEL(l->users, u);
    else
        u = NULL;
    unlock(l);
    free(u);
    free(mine);
}

/* ---- bans ----------------------------------------------------------------------------------- */

bool limits_points(struct limits *l, const struct addr *who, unsigned points, uint64_t now_ms)
{
    bool banned = false;

    lock(l);
    if (l->c.ban_points > 0 && points > 0 && !is_exempt(l, who)) {
        struct prefix *p = get(l, who->family, who->ip);
        if (!ban_holds(p, now_ms)) {
            p->ban_until = 0; /* one that has run out */
            points_turn(l, p, now_ms);
            points_add(p, points);
            banned = points_sum(p) >= l->c.ban_points;
            settle(l, p);
        }
        if (banned) {
            ban_begin(l, p, now_ms + l->c.ban_time);
            l->changes++;
        }
    }
    unlock(l);
    return banned;
}

uint64_t limits_changes(struct limits *l)
{
    lock(l);
    const uint64_t changes = l->changes;
    unlock(l);
    return changes;
}

/* A copy of those that hold, for work that is done without the lock. */
static struct limits_ban *copy_bans(const struct limits *l, uint64_t now_ms, size_t *count)
{
    struct limits_ban *bans = insist_alloc(calloc(l->banned.count + 1, sizeof *bans));
    const struct prefix *p;

    *count = 0;
    DL_FOREACH(l->banned.head, p) {
        if (ban_holds(p, now_ms))
            bans[(*count)++] =
                (struct limits_ban){.net = net_of(l, p), .left_ms = p->ban_until - now_ms};
    }
    return bans;
}

size_t limits_bans(struct limits *l, uint64_t now_ms,
                   void (*each)(void *user, const struct limits_ban *ban), void *user)
{
    size_t count;

    lock(l);
    struct limits_ban *bans = copy_bans(l, now_ms, &count);
    unlock(l);
    for (size_t i = 0; i < count; i++)
        each(user, &bans[i]);
    free(bans);
    return count;
}

bool limits_restore(struct limits *l, const struct cidr *net, uint64_t left_ms, uint64_t now_ms)
{
    lock(l);
    const bool fits = net->bits == bits_of(l, net->family);
    if (fits && l->c.ban_points > 0)
        ban_begin(l, get(l, net->family, net->ip),
                  now_ms + (left_ms > l->c.ban_time ? l->c.ban_time : left_ms));
    unlock(l);
    return fits;
}

size_t limits_lift(struct limits *l, const struct cidr *net, uint64_t now_ms)
{
    struct prefix *p, *next;
    size_t count = 0;

    lock(l);
    DL_FOREACH_SAFE(l->banned.head, p, next) {
        const struct cidr banned = net_of(l, p);
        if (net != NULL && !cidr_covers(net, &banned) && !cidr_covers(&banned, net))
            continue;
        count += ban_holds(p, now_ms);
        ban_end(l, p);
    }
    l->changes += count;
    unlock(l);
    return count;
}

/* ---- housekeeping --------------------------------------------------------------------------- */

void limits_sweep(struct limits *l, uint64_t now_ms)
{
    struct prefix *p, *next;

    lock(l);
    DL_FOREACH_SAFE(l->idle.head, p, next) {
        if (p->rate_full <= now_ms * 1000000)
            p->rate_full = 0;
        points_turn(l, p, now_ms);
        if (place_for(p) != IDLE) /* else it keeps its place in the line */
            settle(l, p);
    }
    DL_FOREACH_SAFE(l->banned.head, p, next) {
        if (!ban_holds(p, now_ms))
            ban_end(l, p);
    }
    unlock(l);
}

bool limits_unused(struct limits *l)
{
    lock(l);
    const bool unused = l->addresses == 0 && l->users == NULL;
    unlock(l);
    return unused;
}

void limits_count(struct limits *l, struct limits_counts *out)
{
    lock(l);
    *out = (struct limits_counts){
        .addresses = l->addresses,
        .idle = l->idle.count,
        .users = HASH_COUNT(l->users),
        .bans = l->banned.count,
    };
    unlock(l);
}
