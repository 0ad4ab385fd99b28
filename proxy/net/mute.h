/* mute: connections that are no longer used, but kept open, because the kernel would answer what
 * their peers still send to a closed port with a reset. What arrives is not even acknowledged.
 * Bounded in time and number. Worker's thread only. */
#ifndef SSTPGATE_NET_MUTE_H
#define SSTPGATE_NET_MUTE_H

#include <stddef.h>
#include <stdint.h>

/* A TLS client gives up within a minute. */
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
 * refuses the filter (some want CAP_NET_ADMIN for it). */
void mute_keep(struct mute *m, int fd, uint64_t now_ms);

/* Closes those whose time is over. */
void mute_sweep(struct mute *m, uint64_t now_ms);

void mute_fini(struct mute *m);

#endif
