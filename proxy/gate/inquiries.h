/* inquiries: questions of other gates, and the answers of other gates to questions of this one
 * (shared_inquire), on their way from the thread of the store to the main thread. */
#ifndef SSTPGATE_GATE_INQUIRIES_H
#define SSTPGATE_GATE_INQUIRIES_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "shared/shared.h"

/* Questions that wait; more are dropped, because a hostile store could occupy the main thread. The
 * asking gates report the missing answers. */
enum { INQUIRIES_MAX = 8 };

struct inquiry_question {
    struct inquiry_question *next;
    char *id, *text, *gate;
    uint64_t asked_ms; /* when, by uv_hrtime */
};

struct inquiries {
    uv_mutex_t lock;
    struct inquiry_question *first;
    size_t count;
    struct shared_answers *answers;
};

void inquiries_init(struct inquiries *q);
void inquiries_fini(struct inquiries *q);

/* Appends a copy of a question. Returns false if too many wait. Any thread. */
bool inquiries_put(struct inquiries *q, const struct shared_question *question);

/* Takes the first question; NULL: none. Any thread. */
struct inquiry_question *inquiries_take(struct inquiries *q);
void inquiry_question_free(struct inquiry_question *question);

/* Adds answers, and takes ownership of them. Any thread. */
void inquiries_put_answers(struct inquiries *q, struct shared_answers *a);

/* Takes answers, in any order; NULL: none. Any thread. */
struct shared_answers *inquiries_take_answers(struct inquiries *q);

#endif
