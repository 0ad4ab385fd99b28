/* radius_memory: a lossy map of bounded size, from bytes to a number. A hash with a secret key
 * selects a small set of entries; in a full set a new entry replaces the oldest one. */
#ifndef SSTPGATE_RADIUS_RADIUS_MEMORY_H
#define SSTPGATE_RADIUS_RADIUS_MEMORY_H

#include "base/siphash.h"
#include "base/span.h"

enum { RADIUS_MEMORY_WAYS = 8 }; /* entries in a set */

struct radius_memory_slot {
    uint64_t hash, value; /* value 0: free; in each set the newest is first */
};

struct radius_memory {
    struct siphash_key key;
    size_t sets;
    struct radius_memory_slot *slot;
};

/* Allocates size entries, rounded up to whole sets. With half of them in use at a time, some 2
 * % are replaced early. */
void radius_memory_init(struct radius_memory *m, size_t size);
void radius_memory_fini(struct radius_memory *m);
void radius_memory_clear(struct radius_memory *m);

/* Returns the value; 0: none, or it was replaced. */
uint64_t radius_memory_get(const struct radius_memory *m, struct span octets);

/* Sets the value; 0 removes the entry. */
void radius_memory_put(struct radius_memory *m, struct span octets, uint64_t value);

#endif
