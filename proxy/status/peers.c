#include "status/peers.h"

#include "base/insist.h"

void peers_init(struct peers *p)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        p->item[i] = (struct peer){.fd = -1};
    p->count = 0;
}

struct peer *peers_add(struct peers *p, int fd, const struct addr *addr, uint64_t now_ms)
{
    struct peer *peer = peers_find(p, -1);

    if (peer == NULL)
        return NULL;
    *peer = (struct peer){.fd = fd, .is_unix = addr == NULL};
    if (addr != NULL)
        peer->addr = *addr;
    peer_awaits(peer, now_ms);
    p->count++;
    return peer;
}

void peers_remove(struct peers *p, struct peer *peer)
{
    INSIST(peer->fd >= 0 && p->count > 0);
    peer->fd = -1;
    p->count--;
}

struct peer *peers_find(struct peers *p, int fd)
{
    for (size_t i = 0; i < PEERS_MAX; i++)
        if (p->item[i].fd == fd)
            return &p->item[i];
    return NULL;
}

static bool is_of(const struct peer *peer, const struct addr *addr)
{
    if (addr == NULL || peer->is_unix)
        return addr == NULL && peer->is_unix;
    return addr_same_host(&peer->addr, addr);
}

/* Returns whether another client may have the place of this one. */
static bool is_idle(const struct peer *peer, uint64_t now_ms)
{
    const bool is_answered = !peer->waiting && peer->deadline != PEERS_NEVER;

    return peer->waiting || (is_answered && now_ms - peer->since >= PEERS_SLOW_MS);
}

struct peer *peers_victim(struct peers *p, const struct addr *addr, uint64_t now_ms, bool *full)
{
    struct peer *oldest = NULL, *own = NULL;
    size_t owned = 0;

    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &p->item[i];
        if (peer->fd < 0)
            continue;
        const bool is_own = is_of(peer, addr);
        owned += is_own;
        if (!is_idle(peer, now_ms))
            continue;
        if (is_own && (own == NULL || peer->since < own->since))
            own = peer;
        if (oldest == NULL || peer->since < oldest->since)
            oldest = peer;
    }
    const bool crowded = owned >= PEERS_PER_ADDRESS;
    struct peer *victim = crowded ? own : p->count >= PEERS_MAX ? oldest : NULL;
    *full = victim == NULL && (crowded || p->count >= PEERS_MAX);
    return victim;
}

void peer_awaits(struct peer *peer, uint64_t now_ms)
{
    peer->waiting = true;
    peer->since = now_ms;
    peer->deadline = now_ms + PEERS_REQUEST_MS;
}

void peer_asked(struct peer *peer, uint64_t now_ms)
{
    peer->deadline = now_ms + PEERS_REQUEST_MS;
}

void peer_pends(struct peer *peer)
{
    peer->waiting = false;
    peer->deadline = PEERS_NEVER;
}

void peer_answered(struct peer *peer, uint64_t now_ms)
{
    peer->waiting = false;
    peer->since = now_ms;
    peer->deadline = now_ms + PEERS_RECEIVE_MS;
}

struct peer *peers_expired(struct peers *p, uint64_t now_ms)
{
    for (size_t i = 0; i < PEERS_MAX; i++) {
        struct peer *peer = &p->item[i];
        if (peer->fd < 0 || peer->deadline > now_ms)
            continue;
        peer->deadline = PEERS_NEVER;
        return peer;
    }
    return NULL;
}

uint64_t peers_next(const struct peers *p)
{
    uint64_t next = PEERS_NEVER;

    for (size_t i = 0; i < PEERS_MAX; i++)
        if (p->item[i].fd >= 0 && p->item[i].deadline < next)
            next = p->item[i].deadline;
    return next;
}
