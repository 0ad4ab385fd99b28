#include "gate/inquiries.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"

void inquiries_init(struct inquiries *q)
{
    *q = (struct inquiries){0};
    INSIST_UV(uv_mutex_init(&q->lock));
}

void inquiries_fini(struct inquiries *q)
{
    struct inquiry_question *question;
    struct shared_answers *a;

    while ((question = inquiries_take(q)) != NULL)
        inquiry_question_free(question);
    while ((a = inquiries_take_answers(q)) != NULL)
        shared_answers_free(a);
    uv_mutex_destroy(&q->lock);
}

void inquiry_question_free(struct inquiry_question *question)
{
    free(question->id);
    free(question->text);
    free(question->gate);
    free(question);
}

bool inquiries_put(struct inquiries *q, const struct shared_question *question)
{
    uv_mutex_lock(&q->lock);
    const bool room = q->count < INQUIRIES_MAX;
    if (room) {
        struct inquiry_question *copy = NEW(struct inquiry_question);
        copy->id = insist_alloc(strdup(question->id));
        copy->text = insist_alloc(strdup(question->text));
        copy->gate = insist_alloc(strdup(question->gate));
        copy->asked_ms = uv_hrtime() / 1000000 - question->age_ms;
        LL_APPEND(q->first, copy);
        q->count++;
    }
    uv_mutex_unlock(&q->lock);
    return room;
}

struct inquiry_question *inquiries_take(struct inquiries *q)
{
    uv_mutex_lock(&q->lock);
    struct inquiry_question *question = q->first;
    if (question != NULL) {
        LL_DELETE(q->first, question);
        q->count--;
    }
    uv_mutex_unlock(&q->lock);
    return question;
}

void inquiries_put_answers(struct inquiries *q, struct shared_answers *a)
{
    uv_mutex_lock(&q->lock);
    LL_PREPEND(q->answers, a);
    uv_mutex_unlock(&q->lock);
}

struct shared_answers *inquiries_take_answers(struct inquiries *q)
{
    uv_mutex_lock(&q->lock);
    struct shared_answers *a = q->answers;
    if (a != NULL)
        LL_DELETE(q->answers, a);
    uv_mutex_unlock(&q->lock);
    return a;
}
