#include "status/questions.h"

#include <stdlib.h>
#include <utlist.h>

#include "base/insist.h"

void questions_init(struct questions *q)
{
    *q = (struct questions){0};
    INSIST(pthread_mutex_init(&q->lock, NULL) == 0);
}

static void list_free(struct question *list)
{
    while (list != NULL) {
        struct question *x = list;
        DL_DELETE(list, x);
        question_free(x);
    }
}

void questions_fini(struct questions *q)
{
    list_free(q->waiting);
    list_free(q->answered);
    pthread_mutex_destroy(&q->lock);
}

void question_free(struct question *x)
{
    if (x == NULL)
        return;
    free(x->text);
    free(x);
}

/* Takes the oldest question of a list, whose state becomes `state`. */
static struct question *take(struct questions *q, struct question **list, int state)
{
    pthread_mutex_lock(&q->lock);
    struct question *x = *list;
    if (x != NULL) {
        DL_DELETE(*list, x);
        x->state = state;
    }
    pthread_mutex_unlock(&q->lock);
    return x;
}

void questions_ask(struct questions *q, struct question *x)
{
    pthread_mutex_lock(&q->lock);
    INSIST(x->state == QUESTION_NEW);
    x->state = QUESTION_WAITS;
    DL_APPEND(q->waiting, x);
    pthread_mutex_unlock(&q->lock);
}

struct question *questions_next(struct questions *q)
{
    return take(q, &q->answered, QUESTION_ANSWERED);
}

bool questions_abandon(struct questions *q, struct question *x)
{
    pthread_mutex_lock(&q->lock);
    const bool unseen = x->state == QUESTION_WAITS, is_answered = x->state == QUESTION_ANSWERED;
    if (unseen)
        DL_DELETE(q->waiting, x);
    else if (is_answered)
        DL_DELETE(q->answered, x);
    else
        x->state = QUESTION_LOST; /* the main thread frees it */
    pthread_mutex_unlock(&q->lock);
    if (unseen || is_answered)
        question_free(x);
    return unseen;
}

struct question *questions_take(struct questions *q)
{
    return take(q, &q->waiting, QUESTION_RUNS);
}

bool questions_answer(struct questions *q, struct question *x)
{
    pthread_mutex_lock(&q->lock);
    const bool is_lost = x->state == QUESTION_LOST;
    if (!is_lost) {
        x->state = QUESTION_ANSWERED;
        DL_APPEND(q->answered, x);
    }
    pthread_mutex_unlock(&q->lock);
    if (is_lost)
        question_free(x);
    return !is_lost;
}
