/* limits: bounds the number of tunnels of a client and the rate of its connections, and refuses
 * banned clients; limits_bans.h bans them. One object for the whole gate; any thread may call any
 * function. Calls happen when a connection is accepted, when a user's name is known, when a client
 * misbehaves and when a call ends, never for a packet: one mutex is enough.
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
#include "policy/rate.h"

struct limits_settings;
struct limits;

enum { LIMITS_IDLE_MAX = 65536, LIMITS_BANS_MAX = 65536 };

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
