#include "policy/limits.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fold.h"
#include "policy/limits_in.h"

#include <utlist.h>

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

/* ---- settings ------------------------------------------------------------------------------- */

static struct cidrs nets_copy(const struct cidrs *nets)
{
    struct cidrs copy = {0};

    if (nets->count == 0)
        return copy;
    copy.item = insist_alloc(calloc(nets->count, sizeof *copy.item));
    memcpy(copy.item, nets->item, nets->count * sizeof *copy.item);
    copy.count = nets->count;
    return copy;
}

static void settings_copy(struct limits *l, const struct limits_settings *c)
{
    free(l->c.ban_exempt.item);
    free(l->c.proxies.item);
    l->c = *c;
    l->c.ban_file = NULL; /* not needed: the caller passes it to ban_file.h */
    l->c.ban_exempt = nets_copy(&c->ban_exempt);
    l->c.proxies = nets_copy(&c->proxies);
    l->slot_ms = points_slot_ms(c->ban_reset);
}

struct limits *limits_new(const struct limits_settings *c)
{
    struct limits *l = NEW(struct limits);

    INSIST(pthread_mutex_init(&l->lock, NULL) == 0);
    INSIST(getentropy(&l->hash_key, sizeof l->hash_key) == 0);
    limits_prefixes_init(&l->prefixes, c->prefix_ipv4, c->prefix_ipv6, LIMITS_IDLE_MAX,
                         LIMITS_BANS_MAX);
    manual_bans_init(&l->manual);
    settings_copy(l, c);
    return l;
}

void limits_free(struct limits *l)
{
    struct limits_user *u, *next;

    if (l == NULL)
        return;
    limits_prefixes_fini(&l->prefixes);
    manual_bans_fini(&l->manual);
    HASH_ITER(hh, l->users, u, next) {
        HASH_DEL(l->users, u);
        free(u);
    }
    free(l->c.ban_exempt.item);
    free(l->c.proxies.item);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void limits_observe(struct limits *l, const struct limits_observer *observer)
{
    if (observer == NULL)
        memset(&l->observer, 0, sizeof l->observer);
    else
        l->observer = *observer;
}

/* Needs no lock, because the lengths of the prefixes never change. */
struct cidr limits_net(const struct limits *l, const struct addr *addr)
{
    return limits_prefixes_net_of(&l->prefixes, addr);
}

void limits_configure(struct limits *l, const struct limits_settings *c)
{
    struct limits_prefix *p, *next;

    limits_lock(l);
    /* These states of the old settings would be wrong with the new ones. */
    const bool new_rate = !rate_equal(&l->c.rate_per_address, &c->rate_per_address);
    const bool new_points = l->c.ban_reset != c->ban_reset || c->ban_points == 0;
    if (!rate_equal(&l->c.rate, &c->rate))
        l->rate_full_ns = 0;
    settings_copy(l, c);
    HASH_ITER(hh, l->prefixes.table, p, next) {
        if (new_rate)
            p->rate_full_ns = 0;
        if (new_points)
            points_clear(&p->points);
        if (c->ban_points == 0 && p->ban_until_ms != 0) {
            l->changes++;
            limits_prefixes_unban(&l->prefixes, p);
        } else if (!limits_prefixes_settled(p)) {
            limits_prefixes_settle(&l->prefixes, p);
        }
    }
    limits_unlock(l);
}

/* ---- connections and users ------------------------------------------------------------------ */

static enum limits_verdict limits_judge(const struct limits *l, const struct limits_prefix *p,
                                        const struct addr *addr, uint64_t now_ms)
{
    const struct limits_settings *c = &l->c;

    if (((p != NULL && limits_prefix_is_banned(p, now_ms)) ||
         manual_bans_have_addr(&l->manual, addr, now_ms)) &&
        !limits_is_exempt(l, addr))
        return LIMITS_BANNED;
    if (p != NULL && c->tunnels_per_address > 0 && p->tunnels >= c->tunnels_per_address)
        return LIMITS_PER_ADDRESS;
    if (p != NULL && !rate_allows(&c->rate_per_address, p->rate_full_ns, now_ms))
        return LIMITS_RATE_PER_ADDRESS;
    if (!rate_allows(&c->rate, l->rate_full_ns, now_ms))
        return LIMITS_RATE;
    return LIMITS_OK;
}

enum limits_verdict limits_enter(struct limits *l, const struct addr *addr, uint64_t now_ms)
{
    limits_lock(l);
    const enum limits_verdict v =
        limits_judge(l, limits_prefixes_find(&l->prefixes, addr), addr, now_ms);
    if (v == LIMITS_OK) {
        struct limits_prefix *p = limits_prefixes_get(&l->prefixes, addr->family, addr->ip);
        l->addresses += p->tunnels == 0;
        p->tunnels++;
        rate_take(&l->c.rate_per_address, &p->rate_full_ns, now_ms);
        rate_take(&l->c.rate, &l->rate_full_ns, now_ms);
        limits_prefixes_settle(&l->prefixes, p);
    }
    limits_unlock(l);
    return v;
}

void limits_leave(struct limits *l, const struct addr *addr)
{
    limits_lock(l);
    struct limits_prefix *p = limits_prefixes_find(&l->prefixes, addr);
    INSIST(p != NULL && p->tunnels > 0);
    p->tunnels--;
    l->addresses -= p->tunnels == 0;
    limits_prefixes_settle(&l->prefixes, p);
    limits_unlock(l);
}

static unsigned user_hash(const struct limits *l, const struct limits_user *u)
{
    return (unsigned)siphash(&l->hash_key, u->name, u->name_len);
}

static struct limits_user *user_new(struct span name)
{
    INSIST(name.n > 0);
    struct limits_user *u = insist_alloc(calloc(1, sizeof *u + FOLD_ROOM(name.n)));
    u->name_len = fold_case(name, u->name);
    return u;
}

static struct limits_user *user_find(const struct limits *l, const struct limits_user *same)
{
    struct limits_user *u = NULL;
    HASH_FIND_BYHASHVALUE(hh, l->users, same->name, same->name_len, user_hash(l, same), u);
    return u;
}

static bool user_is_full(const struct limits *l, const struct limits_user *u)
{
    return l->c.tunnels_per_user > 0 && u->tunnels >= l->c.tunnels_per_user;
}

enum limits_verdict limits_user_enter(struct limits *l, struct span user)
{
    enum limits_verdict v = LIMITS_OK;
    struct limits_user *mine = user_new(user);

    limits_lock(l);
    struct limits_user *u = user_find(l, mine);
    if (u == NULL) {
        u = mine;
        mine = NULL;
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, l->users, u->name, u->name_len, user_hash(l, u), u);
    }
    if (user_is_full(l, u))
        v = LIMITS_PER_USER;
    else
        u->tunnels++;
    limits_unlock(l);
    free(mine);
    return v;
}

void limits_user_leave(struct limits *l, struct span user)
{
    struct limits_user *mine = user_new(user);

    limits_lock(l);
    struct limits_user *u = user_find(l, mine);
    INSIST(u != NULL && u->tunnels > 0);
    u->tunnels--;
    if (u->tunnels == 0)
        HASH_DEL(l->users, u);
    else
        u = NULL;
    limits_unlock(l);
    free(u);
    free(mine);
}

/* ---- explanations ---------------------------------------------------------------------------- */

static void look_at_user(const struct limits *l, const struct limits_user *same,
                         struct limits_state *out)
{
    const struct limits_user *u = user_find(l, same);

    out->user_tunnels_max = l->c.tunnels_per_user;
    out->user_tunnels = u == NULL ? 0 : u->tunnels;
    out->user_full = u != NULL && user_is_full(l, u);
}

static void look_at_prefix(const struct limits *l, const struct limits_prefix *p, uint64_t now_ms,
                           struct limits_state *out)
{
    struct points points = p->points;

    points_turn(&points, l->slot_ms, now_ms);
    out->points = points_sum(&points);
    out->tunnels = p->tunnels;
    if (limits_prefix_is_banned(p, now_ms) && !out->exempt)
        out->ban_left_ms = p->ban_until_ms - now_ms;
}

struct limits_state limits_look(struct limits *l, const struct addr *addr, struct span user,
                                uint64_t now_ms)
{
    struct limits_user *mine = user.n == 0 ? NULL : user_new(user);

    limits_lock(l);
    const struct limits_prefix *p = limits_prefixes_find(&l->prefixes, addr);
    struct limits_state out = {.verdict = limits_judge(l, p, addr, now_ms),
                               .exempt = limits_is_exempt(l, addr),
                               .ban_points = l->c.ban_points,
                               .tunnels_max = l->c.tunnels_per_address};
    if (p != NULL)
        look_at_prefix(l, p, now_ms, &out);
    if (mine != NULL)
        look_at_user(l, mine, &out);
    limits_unlock(l);
    free(mine);
    return out;
}

/* ---- housekeeping --------------------------------------------------------------------------- */

void limits_sweep(struct limits *l, uint64_t now_ms)
{
    struct limits_prefix *p, *next;

    limits_lock(l);
    DL_FOREACH_SAFE(l->prefixes.idle.head, p, next) {
        if (rate_is_full(p->rate_full_ns, now_ms))
            p->rate_full_ns = 0;
        points_turn(&p->points, l->slot_ms, now_ms);
        if (!limits_prefixes_settled(p)) /* otherwise it would move to the end of the list */
            limits_prefixes_settle(&l->prefixes, p);
    }
    DL_FOREACH_SAFE(l->prefixes.banned.head, p, next) {
        if (!limits_prefix_is_banned(p, now_ms))
            limits_prefixes_unban(&l->prefixes, p);
    }
    manual_bans_sweep(&l->manual, now_ms);
    limits_unlock(l);
}

bool limits_unused(struct limits *l)
{
    limits_lock(l);
    const bool unused = l->addresses == 0 && l->users == NULL;
    limits_unlock(l);
    return unused;
}

void limits_count(struct limits *l, struct limits_counts *out)
{
    limits_lock(l);
    *out = (struct limits_counts){
        .addresses = l->addresses,
        .idle = l->prefixes.idle.count,
        .users = HASH_COUNT(l->users),
        .bans = l->prefixes.banned.count + HASH_COUNT(l->manual.table),
        .banned = l->banned,
    };
    limits_unlock(l);
}
