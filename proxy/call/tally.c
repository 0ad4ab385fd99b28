#include "call/tally.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"
#include "binding/hlak.h"
#include "call/record.h"
#include "config/config.h"

/* The default bounds of the client libraries of Prometheus, and 30 s for a slow login. */
const uint32_t tally_bounds_ms[TALLY_BUCKETS] = {5,   10,   25,   50,   100,   250,
                                                 500, 1000, 2500, 5000, 10000, 30000};

/* ---- names ---- */

static const char *const tls_names[TALLY_TLS_VERSIONS] = {"TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"};
static const char *const side_names[TALLY_SIDES] = {"client", "server"};
static const char *const records_names[TALLY_RECORDS] = {"gate", "openssl"};
static const char *const hash_names[TALLY_HASHES] = {"none", "sha1", "sha256"};

const char *tally_tls_name(enum tally_tls v)
{
    return tls_names[v];
}

const char *tally_action_name(enum tally_action a)
{
    if (a <= TALLY_DECOY)
        return rules_action_name((enum rules_action)a);
    return a == TALLY_DISCONNECT ? "disconnect" : "dry-run";
}

const char *tally_limit_name(enum tally_limit l)
{
    switch (l) {
    case TALLY_LIMIT_CALLS: return "max-tunnels";
    case TALLY_LIMIT_FILES: return "open-files";
    case TALLY_LIMIT_HANDSHAKES: return "handshakes-at-once";
    case TALLY_LIMIT_SERVERS: return "server-max-tunnels";
    default: return limits_key((enum limits_verdict)l);
    }
}

const char *tally_key_name(unsigned key)
{
    return key == 0 ? "none" : hlak_kind_name((enum hlak_kind)(key - 1));
}

const char *tally_hash_name(unsigned hash)
{
    return hash_names[hash];
}

const char *tally_side_name(enum tally_side side)
{
    return side_names[side];
}

const char *tally_records_name(unsigned records)
{
    return records_names[records];
}

/* ---- listeners ---- */

void tally_init(struct tally *t)
{
    *t = (struct tally){0};
}

static void tunnels_free(struct tally_tunnels *all)
{
    struct tally_tunnels *u, *next;

    LL_FOREACH_SAFE(all, u, next)
    {
        free(u->backend);
        free(u);
    }
}

void tally_fini(struct tally *t)
{
    struct tally_listener *l, *next;

    LL_FOREACH_SAFE(t->listener, l, next)
    {
        tunnels_free(l->tunnels);
        free(l->name);
        free(l);
    }
    free(t->of);
}

static struct tally_listener *listener_get(struct tally *t, const char *name)
{
    struct tally_listener *l;

    LL_FOREACH(t->listener, l)
    {
        if (strcmp(l->name, name) == 0)
            return l;
    }
    l = NEW(struct tally_listener);
    l->name = insist_alloc(strdup(name));
    LL_APPEND(t->listener, l);
    return l;
}

static struct tally_tunnels *tunnels_find(const struct tally_listener *l, const char *backend)
{
    struct tally_tunnels *u;

    LL_FOREACH(l->tunnels, u)
    {
        if (strcmp(u->backend, backend) == 0)
            break;
    }
    return u;
}

static struct tally_tunnels *tunnels_get(struct tally_listener *l, const char *backend)
{
    struct tally_tunnels *u = tunnels_find(l, backend);

    if (u != NULL)
        return u;
    u = NEW(struct tally_tunnels);
    u->backend = insist_alloc(strdup(backend));
    LL_APPEND(l->tunnels, u);
    return u;
}

struct tally_tunnels *tally_tunnels_at(struct tally_listener *l, const char *backend)
{
    struct tally_tunnels *u = tunnels_find(l, backend);
    INSIST(u != NULL);
    return u;
}

void tally_switch(struct tally *t, const struct config *c)
{
    free(t->of);
    t->of = insist_alloc(calloc(c->listener_count + 1, sizeof(struct tally_listener *)));
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct config_listener *from = &c->listener[i];
        struct tally_listener *l = t->of[i] = listener_get(t, from->name);
        if (from->backend != NULL)
            (void)tunnels_get(l, from->backend->name);
        for (size_t k = 0; k < from->route_count; k++)
            (void)tunnels_get(l, from->route[k].backend->name);
    }
}

/* ---- sums ---- */

/* Adds the counters of one struct to those of another; both have nothing but counters. */
static void counts_sum(void *sum, const void *from, size_t size)
{
    struct tally_count *to = sum;
    const struct tally_count *c = from;

    for (size_t i = 0; i < size / sizeof *c; i++)
        tally_add(&to[i], tally_get(&c[i]));
}

void tally_sum(struct tally *sum, const struct tally *from)
{
    const struct tally_listener *l;
    const struct tally_tunnels *u;

    _Static_assert(sizeof(struct tally_gate) % sizeof(struct tally_count) == 0 &&
                       sizeof(struct tally_calls) % sizeof(struct tally_count) == 0 &&
                       sizeof(struct tally_count) == sizeof(uint64_t),
                   "counters only");
    counts_sum(&sum->gate, &from->gate, sizeof sum->gate);
    LL_FOREACH(from->listener, l)
    {
        struct tally_listener *mine = listener_get(sum, l->name);
        counts_sum(&mine->calls, &l->calls, sizeof mine->calls);
        LL_FOREACH(l->tunnels, u)
        {
            struct tally_tunnels *at = tunnels_get(mine, u->backend);
            tally_add(&at->now, tally_get(&u->now));
            tally_add(&at->total, tally_get(&u->total));
        }
    }
}

/* ---- events ---- */

void tally_time(struct tally_histogram *h, uint64_t ms)
{
    size_t i = 0;

    while (i < TALLY_BUCKETS && ms > tally_bounds_ms[i])
        i++;
    tally_add(&h->bucket[i], 1);
    tally_add(&h->sum_ms, ms);
}

uint64_t tally_times(const struct tally_histogram *h)
{
    uint64_t n = 0;

    for (size_t i = 0; i <= TALLY_BUCKETS; i++)
        n += tally_get(&h->bucket[i]);
    return n;
}

void tally_handshake(struct tally *t, struct tally_listener *l, const char *version, uint64_t ms)
{
    for (size_t i = 0; i < TALLY_TLS_VERSIONS; i++)
        if (strcmp(tls_names[i], version) == 0)
            tally_add(&l->calls.handshakes[i], 1);
    tally_time(&t->gate.handshake, ms);
}

void tally_records(struct tally *t, enum tally_side side, const char *records)
{
    for (size_t i = 0; i < TALLY_RECORDS; i++)
        if (strcmp(records_names[i], records) == 0)
            tally_add(&t->gate.records[side][i], 1);
}

void tally_binding(struct tally *t, const struct record *r)
{
    size_t key = 0, hash = 0;

    for (unsigned k = 1; r->key != NULL && k < TALLY_KEYS; k++)
        if (strcmp(r->key, tally_key_name(k)) == 0)
            key = k;
    for (size_t k = 1; r->hash != NULL && k < TALLY_HASHES; k++)
        if (strcmp(r->hash, hash_names[k]) == 0)
            hash = k;
    tally_add(&t->gate.bindings[r->binding][key][hash], 1);
}
