/* udp: a socket for datagrams, on a worker's loop. Incoming datagrams are delivered immediately;
 * outgoing ones are sent immediately or dropped, as datagrams may be. An answer leaves from the
 * address that the request was sent to, even if the socket is bound to every address of the
 * machine; uv_udp cannot do that. */
#ifndef SSTPGATE_NET_UDP_H
#define SSTPGATE_NET_UDP_H

#include <stdbool.h>
#include <uv.h>

#include "base/addr.h"
#include "base/err.h"
#include "base/span.h"

struct worker;

enum { UDP_MAX = 8192 }; /* bytes of a datagram; of a longer one only the beginning is delivered */

/* The two ends of a datagram. */
struct udp_path {
    struct addr peer;
    struct addr local;  /* without port; family 0: unknown, the kernel chooses */
    unsigned interface; /* index of the interface where it arrived, for IPv6 */
};

/* Returns a bound socket; -1: errno has the cause. want may have port 0: the kernel chooses one.
 * bound: the address with its port. Any thread. */
int udp_bind(const struct addr *want, struct addr *bound) MUST_CHECK;

/* Sets the options of a socket that udp_bind has not made. Returns false with errno. */
bool udp_prepare(int fd, int family) MUST_CHECK;

/* Reads the address that a socket is bound to. Returns false with errno. */
bool udp_address(int fd, struct addr *bound) MUST_CHECK;

struct udp {
    uv_poll_t poll;
    struct worker *worker;
    int fd;
    bool open;
    bool paused; /* receives nothing */
    void (*on_datagram)(struct udp *u, struct span bytes, const struct udp_path *path);
    void (*on_error)(struct udp *u, struct span bytes, const struct addr *peer, int error);
    void (*on_closed)(struct udp *u);
    void *owner;
};

/* Starts to receive on fd; takes ownership of it. on_datagram must not call udp_close. Call it from
 * the worker's thread or before the worker runs. Returns 0 or a libuv error; after an error fd is
 * closed and u is not open. */
int udp_open(struct udp *u, struct worker *w, int fd,
             void (*on_datagram)(struct udp *u, struct span bytes, const struct udp_path *path),
             void *owner) MUST_CHECK;

/* Makes u report the ICMP errors that its datagrams cause: on_error gets the beginning of the
 * datagram, the address that it was sent to, and the errno. on_error must not call udp_close. */
void udp_report_errors(struct udp *u, void (*on_error)(struct udp *u, struct span bytes,
                                                       const struct addr *peer, int error));

/* Sends a datagram. Returns false if it did not leave this machine; errno has the cause. */
bool udp_send(struct udp *u, struct span bytes, const struct udp_path *path);

/* Ends the delivery of datagrams, because another process receives them. u can still send. */
void udp_pause(struct udp *u);

/* Closes u, which must remain valid until on_closed (may be NULL) was called; on_closed is never
 * called from inside this function. */
void udp_close(struct udp *u, void (*on_closed)(struct udp *u));

#endif
