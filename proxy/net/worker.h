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
struct listener;
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
    WORKER_AGAIN_MS = 1,   /* pause before a sweep that worker_sweep_again has asked for */
    WORKER_ACCEPTS = 16,   /* connections accepted in one round of the loop: some 200 us */
    WORKER_READS = 64,     /* reads of early streams in one round, */
    WORKER_READ_US = 1000, /* and no further one when they took so long */
    /* Time for steps of handshakes in one round. A packet may have to wait for the longest step
     * anyway (1 ms with RSA-2048), so shorter steps share that time: one step for each round would
     * cost a tenth of the calls per second, in system calls. */
    WORKER_STEP_US = 1000,
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

    /* What waits for its turn, which comes once in each round of the loop, after all other streams
     * that have something to read. */
    struct stream *bulk;    /* streams that filled what they were given to read, a ring */
    struct stream *early;   /* streams whose next step of a handshake, or read, waits */
    struct stream *fresh;   /* streams with the first octets of a handshake, already read */
    int hellos;             /* epoll of the streams whose handshake has not begun */
    uv_poll_t hellos_ready; /* of it */
    bool hello_ready;       /* it has told so, or was not watched, and was not found empty since */
    struct listener *listeners; /* listeners that would accept more than WORKER_ACCEPTS */
    uv_idle_t turns;            /* active while a turn is due: the loop does not sleep then */
    uv_check_t round;           /* active while one of the counts below is not 0: resets them */
    bool fresh_next;            /* the last step was that of an early stream */
    bool hello_next;            /* the last handshake that began was that of a stream in fresh */
    uint64_t step_ns;           /* time of the steps of handshakes in this round */
    uint64_t step_budget_ns;    /* steps wait for the next round when they took so long */
    uint64_t read_ns;           /* time of the reads of early streams in this round */
    uint64_t read_budget_ns;    /* as step_budget_ns */
    unsigned reads;             /* of early streams in this round */
    uint64_t stepped_at; /* ns of this thread's CPU time, end of the last round's step; 0: none */
    unsigned accepts;    /* connections accepted in this round */
    unsigned handshakes, handshakes_max; /* in progress with clients; bound */

    struct dial_lookup *lookups; /* names that are being resolved, see dial.c */

    struct pool pool;
    struct mute mute;

    void (*on_sweep)(void *arg, uint64_t now_ms); /* once a second */
    void *sweep_arg;
    bool sweep_again;

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

/* Calls on_sweep again in WORKER_AGAIN_MS. For on_sweep itself, if it has more work than may delay
 * the streams. */
void worker_sweep_again(struct worker *w);

/* Resets the counts of this round at its end. */
void worker_count(struct worker *w);

/* Requests a turn in the next round of the loop. */
void worker_turn(struct worker *w);

/* Sets whether the first bytes of a handshake make a turn due. For stream.c. */
void worker_watch_hellos(struct worker *w, bool on);

/* Sets the bound of handshakes in progress with clients; the clients above it wait. */
void worker_limit_handshakes(struct worker *w, unsigned most);

/* True in the worker's thread, and in any before it runs. */
bool worker_is_here(const struct worker *w);

/* Milliseconds of a clock that only goes forward, as of the start of this callback. */
uint64_t worker_now(const struct worker *w);

/* The last line of every callback that libuv makes into us: what the callback left to do is done
 * now, when nobody is on the stack who could be surprised by it. */
void worker_settle(struct worker *w);

#endif
