/* udp: a socket for datagrams, on a worker's loop. What comes is told at once, what is sent goes at
 * once or is lost, as datagrams may be. An answer leaves from the address that was asked, also
 * where the socket is bound to every address of the machine: that is why this is not uv_udp. */
#ifndef SSTPGATE_NET_UDP_H
#define SSTPGATE_NET_UDP_H

#include <stdbool.h>
#include <uv.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/span.h"

struct worker;

enum { UDP_MAX = 8192 }; /* octets of a datagram; what is longer is told with its beginning only */

/* The two ends of what came. */
struct udp_path {
    struct addr peer;
    struct addr local;  /* without port; family 0: not known, the kernel chooses */
    unsigned interface; /* that it came by, for IPv6 */
};

/* A bound socket. want may have port 0: the kernel chooses one. bound: what it became. -1: errno
 * says why. Any thread. */
int udp_bind(const struct addr *want, struct addr *bound) MUST_CHECK;

struct udp {
    uv_poll_t poll;
    struct worker *worker;
    int fd;
    bool open;
    void (*on_datagram)(struct udp *u, struct span octets, const struct udp_path *path);
    void (*on_closed)(struct udp *u);
    void *owner;
};

/* Listens on fd, which is u's from now on. It is not closed from inside on_datagram. From the
 * worker's thread or before it runs. Returns a libuv error; then fd is closed and u unused. */
int udp_open(struct udp *u, struct worker *w, int fd,
             void (*on_datagram)(struct udp *u, struct span octets, const struct udp_path *path),
             void *owner) MUST_CHECK;

/* False: it did not leave this machine; errno says why. */
bool udp_send(struct udp *u, struct span octets, const struct udp_path *path);

/* u must stay until on_closed, which may be NULL, has been called; not from inside here. */
void udp_close(struct udp *u, void (*on_closed)(struct udp *u));

#endif
