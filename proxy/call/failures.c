#include "call/failures.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"

/* A failure and its texts, in one allocation. */
struct kept {
    struct failure facts;
    unsigned refs; /* under the lock: one of the ring, one of failures_each */
    char text[];
};

struct failures {
    pthread_mutex_t lock;
    struct kept *ring[FAILURES_MAX];
    uint64_t count; /* all that were added; the latest is ring[(count - 1) % FAILURES_MAX] */
};

struct failures *failures_new(void)
{
    struct failures *all = NEW(struct failures);

    INSIST(pthread_mutex_init(&all->lock, NULL) == 0);
    return all;
}

void failures_free(struct failures *all)
{
    if (all == NULL)
        return;
    for (size_t i = 0; i < FAILURES_MAX; i++)
        free(all->ring[i]);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

static void failures_lock(struct failures *all)
{
    INSIST(pthread_mutex_lock(&all->lock) == 0);
}

static void failures_unlock(struct failures *all)
{
    INSIST(pthread_mutex_unlock(&all->lock) == 0);
}

enum { TEXT_COUNT = 7 };

/* Lists the fields of a failure that are copied. */
static void texts_of(struct failure *f, const char **text[TEXT_COUNT])
{
    const char **const all[TEXT_COUNT] = {&f->listener, &f->user,    &f->host,  &f->sni,
                                          &f->detail,   &f->backend, &f->server};
    memcpy(text, all, sizeof all);
}

static struct kept *kept_new(const struct failure *failure)
{
    struct failure facts = *failure;
    const char **text[TEXT_COUNT];
    size_t n = 0;

    texts_of(&facts, text);
    for (size_t i = 0; i < TEXT_COUNT; i++)
        n += *text[i] == NULL ? 0 : strlen(*text[i]) + 1;
    struct kept *k = insist_alloc(malloc(sizeof *k + n));
    char *at = k->text;
    for (size_t i = 0; i < TEXT_COUNT; i++) {
        if (*text[i] == NULL)
            continue;
        const size_t size = strlen(*text[i]) + 1;
        *text[i] = memcpy(at, *text[i], size);
        at += size;
    }
    k->facts = facts;
    k->refs = 1;
    return k;
}

/* Gives up a reference, under the lock. Returns what the caller frees without the lock. */
static struct kept *kept_unref(struct kept *k)
{
    return k != NULL && --k->refs == 0 ? k : NULL;
}

void failures_add(struct failures *all, const struct failure *failure)
{
    struct kept *k = kept_new(failure);

    failures_lock(all);
    struct kept **place = &all->ring[all->count++ % FAILURES_MAX];
    struct kept *oldest = kept_unref(*place);
    *place = k;
    failures_unlock(all);
    free(oldest);
}

uint64_t failures_count(struct failures *all)
{
    failures_lock(all);
    const uint64_t count = all->count;
    failures_unlock(all);
    return count;
}

void failures_each(struct failures *all, void (*each)(void *arg, const struct failure *failure),
                   void *arg)
{
    struct kept *latest[FAILURES_MAX];
    size_t n = 0;

    failures_lock(all);
    for (uint64_t i = all->count; i > 0 && n < FAILURES_MAX; i--) {
        latest[n] = all->ring[(i - 1) % FAILURES_MAX];
        latest[n++]->refs++;
    }
    failures_unlock(all);
    for (size_t i = 0; i < n; i++)
        each(arg, &latest[i]->facts);
    failures_lock(all);
    for (size_t i = 0; i < n; i++)
        latest[i] = kept_unref(latest[i]);
    failures_unlock(all);
    for (size_t i = 0; i < n; i++)
        free(latest[i]);
}
