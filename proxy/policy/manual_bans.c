#include "policy/manual_bans.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fold.h"

enum { NET_KEY = 2 + 16 }; /* family, length, and the address with its host bits zero */

void manual_bans_init(struct manual_bans *all)
{
    *all = (struct manual_bans){0};
    INSIST(getentropy(&all->hash_key, sizeof all->hash_key) == 0);
}

static unsigned hash_of(const struct manual_bans *all, const uint8_t *key, size_t n)
{
    return (unsigned)siphash(&all->hash_key, key, n);
}

static struct manual_ban *find(const struct manual_bans *all, const uint8_t *key, size_t n)
{
    struct manual_ban *b = NULL;
    HASH_FIND_BYHASHVALUE(hh, all->table, key, n, hash_of(all, key, n), b);
    return b;
}

static struct manual_ban *get(struct manual_bans *all, const uint8_t *key, size_t n)
{
    struct manual_ban *b = find(all, key, n);

    if (b != NULL)
        return b;
    b = insist_alloc(calloc(1, sizeof *b + n));
    memcpy(b->key, key, n);
    b->key_len = n;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, all->table, b->key, n, hash_of(all, b->key, n), b);
    return b;
}

static unsigned *length_of(struct manual_bans *all, const struct cidr *net)
{
    return &all->lengths[net->family == AF_INET6][net->bits];
}

void manual_bans_remove(struct manual_bans *all, struct manual_ban *ban)
{
    if (ban->net.family != 0)
        --*length_of(all, &ban->net);
    HASH_DEL(all->table, ban);
    free(ban->user);
    free(ban);
}

void manual_bans_fini(struct manual_bans *all)
{
    struct manual_ban *b, *next;
    HASH_ITER(hh, all->table, b, next) {
        manual_bans_remove(all, b);
    }
}

/* ---- networks ---- */

static void net_key(sa_family_t family, unsigned bits, const uint8_t *ip, uint8_t key[NET_KEY])
{
    memset(key, 0, NET_KEY);
    key[0] = family == AF_INET ? 4 : 6;
    key[1] = (uint8_t)bits;
    memcpy(key + 2, ip, bits / 8);
    if (bits % 8 != 0)
        key[2 + bits / 8] = ip[bits / 8] & (uint8_t)(0xff00 >> bits % 8);
}

void manual_bans_add_net(struct manual_bans *all, const struct cidr *net, uint64_t until_ms)
{
    uint8_t key[NET_KEY];

    net_key(net->family, net->bits, net->ip, key);
    struct manual_ban *b = get(all, key, sizeof key);
    if (b->net.family == 0)
        ++*length_of(all, net);
    b->net = *net;
    b->until_ms = until_ms;
}

struct manual_ban *manual_bans_find_net(const struct manual_bans *all, const struct cidr *net)
{
    uint8_t key[NET_KEY];

    net_key(net->family, net->bits, net->ip, key);
    return find(all, key, sizeof key);
}

bool manual_bans_have_addr(const struct manual_bans *all, const struct addr *addr, uint64_t now_ms)
{
    const bool ip6 = addr->family == AF_INET6;
    uint8_t key[NET_KEY];

    if (all->table == NULL)
        return false;
    for (unsigned bits = 0; bits <= (ip6 ? 128 : 32); bits++) {
        if (all->lengths[ip6][bits] == 0)
            continue;
        net_key(addr->family, bits, addr->ip, key);
        const struct manual_ban *b = find(all, key, sizeof key);
        if (b != NULL && b->until_ms > now_ms)
            return true;
    }
    return false;
}

/* ---- users ---- */

/* Returns the key of a name, which the caller frees. The first byte differs from that of a
 * network. */
static uint8_t *user_key(struct span name, size_t *n)
{
    uint8_t *key = insist_alloc(malloc(1 + FOLD_ROOM(name.n) + 1));

    key[0] = 'u';
    *n = 1 + fold_case(name, key + 1);
    return key;
}

void manual_bans_add_user(struct manual_bans *all, const char *user, uint64_t until_ms)
{
    size_t n;
    uint8_t *key = user_key(span_str(user), &n);
    struct manual_ban *b = get(all, key, n);

    free(key);
    free(b->user);
    b->user = insist_alloc(strdup(user));
    b->until_ms = until_ms;
}

struct manual_ban *manual_bans_find_user(const struct manual_bans *all, struct span name)
{
    size_t n;

    if (all->table == NULL)
        return NULL;
    uint8_t *key = user_key(name, &n);
    struct manual_ban *b = find(all, key, n);
    free(key);
    return b;
}

bool manual_bans_have_user(const struct manual_bans *all, struct span name, uint64_t now_ms)
{
    const struct manual_ban *b = manual_bans_find_user(all, name);
    return b != NULL && b->until_ms > now_ms;
}

void manual_bans_sweep(struct manual_bans *all, uint64_t now_ms)
{
    struct manual_ban *b, *next;

    HASH_ITER(hh, all->table, b, next) {
        if (b->until_ms <= now_ms)
            manual_bans_remove(all, b);
    }
}
