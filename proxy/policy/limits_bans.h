/* limits_bans: points of clients, and bans by points or by an administrator. Its functions use the
 * object of limits.h, with the same rules for threads, clocks and memory. */
#ifndef SSTPGATE_POLICY_LIMITS_BANS_H
#define SSTPGATE_POLICY_LIMITS_BANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/span.h"
#include "policy/limits.h"
#include "policy/points.h"

enum { LIMITS_USER_MAX = 256 }; /* bytes of a banned name */

/* The settings of bans in force; points 0: no bans. */
struct limits_ban_settings {
    unsigned points;
    uint64_t slot_ms; /* see points.h */
    uint64_t ban_ms;
};
struct limits_ban_settings limits_ban_settings(struct limits *l);

/* Gives the prefix of an address points (see call/reason.h). Returns true if the prefix has
 * now reached ban-points: it is banned for ban-time, and the caller must log the ban. Tunnels
 * that are up stay. A point counts for ban-reset, and up to an eighth longer. Addresses in
 * ban-exempt or in trusted-proxies of a listener get no points and are never banned. A banned
 * prefix gets none. */
bool limits_points(struct limits *l, const struct addr *addr, unsigned points, uint64_t now_ms);

/* Restores a ban: net is banned for left_ms from now on, but at most for ban-time. Returns false
 * if net does not have the length of the prefixes. Without ban-points a no-op. */
bool limits_restore(struct limits *l, const struct cidr *net, uint64_t left_ms,
                    uint64_t now_ms) MUST_CHECK;

/* The points of a prefix, for another process: see points.h. */
struct limits_points {
    struct cidr net;
    uint64_t slot_ms;
    struct points points;
};

/* Calls each() for every prefix that has points and no ban, without the lock, so it may call any
 * function here. */
void limits_points_each(struct limits *l, uint64_t now_ms,
                        void (*each)(void *user, const struct limits_points *p), void *user);

/* Raises the points of each slot to those of in. A no-op for a prefix of another length, another
 * ban-reset, without ban-points, and for points that are older than ban-reset or of the future. */
void limits_points_restore(struct limits *l, const struct limits_points *in, uint64_t now_ms);

/* Returns a number that grows with each change that a ban file does not contain yet: a ban by
 * points, a lifted ban, bans ended by a configuration without ban-points. */
uint64_t limits_changes(struct limits *l);

struct limits_ban {
    struct cidr net;
    const char *user; /* NULL: the ban is of net */
    bool manual;      /* by an administrator, not by points */
    uint64_t left_ms;
};

/* What an administrator bans: exactly one of them is not NULL. user: as users_covers() takes it. */
struct limits_target {
    const struct cidr *net; /* of any length */
    const char *user;
};

enum limits_ban_result {
    LIMITS_BAN_DONE,
    LIMITS_BAN_EXEMPT, /* ban-exempt or trusted-proxies contains all of net */
    LIMITS_BAN_LONG,   /* the name is empty, or has more than LIMITS_USER_MAX bytes */
    LIMITS_BAN_FULL,   /* LIMITS_BANS_MAX bans by administrators exist */
};

/* Bans a target from now on; a ban that exists gets the new time. Works without ban-points, too.
 * Addresses in ban-exempt or in trusted-proxies of a listener stay admitted. */
enum limits_ban_result limits_ban(struct limits *l, const struct limits_target *target, uint64_t ms,
                                  uint64_t now_ms) MUST_CHECK;

/* Do as limits_ban, or limits_restore for a ban that is not manual, and as limits_lift, for a
 * change by another gate, which is not reported again. limits_take returns whether the ban
 * is new, or ends at least a second later than before. limits_take_lift ends the bans of exactly
 * the target's net. */
bool limits_take(struct limits *l, const struct limits_ban *ban, uint64_t now_ms);
size_t limits_take_lift(struct limits *l, const struct limits_target *target, uint64_t now_ms);

/* Returns whether an administrator has banned the user. name: as sent; counted: the same without
 * domain and realm. */
bool limits_user_banned(struct limits *l, struct span name, struct span counted, uint64_t now_ms);

/* Calls each() for every ban in force, those by points first, each oldest first, without the lock,
 * so it may call any function here. Returns their number. */
size_t limits_bans(struct limits *l, uint64_t now_ms,
                   void (*each)(void *user, const struct limits_ban *ban), void *user);

/* Ends every ban that has an address in common with the target's net, and clears its points; or the
 * ban of its user. NULL: all bans. Returns their number. */
size_t limits_lift(struct limits *l, const struct limits_target *target, uint64_t now_ms);

#endif
