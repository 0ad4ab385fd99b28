/* mute: keeps connections open that the program no longer uses, because the kernel would answer
 * packets for a closed connection with a reset. A socket filter drops every packet of the peer
 * before the kernel acknowledges it. The number of connections and their time are bounded. Worker's
 * thread only. */
#ifndef SSTPGATE_NET_MUTE_H
#define SSTPGATE_NET_MUTE_H

#include <stddef.h>
#include <stdint.h>

/* MUTE_MS: a TLS client gives up within a minute. */
enum { MUTE_MAX = 128, MUTE_MS = 60000 };

struct mute_kept {
    int fd;
    uint64_t until;
};

/* All zeros: none. */
struct mute {
    struct mute_kept kept[MUTE_MAX]; /* a ring, the oldest first */
    size_t first, count;
};

/* Keeps a duplicate of fd for MUTE_MS; the owner of fd closes fd as usual. If MUTE_MAX are kept,
 * the oldest is closed. The connection is not kept if no descriptor is left, or if the kernel
 * refuses the socket filter (some kernels require CAP_NET_ADMIN for it). */
void mute_keep(struct mute *m, int fd, uint64_t now_ms);

/* Closes the connections that were kept for MUTE_MS. */
void mute_sweep(struct mute *m, uint64_t now_ms);

/* Closes all kept connections. */
void mute_fini(struct mute *m);

#endif
