#include "policy/limits_prefixes.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <utlist.h>

void limits_prefixes_init(struct limits_prefixes *all, unsigned bits_ipv4, unsigned bits_ipv6,
                          size_t idle_max, size_t banned_max)
{
    *all = (struct limits_prefixes){.idle.max = idle_max,
                                    .banned.max = banned_max,
                                    .bits_ipv4 = bits_ipv4,
                                    .bits_ipv6 = bits_ipv6};
    INSIST(getentropy(&all->hash_key, sizeof all->hash_key) == 0);
}

void limits_prefixes_fini(struct limits_prefixes *all)
{
    struct limits_prefix *p, *next;
    HASH_ITER(hh, all->table, p, next) {
        HASH_DEL(all->table, p);
        free(p);
    }
}

unsigned limits_prefixes_bits(const struct limits_prefixes *all, sa_family_t family)
{
    return family == AF_INET ? all->bits_ipv4 : all->bits_ipv6;
}

static void make_key(const struct limits_prefixes *all, sa_family_t family, const uint8_t *ip,
                     uint8_t key[LIMITS_PREFIX_KEY])
{
    const unsigned bits = limits_prefixes_bits(all, family);
    memset(key, 0, LIMITS_PREFIX_KEY);
    key[0] = family == AF_INET ? 4 : 6;
    memcpy(key + 1, ip, bits / 8);
    if (bits % 8 != 0)
        key[1 + bits / 8] = ip[bits / 8] & (uint8_t)(0xff00 >> bits % 8);
}

struct cidr limits_prefixes_net(const struct limits_prefixes *all, const struct limits_prefix *p)
{
    struct cidr net = {.family = p->key[0] == 4 ? AF_INET : AF_INET6};
    net.bits = (uint8_t)limits_prefixes_bits(all, net.family);
    memcpy(net.ip, p->key + 1, sizeof net.ip);
    return net;
}

struct cidr limits_prefixes_net_of(const struct limits_prefixes *all, const struct addr *addr)
{
    struct limits_prefix p;

    make_key(all, addr->family, addr->ip, p.key);
    return limits_prefixes_net(all, &p);
}

static unsigned hash_of(const struct limits_prefixes *all, const uint8_t key[LIMITS_PREFIX_KEY])
{
    return (unsigned)siphash(&all->hash_key, key, LIMITS_PREFIX_KEY);
}

static struct limits_prefix *find_key(const struct limits_prefixes *all,
                                      const uint8_t key[LIMITS_PREFIX_KEY])
{
    struct limits_prefix *p = NULL;
    HASH_FIND_BYHASHVALUE(hh, all->table, key, LIMITS_PREFIX_KEY, hash_of(all, key), p);
    return p;
}

struct limits_prefix *limits_prefixes_find(const struct limits_prefixes *all,
                                           const struct addr *addr)
{
    uint8_t key[LIMITS_PREFIX_KEY];
    make_key(all, addr->family, addr->ip, key);
    return find_key(all, key);
}

struct limits_prefix *limits_prefixes_get(struct limits_prefixes *all, sa_family_t family,
                                          const uint8_t *ip)
{
    uint8_t key[LIMITS_PREFIX_KEY];
    make_key(all, family, ip, key);
    struct limits_prefix *p = find_key(all, key);
    if (p != NULL)
        return p;
    p = NEW(struct limits_prefix);
    memcpy(p->key, key, LIMITS_PREFIX_KEY);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, all->table, p->key, LIMITS_PREFIX_KEY, hash_of(all, p->key), p);
    return p;
}

static struct limits_list *list_at(struct limits_prefixes *all, enum limits_place place)
{
    return place == PREFIX_IDLE ? &all->idle : place == PREFIX_BANNED ? &all->banned : NULL;
}

static enum limits_place place_for(const struct limits_prefix *p)
{
    if (p->ban_until_ms != 0)
        return PREFIX_BANNED;
    if (p->tunnels > 0)
        return PREFIX_AT_WORK;
    return p->rate_full_ns != 0 || points_sum(&p->points) > 0 ? PREFIX_IDLE : PREFIX_NOWHERE;
}

bool limits_prefixes_settled(const struct limits_prefix *p)
{
    return place_for(p) == p->place;
}

void limits_prefixes_settle(struct limits_prefixes *all, struct limits_prefix *p)
{
    const enum limits_place place = place_for(p);
    struct limits_list *from = list_at(all, p->place), *to = list_at(all, place);

    if (place == PREFIX_BANNED && p->place == PREFIX_BANNED)
        return; /* keep the order of the bans */
    if (from != NULL) {
        DL_DELETE(from->head, p);
        from->count--;
    }
    p->place = place;
    if (to != NULL) {
        DL_APPEND(to->head, p);
        to->count++;
    }
    if (place == PREFIX_NOWHERE) {
        HASH_DEL(all->table, p);
        free(p);
    }
    if (to != NULL && to->count > to->max) {
        struct limits_prefix *oldest = to->head; /* not p, which is at the end */
        oldest->ban_until_ms = 0;
        oldest->rate_full_ns = 0;
        points_clear(&oldest->points);
        limits_prefixes_settle(all, oldest);
    }
}

void limits_prefixes_ban(struct limits_prefixes *all, struct limits_prefix *p, uint64_t until_ms)
{
    points_clear(&p->points);
    p->ban_until_ms = until_ms;
    limits_prefixes_settle(all, p);
}

void limits_prefixes_unban(struct limits_prefixes *all, struct limits_prefix *p)
{
    p->ban_until_ms = 0;
    p->rate_full_ns = 0;
    limits_prefixes_settle(all, p);
}
