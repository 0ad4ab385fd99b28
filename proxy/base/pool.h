/* pool: blocks of one size for octets that a peer did not take yet. One pool for each worker, used
 * from its thread only. Blocks that are given back are kept for the next borrower; pool_trim lets
 * go of those nobody needed since it was called last. Under AddressSanitizer nothing is kept, so
 * that a block used after it was returned is found. */
#ifndef SSTPGATE_BASE_POOL_H
#define SSTPGATE_BASE_POOL_H

#include <stddef.h>
#include <stdint.h>

enum { POOL_BLOCK = 16384 - 64 }; /* with its header and malloc's a little below four pages */

/* 0 .. from .. to <= POOL_BLOCK      [0,from) gone   [from,to) holds octets   [to,POOL_BLOCK) free
 */
struct block {
    struct block *next;
    uint32_t from, to;
    uint8_t octets[POOL_BLOCK];
};

struct pool {
    struct block *spare;
    size_t spare_count;
    size_t spare_low; /* fewest spare blocks since the last trim: nobody needed these */
    size_t lent;      /* blocks that are out */
};

void pool_init(struct pool *p);
void pool_fini(struct pool *p);         /* every block must be back */
struct block *pool_get(struct pool *p); /* never NULL; empty */
void pool_put(struct pool *p, struct block *b);
void pool_trim(struct pool *p);

#endif
