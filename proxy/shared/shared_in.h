/* shared_in: the object, commands, and letters (posts of other threads) of the files that implement
 * shared.h. For these files only. The thread of `shared` only, unless a comment says otherwise. */
#ifndef SSTPGATE_SHARED_SHARED_IN_H
#define SSTPGATE_SHARED_SHARED_IN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/log.h"
#include "net/worker.h"
#include "shared/shared.h"
#include "shared/shared_changes.h"
#include "shared/shared_clock.h"
#include "shared/shared_counts.h"
#include "shared/shared_link.h"
#include "shared/shared_op.h"

struct letter {
    struct letter *next; /* in shared.released */
    struct shared *s;
    struct shared_op *op;
    char *subject;
    enum shared_ban_kind kind;
    uint64_t made_us, left_ms; /* of a ban */
};

/* Counts or bans that are sent to the store in few commands. */
struct offering {
    struct shared *s;
    struct shared_op *op; /* the command that is being filled; NULL: none */
    bool lost;            /* the link has refused a command */
};

struct shared {
    struct worker worker;
    pthread_mutex_t lock;    /* of `released` */
    struct letter *released; /* counts to take back: see shared_asks_tick() */
    const struct shared_settings *c;
    const struct shared_ops *ops;
    void *arg;
    struct shared_link link;
    uv_timer_t tick, deadline; /* deadline: of the first of `waiting` */
    uv_timer_t gather;
    atomic_bool gathering; /* the timer `gather` runs, and will take the posted calls */
    bool asked;            /* a question was posted since the timer was started */
    unsigned ticks;
    bool stopping;
    struct shared_counts counts;
    struct offering leaving; /* counts that were taken back since the last tick */
    struct shared_ask *asks, *waiting;
    struct shared_ask *ready; /* by `batch`: answers for the workers, at the end of this callback */

    uv_timer_t seek_timer;             /* of the next question of a search */
    struct shared_seek *seeks, *found; /* found: on their way to a worker */
    size_t seek_count;

    bool beating;              /* a BEAT waits for its answer */
    uint64_t beat_us;          /* time of the last BEAT */
    struct shared_clock clock; /* of the store */
    bool offer;                /* the store may have lost counts and bans of this gate */
    char epoch[128];           /* of the store, at the last BEAT; "": none yet */
    int64_t known;             /* number of the last change that was taken; -1: none */
    bool again;                /* the next BEAT reads all changes of bans */
    int64_t ordered;           /* number of the last order or question that was taken; -1: none */
    struct shared_changes bans;
    struct {
        char *gate, *info;
    } gate[SHARED_GATES_MAX];
    size_t gate_count;

    struct {
        struct shared_inquiry *open;
        size_t count;       /* of `open` */
        unsigned number;    /* of the last one */
        unsigned answering; /* answers of this gate that are being sent */
    } inquiries;

    struct shared_state state;
    struct log_limit limit_error;
};

/* Returns the time of the loop, in ms. */
static inline uint64_t shared_now(const struct shared *s)
{
    return worker_now(&s->worker);
}

/* Sends a command and takes ownership of it. Returns false if the store does not get it. */
bool shared_give(struct shared *s, struct shared_op *op);

/* Returns whether the store is likely to answer in time. */
bool shared_is_prompt(const struct shared *s);

/* Writes the present count of a subject into the store. */
void shared_publish(struct shared *s, const char *subject);

/* Reports that the store is in use, or why it is not. */
void shared_report(struct shared *s, const char *why);

/* Posts a call to the thread of `shared`, from any thread. The thread's wake-ups cost more
 * than its work, so while the timer `gather` runs, posted calls wait for its end and are then
 * processed together. */
void shared_post(struct shared *s, void (*fn)(void *arg), void *arg);

/* Allocate and free a letter, without its command. Any thread. */
struct letter *letter_new(struct shared *s);
void letter_free(struct letter *l);

void offering_send(struct offering *o);

#endif
