/* limits_in: the object of limits.c and limits_bans.c, and its lock. For these files only. */
#ifndef SSTPGATE_POLICY_LIMITS_IN_H
#define SSTPGATE_POLICY_LIMITS_IN_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/insist.h"
#include "base/siphash.h"
#include "policy/limits.h"
#include "policy/limits_prefixes.h"
#include "policy/manual_bans.h"

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

static inline void limits_lock(struct limits *l)
{
    INSIST(pthread_mutex_lock(&l->lock) == 0);
}

static inline void limits_unlock(struct limits *l)
{
    INSIST(pthread_mutex_unlock(&l->lock) == 0);
}

/* Returns whether the address is never banned: it is in ban-exempt, or in trusted-proxies of a
 * listener. The caller has the lock. */
static inline bool limits_is_exempt(const struct limits *l, const struct addr *addr)
{
    return cidrs_have(&l->c.ban_exempt, addr) || cidrs_have(&l->c.proxies, addr);
}

#endif
