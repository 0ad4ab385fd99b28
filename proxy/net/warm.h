/* warm: the TLS connections that may keep memory that only saves time: the expanded keys of both
 * directions, some 2 kB, or the buffers of OpenSSL's records, 17 or 33 kB. A connection that has
 * just read or written may do so again, so it keeps them until WARM_MAX other connections were
 * added or a second is over. All other connections keep none. */
#ifndef SSTPGATE_NET_WARM_H
#define SSTPGATE_NET_WARM_H

#include <stdbool.h>
#include <stddef.h>

struct tls_conn;

/* Bounds the memory of the busy connections of a worker: 2 MB, or 34 MB of OpenSSL. */
enum { WARM_MAX = 1024 };

/* All zeros: none. */
struct warm {
    struct tls_conn *conn[WARM_MAX]; /* a ring; NULL: a free slot */
    size_t next;
};

/* Returns whether c is in its slot. slot: the result of warm_add, or any value below WARM_MAX. */
static inline bool warm_has(const struct warm *ring, const struct tls_conn *c, size_t slot)
{
    return ring->conn[slot] == c;
}

/* Adds a connection that is not in the ring. Returns its slot. Must not be called from inside a
 * function of tls_conn. */
size_t warm_add(struct warm *ring, struct tls_conn *c);

/* Removes a connection that is about to be freed; a no-op if it is not in its slot. */
void warm_remove(struct warm *ring, const struct tls_conn *c, size_t slot);

/* Empties the ring, and releases the buffers of its connections. Called once a second. */
void warm_cool(struct warm *ring);

#endif
