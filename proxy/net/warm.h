/* warm: the TLS connections that may keep the buffers of their records, some 17 or 33 kB each. A
 * connection that has just read or written may do so again, so it keeps what OpenSSL has allocated
 * for that, until WARM_MAX others have come or a second is over. All others keep none. */
#ifndef SSTPGATE_NET_WARM_H
#define SSTPGATE_NET_WARM_H

#include <stdbool.h>
#include <stddef.h>

struct tls_conn;

enum { WARM_MAX = 64 };

/* All zeros: none. */
struct warm {
    struct tls_conn *conn[WARM_MAX]; /* a ring; NULL: a free slot */
    size_t next;
};

/* slot: where warm_add has put the connection, or any value below WARM_MAX. */
static inline bool warm_has(const struct warm *ring, const struct tls_conn *c, size_t slot)
{
    return ring->conn[slot] == c;
}

/* Adds a connection that is not in it. Returns its slot. Not from inside a call into TLS. */
size_t warm_add(struct warm *ring, struct tls_conn *c);

/* Removes a connection that is about to be freed; a no-op if it is not in its slot. */
void warm_remove(struct warm *ring, const struct tls_conn *c, size_t slot);

/* Releases the buffers of all. Once a second. */
void warm_cool(struct warm *ring);

#endif
