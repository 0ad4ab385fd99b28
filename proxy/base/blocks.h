/* blocks: a queue of bytes in blocks of a pool. */
#ifndef SSTPGATE_BASE_BLOCKS_H
#define SSTPGATE_BASE_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/pool.h"
#include "base/span.h"

/* All zeros: empty. No block of the list is empty; `bytes` counts the bytes of all. */
struct blocks {
    struct block *first, *last; /* NULL: empty */
    size_t bytes;
};

static inline bool blocks_empty(const struct blocks *l)
{
    return l->first == NULL;
}

/* Appends a copy of the bytes. first_new: false allows to fill the last block before a new one is
 * taken. Returns the number of new blocks. */
unsigned blocks_add(struct blocks *l, struct pool *p, struct span bytes, bool first_new);

/* Returns the first block, which must exist, to the pool. */
void blocks_drop_first(struct blocks *l, struct pool *p);

/* Moves all bytes to out, which has room for l->bytes. Returns their number. */
size_t blocks_take(struct blocks *l, struct pool *p, uint8_t *out);

void blocks_clear(struct blocks *l, struct pool *p);

#endif
