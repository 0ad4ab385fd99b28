/* worker: one thread, one loop, and the memory its streams share. Nothing of a worker may be
 * touched from another thread, except through worker_post. */
#ifndef SSTPGATE_NET_WORKER_H
#define SSTPGATE_NET_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/pool.h"
#include "net/mute.h"

struct dial_lookup;
struct stream;
struct worker_letter;

enum {
    WORKER_WINDOW = 262144, /* octets that one read may bring */
    WORKER_GLANCE = 65536,  /* the same, of a stream that was not known to have so many */
    WORKER_PIECE = 32768,   /* octets of plaintext after which an owner is asked to take them */
    WORKER_HELD =
        18 * POOL_BLOCK, /* octets an owner may leave unread: more than one window brings */
    WORKER_PLAIN = WORKER_HELD + WORKER_PIECE,
    WORKER_OUT = WORKER_WINDOW + 32768, /* octets that one write may take along: what becomes of
                                           one window, in one system call */
    WORKER_SWEEP_MS = 1000,
    WORKER_WARM =
        64, /* streams that may keep the buffers of their records, some 17 or 33 kB each */
};

struct worker {
    unsigned index;
    uv_loop_t loop;
    uv_thread_t thread; /* set by worker_run: the thread all of this belongs to */
    bool running;

    /* All three are empty between two callbacks of the loop. */
    uint8_t *window; /* what was just received */
    uint8_t *plain;  /* what was just decrypted */
    uint8_t *out;    /* records on their way to out_owner */
    size_t out_len;
    struct stream *out_owner;
    struct stream *warm[WORKER_WARM]; /* a ring; NULL: nobody */
    size_t warm_next;
    struct stream *due; /* streams with something to settle, see stream.c */

    /* Streams that filled what they were given to read, a ring. One of them has its turn in each
     * round of the loop, behind all others that have something. */
    struct stream *bulk;
    uv_idle_t turns; /* active while there are any: the loop does not sleep then */

    struct dial_lookup *lookups; /* names that are being resolved, see dial.c */

    struct pool pool;
    struct mute mute;

    void (*on_sweep)(void *arg, uint64_t now_ms); /* once a second */
    void *sweep_arg;

    uv_timer_t sweep;
    uv_async_t mailbox;
    uv_mutex_t mailbox_lock;
    struct worker_letter *first, **last;
};

void worker_init(struct worker *w, unsigned index, void (*on_sweep)(void *, uint64_t), void *arg);

/* Runs the loop in the calling thread until worker_stop was called and every handle is closed. */
void worker_run(struct worker *w);

/* Closes the worker's own handles, so that the loop ends once those of others are closed too.
 * From the worker's thread. */
void worker_stop(struct worker *w);

/* After worker_run has returned. */
void worker_fini(struct worker *w);

/* Any thread, until worker_fini: fn(arg) is called in the worker's thread, soon, in the order
 * posted; after worker_stop it may not be called any more. */
void worker_post(struct worker *w, void (*fn)(void *arg), void *arg);

/* True in the worker's thread, and in any before it runs. */
bool worker_is_here(const struct worker *w);

/* Milliseconds of a clock that only goes forward, as of the start of this callback. */
uint64_t worker_now(const struct worker *w);

/* The last line of every callback that libuv makes into us: what the callback left to do is done
 * now, when nobody is on the stack who could be surprised by it. */
void worker_settle(struct worker *w);

#endif
