/* shared_changes: the last change (ban or lift) of each subject. Every gate keeps the changes of
 * all gates, and the gates exchange them through the store. After each new connection a gate offers
 * its changes again, so a store that has lost changes gets them back. The later of two changes of a
 * subject wins, in whatever order they arrive. Changes are compared by their stamps, which are
 * times of the store's clock. Not thread-safe.
 *
 * A gate knows the clock of the store only with the error of one round trip. Therefore the store
 * computes the stamp of a new change: at most the store's own time, but at least `floor`, so that a
 * change is later than the one that it replaces, even if the clock of the store is behind. */
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

/* The maximum number of changes, the same as in the store. The oldest change makes room. */
enum { SHARED_CHANGES_KEPT = 128 * 1024 };

struct shared_change {
    UT_hash_handle hh;
    enum shared_ban_kind kind;
    bool offer;        /* the store may not have the change */
    uint64_t number;   /* sequence number of a change by this gate; 0: taken from the store */
    uint64_t made_us;  /* time of a change by this gate, by the clock of this gate */
    uint64_t until_ms; /* end of the ban or of the lift, by the clock of this gate */
    uint64_t stamp;    /* time of the change by the clock of the store, in us; 0: unknown */
    uint64_t floor;    /* minimum stamp */
    char subject[];
};

struct shared_changes {
    struct shared_change *table; /* oldest first */
    struct siphash_key key;      /* random, because clients choose the subjects */
    uint64_t number;             /* number of the last change by this gate */
};

void shared_changes_init(struct shared_changes *c);
void shared_changes_fini(struct shared_changes *c);

/* Returns the change of a subject, valid until the next call. NULL: the subject has no change. */
struct shared_change *shared_changes_find(const struct shared_changes *c, const char *subject);

/* Adds a change by this gate, which is offered until shared_changes_ack(). The change replaces that
 * of its subject; a lift of all (subject `*`) replaces all changes. */
const struct shared_change *shared_changes_make(struct shared_changes *c, const char *subject,
                                                enum shared_ban_kind kind, uint64_t made_us,
                                                uint64_t left_ms);

/* Takes a change from the store; a lift of all removes the changes that are not later. Returns
 * false if the gate has the same change, which is then no longer offered, or a later one. Returns
 * true for a lift of all that the gate has, if it has removed changes. */
bool shared_changes_take(struct shared_changes *c, const char *subject, enum shared_ban_kind kind,
                         uint64_t stamp, uint64_t until_ms);

/* Stops offering the change of the subject, because the store has this change or a later one. No-op
 * if the number of the change is larger: the gate has made it after the command. */
void shared_changes_ack(struct shared_changes *c, const char *subject, uint64_t number);

/* Offers all changes again, because the store may have lost its content. */
void shared_changes_lost(struct shared_changes *c);

/* Removes the changes that have ended. */
void shared_changes_sweep(struct shared_changes *c, uint64_t now_ms);

#endif
