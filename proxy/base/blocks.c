#include "base/blocks.h"

#include <string.h>

static void block_append(struct blocks *l, struct block *b)
{
    if (l->last == NULL)
        l->first = b;
    else
        l->last->next = b;
    l->last = b;
}

unsigned blocks_add(struct blocks *l, struct pool *p, struct span bytes, bool first_new)
{
    unsigned added = 0;

    while (bytes.n > 0) {
        struct block *b = l->last;
        if (b == NULL || b->to == POOL_BLOCK || (first_new && added == 0)) {
            b = pool_get(p);
            block_append(l, b);
            added++;
        }
        const struct span part = span_sub(bytes, 0, POOL_BLOCK - b->to);
        memcpy(b->bytes + b->to, part.p, part.n);
        b->to += (uint32_t)part.n;
        l->bytes += part.n;
        bytes = span_from(bytes, part.n);
    }
    return added;
}

void blocks_drop_first(struct blocks *l, struct pool *p)
{
    struct block *b = l->first;

    l->first = b->next;
    if (l->first == NULL)
        l->last = NULL;
    l->bytes -= b->to - b->from;
    pool_put(p, b);
}

size_t blocks_take(struct blocks *l, struct pool *p, uint8_t *out)
{
    size_t n = 0;

    while (l->first != NULL) {
        const struct block *b = l->first;
        memcpy(out + n, b->bytes + b->from, b->to - b->from);
        n += b->to - b->from;
        blocks_drop_first(l, p);
    }
    return n;
}

void blocks_clear(struct blocks *l, struct pool *p)
{
    while (l->first != NULL)
        blocks_drop_first(l, p);
}
