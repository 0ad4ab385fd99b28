#include "shared/shared_changes.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/insist.h"

static unsigned hash_of(const struct shared_changes *c, const char *subject, size_t n)
{
    return (unsigned)siphash(&c->key, (const uint8_t *)subject, n);
}

static void change_drop(struct shared_changes *c, struct shared_change *change)
{
    HASH_DEL(c->table, change);
    free(change);
}

void shared_changes_init(struct shared_changes *c)
{
    *c = (struct shared_changes){0};
    INSIST(getentropy(&c->key, sizeof c->key) == 0);
}

void shared_changes_fini(struct shared_changes *c)
{
    struct shared_change *at, *next;

    HASH_ITER(hh, c->table, at, next) {
        change_drop(c, at);
    }
}

struct shared_change *shared_changes_find(const struct shared_changes *c, const char *subject)
{
    struct shared_change *found = NULL;
    const size_t n = strlen(subject);

    HASH_FIND_BYHASHVALUE(hh, c->table, subject, n, hash_of(c, subject, n), found);
    return found;
}

static struct shared_change *change_add(struct shared_changes *c, const char *subject,
                                        enum shared_ban_kind kind, uint64_t until_ms)
{
    const size_t n = strlen(subject);
    struct shared_change *added, *old = shared_changes_find(c, subject);

    if (old != NULL)
        change_drop(c, old);
    if (HASH_COUNT(c->table) == SHARED_CHANGES_KEPT)
        change_drop(c, c->table);
    added = insist_alloc(calloc(1, sizeof *added + n + 1));
    memcpy(added->subject, subject, n);
    added->kind = kind;
    added->until_ms = until_ms;
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, c->table, added->subject, n, hash_of(c, subject, n), added);
    return added;
}

/* Returns the minimum stamp of a change that replaces `change`. NULL: 0. */
static uint64_t floor_over(const struct shared_change *change)
{
    if (change == NULL)
        return 0;
    return (change->stamp > change->floor ? change->stamp : change->floor) + 1;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Drops all changes. Returns the minimum stamp of a change that replaces them. */
static uint64_t drop_all(struct shared_changes *c)
{
    struct shared_change *at, *next;
    uint64_t floor = 0;

    HASH_ITER(hh, c->table, at, next) {
        floor = larger(floor, floor_over(at));
        change_drop(c, at);
    }
    return floor;
}

const struct shared_change *shared_changes_make(struct shared_changes *c, const char *subject,
                                                enum shared_ban_kind kind, uint64_t made_us,
                                                uint64_t left_ms)
{
    const uint64_t floor = strcmp(subject, "*") == 0
                               ? drop_all(c)
                               : larger(floor_over(shared_changes_find(c, subject)),
                                        floor_over(shared_changes_find(c, "*")));
    struct shared_change *made = change_add(c, subject, kind, made_us / 1000 + left_ms);

    made->number = ++c->number;
    made->made_us = made_us;
    made->floor = floor;
    made->offer = true;
    return made;
}

/* Drops the changes that are not later than a lift of all. Drops also the changes that the store
 * has but whose stamp is unknown: if they are later, the store still has them, and the gate takes
 * them again. Returns whether a change was dropped. */
static bool drop_earlier(struct shared_changes *c, uint64_t stamp)
{
    struct shared_change *at, *next;
    bool any = false;

    HASH_ITER(hh, c->table, at, next) {
        if (at->stamp > stamp || (at->stamp == 0 && at->offer) || strcmp(at->subject, "*") == 0)
            continue;
        change_drop(c, at);
        any = true;
    }
    return any;
}

/* Returns whether `known`, which may be NULL, is later than a change in the store. An offered
 * change without a stamp counts as later, because the store has not stamped it yet. */
static bool is_later(const struct shared_change *known, uint64_t stamp)
{
    return known != NULL && (known->stamp > stamp || (known->stamp == 0 && known->offer));
}

bool shared_changes_take(struct shared_changes *c, const char *subject, enum shared_ban_kind kind,
                         uint64_t stamp, uint64_t until_ms)
{
    struct shared_change *old = shared_changes_find(c, subject);

    if (is_later(old, stamp) || is_later(shared_changes_find(c, "*"), stamp))
        return false;
    const bool dropped = strcmp(subject, "*") == 0 && drop_earlier(c, stamp);
    if (old != NULL && old->stamp == stamp && old->kind == kind) {
        old->offer = false;
        return dropped;
    }
    change_add(c, subject, kind, until_ms)->stamp = stamp;
    return true;
}

void shared_changes_ack(struct shared_changes *c, const char *subject, uint64_t number)
{
    struct shared_change *change = shared_changes_find(c, subject);

    if (change != NULL && change->number <= number)
        change->offer = false;
}

void shared_changes_lost(struct shared_changes *c)
{
    struct shared_change *at, *next;

    HASH_ITER(hh, c->table, at, next) {
        at->offer = true;
    }
}

void shared_changes_sweep(struct shared_changes *c, uint64_t now_ms)
{
    struct shared_change *at, *next;

    HASH_ITER(hh, c->table, at, next) {
        if (at->until_ms <= now_ms)
            change_drop(c, at);
    }
}
