#include "net/outq.h"

#include "base/insist.h"

void outq_add(struct outq *q, struct pool *p, struct span bytes)
{
    q->count += blocks_add(&q->list, p, bytes, q->count == q->flying);
    INSIST(outq_sane(q));
}

unsigned outq_launch(struct outq *q, uv_buf_t *bufs, unsigned most)
{
    INSIST(q->flying == 0);
    for (struct block *b = q->list.first; b != NULL && q->flying < most; b = b->next)
        bufs[q->flying++] = uv_buf_init((char *)b->bytes + b->from, b->to - b->from);
    return q->flying;
}

void outq_landed(struct outq *q, struct pool *p)
{
    for (; q->flying > 0; q->flying--, q->count--)
        blocks_drop_first(&q->list, p);
    INSIST(outq_sane(q));
}

void outq_grounded(struct outq *q)
{
    q->flying = 0;
}

void outq_clear(struct outq *q, struct pool *p)
{
    INSIST(q->flying == 0);
    blocks_clear(&q->list, p);
    q->count = 0;
}
