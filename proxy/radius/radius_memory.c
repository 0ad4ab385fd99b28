#include "radius/radius_memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "binding/radius_crypt.h"

void radius_memory_init(struct radius_memory *m, size_t size)
{
    m->size = size;
    m->slot = check_alloc(calloc(size, sizeof *m->slot));
    radius_random((uint8_t *)&m->key, sizeof m->key);
}

void radius_memory_fini(struct radius_memory *m)
{
    free(m->slot);
}

void radius_memory_clear(struct radius_memory *m)
{
    memset(m->slot, 0, m->size * sizeof *m->slot);
}

uint64_t radius_memory_get(const struct radius_memory *m, struct span octets)
{
    const uint64_t hash = siphash(&m->key, octets.p, octets.n);
    const struct radius_memory_slot *at = &m->slot[hash % m->size];
    return at->hash == hash ? at->value : 0;
}

void radius_memory_put(struct radius_memory *m, struct span octets, uint64_t value)
{
    const uint64_t hash = siphash(&m->key, octets.p, octets.n);
    struct radius_memory_slot *at = &m->slot[hash % m->size];
    if (value > 0 || at->hash == hash)
        *at = (struct radius_memory_slot){.hash = hash, .value = value};
}
