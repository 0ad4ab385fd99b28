/* worker: one thread with one loop, which calls its parts (streams, listeners, look-ups) at certain
 * moments of the loop. Another thread may use a worker through worker_post and worker_call only. */
#ifndef SSTPGATE_NET_WORKER_H
#define SSTPGATE_NET_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/pool.h"
#include "net/pulse.h"

struct worker;
struct worker_letter;

enum {
    WORKER_WINDOW = 262144, /* bytes that one read may bring */
    WORKER_SWEEP_MS = 1000,
    WORKER_AGAIN_MS = 1, /* pause before a sweep that worker_sweep_again has requested */
};

/* A part of a worker: the data that a module of this room keeps for all its objects of one worker.
 * It is the first member of the module's own struct. */
struct worker_part {
    const struct worker_part_ops *ops;
    struct worker *worker;
    struct worker_part *next;
};

/* The functions of a part that the worker calls. NULL: no call. */
struct worker_part_ops {
    size_t size; /* of the module's own struct */
    void (*init)(struct worker_part *p);
    void (*settle)(struct worker_part *p); /* in worker_settle */
    bool (*turn)(struct worker_part *p);   /* see worker_turn; true: another is due */
    bool (*round)(struct worker_part *p);  /* see worker_count; true: it was counted */
    void (*sweep)(struct worker_part *p, uint64_t now_ms); /* once a second */
    void (*stop)(struct worker_part *p);                   /* in worker_stop */
    void (*fini)(struct worker_part *p); /* in worker_fini, before the loop is closed */
};

struct worker {
    unsigned index;
    uv_loop_t loop;
    uv_thread_t thread; /* set by worker_run: the thread that the worker belongs to */
    bool running;

    uint8_t *window; /* bytes that were just received; empty between two callbacks of the loop */
    struct pool pool;
    struct worker_part *parts;

    uv_idle_t turns;  /* active while a turn is due: the loop does not sleep then */
    uv_check_t round; /* active while a part has counted something in this round */

    void (*on_sweep)(void *arg, uint64_t now_ms); /* once a second */
    void *sweep_arg;
    bool sweep_again;
    struct pulse pulse; /* of the sweeps */

    uv_timer_t sweep;
    uv_async_t mailbox;
    uv_mutex_t mailbox_lock;
    struct worker_letter *first, **last;
};

/* Initializes a worker. on_sweep is called once a second, in the worker's thread. */
void worker_init(struct worker *w, unsigned index, void (*on_sweep)(void *, uint64_t), void *arg);

/* Runs the loop in the calling thread until worker_stop was called and every handle is closed. */
void worker_run(struct worker *w);

/* Closes the worker's own handles, so that the loop ends once all other handles are closed, too.
 * From the worker's thread. */
void worker_stop(struct worker *w);

/* Frees the worker's resources; call it after worker_run has returned. */
void worker_fini(struct worker *w);

/* Queues a call of fn(arg) in the worker's thread; the calls are made in the order of worker_post.
 * Any thread, until worker_fini. After worker_stop the worker may end without the call. */
void worker_post(struct worker *w, void (*fn)(void *arg), void *arg);

/* Queues a call as worker_post does, but does not wake the worker's loop: the call is made with the
 * next one of worker_post, by worker_wake or by worker_deliver. */
void worker_post_quietly(struct worker *w, void (*fn)(void *arg), void *arg);
void worker_wake(struct worker *w); /* any thread, until worker_fini */

/* Makes the calls that are queued now. From a callback of the worker's loop. */
void worker_deliver(struct worker *w);

/* Calls fn(arg) in the worker's thread, and waits until it has returned. Call it from another
 * thread; the worker runs, or will run without waiting for the caller. */
void worker_call(struct worker *w, void (*fn)(void *arg), void *arg);

/* Makes the call of worker_call in two steps, so that several workers can make it at the same time.
 * The struct must remain valid until worker_call_wait has returned; each start needs one wait. */
struct worker_call {
    void (*fn)(void *arg);
    void *arg;
    uv_sem_t done;
};
void worker_call_start(struct worker_call *c, struct worker *w, void (*fn)(void *arg), void *arg);
void worker_call_wait(struct worker_call *c);

/* Requests another on_sweep in WORKER_AGAIN_MS. on_sweep calls it if all its work at once would
 * delay the streams. */
void worker_sweep_again(struct worker *w);

/* Returns whether the process can open another file now. */
bool worker_has_descriptor(const struct worker *w);

/* Returns true in the worker's thread, and in any thread before it runs. */
bool worker_is_here(const struct worker *w);

/* Returns the milliseconds of a monotonic clock, as of the start of this callback. */
uint64_t worker_now(const struct worker *w);

/* Returns whether the worker's loop turns: false if its sweep, once a second, is PULSE_STALE_US
 * late. True as well before the worker runs and after it has ended. Any thread. */
bool worker_is_turning(const struct worker *w);

/* Returns how late the loop was, in microseconds, as pulse_lag does. Any thread. */
uint64_t worker_lag_us(const struct worker *w);

/* Does the work that a callback has postponed. Every callback of libuv calls it as its last line,
 * because no function is then on the stack that could use an object which the work frees. */
void worker_settle(struct worker *w);

/* ---- for the modules of this room ---- */

/* Returns the worker's part of this kind. The first call creates it: all zeros, then init. So a
 * worker without streams has none of their buffers. */
struct worker_part *worker_part(struct worker *w, const struct worker_part_ops *ops);

/* Returns the worker's part of this kind; NULL: it does not exist. */
struct worker_part *worker_part_find(const struct worker *w, const struct worker_part_ops *ops);

/* Requests a turn of the parts in the next round of the loop, after all handles that have something
 * to read were served. */
void worker_turn(struct worker *w);

/* Requests a call of `round` at the end of this round, because a part has counted something and
 * resets the count then. */
void worker_count(struct worker *w);

#endif
