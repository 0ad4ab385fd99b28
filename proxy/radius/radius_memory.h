/* radius_memory: a table that forgets: octets to a number. Each has one place, from which others
 * may push it, so that nothing grows; which ones they are only this process knows. */
#ifndef SSTPGATE_RADIUS_RADIUS_MEMORY_H
#define SSTPGATE_RADIUS_RADIUS_MEMORY_H

#include "base/siphash.h"
#include "base/span.h"

struct radius_memory {
    struct siphash_key key;
    size_t size;
    struct radius_memory_slot {
        uint64_t hash, value;
    } * slot;
};

void radius_memory_init(struct radius_memory *m, size_t size);
void radius_memory_fini(struct radius_memory *m);
void radius_memory_clear(struct radius_memory *m);

/* 0: it is not there (any more). */
uint64_t radius_memory_get(const struct radius_memory *m, struct span octets);

/* value 0 forgets it. */
void radius_memory_put(struct radius_memory *m, struct span octets, uint64_t value);

#endif
