/* questions: the requests that the main thread answers, on their way there and back. The thread of
 * the listener asks, and neither thread waits for the other: a question that is not answered in
 * time is abandoned. */
#ifndef SSTPGATE_STATUS_QUESTIONS_H
#define SSTPGATE_STATUS_QUESTIONS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "status/form.h"
#include "status/routes.h"

struct question {
    /* set by the listener */
    const struct route *route;
    struct form form;
    char client[ADDR_TEXT_MAX]; /* the peer's address and port, or "unix" */
    void *owner;                /* of the listener */
    uint64_t deadline;          /* of the listener */
    /* set by the main thread */
    unsigned http_status;
    char *text; /* malloc */
    size_t n;
    /* of this module */
    enum { QUESTION_NEW, QUESTION_WAITS, QUESTION_RUNS, QUESTION_ANSWERED, QUESTION_LOST } state;
    struct question *prev, *next;
};

struct questions {
    pthread_mutex_t lock;
    struct question *waiting, *answered;
};

void questions_init(struct questions *q);
void questions_fini(struct questions *q); /* frees the waiting and the answered questions */

/* Frees a question with its text, if no other thread has it. NULL: no-op. */
void question_free(struct question *x);

/* ---- thread of the listener ---- */

/* Hands x over to the main thread. */
void questions_ask(struct questions *q, struct question *x);

/* Returns a question that has been answered, and belongs to the caller again; NULL: none. */
struct question *questions_next(struct questions *q);

/* Gives up a question that was asked and that questions_next has not returned. Returns whether the
 * main thread has not seen it, and never will; otherwise it may finish its work. */
bool questions_abandon(struct questions *q, struct question *x);

/* ---- main thread ---- */

/* Returns the question to answer now; NULL: none. */
struct question *questions_take(struct questions *q);

/* Returns the answer of a question of questions_take. False: no request waits for it any more. */
bool questions_answer(struct questions *q, struct question *x);

#endif
