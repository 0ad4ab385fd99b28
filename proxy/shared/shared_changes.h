/* shared_changes: the changes of bans that this gate has made: a list in their order, with the last
 * one of each subject, which knows the time of the change. The store needs it after it has lost its
 * content: another gate may offer a ban that this gate has lifted, or repeat a lift that is older
 * than a ban of this gate, and the later change must win. A change is in the list until its end, or
 * until another gate changes the subject. Beyond SHARED_CHANGES_OWN the oldest is dropped,
 * acknowledged ones first. Not thread-safe. */
#ifndef SSTPGATE_SHARED_SHARED_CHANGES_H
#define SSTPGATE_SHARED_SHARED_CHANGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/shared.h"

enum { SHARED_CHANGES_OWN = 1024 };

struct shared_change {
    struct shared_change *prev, *next;
    char *subject;
    enum shared_ban_kind kind;
    uint64_t made_ms, until_ms; /* the end of the ban, or of the lift */
    uint64_t number;            /* grows with each change */
    bool acked;                 /* the store has it */
};

/* All zeros: empty. */
struct shared_changes {
    struct shared_change *first;
    size_t count;
    uint64_t number; /* of the last one */
};

/* Adds a change behind all others. It replaces that of its subject; a lift of all (the subject `*`)
 * replaces all. Returns its number. */
uint64_t shared_changes_add(struct shared_changes *c, const char *subject,
                            enum shared_ban_kind kind, uint64_t now_ms, uint64_t left_ms);

/* Returns whether a change of the subject, or of all, waits for the acknowledgement of the store.
 * Until then, what the store says about the subject is older. */
bool shared_changes_pending(const struct shared_changes *c, const char *subject);

/* The store has all changes up to this number. */
void shared_changes_ack(struct shared_changes *c, uint64_t number);

/* Another gate has changed the subject after the store had the changes of this gate. */
void shared_changes_replaced(struct shared_changes *c, const char *subject);

/* The store has lost its content: all changes wait again. */
void shared_changes_lost(struct shared_changes *c);

/* Removes the changes that have ended. */
void shared_changes_sweep(struct shared_changes *c, uint64_t now_ms);

void shared_changes_fini(struct shared_changes *c);

#endif
