#include "shared/shared_entries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"

enum {
    SEEKS_MAX = 1024, /* a further one replaces the oldest */
    PAUSE_MS = 4,     /* after the first question; it doubles */
    SLOW_MS = 500,    /* the longest pause */
    AT_ONCE = 100,    /* names in one command */
};

struct shared_seek {
    struct shared_seek *prev, *next; /* in shared.seeks, then in shared.found */
    struct shared *s;
    struct worker *from; /* NULL: nobody waits for the answer */
    void (*on_answer)(void *arg);
    void *arg;
    bool forgotten; /* in the thread of `from` */
    bool over;      /* after the answer that is being handled */
    struct shared_search what;
    unsigned questions;
    uint64_t next_ms, due_ms;
};

/* Returns the pause after the question with this number, from 0 on. */
static uint32_t pause_after(unsigned question)
{
    const uint32_t pause = question > 16 ? SLOW_MS : (uint32_t)PAUSE_MS << question;
    return pause < SLOW_MS ? pause : SLOW_MS;
}

/* ---- the end of a search ---- */

static void on_delivered(void *arg)
{
    struct shared_seek *seek = arg;

    DL_DELETE(seek->s->found, seek);
    free(seek);
}

static void deliver(void *arg)
{
    struct shared_seek *seek = arg;

    if (!seek->forgotten)
        seek->on_answer(seek->arg);
    worker_post_quietly(&seek->s->worker, on_delivered, seek);
}

void shared_seek_forget(struct shared_seek *seek)
{
    seek->forgotten = true;
}

static void seek_end(struct shared *s, struct shared_seek *seek)
{
    DL_DELETE(s->seeks, seek);
    s->seek_count--;
    if (seek->from == NULL) {
        free(seek);
        return;
    }
    DL_APPEND(s->found, seek);
    worker_post(seek->from, deliver, seek);
}

static void end_those_that_are_over(struct shared *s)
{
    struct shared_seek *seek, *next;

    DL_FOREACH_SAFE(s->seeks, seek, next) {
        if (seek->over)
            seek_end(s, seek);
    }
}

/* ---- questions ---- */

static void on_timer(uv_timer_t *timer);

static void timer_set(struct shared *s)
{
    const uint64_t now = shared_now(s);
    uint64_t first = UINT64_MAX;
    const struct shared_seek *seek;

    if (s->stopping)
        return;
    DL_FOREACH(s->seeks, seek) {
        if (seek->next_ms < first)
            first = seek->next_ms;
        if (seek->due_ms < first)
            first = seek->due_ms;
    }
    if (first == UINT64_MAX)
        uv_timer_stop(&s->seek_timer);
    else
        INSIST_UV(uv_timer_start(&s->seek_timer, on_timer, first > now ? first - now : 0, 0));
}

static void add_names(struct shared_op *op, const struct shared_seek *seek)
{
    for (size_t i = 0; i < seek->what.count; i++)
        shared_op_add(op, seek->what.name[i]);
}

/* Asks the store about every search whose time has come. */
static void ask(struct shared *s)
{
    const uint64_t now = shared_now(s);
    struct shared_op *op = NULL;
    struct shared_seek *seek;

    DL_FOREACH(s->seeks, seek) {
        if (seek->next_ms > now)
            continue;
        seek->next_ms = now + pause_after(seek->questions++);
        if (op == NULL)
            op = shared_op_new(SHARED_FETCH);
        add_names(op, seek);
        if (op->count + SHARED_SEARCH_NAMES <= AT_ONCE)
            continue;
        (void)!shared_give(s, op);
        op = NULL;
    }
    if (op != NULL)
        (void)!shared_give(s, op);
}

static void on_timer(uv_timer_t *timer)
{
    struct shared *s = timer->data;
    const uint64_t now = shared_now(s);
    struct shared_seek *seek;

    DL_FOREACH(s->seeks, seek) {
        seek->over |= seek->due_ms <= now;
    }
    end_those_that_are_over(s);
    ask(s);
    timer_set(s);
    worker_settle(&s->worker);
}

static void seek_begin(struct shared *s, struct shared_seek *seek)
{
    if (s->seek_count == SEEKS_MAX)
        seek_end(s, s->seeks);
    DL_APPEND(s->seeks, seek);
    s->seek_count++;
    seek->next_ms = shared_now(s);
    seek->due_ms = seek->next_ms + seek->what.ms;
    if (seek->from != NULL && !shared_is_prompt(s)) {
        seek_end(s, seek);
        return;
    }
    ask(s);
    timer_set(s);
}

/* ---- answers ---- */

static bool has_name(const struct shared_seek *seek, const char *name)
{
    for (size_t i = 0; i < seek->what.count; i++)
        if (strcmp(seek->what.name[i], name) == 0)
            return true;
    return false;
}

/* Returns whether one of the entries is accepted. With as many as the store keeps some may be
 * missing, so none is used. */
static bool take(const struct shared *s, const char *name, const struct shared_reply *found)
{
    const size_t n = shared_reply_count(found);
    bool accepted = false;

    for (size_t i = 0; n < SHARED_ENTRIES_MAX && i < n; i++)
        accepted |= s->ops->on_entry(s->arg, name, shared_reply_text(shared_reply_item(found, i)));
    return accepted;
}

/* Handles the entries with one name. */
static void take_name(struct shared *s, const char *name, const struct shared_reply *found)
{
    const size_t n = shared_reply_count(found);
    struct shared_seek *seek;
    bool wanted = false;

    DL_FOREACH(s->seeks, seek) {
        wanted |= !seek->over && has_name(seek, name);
    }
    const bool accepted = wanted && take(s, name, found);
    DL_FOREACH(s->seeks, seek) {
        if (has_name(seek, name))
            seek->over |= (accepted && !seek->what.all) || n >= SHARED_ENTRIES_MAX;
    }
}

void shared_entries_answered(struct shared *s, const struct shared_op *op,
                             const struct shared_reply *a)
{
    if (shared_reply_count(a) != op->count)
        return; /* an error: the next question follows */
    for (size_t i = 0; i < op->count; i++)
        take_name(s, op->text[i], shared_reply_item(a, i));
    end_those_that_are_over(s);
    timer_set(s);
}

/* ---- letters of others ---- */

static void on_put(void *arg)
{
    struct letter *l = arg;

    (void)!shared_give(l->s, l->op);
    letter_free(l);
}

void shared_put(struct shared *s, const struct shared_entry *entry, size_t count, uint32_t ms)
{
    struct letter *l = letter_new(s);

    l->op = shared_op_new(SHARED_PUT);
    shared_op_add_number(l->op, ms);
    for (size_t i = 0; i < count; i++) {
        shared_op_add(l->op, entry[i].name);
        shared_op_add(l->op, entry[i].text);
    }
    shared_post(s, on_put, l);
}

static void on_seek(void *arg)
{
    struct shared_seek *seek = arg;
    seek_begin(seek->s, seek);
}

struct shared_seek *shared_seek(struct shared *s, const struct shared_search *what,
                                struct worker *from, void (*on_answer)(void *arg), void *arg)
{
    struct shared_seek *seek = NEW(struct shared_seek);

    INSIST(what->count > 0 && what->count <= SHARED_SEARCH_NAMES);
    seek->s = s;
    seek->what = *what;
    seek->from = from;
    seek->on_answer = on_answer;
    seek->arg = arg;
    shared_post(s, on_seek, seek);
    return from == NULL ? NULL : seek;
}

/* ---- begin and end ---- */

void shared_entries_init(struct shared *s)
{
    INSIST_UV(uv_timer_init(&s->worker.loop, &s->seek_timer));
    s->seek_timer.data = s;
}

void shared_entries_stop(struct shared *s)
{
    uv_close((uv_handle_t *)&s->seek_timer, NULL);
}

void shared_entries_fini(struct shared *s)
{
    struct shared_seek *seek, *next;

    DL_FOREACH_SAFE(s->seeks, seek, next) {
        free(seek);
    }
    DL_FOREACH_SAFE(s->found, seek, next) {
        free(seek);
    }
}
