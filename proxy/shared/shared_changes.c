#include "shared/shared_changes.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"

static void change_drop(struct shared_changes *c, struct shared_change *change)
{
    DL_DELETE(c->first, change);
    c->count--;
    free(change->subject);
    free(change);
}

/* Returns whether a change of `subject` concerns `other`, too. */
static bool concerns(const char *subject, const char *other)
{
    return strcmp(subject, "*") == 0 || strcmp(subject, other) == 0;
}

static struct shared_change *oldest(const struct shared_changes *c)
{
    struct shared_change *at;

    DL_FOREACH(c->first, at) {
        if (at->acked)
            return at;
    }
    return c->first;
}

uint64_t shared_changes_add(struct shared_changes *c, const char *subject,
                            enum shared_ban_kind kind, uint64_t now_ms, uint64_t left_ms)
{
    struct shared_change *at, *next, *added = NEW(struct shared_change);

    DL_FOREACH_SAFE(c->first, at, next) {
        if (concerns(subject, at->subject))
            change_drop(c, at);
    }
    if (c->count == SHARED_CHANGES_OWN)
        change_drop(c, oldest(c));
    added->subject = insist_alloc(strdup(subject));
    added->kind = kind;
    added->made_ms = now_ms;
    added->until_ms = now_ms + left_ms;
    added->number = ++c->number;
    DL_APPEND(c->first, added);
    c->count++;
    return added->number;
}

bool shared_changes_pending(const struct shared_changes *c, const char *subject)
{
    const struct shared_change *at;

    DL_FOREACH(c->first, at) {
        if (!at->acked && concerns(at->subject, subject))
            return true;
    }
    return false;
}

void shared_changes_ack(struct shared_changes *c, uint64_t number)
{
    struct shared_change *at;

    DL_FOREACH(c->first, at) {
        at->acked |= at->number <= number;
    }
}

void shared_changes_replaced(struct shared_changes *c, const char *subject)
{
    struct shared_change *at, *next;

    DL_FOREACH_SAFE(c->first, at, next) {
        if (at->acked && concerns(subject, at->subject))
            change_drop(c, at);
    }
}

void shared_changes_lost(struct shared_changes *c)
{
    struct shared_change *at;

    DL_FOREACH(c->first, at) {
        at->acked = false;
    }
}

void shared_changes_sweep(struct shared_changes *c, uint64_t now_ms)
{
    struct shared_change *at, *next;

    DL_FOREACH_SAFE(c->first, at, next) {
        if (at->until_ms <= now_ms)
            change_drop(c, at);
    }
}

void shared_changes_fini(struct shared_changes *c)
{
    struct shared_change *at, *next;

    DL_FOREACH_SAFE(c->first, at, next) {
        change_drop(c, at);
    }
}
