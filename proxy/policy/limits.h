/* limits: bounds the number of tunnels of a client and the rate of its connections, and bans
 * clients. One object for the whole gate; any thread may call any function. Calls happen when a
 * connection is accepted, when a user's name is known, when a client misbehaves and when a call
 * ends, never for a packet: one mutex is enough.
 *
 * Addresses count by prefix (address-prefix-ipv4, -ipv6), because one IPv6 host commonly has a
 * /64. now_ms: a monotonic clock, which may differ a little from thread to thread.
 *
 * Memory is bounded. The prefixes and users with tunnels are bounded by max-tunnels. Of the
 * prefixes without tunnels, at most LIMITS_IDLE_MAX with points or a used rate are remembered,
 * and at most LIMITS_BANS_MAX bans; beyond that each new one replaces the one that was touched
 * longest ago. So a flood from a hundred thousand addresses gets a few more attempts, but it can
 * neither fill the memory nor exclude other clients, and no tunnel is miscounted. */
#ifndef SSTPGATE_POLICY_LIMITS_H
#define SSTPGATE_POLICY_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/span.h"
#include "policy/points.h"
#include "policy/rate.h"

struct limits_settings;
struct limits;

enum { LIMITS_IDLE_MAX = 65536, LIMITS_BANS_MAX = 65536, LIMITS_USER_MAX = 256 };

/* Durations in milliseconds. */
struct limits_settings {
    unsigned tunnels_per_address, tunnels_per_user; /* 0: no limit */
    unsigned prefix_ipv4, prefix_ipv6;              /* bits of an address that count as one */
    struct rate rate, rate_per_address;             /* of handshakes */
    unsigned ban_points;                            /* 0: no bans */
    uint32_t ban_time, ban_reset;
    struct cidrs ban_exempt;
    struct cidrs proxies; /* trusted-proxies of all listeners; owned; not a key */
    char *ban_file;       /* NULL: bans end with the process */
};

enum limits_verdict {
    LIMITS_OK = 0,
    LIMITS_BANNED,
    LIMITS_PER_ADDRESS,
    LIMITS_RATE_PER_ADDRESS,
    LIMITS_RATE,
    LIMITS_PER_USER,
};

/* Returns the key of the limit, for the log: "max-tunnels-per-address", "handshake-rate";
 * "ban-points" for LIMITS_BANNED, "-" for LIMITS_OK. */
const char *limits_key(enum limits_verdict v);

struct limits_ban;
struct limits_target;

/* Functions that report changes of this gate to other gates. Called in the thread of the change,
 * without the lock. */
struct limits_observer {
    void *arg;
    /* A prefix got points, and no ban by them. */
    void (*on_points)(void *arg, const struct cidr *net, unsigned points);
    void (*on_ban)(void *arg, const struct limits_ban *ban); /* by points or by an administrator */
    /* As for limits_lift, before which each ban of a narrower or wider network is reported. */
    void (*on_lift)(void *arg, const struct limits_target *target);
};

/* Copies c. Does not read the ban file: see ban_file.h. */
struct limits *limits_new(const struct limits_settings *c);
void limits_free(struct limits *l);

/* Sets the functions. Call it before other threads exist; NULL: none. */
void limits_observe(struct limits *l, const struct limits_observer *observer);

/* The settings of bans in force; points 0: no bans. */
struct limits_ban_settings {
    unsigned points;
    uint64_t slot_ms; /* see points.h */
    uint64_t ban_ms;
};
struct limits_ban_settings limits_ban_settings(struct limits *l);

/* Returns the prefix that counts as the address. */
struct cidr limits_net(const struct limits *l, const struct addr *addr);

/* Applies the settings of a reload to the following calls. Counts and bans stay, and points too
 * unless ban-reset has changed. The address prefixes stay those of limits_new(), because
 * limits_leave() must find the prefix that limits_enter() has counted. */
void limits_configure(struct limits *l, const struct limits_settings *c);

/* Counts a connection from `addr`. LIMITS_OK: it is counted, and the caller must call
 * limits_leave() once, with the same address. Other results: nothing was counted, no rate was
 * used. The limits are checked in the order of the enum. */
enum limits_verdict limits_enter(struct limits *l, const struct addr *addr,
                                 uint64_t now_ms) MUST_CHECK;
void limits_leave(struct limits *l, const struct addr *addr);

/* The state of an address and of a user, for an explanation. */
struct limits_state {
    enum limits_verdict verdict;             /* of limits_enter() now */
    bool exempt;                             /* in ban-exempt or trusted-proxies */
    uint64_t ban_left_ms;                    /* 0: no ban */
    unsigned points, ban_points;             /* ban_points 0: no bans */
    unsigned tunnels, tunnels_max;           /* of the prefix; tunnels_max 0: no limit */
    bool user_full;                          /* limits_user_enter() would refuse now */
    unsigned user_tunnels, user_tunnels_max; /* user_tunnels_max 0: no limit */
};

/* Returns the state, and counts nothing. user: as for limits_user_enter(); empty: not known. */
struct limits_state limits_look(struct limits *l, const struct addr *addr, struct span user,
                                uint64_t now_ms);

/* Counts a tunnel for its user, once for each call. LIMITS_OK: counted; the caller must call
 * limits_user_leave() once, with the same name. LIMITS_PER_USER: not counted. user: not empty,
 * without domain or realm. Letters compare without case (base/fold.h). */
enum limits_verdict limits_user_enter(struct limits *l, struct span user) MUST_CHECK;
void limits_user_leave(struct limits *l, struct span user);

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

/* Forgets what has expired. Call it every few seconds. */
void limits_sweep(struct limits *l, uint64_t now_ms);

struct limits_counts {
    size_t addresses; /* prefixes with tunnels */
    size_t idle;      /* prefixes without tunnels that have points or a used rate */
    size_t users;
    size_t bans;
    uint64_t banned; /* bans since the start, without restored bans */
};
void limits_count(struct limits *l, struct limits_counts *out);

/* Returns whether every limits_enter and limits_user_enter has been followed by its leave. The
 * gate checks this when it stops, because a leaked count would refuse calls until a restart. */
bool limits_unused(struct limits *l) MUST_CHECK;

#endif
