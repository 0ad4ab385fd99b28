/* listener: an address that connections are accepted on. Binding happens before there are workers,
 * so that a program can say what went wrong and start whole or not at all; each worker then has a
 * socket of its own on the same address (SO_REUSEPORT). */
#ifndef SSTPGATE_NET_LISTENER_H
#define SSTPGATE_NET_LISTENER_H

#include <stdbool.h>
#include <uv.h>

#include "base/addr.h"
#include "base/err.h"

struct worker;

struct listener_options {
    const char *interface; /* accept only what arrives on it (SO_BINDTODEVICE); NULL: any */
    bool both;             /* an IPv6 socket takes IPv4 as well; by default it does not */
    bool ours;             /* a socket of this program holds the port: that is not "in use" */
};

/* Makes `count` listening sockets on one address, fds[0..count). want may have port 0: the kernel
 * chooses one, the same for all. bound: what it became. options: NULL for none. ERR_SYSTEM: none is
 * open, errno says why; an address that somebody else listens on is EADDRINUSE, even when
 * they use SO_REUSEPORT too. */
enum err listener_bind(const struct addr *want, const struct listener_options *options,
                       size_t count, int *fds, struct addr *bound) MUST_CHECK;

struct listener {
    uv_tcp_t tcp;
    struct worker *worker;
    /* A connection waits at l->tcp. Answers true when it took it (stream_accept); false: not now,
     * it waits, and the kernel's queue behind it, until listener_retry. */
    bool (*on_connection)(struct listener *l);
    void *owner;
    size_t tag; /* owner's: which of its addresses this is */
    bool waiting;
    bool open;
    bool later; /* in worker->listeners: accepts again in the next round of the loop */
    struct listener *prev, *next;
    void (*on_closed)(struct listener *l);
};

/* Starts to accept on a socket of listener_bind, which is the listener's from now on. From the
 * worker's thread or before it runs. Returns a libuv error; close it then too. */
int listener_open(struct listener *l, struct worker *w, int fd,
                  bool (*on_connection)(struct listener *l), void *owner, size_t tag) MUST_CHECK;

void listener_retry(struct listener *l);

void listener_turn(struct worker *w); /* accepts for w->listeners; for worker.c */

/* l must stay until on_closed, which may be NULL, has been called; not from inside here. */
void listener_close(struct listener *l, void (*on_closed)(struct listener *l));

#endif
