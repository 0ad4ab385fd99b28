/* tally: the counters of one worker. Its worker alone writes them; any thread may read them, or add
 * them up with tally_sum. A count is a relaxed load and a relaxed store: no lock, no locked
 * instruction, no cache line that two workers write. So a sum may include one counter of an event
 * and not yet its others.
 *
 * Counters of a listener are kept by its name: they continue over a reload, also while the
 * configuration has no such listener, until the program ends. */
#ifndef SSTPGATE_CALL_TALLY_H
#define SSTPGATE_CALL_TALLY_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "call/reason.h"
#include "policy/limits.h"
#include "policy/rules.h"

struct config;
struct record;

enum {
    TALLY_OUTCOMES = OUTCOME_REFUSED + 1,
    TALLY_BINDINGS = 5, /* enum record_binding */
    TALLY_KEYS = 6,     /* 0: none; otherwise enum hlak_kind + 1 */
    TALLY_HASHES = 3,   /* none, sha1, sha256 */
    TALLY_BUCKETS = 12, /* of a histogram, besides that above all bounds */
};

enum tally_tls { TALLY_TLS_1_0, TALLY_TLS_1_1, TALLY_TLS_1_2, TALLY_TLS_1_3, TALLY_TLS_VERSIONS };

/* What became of a denied client: the action of the rule, or what replaced it. */
enum tally_action {
    TALLY_RESET = RULES_RESET,
    TALLY_DROP = RULES_DROP,
    TALLY_DECOY = RULES_DECOY,
    TALLY_DISCONNECT, /* of a tunnel */
    TALLY_DRY_RUN,    /* nothing */
    TALLY_ACTIONS
};

/* A limit that a call has hit: those of enum limits_verdict, and others. */
enum tally_limit {
    TALLY_LIMIT_CALLS = LIMITS_PER_USER + 1, /* max-tunnels: a new call waits */
    TALLY_LIMIT_FILES,                       /* no file descriptor: a new call waits */
    TALLY_LIMIT_HANDSHAKES, /* handshakes-at-once: counts sweeps that find handshakes waiting */
    TALLY_LIMIT_SERVERS,    /* max-tunnels of a server: no server was left */
    TALLY_LIMITS
};

enum tally_direction { TALLY_UP, TALLY_DOWN, TALLY_DIRECTIONS };

/* The peers of the gate, and the results of tls_conn_records for them. */
enum tally_side { TALLY_CLIENT, TALLY_SERVER, TALLY_SIDES };
enum { TALLY_RECORDS = 2 };

struct tally_count {
    _Atomic uint64_t n;
};

struct tally_histogram {
    struct tally_count bucket[TALLY_BUCKETS + 1]; /* each without those below it */
    struct tally_count sum_ms;
};

/* The counters of one listener. */
struct tally_calls {
    struct tally_count ended[REASON_COUNT][TALLY_OUTCOMES];
    struct tally_count handshakes[TALLY_TLS_VERSIONS];
    struct tally_count bytes[TALLY_DIRECTIONS], packets[TALLY_DIRECTIONS];
    struct tally_count login_failures;
    struct tally_count denials[TALLY_ACTIONS];
};

/* The tunnels of a listener at one backend. */
struct tally_tunnels {
    struct tally_tunnels *next;
    char *backend;
    struct tally_count now, total;
};

struct tally_listener {
    struct tally_listener *next;
    char *name;
    struct tally_calls calls;
    struct tally_tunnels *tunnels;
};

/* The counters that no listener has. */
struct tally_gate {
    struct tally_histogram handshake, setup;
    struct tally_count bindings[TALLY_BINDINGS][TALLY_KEYS][TALLY_HASHES];
    struct tally_count limits[TALLY_LIMITS];
    struct tally_count leaf_unknown;
    struct tally_count records[TALLY_SIDES][TALLY_RECORDS];
};

struct tally {
    struct tally_gate gate;
    struct tally_listener *listener; /* in the order in which they first appeared */
    struct tally_listener **of;      /* by index in config->listener */
};

/* Initializes *t, without listeners. */
void tally_init(struct tally *t);
void tally_fini(struct tally *t);

/* Adds the listeners of a configuration, and their backends, and sets t->of. From the worker's
 * thread while no other thread reads, or before the worker runs. */
void tally_switch(struct tally *t, const struct config *c);

/* Adds the counters of `from` to sum, which is a plain struct tally of the caller. Any thread,
 * except during tally_switch of `from`. */
void tally_sum(struct tally *sum, const struct tally *from);

/* Returns the tunnels of a listener at this backend, which tally_switch has added. */
struct tally_tunnels *tally_tunnels_at(struct tally_listener *l, const char *backend);

/* Counts a handshake with the client. version: as OpenSSL names it, "TLSv1.3". */
void tally_handshake(struct tally *t, struct tally_listener *l, const char *version, uint64_t ms);

/* Counts a handshake. records: the result of tls_conn_records. */
void tally_records(struct tally *t, enum tally_side side, const char *records);

/* Counts a verdict on the binding. */
void tally_binding(struct tally *t, const struct record *r);

/* Counts a duration. */
void tally_time(struct tally_histogram *h, uint64_t ms);

/* Returns the sum of the buckets. */
uint64_t tally_times(const struct tally_histogram *h);

/* The upper bounds of the buckets, in ms. */
extern const uint32_t tally_bounds_ms[TALLY_BUCKETS];

/* Return the values of labels. */
const char *tally_tls_name(enum tally_tls v);
const char *tally_action_name(enum tally_action a); /* also the word of the log */
const char *tally_limit_name(enum tally_limit l);
const char *tally_key_name(unsigned key);
const char *tally_hash_name(unsigned hash);
const char *tally_side_name(enum tally_side side);
const char *tally_records_name(unsigned records);

static inline uint64_t tally_get(const struct tally_count *c)
{
    return atomic_load_explicit(&c->n, memory_order_relaxed);
}

/* Subtracts from a gauge. */
static inline void tally_sub(struct tally_count *c, uint64_t n)
{
    atomic_store_explicit(&c->n, tally_get(c) - n, memory_order_relaxed);
}

static inline void tally_add(struct tally_count *c, uint64_t n)
{
    atomic_store_explicit(&c->n, tally_get(c) + n, memory_order_relaxed);
}

#endif
