/* outq: the queue of the bytes of one stream that the kernel has not taken yet, in blocks of the
 * worker's pool. The first blocks may belong to a pending uv_write: they are *flying*. New bytes
 * are appended behind them. */
#ifndef SSTPGATE_NET_OUTQ_H
#define SSTPGATE_NET_OUTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/blocks.h"

/* All zeros: an empty queue. The blocks [0,flying) belong to a uv_write, the blocks [flying,count)
 * wait for the next one. */
struct outq {
    struct blocks list;
    unsigned count, flying; /* numbers of blocks */
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

/* Returns the number of bytes in the queue, including bytes that the kernel is sending. */
static inline size_t outq_bytes(const struct outq *q)
{
    return q->list.bytes;
}

/* Appends a copy of bytes. A flying block is not filled up, because its uv_write has its length
 * already. */
void outq_add(struct outq *q, struct pool *p, struct span bytes);

/* Marks the first blocks, at most `most`, as flying, and writes them to bufs for uv_write; no block
 * may be flying already. Returns their number. */
unsigned outq_launch(struct outq *q, uv_buf_t *bufs, unsigned most);

/* Removes the flying blocks, because their uv_write has ended. */
void outq_landed(struct outq *q, struct pool *p);

/* Marks the flying blocks as waiting again, because uv_write has refused them. */
void outq_grounded(struct outq *q);

/* Discards all bytes; no block may be flying. */
void outq_clear(struct outq *q, struct pool *p);

#endif
