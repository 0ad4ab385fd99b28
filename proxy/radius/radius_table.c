#include "radius/radius_table.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"

void radius_table_init(struct radius_table *t)
{
    *t = (struct radius_table){0};
    radius_random((uint8_t *)&t->hash, sizeof t->hash);
}

static struct radius_request **bucket_of(const struct radius_table *t, const struct radius_key *key)
{
    uint8_t octets[16 + 4 + 2 + 4] = {0};

    memcpy(octets, key->from.ip, 16);
    memcpy(octets + 16, &key->from.scope, 4);
    memcpy(octets + 20, &key->from.port, 2);
    octets[22] = key->id;
    octets[23] = key->accounting;
    octets[24] = key->from.family == AF_INET;
    /* The cast removes const, as strchr() does. */
    return (struct radius_request **)&t
        ->bucket[siphash(&t->hash, octets, sizeof octets) % RADIUS_BUCKETS];
}

struct radius_request *radius_table_find(const struct radius_table *t, const struct radius_key *key)
{
    struct radius_request *r = *bucket_of(t, key);

    while (r != NULL && (r->key.id != key->id || r->key.accounting != key->accounting ||
                         !addr_equal(&r->key.from, &key->from)))
        r = r->chain;
    return r;
}

static void list_add(struct radius_table *t, struct radius_request *r)
{
    DL_APPEND(t->list[r->state], r);
    t->waiting += r->state == RADIUS_PENDING;
}

static void list_remove(struct radius_table *t, struct radius_request *r)
{
    DL_DELETE(t->list[r->state], r);
    t->waiting -= r->state == RADIUS_PENDING;
}

static void request_wipe(struct radius_request *r)
{
    if (r->octets != NULL)
        explicit_bzero(r->octets, r->len);
    free(r->octets);
    r->octets = NULL;
    r->len = 0;
}

struct radius_request *radius_table_surplus(const struct radius_table *t)
{
    if (t->count < RADIUS_REQUESTS_MAX)
        return NULL;
    return t->list[t->list[RADIUS_ANSWERED] != NULL ? RADIUS_ANSWERED : RADIUS_PENDING];
}

struct radius_request *radius_table_add(struct radius_table *t, const struct radius_key *key,
                                        uint64_t now_ms)
{
    INSIST(radius_table_find(t, key) == NULL && t->count < RADIUS_REQUESTS_MAX);
    struct radius_request *r = NEW(struct radius_request);
    struct radius_request **bucket = bucket_of(t, key);
    r->key = *key;
    r->touched_ms = now_ms;
    r->chain = *bucket;
    *bucket = r;
    list_add(t, r);
    t->count++;
    return r;
}

void radius_table_set(struct radius_table *t, struct radius_request *r, enum radius_state state,
                      struct span octets, uint64_t now_ms)
{
    request_wipe(r);
    r->octets = insist_alloc(malloc(octets.n));
    memcpy(r->octets, octets.p, octets.n);
    r->len = octets.n;
    list_remove(t, r);
    r->state = state;
    r->touched_ms = now_ms;
    list_add(t, r);
}

void radius_table_touch(struct radius_table *t, struct radius_request *r, uint64_t now_ms)
{
    list_remove(t, r);
    r->touched_ms = now_ms;
    list_add(t, r);
}

struct radius_request *radius_table_old(const struct radius_table *t, uint64_t now_ms)
{
    static const uint64_t kept_ms[] = {
        [RADIUS_PENDING] = RADIUS_PENDING_MS, [RADIUS_ANSWERED] = RADIUS_ANSWERED_MS};

    for (size_t i = 0; i < 2; i++)
        if (t->list[i] != NULL && now_ms - t->list[i]->touched_ms >= kept_ms[i])
            return t->list[i];
    return NULL;
}

void radius_table_drop(struct radius_table *t, struct radius_request *r)
{
    struct radius_request **at = bucket_of(t, &r->key);

    INSIST(r->port == NULL);
    while (*at != r)
        at = &(*at)->chain;
    *at = r->chain;
    list_remove(t, r);
    t->count--;
    request_wipe(r);
    explicit_bzero(r, sizeof *r);
    free(r);
}
