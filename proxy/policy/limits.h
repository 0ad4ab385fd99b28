/* limits: who has how many tunnels, who comes too often, and who is banned. One for the whole gate;
 * any thread may call anything here. It is asked when a connection is accepted, when a user's name
 * is known, when somebody misbehaved and when a call ends, never for a packet: one mutex is enough.
 *
 * Addresses are counted by prefix (address-prefix-ipv4, -ipv6): one IPv6 host commonly has a /64 of
 * its own. now_ms is a monotonic clock; it may differ by a little from thread to thread.
 *
 * Memory is bounded. Prefixes and users with tunnels are as many as max-tunnels lets in. Of the
 * prefixes without, at most LIMITS_IDLE_MAX with points or a used rate are remembered and at most
 * LIMITS_BANS_MAX bans; beyond that the one that was touched longest ago is forgotten for each that
 * comes. So a flood from a hundred thousand addresses can buy itself a few more tries, but it can
 * neither fill the memory nor shut anybody else out, and no tunnel is ever miscounted. */
#ifndef SSTPGATE_POLICY_LIMITS_H
#define SSTPGATE_POLICY_LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/span.h"

struct limits_settings;
struct limits;

enum { LIMITS_IDLE_MAX = 65536, LIMITS_BANS_MAX = 65536 };

struct limits_rate { /* so many in so long; count 0: no limit */
    uint32_t count, per_ms;
};

/* Durations in milliseconds. */
struct limits_settings {
    unsigned tunnels_per_address, tunnels_per_user; /* 0: no limit */
    unsigned prefix_ipv4, prefix_ipv6;              /* bits of an address that count as one */
    struct limits_rate rate, rate_per_address;      /* of handshakes */
    unsigned ban_points;                            /* 0: nobody is banned */
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

/* The key that was hit, for the log: "max-tunnels-per-address", "handshake-rate"; "ban-points" for
 * LIMITS_BANNED, "-" for LIMITS_OK. */
const char *limits_key(enum limits_verdict v);

/* c is copied and may go at once. The ban-file is not read here: see ban_file.h. */
struct limits *limits_new(const struct limits_settings *c);
void limits_free(struct limits *l);

/* A reload: c holds from the next call on. Counts and bans stay, and so do points unless ban-reset
 * has another value. The address prefixes are those of limits_new: a reload cannot change them,
 * since those who are in would then leave through another door. */
void limits_configure(struct limits *l, const struct limits_settings *c);

/* A connection from who. LIMITS_OK: it is counted, to be followed by one limits_leave with the same
 * address. Anything else: nothing was counted, no rate was used up. Looked at in the order of the
 * enum. */
enum limits_verdict limits_enter(struct limits *l, const struct addr *who,
                                 uint64_t now_ms) MUST_CHECK;
void limits_leave(struct limits *l, const struct addr *who);

/* Counts a tunnel for its user, once for each call. LIMITS_OK: counted; the caller calls
 * limits_user_leave once, with the same name. LIMITS_PER_USER: not counted. user: not empty,
 * without domain or realm. The 26 letters of ASCII compare without case. */
enum limits_verdict limits_user_enter(struct limits *l, struct span user) MUST_CHECK;
void limits_user_leave(struct limits *l, struct span user);

/* Gives the prefix of address `who` points (see call/reason.h). Returns true if the prefix has now
 * reached ban-points: it is banned for ban-time, and the caller logs the ban. Tunnels that are up
 * stay. A point counts for ban-reset, and up to an eighth longer. Addresses in ban-exempt or in
 * trusted-proxies of a listener get no points and are never banned; a banned prefix gets no points.
 */
bool limits_points(struct limits *l, const struct addr *who, unsigned points, uint64_t now_ms);

/* A ban of before: net is banned for left_ms from now on, but for no longer than ban-time. False:
 * net is no prefix of the length that is counted by. Without ban-points nobody is banned. */
bool limits_restore(struct limits *l, const struct cidr *net, uint64_t left_ms,
                    uint64_t now_ms) MUST_CHECK;

/* Grows with each ban and each end of one that a file of them does not know: by points, a lifting
 * or a configuration without bans. */
uint64_t limits_changes(struct limits *l);

struct limits_ban {
    struct cidr net;
    uint64_t left_ms;
};

/* Calls each for every ban that has not run out, oldest first; returns how many. It is called
 * without the lock: it may ask here again. */
size_t limits_bans(struct limits *l, uint64_t now_ms,
                   void (*each)(void *user, const struct limits_ban *ban), void *user);

/* Ends every ban that has an address in common with net, and the points behind it; NULL: all of
 * them. Returns how many. */
size_t limits_lift(struct limits *l, const struct cidr *net, uint64_t now_ms);

/* Forgets what has run out. To be called every few seconds. */
void limits_sweep(struct limits *l, uint64_t now_ms);

struct limits_counts {
    size_t addresses; /* prefixes with tunnels */
    size_t idle;      /* those remembered for their points or their rate only */
    size_t users;
    size_t bans;
};
void limits_count(struct limits *l, struct limits_counts *out);

/* Returns whether every limits_enter and limits_user_enter has been followed by its leave. The gate
 * checks this when it stops, because a leaked count would refuse calls until a restart. */
bool limits_unused(struct limits *l) MUST_CHECK;

#endif
