/* shared: counts of tunnels, rates, points, bans and the list of gates, which several gates share
 * through a store (Redis or Valkey). Only the thread of `shared` uses the store; no other thread
 * waits for the store, and the thread gets no packet of a tunnel.
 *
 * A question gets its answer in the asking worker's thread after at most settings.timeout_ms:
 * without the store, SHARED_UNAVAILABLE, and then the gate decides alone. While the store is down,
 * or has not answered for that long, questions are answered at once, so that a store that hangs
 * does not delay each call.
 *
 * Counts are leases. The store has them in one hash for each gate, which expires with the gate's
 * lease (SHARED_LEASE_MS) unless the gate renews it. The gate's own table is authoritative: the
 * store gets absolute numbers, and all of them again whenever it may have lost some. So the counts
 * of a gate that dies expire, and a store that was emptied gets all counts again.
 *
 * Bans: each gate keeps all bans itself (policy/limits_bans.h), and the last change of each subject
 * with its time (shared_changes.h). The store numbers the changes. Every SHARED_BEAT_MS a gate
 * takes the changes after the last number that it has taken. After a new connection the gate takes
 * all changes, and then offers its own. The gates and the store keep the later change of a subject,
 * so the order of arrival does not matter.
 *
 * Questions within a few milliseconds after another one are sent together, because a wake-up of the
 * thread costs more than its work. */
#ifndef SSTPGATE_SHARED_SHARED_H
#define SSTPGATE_SHARED_SHARED_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "shared/shared_settings.h"

struct shared;
struct shared_ask;
struct shared_seek;
struct worker;

/* ---- callbacks, in the thread of `shared` ---- */

/* A change of a ban by another gate, or by the sum of the points of several gates. An order to end
 * tunnels is sent in the same way, but no gate keeps it, so it is lost while the store is down. */
struct shared_ban {
    const char *subject; /* "u:USER", "n:NET", "*" with SHARED_LIFT only, "e:..." with SHARED_END */
    enum shared_ban_kind {
        SHARED_BY_POINTS,
        SHARED_MANUAL,
        SHARED_LIFT,
        SHARED_END,
        SHARED_ASK /* not for shared_ban(): see shared_inquire() */
    } kind;
    uint64_t left_ms; /* not with SHARED_LIFT */
    const char *by;   /* the gate; "-": the sum of points */
};

/* A question of another gate. */
struct shared_question {
    const char *id;   /* for shared_reply_pages() */
    const char *text; /* of that gate */
    const char *gate;
    uint64_t age_ms; /* since it was asked, by the clock of the store */
};

/* The answers to a question of this gate. */
struct shared_answers {
    struct shared_answers *next; /* the owner's */
    void *arg;                   /* of shared_inquire() */
    char why[SHARED_WHY_MAX];    /* the question was not sent, or the store was lost; "": neither */
    size_t count;                /* the gates of the list that were asked */
    struct shared_answer {
        char *gate;
        char **page; /* texts in their order */
        size_t pages;
        const char *missing; /* literal: why pages are missing; NULL: none is */
        bool complete;       /* for shared_inquiries.c */
    } gate[SHARED_GATES_MAX];
};

struct shared_ops {
    /* Applies a change. Must not call shared_ban. */
    void (*on_ban)(void *arg, const struct shared_ban *ban);
    /* Calls each() with every ban that this gate has. */
    void (*bans)(void *arg, void (*each)(void *to, const struct shared_ban *ban), void *to);
    /* Writes the description of this gate for the other ones: a text without line ends. */
    void (*describe)(void *arg, char out[SHARED_INFO_MAX]);
    /* Reports that the store is in use (why NULL), or why it is not. Called for each change of the
     * state, and for each failure, also with the same reason. */
    void (*on_store)(void *arg, const char *store, const char *why);
    /* Arranges an answer by shared_reply_pages(). Called for at most 256 questions in a beat. */
    void (*on_question)(void *arg, const struct shared_question *q);
    /* Takes ownership: shared_answers_free(). */
    void (*on_answers)(void *arg, struct shared_answers *a);
    /* Judges an entry that shared_seek has found. An attacker with access to the store may have
     * written its text. Returns whether the entry is accepted; if not, the search continues. */
    bool (*on_entry)(void *arg, const char *name, struct span text);
    /* Reports a gate in the latest answer of the store, with its description. */
    void (*on_gate)(void *arg, const char *gate, const char *info);
    void (*on_ended)(void *arg); /* the thread is about to end */
};

/* ---- for workers ---- */

enum shared_verdict { SHARED_GRANTED, SHARED_FULL, SHARED_FAST, SHARED_UNAVAILABLE };

/* A rate limit over all gates: `count` at once, and one more in each step. */
struct shared_rate {
    const char *net; /* the bucket */
    uint32_t count;  /* 0: no limit */
    uint64_t step_us;
};

/* Adds one to the count of `subject`, unless the count of all gates would exceed max (0: no limit),
 * or the rate does not allow it. on_answer is called once, later, in the thread of `from`.
 * SHARED_FULL, SHARED_FAST: nothing was counted. Otherwise it is counted, and the caller must call
 * shared_release() once, even if it acts on SHARED_UNAVAILABLE as on a refusal. rate NULL: none. */
struct shared_ask *shared_hold(struct shared *s, struct worker *from, const char *subject,
                               unsigned max, const struct shared_rate *rate,
                               void (*on_answer)(void *arg, enum shared_verdict v), void *arg);

/* Ends the wait for an answer: on_answer will not be called. The count is released, whatever the
 * answer would have been. From the thread of `from`, before on_answer was called. */
void shared_forget(struct shared_ask *ask);

/* Takes back a count, within a tenth of a second. Call it after on_answer was called. */
void shared_release(struct shared *s, const char *subject);

/* ---- from any thread ---- */

/* Adds points of an address. The store sums them up over all gates, and bans the address for ban_ms
 * at ban_points. slot_ms: see policy/points.h. net: a network as text. */
struct shared_points {
    const char *net;
    unsigned points, ban_points;
    uint64_t slot_ms, ban_ms;
};
void shared_points(struct shared *s, const struct shared_points *p);

/* Sends the other gates a ban, a lift or an order of this gate. `by` is not used. */
void shared_ban(struct shared *s, const struct shared_ban *ban);

/* Asks the gate `only`, or all other gates (NULL). on_answers is called once, when each of them has
 * answered, and not later than SHARED_INQUIRY_MS: a gate that has not answered is named. */
void shared_inquire(struct shared *s, const char *text, const char *only, void *arg);
void shared_answers_free(struct shared_answers *a); /* NULL: no-op */

/* Sends an answer to a question: 1 to SHARED_PAGES_MAX texts of at most SHARED_PAGE_MAX bytes,
 * which remain the caller's. */
void shared_reply_pages(struct shared *s, const char *id, char **page, size_t pages);

/* Puts an entry for another gate into the store, for `ms`. A name that begins with "k:" has one
 * entry, which the first gate that finds it takes out; any other name has the latest
 * SHARED_ENTRIES_MAX. Entries are lost while the store is down. */
struct shared_entry {
    const char *name, *text;
};
void shared_put(struct shared *s, const struct shared_entry *entry, size_t count, uint32_t ms);

/* Begins a search. on_answer is called once, in the thread of `from`, after an entry was accepted
 * (without `all`) or the time is over; soon, if the store is down. from NULL: there is no
 * on_answer, and NULL is returned. */
struct shared_seek *shared_seek(struct shared *s, const struct shared_search *what,
                                struct worker *from, void (*on_answer)(void *arg), void *arg);

/* Cancels on_answer. From the thread of `from`, before on_answer was called. */
void shared_seek_forget(struct shared_seek *seek);

struct shared_state {
    bool up;
    char store[SHARED_WHY_MAX];
    char why[SHARED_WHY_MAX]; /* up false: the reason; "": none yet */
    size_t gates;             /* with this one */
    size_t subjects;
    uint64_t questions, granted, unavailable, refused,
        lost; /* since the start; lost: connections */
};

struct shared_gate {
    const char *gate, *info;
    bool mine;
};

/* Writes the state, and calls each(), unless it is NULL, with every gate in the last answer of the
 * store. Waits for the thread of `shared`, which never blocks: not for workers. */
void shared_look(struct shared *s, struct shared_state *out,
                 void (*each)(void *to, const struct shared_gate *g), void *to);

#endif
