/* mute: connections that nobody uses any more, kept open so that what their peers still send meets
 * no closed port: that would be answered with a reset. What comes is not even acknowledged. Bounded
 * in time and in number. Worker's thread only. */
#ifndef SSTPGATE_NET_MUTE_H
#define SSTPGATE_NET_MUTE_H

#include <stddef.h>
#include <stdint.h>

/* Whoever speaks TLS gives up within a minute. */
enum { MUTE_MAX = 128, MUTE_MS = 60000 };

struct mute_kept {
    int fd;
    uint64_t until;
};

/* All zeros: none. */
struct mute {
    struct mute_kept kept[MUTE_MAX]; /* a ring, in the order in which they came */
    size_t first, count;
};

/* Keeps a duplicate of fd, whose owner closes it as ever, for MUTE_MS; where there are MUTE_MAX,
 * the one that came first goes. Where there is no descriptor left, or the kernel lets us attach no
 * filter (some want CAP_NET_ADMIN for it), the connection is not kept. */
void mute_keep(struct mute *m, int fd, uint64_t now_ms);

/* Lets go of those whose time is over. */
void mute_sweep(struct mute *m, uint64_t now_ms);

void mute_fini(struct mute *m);

#endif
