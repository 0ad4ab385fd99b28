#include "policy/limits_bans.h"

#include <stdlib.h>
#include <string.h>

#include "policy/limits_in.h"

#include <utlist.h>

struct limits_ban_settings limits_ban_settings(struct limits *l)
{
    limits_lock(l);
    const struct limits_ban_settings out = {
        .points = l->c.ban_points, .slot_ms = l->slot_ms, .ban_ms = l->c.ban_time};
    limits_unlock(l);
    return out;
}

/* ---- points --------------------------------------------------------------------------------- */

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
    if (l->c.ban_points > 0 && points > 0 && !limits_is_exempt(l, addr)) {
        struct limits_prefix *p = limits_prefixes_get(&l->prefixes, addr->family, addr->ip);
        ban = (struct limits_ban){.net = limits_prefixes_net(&l->prefixes, p),
                                  .left_ms = l->c.ban_time};
        if (!limits_prefix_is_banned(p, now_ms)) {
            counted = true;
            p->ban_until_ms = 0; /* may be the end of an expired ban */
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

/* ---- bans ----------------------------------------------------------------------------------- */

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

/* Does the work of limits_restore. The caller has the lock. */
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

/* Returns whether the target lifts a ban of `banned`: both have an address in common. exact: both
 * are the same net. */
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

/* Reports a lifted ban of a network, unless the network is the target. */
static void report_lift(const struct limits *l, const struct limits_target *target,
                        const struct limits_ban *ban)
{
    const struct limits_target own = {.net = &ban->net};

    if (ban->user == NULL && is_lifted(target, &ban->net, false) &&
        !is_lifted(target, &ban->net, true))
        l->observer.on_lift(l->observer.arg, &own);
}

/* Reports each lifted ban of a network, because limits_take_lift at another gate lifts only the ban
 * of exactly that network. */
static void report_lifts(const struct limits *l, const struct limits_target *target,
                         const struct limits_ban *bans, size_t count)
{
    for (size_t i = 0; i < count && target != NULL; i++)
        report_lift(l, target, &bans[i]);
    /* Reported even without a ban here, because another gate may have a ban that is not here yet.
     */
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

/* Returns whether an administrator's ban of the target can be added or gets a new time. */
static bool ban_fits(const struct limits *l, const struct limits_target *target)
{
    return HASH_COUNT(l->manual.table) < LIMITS_BANS_MAX ||
           (target->net != NULL
                ? manual_bans_find_net(&l->manual, target->net) != NULL
                : manual_bans_find_user(&l->manual, span_str(target->user)) != NULL);
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
    else if (!ban_fits(l, target))
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

/* Returns the time that is left of the ban of the same kind and target; 0: no such ban. */
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
    l->changes += !ban->manual && is != was; /* ban_target() has counted the manual ones */
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
