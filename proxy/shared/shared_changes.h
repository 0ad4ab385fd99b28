/* shared_changes: the last change of each subject of a ban: a ban, or a lift. Every gate has all of
 * them, and the store is how they reach each other: a gate offers its changes again after each new
 * connection, so a store that has lost some of them gets them back. Of two changes of a subject the
 * later one wins, whatever the order in which they arrive; their times are those of the clock of
 * the store. Not thread-safe.
 *
 * A gate knows the clock of the store only with the error of one round trip, so the store sets the
 * time of a new change: not later than its own time, and later than the change that the gate has
 * replaced (`floor`), which alone counts if a store with another clock takes over. */
#ifndef SSTPGATE_SHARED_SHARED_CHANGES_H
#define SSTPGATE_SHARED_SHARED_CHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/insist.h"
#include "base/siphash.h"
#include "shared/shared.h"

#ifndef uthash_fatal
#define uthash_fatal(msg) insist_failed(msg, __FILE__, __LINE__)
#endif
#include <uthash.h>

/* The most changes that are kept, as many as in the store. Beyond it, the oldest is dropped. */
enum { SHARED_CHANGES_KEPT = 128 * 1024 };

struct shared_change {
    UT_hash_handle hh;
    enum shared_ban_kind kind;
    bool offer;        /* the store may not have it */
    uint64_t number;   /* of a change by this gate, in their order; 0: of another gate */
    uint64_t made_us;  /* of a change by this gate: when it was made, by the clock of this gate */
    uint64_t until_ms; /* the end of the ban, or of the lift, by the clock of this gate */
    uint64_t stamp;    /* when it was made, microseconds by the clock of the store; 0: not known */
    uint64_t floor;    /* the least stamp that it may get */
    char subject[];
};

struct shared_changes {
    struct shared_change *table; /* in the order of the changes */
    struct siphash_key key;      /* users and addresses choose the subjects */
    uint64_t number;             /* of the last change by this gate */
};

void shared_changes_init(struct shared_changes *c);
void shared_changes_fini(struct shared_changes *c);

/* Returns the change of a subject. NULL: none is known. Valid until the next call. */
struct shared_change *shared_changes_find(const struct shared_changes *c, const char *subject);

/* Adds a change by this gate, which is offered until it is acknowledged. It replaces that of its
 * subject; a lift of all (the subject `*`) replaces all. */
const struct shared_change *shared_changes_make(struct shared_changes *c, const char *subject,
                                                enum shared_ban_kind kind, uint64_t made_us,
                                                uint64_t left_ms);

/* Takes a change from the store. A lift of all replaces those that are not later. Returns false if
 * the known change is the same one, which the store has then, or a later one. */
bool shared_changes_take(struct shared_changes *c, const char *subject, enum shared_ban_kind kind,
                         uint64_t stamp, uint64_t until_ms);

/* The store has the change of the subject, or a later one, unless it was made after `number`. */
void shared_changes_ack(struct shared_changes *c, const char *subject, uint64_t number);

/* The store may have lost its content: all changes are offered again. */
void shared_changes_lost(struct shared_changes *c);

/* Removes the changes that have ended. */
void shared_changes_sweep(struct shared_changes *c, uint64_t now_ms);

#endif
