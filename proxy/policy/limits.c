#include "policy/limits.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fold.h"
#include "base/insist.h"
#include "base/siphash.h"
#include "policy/limits_prefixes.h"
#include "policy/manual_bans.h"

#include <utlist.h>

struct limits_user {
    UT_hash_handle hh;
    unsigned tunnels;
    size_t name_len;
    uint8_t name[]; /* folded */
};

struct limits {
    pthread_mutex_t lock; /* protects all fields below */
    struct limits_settings c;
    uint64_t slot_ms;
    struct limits_prefixes prefixes;
    struct manual_bans manual;
    size_t addresses; /* prefixes with tunnels */
    struct limits_user *users;
    struct siphash_key hash_key;     /* of users */
    uint64_t rate_full_ns;           /* of all connections; see rate.h */
    uint64_t changes;                /* see limits_changes() */
    uint64_t banned;                 /* see struct limits_counts */
    struct limits_observer observer; /* without the lock: set before other threads exist */
};

static void limits_lock(struct limits *l)
{
    INSIST(pthread_mutex_lock(&l->lock) == 0);
}

static void limits_unlock(struct limits *l)
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

static bool is_exempt(const struct limits *l, const struct addr *addr)
{
    return cidrs_have(&l->c.ban_exempt, addr) || cidrs_have(&l->c.proxies, addr);
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

struct limits_ban_settings limits_ban_settings(struct limits *l)
{
    limits_lock(l);
    const struct limits_ban_settings out = {
        .points = l->c.ban_points, .slot_ms = l->slot_ms, .ban_ms = l->c.ban_time};
    limits_unlock(l);
    return out;
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
        !is_exempt(l, addr))
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
                               .exempt = is_exempt(l, addr),
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

/* ---- bans ----------------------------------------------------------------------------------- */

/* Reports points, or the ban that they have caused, to the observer. */
static void report_points(const struct limits *l, const struct limits_ban *ban, bool banned,
                          unsigned points)
{
    if (banned && l->observer.on_ban != NULL)
        l->observer.on_ban(l->observer.arg, ban);
    else if (!banned && l->observer.on_points != NULL)
        l->observer.on_points(l->observer.arg, &ban->net, points);
}

bool limits_points(struct limits *l, const struct addr *addr, unsigned points, uint64_t now_ms)
{
    bool banned = false, counted = false;
    struct limits_ban ban = {0};

    limits_lock(l);
    if (l->c.ban_points > 0 && points > 0 && !is_exempt(l, addr)) {
        struct limits_prefix *p = limits_prefixes_get(&l->prefixes, addr->family, addr->ip);
        ban = (struct limits_ban){.net = limits_prefixes_net(&l->prefixes, p),
                                  .left_ms = l->c.ban_time};
        if (!limits_prefix_is_banned(p, now_ms)) {
            counted = true;
            p->ban_until_ms = 0; /* it may be that of an expired ban */
            points_turn(&p->points, l->slot_ms, now_ms);
            points_add(&p->points, points);
            banned = points_sum(&p->points) >= l->c.ban_points;
            limits_prefixes_settle(&l->prefixes, p);
        }
        if (banned) {
            limits_prefixes_ban(&l->prefixes, p, now_ms + l->c.ban_time);
            l->changes++;
            l->banned++;
        }
    }
    limits_unlock(l);
    if (counted)
        report_points(l, &ban, banned, points);
    return banned;
}

uint64_t limits_changes(struct limits *l)
{
    limits_lock(l);
    const uint64_t changes = l->changes;
    limits_unlock(l);
    return changes;
}

/* Copies the bans in force, for work that is done without the lock. The caller frees the users. */
static struct limits_ban *bans_copy(const struct limits *l, uint64_t now_ms, size_t *count)
{
    const size_t most = l->prefixes.banned.count + HASH_COUNT(l->manual.table);
    struct limits_ban *bans = insist_alloc(calloc(most + 1, sizeof *bans));
    const struct limits_prefix *p;
    const struct manual_ban *m, *next;

    *count = 0;
    DL_FOREACH(l->prefixes.banned.head, p) {
        if (limits_prefix_is_banned(p, now_ms))
            bans[(*count)++] = (struct limits_ban){.net = limits_prefixes_net(&l->prefixes, p),
                                                   .left_ms = p->ban_until_ms - now_ms};
    }
    HASH_ITER(hh, l->manual.table, m, next) {
        if (m->until_ms > now_ms)
            bans[(*count)++] =
                (struct limits_ban){.net = m->net,
                                    .user = m->user == NULL ? NULL : insist_alloc(strdup(m->user)),
                                    .manual = true,
                                    .left_ms = m->until_ms - now_ms};
    }
    return bans;
}

static void bans_free(struct limits_ban *bans, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free((char *)bans[i].user);
    free(bans);
}

size_t limits_bans(struct limits *l, uint64_t now_ms,
                   void (*each)(void *user, const struct limits_ban *ban), void *user)
{
    size_t count;

    limits_lock(l);
    struct limits_ban *bans = bans_copy(l, now_ms, &count);
    limits_unlock(l);
    for (size_t i = 0; i < count; i++)
        each(user, &bans[i]);
    bans_free(bans, count);
    return count;
}

/* The caller has the lock. */
static bool restore(struct limits *l, const struct cidr *net, uint64_t left_ms, uint64_t now_ms)
{
    const bool fits = net->bits == limits_prefixes_bits(&l->prefixes, net->family);
    if (fits && l->c.ban_points > 0)
        limits_prefixes_ban(&l->prefixes, limits_prefixes_get(&l->prefixes, net->family, net->ip),
                            now_ms + (left_ms > l->c.ban_time ? l->c.ban_time : left_ms));
    return fits;
}

bool limits_restore(struct limits *l, const struct cidr *net, uint64_t left_ms, uint64_t now_ms)
{
    limits_lock(l);
    const bool fits = restore(l, net, left_ms, now_ms);
    limits_unlock(l);
    return fits;
}

static bool is_same_net(const struct cidr *a, const struct cidr *b)
{
    return cidr_covers(a, b) && cidr_covers(b, a);
}

/* Returns whether a ban of net `banned` ends: it has an address in common with the target. exact:
 * it is the target. */
static bool is_lifted(const struct limits_target *target, const struct cidr *banned, bool exact)
{
    const struct cidr *net = target == NULL ? NULL : target->net;

    if (target == NULL || net == NULL)
        return target == NULL;
    return exact ? is_same_net(net, banned) : cidr_covers(net, banned) || cidr_covers(banned, net);
}

static bool is_lifted_user(const struct limits *l, const struct limits_target *target,
                           const struct manual_ban *m)
{
    return target == NULL ||
           (target->user != NULL && manual_bans_find_user(&l->manual, span_str(target->user)) == m);
}

static size_t lift_manual(struct limits *l, const struct limits_target *target, bool exact,
                          uint64_t now_ms)
{
    struct manual_ban *m, *next;
    size_t count = 0;

    HASH_ITER(hh, l->manual.table, m, next) {
        if (m->user != NULL ? !is_lifted_user(l, target, m) : !is_lifted(target, &m->net, exact))
            continue;
        count += m->until_ms > now_ms;
        manual_bans_remove(&l->manual, m);
    }
    return count;
}

static size_t lift(struct limits *l, const struct limits_target *target, bool exact,
                   uint64_t now_ms)
{
    struct limits_prefix *p, *next;

    limits_lock(l);
    size_t count = lift_manual(l, target, exact, now_ms);
    DL_FOREACH_SAFE(l->prefixes.banned.head, p, next) {
        const struct cidr banned = limits_prefixes_net(&l->prefixes, p);
        if (!is_lifted(target, &banned, exact))
            continue;
        count += limits_prefix_is_banned(p, now_ms);
        limits_prefixes_unban(&l->prefixes, p);
    }
    l->changes += count;
    limits_unlock(l);
    return count;
}

size_t limits_take_lift(struct limits *l, const struct limits_target *target, uint64_t now_ms)
{
    return lift(l, target, true, now_ms);
}

/* Reports that the ban of a network is lifted with the target, unless it is the target's own. */
static void report_lift(const struct limits *l, const struct limits_target *target,
                        const struct limits_ban *ban)
{
    const struct limits_target own = {.net = &ban->net};

    if (ban->user == NULL && is_lifted(target, &ban->net, false) &&
        !is_lifted(target, &ban->net, true))
        l->observer.on_lift(l->observer.arg, &own);
}

/* Reports each ban that ends, because another gate ends exactly those. */
static void report_lifts(const struct limits *l, const struct limits_target *target,
                         const struct limits_ban *bans, size_t count)
{
    for (size_t i = 0; i < count && target != NULL; i++)
        report_lift(l, target, &bans[i]);
    /* Also without a ban here, because another gate may have one that has not arrived yet. */
    l->observer.on_lift(l->observer.arg, target);
}

size_t limits_lift(struct limits *l, const struct limits_target *target, uint64_t now_ms)
{
    size_t count;

    if (l->observer.on_lift == NULL)
        return lift(l, target, false, now_ms);
    limits_lock(l);
    struct limits_ban *bans = bans_copy(l, now_ms, &count);
    limits_unlock(l);
    const size_t lifted = lift(l, target, false, now_ms);
    report_lifts(l, target, bans, count);
    bans_free(bans, count);
    return lifted;
}

/* Returns whether no address of net can be banned. */
static bool net_is_exempt(const struct limits *l, const struct cidr *net)
{
    const struct cidrs *const lists[] = {&l->c.ban_exempt, &l->c.proxies};

    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
        for (size_t i = 0; i < lists[k]->count; i++)
            if (cidr_covers(&lists[k]->item[i], net))
                return true;
    return false;
}

/* Returns whether a login can have this name. The ban file relies on the bound. */
static bool user_fits(const char *user)
{
    const size_t n = strlen(user);
    return n > 0 && n <= LIMITS_USER_MAX;
}

/* Bans a target without a report to the observer. The caller has the lock. */
static enum limits_ban_result ban_target(struct limits *l, const struct limits_target *target,
                                         uint64_t ms, uint64_t now_ms)
{
    enum limits_ban_result r = LIMITS_BAN_DONE;

    if (target->net != NULL && net_is_exempt(l, target->net))
        r = LIMITS_BAN_EXEMPT;
    else if (target->user != NULL && !user_fits(target->user))
        r = LIMITS_BAN_LONG;
    else if (HASH_COUNT(l->manual.table) >= LIMITS_BANS_MAX)
        r = LIMITS_BAN_FULL;
    else if (target->net != NULL)
        manual_bans_add_net(&l->manual, target->net, now_ms + ms);
    else
        manual_bans_add_user(&l->manual, target->user, now_ms + ms);
    l->changes += r == LIMITS_BAN_DONE;
    l->banned += r == LIMITS_BAN_DONE;
    return r;
}

enum limits_ban_result limits_ban(struct limits *l, const struct limits_target *target, uint64_t ms,
                                  uint64_t now_ms)
{
    limits_lock(l);
    const enum limits_ban_result r = ban_target(l, target, ms, now_ms);
    limits_unlock(l);
    if (r == LIMITS_BAN_DONE && l->observer.on_ban != NULL) {
        struct limits_ban ban = {.user = target->user, .manual = true, .left_ms = ms};
        if (target->net != NULL)
            ban.net = *target->net;
        l->observer.on_ban(l->observer.arg, &ban);
    }
    return r;
}

/* Returns the state of a prefix; NULL: it has none, or no prefix has this length. */
static const struct limits_prefix *find_net(const struct limits *l, const struct cidr *net)
{
    struct addr a = {.family = net->family};

    memcpy(a.ip, net->ip, sizeof a.ip);
    return net->bits != limits_prefixes_bits(&l->prefixes, net->family)
               ? NULL
               : limits_prefixes_find(&l->prefixes, &a);
}

/* Returns for how long the target of ban is banned already, in the same way; 0: it is not. */
static uint64_t left_of(const struct limits *l, const struct limits_ban *ban, uint64_t now_ms)
{
    const struct manual_ban *m = NULL;
    const struct limits_prefix *p = NULL;

    if (ban->user != NULL)
        m = manual_bans_find_user(&l->manual, span_str(ban->user));
    else if (ban->manual)
        m = manual_bans_find_net(&l->manual, &ban->net);
    else
        p = find_net(l, &ban->net);
    const uint64_t until = m != NULL ? m->until_ms : p != NULL ? p->ban_until_ms : 0;
    return until > now_ms ? until - now_ms : 0;
}

bool limits_take(struct limits *l, const struct limits_ban *ban, uint64_t now_ms)
{
    const struct limits_target target = {.net = ban->user == NULL ? &ban->net : NULL,
                                         .user = ban->user};

    limits_lock(l);
    const uint64_t was = left_of(l, ban, now_ms);
    if (ban->manual)
        (void)ban_target(l, &target, ban->left_ms, now_ms);
    else
        (void)restore(l, &ban->net, ban->left_ms, now_ms);
    const uint64_t is = left_of(l, ban, now_ms);
    l->changes += !ban->manual && is != was; /* ban_target() has counted the other ones */
    limits_unlock(l);
    return is >= was + 1000 || (was == 0 && is > 0);
}

bool limits_user_banned(struct limits *l, struct span name, struct span counted, uint64_t now_ms)
{
    limits_lock(l);
    const bool banned = manual_bans_have_user(&l->manual, name, now_ms) ||
                        manual_bans_have_user(&l->manual, counted, now_ms);
    limits_unlock(l);
    return banned;
}

/* ---- points for another process -------------------------------------------------------------- */

/* Copies the points, for work that is done without the lock. */
static struct limits_points *points_copy(const struct limits *l, size_t *count)
{
    struct limits_points *all =
        insist_alloc(calloc(HASH_COUNT(l->prefixes.table) + 1, sizeof *all));
    const struct limits_prefix *p, *next;

    *count = 0;
    HASH_ITER(hh, l->prefixes.table, p, next) {
        if (p->ban_until_ms == 0 && points_sum(&p->points) > 0)
            all[(*count)++] = (struct limits_points){.net = limits_prefixes_net(&l->prefixes, p),
                                                     .slot_ms = l->slot_ms,
                                                     .points = p->points};
    }
    return all;
}

void limits_points_each(struct limits *l, uint64_t now_ms,
                        void (*each)(void *user, const struct limits_points *p), void *user)
{
    size_t count;

    limits_lock(l);
    struct limits_points *points = points_copy(l, &count);
    limits_unlock(l);
    for (size_t i = 0; i < count; i++) {
        points_turn(&points[i].points, points[i].slot_ms, now_ms);
        if (points_sum(&points[i].points) > 0)
            each(user, &points[i]);
    }
    free(points);
}

void limits_points_restore(struct limits *l, const struct limits_points *in, uint64_t now_ms)
{
    limits_lock(l);
    const bool fits = in->net.bits == limits_prefixes_bits(&l->prefixes, in->net.family) &&
                      in->slot_ms == l->slot_ms && l->c.ban_points > 0 &&
                      in->points.newest <= now_ms / l->slot_ms;
    struct points points = in->points;
    if (fits)
        points_turn(&points, l->slot_ms, now_ms);
    if (fits && points_sum(&points) > 0) {
        struct limits_prefix *p = limits_prefixes_get(&l->prefixes, in->net.family, in->net.ip);
        if (!limits_prefix_is_banned(p, now_ms)) {
            points_turn(&p->points, l->slot_ms, now_ms);
            points_raise(&p->points, &points);
        }
        limits_prefixes_settle(&l->prefixes, p);
    }
    limits_unlock(l);
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
