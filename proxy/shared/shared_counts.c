#include "shared/shared_counts.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/insist.h"

#define uthash_fatal(msg) insist_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

struct shared_count {
    UT_hash_handle hh;
    unsigned n;
    char subject[];
};

void shared_counts_init(struct shared_counts *c)
{
    c->table = NULL;
    INSIST(getentropy(&c->key, sizeof c->key) == 0);
}

static unsigned hash_of(const struct shared_counts *c, const char *subject, size_t n)
{
    return (unsigned)siphash(&c->key, (const uint8_t *)subject, n);
}

static struct shared_count *count_find(const struct shared_counts *c, const char *subject)
{
    struct shared_count *found = NULL;
    const size_t n = strlen(subject);
    HASH_FIND_BYHASHVALUE(hh, c->table, subject, n, hash_of(c, subject, n), found);
    return found;
}

unsigned shared_counts_get(const struct shared_counts *c, const char *subject)
{
    const struct shared_count *found = count_find(c, subject);
    return found == NULL ? 0 : found->n;
}

unsigned shared_counts_add(struct shared_counts *c, const char *subject, int by)
{
    struct shared_count *found = count_find(c, subject);

    INSIST(found != NULL || by > 0);
    if (found == NULL) {
        const size_t n = strlen(subject);
        found = insist_alloc(calloc(1, sizeof *found + n + 1));
        memcpy(found->subject, subject, n);
        HASH_ADD_KEYPTR_BYHASHVALUE(hh, c->table, found->subject, n, hash_of(c, found->subject, n),
                                    found);
    }
    const unsigned n = found->n += (unsigned)by;
    if (n == 0) {
        HASH_DEL(c->table, found);
        free(found);
    }
    return n;
}

size_t shared_counts_size(const struct shared_counts *c)
{
    return HASH_COUNT(c->table);
}

void shared_counts_each(const struct shared_counts *c,
                        void (*each)(void *to, const char *subject, unsigned n), void *to)
{
    const struct shared_count *at, *next;

    HASH_ITER(hh, c->table, at, next) {
        each(to, at->subject, at->n);
    }
}

void shared_counts_fini(struct shared_counts *c)
{
    struct shared_count *at, *next;

    HASH_ITER(hh, c->table, at, next) {
        HASH_DEL(c->table, at);
        free(at);
    }
}
