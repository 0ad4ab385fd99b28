/* shared_op: one command for the store: a script and its arguments. The command keeps the arguments
 * until its answer, because the store may have forgotten the script. Counts are read when the
 * command is sent. */
#ifndef SSTPGATE_SHARED_SHARED_OP_H
#define SSTPGATE_SHARED_SHARED_OP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/shared_counts.h"
#include "shared/shared_scripts.h"
#include "shared/shared_settings.h"

struct shared_ask;
struct shared_inquiry;

/* The most texts, subjects and bans of one command; a longer list becomes several commands. */
enum { SHARED_OP_TEXTS = 300, SHARED_OP_SUBJECTS = 100, SHARED_OP_BANS = 60 };

struct shared_op {
    enum shared_script script;
    bool as_text;
    struct shared_ask *ask;         /* the question that waits for the answer; NULL: none */
    struct shared_inquiry *inquiry; /* PULL: the receiver of the pages; NULL: it has ended */
    /* ENTER: the subject and the bucket; COUNT: subjects; POINTS: the network; BAN: the
     * SHARED_BAN_FIELDS of each; BEAT: the description of the gate; PULL: the ID; PUSH: the ID
     * and all pages; PUT: the time, name and text of each; FETCH: names */
    char **text;
    size_t count;
    unsigned max;             /* ENTER */
    uint32_t rate_count;      /* ENTER */
    uint64_t step_us;         /* ENTER */
    unsigned points, least;   /* POINTS; least: ban-points */
    uint64_t slot_ms, ban_ms; /* POINTS */
    int64_t known;            /* BEAT: see shared_scripts.h; PULL: FROM; PUSH: the page */
    char *epoch;              /* BEAT */
    uint64_t number;          /* BAN: number of this gate's last change when it was built */
};

struct shared_op *shared_op_new(enum shared_script script);
void shared_op_free(struct shared_op *op); /* NULL: no-op */
void shared_op_add(struct shared_op *op, const char *text);
void shared_op_add_number(struct shared_op *op, uint64_t n);
void shared_op_clear(struct shared_op *op); /* removes all texts */

/* Adds a change to a BAN. shared_scripts.h describes its arguments. */
void shared_op_add_change(struct shared_op *op, const char *subject, const char *kind,
                          uint64_t left_ms, uint64_t made, uint64_t floor);

/* Returns whether the page of a PUSH is the last one. */
bool shared_op_is_last_page(const struct shared_op *op);

/* Sends op, with op as the link's tag. Returns false if the link refuses it; then the caller still
 * owns op. */
bool shared_op_send(struct shared_op *op, struct shared_link *link,
                    const struct shared_settings *settings, const struct shared_counts *counts);

#endif
