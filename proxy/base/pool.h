/* pool: blocks of one size, for bytes that a peer has not taken yet. One pool for each worker, used
 * from its thread only. The pool keeps returned blocks for later; pool_trim frees the blocks
 * that were not needed since its last call. Under AddressSanitizer the pool keeps nothing, so that
 * the use of a returned block is found. */
#ifndef SSTPGATE_BASE_POOL_H
#define SSTPGATE_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

enum { POOL_BLOCK = 16384 - 64 }; /* with its header and malloc's just below four pages */

/* 0 .. from .. to <= POOL_BLOCK     [0,from) gone   [from,to) holds bytes   [to,POOL_BLOCK) free */
struct block {
    struct block *next;
    uint32_t from, to;
    uint8_t bytes[POOL_BLOCK];
};

struct pool {
    struct block *spare;
    size_t spare_count;
    size_t spare_low; /* fewest spare blocks since the last trim: the number that was not needed */
    size_t lent;      /* blocks that are in use */
};

void pool_init(struct pool *p);
void pool_fini(struct pool *p);         /* every block must be returned */
struct block *pool_get(struct pool *p); /* never NULL; empty */
void pool_put(struct pool *p, struct block *b);
void pool_trim(struct pool *p);

#endif
