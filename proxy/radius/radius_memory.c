#include "radius/radius_memory.h"

#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "binding/radius_crypt.h"

enum { WAYS = RADIUS_MEMORY_WAYS };

void radius_memory_init(struct radius_memory *m, size_t size)
{
    m->sets = (size + WAYS - 1) / WAYS;
    m->slot = insist_alloc(calloc(m->sets * WAYS, sizeof *m->slot));
    radius_random((uint8_t *)&m->key, sizeof m->key);
}

void radius_memory_fini(struct radius_memory *m)
{
    free(m->slot);
}

void radius_memory_clear(struct radius_memory *m)
{
    memset(m->slot, 0, m->sets * WAYS * sizeof *m->slot);
}

static struct radius_memory_slot *set_of(const struct radius_memory *m, uint64_t hash)
{
    return &m->slot[hash % m->sets * WAYS];
}

/* Returns the index of the hash in the set; RADIUS_MEMORY_WAYS: missing. */
static size_t set_find(const struct radius_memory_slot *set, uint64_t hash)
{
    size_t i = 0;

    while (i < WAYS && (set[i].value == 0 || set[i].hash != hash))
        i++;
    return i;
}

uint64_t radius_memory_get(const struct radius_memory *m, struct span octets)
{
    const uint64_t hash = siphash(&m->key, octets.p, octets.n);
    const struct radius_memory_slot *set = set_of(m, hash);
    const size_t i = set_find(set, hash);
    return i < WAYS ? set[i].value : 0;
}

static void set_remove(struct radius_memory_slot *set, size_t i)
{
    memmove(&set[i], &set[i + 1], (WAYS - 1 - i) * sizeof *set);
    set[WAYS - 1] = (struct radius_memory_slot){0};
}

void radius_memory_put(struct radius_memory *m, struct span octets, uint64_t value)
{
    const uint64_t hash = siphash(&m->key, octets.p, octets.n);
    struct radius_memory_slot *set = set_of(m, hash);
    const size_t i = set_find(set, hash);

    if (i < WAYS)
        set_remove(set, i);
    if (value == 0)
        return;
    memmove(&set[1], &set[0], (WAYS - 1) * sizeof *set);
    set[0] = (struct radius_memory_slot){.hash = hash, .value = value};
}
