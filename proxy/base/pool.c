#include "base/pool.h"

#include <stdlib.h>

#include "base/insist.h"

#if defined(__SANITIZE_ADDRESS__)
#define KEEP 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEP 0
#endif
#endif
#ifndef KEEP
#define KEEP 1
#endif

void pool_init(struct pool *p)
{
    *p = (struct pool){0};
}

static void drop(struct pool *p, size_t n)
{
    for (; n > 0; n--) {
        struct block *b = p->spare;
        p->spare = b->next;
        p->spare_count--;
        free(b);
    }
}

void pool_fini(struct pool *p)
{
    INSIST(p->lent == 0);
    drop(p, p->spare_count);
}

struct block *pool_get(struct pool *p)
{
    struct block *b = p->spare;
    if (b != NULL) {
        p->spare = b->next;
        p->spare_count--;
        if (p->spare_count < p->spare_low)
            p->spare_low = p->spare_count;
    } else {
        b = insist_alloc(malloc(sizeof *b));
    }
    b->next = NULL;
    b->from = b->to = 0;
    p->lent++;
    return b;
}

void pool_put(struct pool *p, struct block *b)
{
    INSIST(p->lent > 0);
    p->lent--;
    if (!KEEP) {
        free(b);
        return;
    }
    b->next = p->spare;
    p->spare = b;
    p->spare_count++;
}

void pool_trim(struct pool *p)
{
    drop(p, p->spare_low);
    p->spare_low = p->spare_count;
}
