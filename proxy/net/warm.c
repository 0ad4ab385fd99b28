#include "net/warm.h"

#include "tls/tls_conn.h"

static void slot_cool(struct tls_conn **slot)
{
    if (*slot != NULL)
        tls_conn_rest(*slot);
    *slot = NULL;
}

size_t warm_add(struct warm *ring, struct tls_conn *c)
{
    const size_t slot = ring->next++ % WARM_MAX;

    slot_cool(&ring->conn[slot]);
    ring->conn[slot] = c;
    return slot;
}

void warm_remove(struct warm *ring, const struct tls_conn *c, size_t slot)
{
    if (warm_has(ring, c, slot))
        ring->conn[slot] = NULL;
}

void warm_cool(struct warm *ring)
{
    for (size_t i = 0; i < WARM_MAX; i++)
        slot_cool(&ring->conn[i]);
}
