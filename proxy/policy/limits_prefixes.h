/* limits_prefixes: the address prefixes that limits remembers, in a hash table and, where their
 * number is bounded, on a list. For limits.c, under its lock. */
#ifndef SSTPGATE_POLICY_LIMITS_PREFIXES_H
#define SSTPGATE_POLICY_LIMITS_PREFIXES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/insist.h"
#include "base/siphash.h"
#include "policy/points.h"

/* An entry has some 200 bytes. The number of entries is bounded by that of calls (15 kB each)
 * and by LIMITS_*_MAX. If there is no memory for an entry, there is none for a call either. */
#define uthash_fatal(msg) insist_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

enum { LIMITS_PREFIX_KEY = 1 + 16 }; /* family, and the address with its host bits zero */

/* The place of a prefix, besides the table. It depends on the fields of the prefix. */
enum limits_place {
    PREFIX_NOWHERE, /* new, or about to be freed */
    PREFIX_AT_WORK, /* tunnels, no ban */
    PREFIX_IDLE,    /* no tunnels, no ban, but points or a used rate; a list, last touched last */
    PREFIX_BANNED,  /* with or without tunnels; a list, last banned last */
};

/* After a change of a field, call limits_prefixes_settle(). */
struct limits_prefix {
    UT_hash_handle hh;
    struct limits_prefix *prev, *next;
    enum limits_place place;
    unsigned tunnels;
    uint64_t rate_full_ns; /* see rate.h */
    uint64_t ban_until_ms; /* 0: no ban */
    struct points points;
    uint8_t key[LIMITS_PREFIX_KEY];
};

struct limits_list {
    struct limits_prefix *head;
    size_t count, max;
};

struct limits_prefixes {
    struct limits_prefix *table;
    struct limits_list idle, banned;
    unsigned bits_ipv4, bits_ipv6;
    struct siphash_key hash_key;
};

/* Initializes an empty table. idle_max, banned_max: the maximum lengths of the lists. When a
 * list becomes longer, its oldest prefix is removed. */
void limits_prefixes_init(struct limits_prefixes *all, unsigned bits_ipv4, unsigned bits_ipv6,
                          size_t idle_max, size_t banned_max);
void limits_prefixes_fini(struct limits_prefixes *all);

/* Returns the number of bits that count as one address. */
unsigned limits_prefixes_bits(const struct limits_prefixes *all, sa_family_t family);

/* Returns the prefix of an address. NULL: it has no state. */
struct limits_prefix *limits_prefixes_find(const struct limits_prefixes *all,
                                           const struct addr *addr);

/* Returns the prefix of an address, and adds it if it is missing. Call limits_prefixes_settle()
 * afterwards. */
struct limits_prefix *limits_prefixes_get(struct limits_prefixes *all, sa_family_t family,
                                          const uint8_t *ip);

/* Moves p to the place where it belongs after a change. Frees it if it has no state left, and
 * removes the oldest prefix of a list that has become too long. */
void limits_prefixes_settle(struct limits_prefixes *all, struct limits_prefix *p);

/* Returns whether p is at the place where it belongs. If so, limits_prefixes_settle() would
 * only move it to the end of its list. */
bool limits_prefixes_settled(const struct limits_prefix *p);

/* Bans p and clears its points, which start from zero after the ban. */
void limits_prefixes_ban(struct limits_prefixes *all, struct limits_prefix *p, uint64_t until_ms);

/* Ends a ban, and resets the rate, which was not used during the ban. So the idle list never
 * grows here, and a caller may walk a list or the table and end bans. */
void limits_prefixes_unban(struct limits_prefixes *all, struct limits_prefix *p);

static inline bool limits_prefix_is_banned(const struct limits_prefix *p, uint64_t now_ms)
{
    return p->ban_until_ms > now_ms;
}

/* Returns the network that counts as the address. It depends on the lengths of prefixes only. */
struct cidr limits_prefixes_net_of(const struct limits_prefixes *all, const struct addr *addr);

/* Returns p as a network. */
struct cidr limits_prefixes_net(const struct limits_prefixes *all, const struct limits_prefix *p);

#endif
