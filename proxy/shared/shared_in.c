#include "shared/shared_in.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"

bool shared_give(struct shared *s, struct shared_op *op)
{
    const bool sent = shared_op_send(op, &s->link, s->c, &s->counts);

    if (!sent)
        shared_op_free(op);
    return sent;
}

bool shared_is_prompt(const struct shared *s)
{
    return shared_link_ready(&s->link) &&
           shared_link_waits(&s->link, shared_now(s)) < s->c->timeout_ms;
}

void shared_publish(struct shared *s, const char *subject)
{
    if (!shared_link_ready(&s->link) || strlen(subject) > SHARED_SUBJECT_MAX)
        return; /* the next connection begins with all counts */
    struct shared_op *op = shared_op_new(SHARED_COUNT);
    shared_op_add(op, subject);
    if (!shared_give(s, op))
        s->offer = true;
}

void shared_report(struct shared *s, const char *why)
{
    char store[SHARED_WHY_MAX];

    shared_link_name(&s->link, store);
    snprintf(s->state.store, sizeof s->state.store, "%s", store);
    s->state.up = why == NULL;
    snprintf(s->state.why, sizeof s->state.why, "%s", why == NULL ? "" : why);
    s->ops->on_store(s->arg, store, why);
}

void shared_post(struct shared *s, void (*fn)(void *arg), void *arg)
{
    worker_post_quietly(&s->worker, fn, arg);
    if (!atomic_load(&s->gathering))
        worker_wake(&s->worker);
}

struct letter *letter_new(struct shared *s)
{
    struct letter *l = NEW(struct letter);
    l->s = s;
    return l;
}

void letter_free(struct letter *l)
{
    free(l->subject);
    free(l);
}

void offering_send(struct offering *o)
{
    if (o->op != NULL && !shared_give(o->s, o->op))
        o->lost = true;
    o->op = NULL;
}
