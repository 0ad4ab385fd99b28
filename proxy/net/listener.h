/* listener: an address that connections are accepted on. The sockets are bound before workers
 * exist, so that the program can report an error, and starts completely or not at all; each worker
 * then has a socket of its own on the same address (SO_REUSEPORT). */
#ifndef SSTPGATE_NET_LISTENER_H
#define SSTPGATE_NET_LISTENER_H

#include <stdbool.h>
#include <uv.h>

#include "base/addr.h"
#include "base/err.h"

struct listeners;
struct worker;

/* Connections that a worker accepts in one round of the loop: some 200 us. */
enum { LISTENER_ACCEPTS = 16 };

struct listener_options {
    const char *interface; /* accept only connections on it (SO_BINDTODEVICE); NULL: any */
    bool both;             /* an IPv6 socket accepts IPv4 as well; by default it does not */
    bool freebind;         /* the machine need not have the address (IP_FREEBIND) */
    bool ours; /* this program may have a socket on the port already; that is no error */
};

/* Creates `count` listening sockets on one address, fds[0..count). want may have port 0: the kernel
 * chooses one, the same for all. bound: the address with its port. options: NULL for none.
 * ERR_SYSTEM: no socket is open, errno has the cause; an address that another program listens on is
 * EADDRINUSE, even when that program uses SO_REUSEPORT, too. */
enum err listener_bind(const struct addr *want, const struct listener_options *options,
                       size_t count, int *fds, struct addr *bound) MUST_CHECK;

/* Reads the address that a socket is bound to. Returns false with errno. */
bool listener_address(int fd, struct addr *bound) MUST_CHECK;

struct listener {
    uv_tcp_t tcp;
    struct worker *worker;
    struct listeners *all;
    /* Called when a connection waits at l->tcp. Returns true if the owner has accepted it
     * (stream_accept); false: the connection, and the kernel's queue behind it, wait until
     * listener_retry. */
    bool (*on_connection)(struct listener *l);
    void *owner;
    size_t tag; /* the owner's index of this address */
    bool waiting;
    bool open;
    bool later; /* in all->full: accepts again in the next round of the loop */
    struct listener *prev, *next;
    void (*on_closed)(struct listener *l);
};

/* Starts to accept on a socket of listener_bind; takes ownership of fd. Call it from the worker's
 * thread or before the worker runs. Returns 0 or a libuv error; listener_close is necessary after
 * an error, too. */
int listener_open(struct listener *l, struct worker *w, int fd,
                  bool (*on_connection)(struct listener *l), void *owner, size_t tag) MUST_CHECK;

/* Returns the descriptor of an open listener, which remains the listener's. */
int listener_fd(const struct listener *l);

/* Calls on_connection again if a connection waits; otherwise a no-op. */
void listener_retry(struct listener *l);

/* Closes l, which must remain valid until on_closed (may be NULL) was called; on_closed is never
 * called from inside this function. */
void listener_close(struct listener *l, void (*on_closed)(struct listener *l));

#endif
