/* outq: the bytes of one stream that the kernel has not taken yet, in blocks of the worker's pool.
 * The first blocks are in a uv_write (they fly); new bytes go behind them. */
#ifndef SSTPGATE_NET_OUTQ_H
#define SSTPGATE_NET_OUTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/blocks.h"

/* All zeros: empty.      [0,flying) are in a uv_write   [flying,count) wait   count == 0: empty */
struct outq {
    struct blocks list;
    unsigned count, flying; /* blocks */
};

static inline bool outq_sane(const struct outq *q)
{
    return q->flying <= q->count && (q->count == 0) == blocks_empty(&q->list) &&
           (q->count == 0) == (q->list.bytes == 0);
}

static inline bool outq_empty(const struct outq *q)
{
    return q->count == 0;
}

/* Returns the bytes in the queue, including those that the kernel is sending. */
static inline size_t outq_bytes(const struct outq *q)
{
    return q->list.bytes;
}

/* Appends a copy. A block that flies is not filled up, because the kernel knows its length. */
void outq_add(struct outq *q, struct pool *p, struct span bytes);

/* Makes the first blocks fly, at most `most`; none may fly already. Returns their number; bufs is
 * what to hand to uv_write. */
unsigned outq_launch(struct outq *q, uv_buf_t *bufs, unsigned most);

/* The uv_write has ended, and every block that flew is gone. */
void outq_landed(struct outq *q, struct pool *p);

/* The uv_write was refused: no block flies. */
void outq_grounded(struct outq *q);

/* Discards all; no block may fly. */
void outq_clear(struct outq *q, struct pool *p);

#endif
