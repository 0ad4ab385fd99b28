/* radius_memory: a lossy table of bounded size, from octets to a number. Entries share small sets,
 * by a hash with a secret key; in a full set the oldest entry makes room. */
#ifndef SSTPGATE_RADIUS_RADIUS_MEMORY_H
#define SSTPGATE_RADIUS_RADIUS_MEMORY_H

#include "base/siphash.h"
#include "base/span.h"

enum { RADIUS_MEMORY_WAYS = 8 }; /* entries in a set */

struct radius_memory {
    struct siphash_key key;
    size_t sets;
    struct radius_memory_slot {
        uint64_t hash, value; /* value 0: free; in each set the newest is first */
    } * slot;
};

/* size: how many entries; rounded up to whole sets. With half as many in use at a time some 2 % of
 * them have to make room early. */
void radius_memory_init(struct radius_memory *m, size_t size);
void radius_memory_fini(struct radius_memory *m);
void radius_memory_clear(struct radius_memory *m);

/* Returns the value; 0: there is none, or it had to make room. */
uint64_t radius_memory_get(const struct radius_memory *m, struct span octets);

/* value 0 forgets the entry. */
void radius_memory_put(struct radius_memory *m, struct span octets, uint64_t value);

#endif
