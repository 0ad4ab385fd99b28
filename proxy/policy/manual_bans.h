/* manual_bans: the bans of an administrator: networks of any length, and users. For limits.c, under
 * its lock. A look-up costs one hash for each length of network that is in use. */
#ifndef SSTPGATE_POLICY_MANUAL_BANS_H
#define SSTPGATE_POLICY_MANUAL_BANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/siphash.h"
#include "base/span.h"

#include "policy/limits_prefixes.h" /* sets uthash_fatal for uthash.h */

struct manual_ban {
    UT_hash_handle hh;
    struct cidr net; /* family 0: the ban of a user */
    char *user;      /* as written */
    uint64_t until_ms;
    size_t key_len;
    uint8_t key[]; /* the network, or the folded name */
};

struct manual_bans {
    struct manual_ban *table; /* in the order of insertion */
    unsigned lengths[2][129]; /* number of bans of each length, IPv4 and IPv6 */
    struct siphash_key hash_key;
};

void manual_bans_init(struct manual_bans *all);
void manual_bans_fini(struct manual_bans *all);

/* Adds a ban, or replaces its time. */
void manual_bans_add_net(struct manual_bans *all, const struct cidr *net, uint64_t until_ms);
void manual_bans_add_user(struct manual_bans *all, const char *user, uint64_t until_ms);

/* Return whether a ban is in force. */
bool manual_bans_have_addr(const struct manual_bans *all, const struct addr *addr, uint64_t now_ms);
bool manual_bans_have_user(const struct manual_bans *all, struct span name, uint64_t now_ms);

/* Return the ban of a user, and of exactly this network; NULL: none. */
struct manual_ban *manual_bans_find_user(const struct manual_bans *all, struct span name);
struct manual_ban *manual_bans_find_net(const struct manual_bans *all, const struct cidr *net);

void manual_bans_remove(struct manual_bans *all, struct manual_ban *ban);

/* Forgets the bans that have expired. */
void manual_bans_sweep(struct manual_bans *all, uint64_t now_ms);

#endif
