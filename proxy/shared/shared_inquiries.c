#include "shared/shared_inquiries.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"

enum {
    OPEN_MAX = 8,         /* inquiries at a time */
    ANSWERING_MAX = 8,    /* answers that are sent at a time */
    BYTES_MAX = 32 << 20, /* of the answers to one inquiry */
    PAGE_COST = 64,       /* bytes that an empty page counts for */
    ID_SIZE = 160,
};

struct shared_inquiry {
    struct shared_inquiry *prev, *next; /* in shared_inquiries.open */
    struct shared *s;
    char *text, *only;
    char id[ID_SIZE];
    struct shared_answers *answers;
    struct shared_op *op; /* the PULL without an answer; NULL: none */
    int64_t from;         /* the next item of the list in the store */
    size_t bytes;
    uint64_t due_ms;
};

/* ---- answers ---- */

void shared_answers_free(struct shared_answers *a)
{
    if (a == NULL)
        return;
    for (size_t i = 0; i < a->count; i++) {
        for (size_t k = 0; k < a->gate[i].pages; k++)
            free(a->gate[i].page[k]);
        free(a->gate[i].page);
        free(a->gate[i].gate);
    }
    free(a);
}

static void inquiry_free(struct shared_inquiry *q)
{
    if (q->op != NULL)
        q->op->inquiry = NULL;
    free(q->text);
    free(q->only);
    free(q);
}

/* Hands over what has arrived. why: no gate was asked, or the answers cannot come any more. */
static void finish(struct shared_inquiry *q, const char *why)
{
    struct shared *s = q->s;
    struct shared_answers *a = q->answers;

    for (size_t i = 0; i < a->count; i++) {
        struct shared_answer *g = &a->gate[i];
        if (!g->complete)
            g->missing = g->pages == 0 ? "no answer" : "its answer is incomplete";
        g->complete = true;
    }
    snprintf(a->why, sizeof a->why, "%s", why == NULL ? "" : why);
    inquiry_free(q);
    s->ops->on_answers(s->arg, a);
}

static void end(struct shared_inquiry *q, const char *why)
{
    struct shared *s = q->s;

    DL_DELETE(s->inquiries.open, q);
    s->inquiries.count--;
    finish(q, why);
}

/* ---- asking ---- */

static void pull(struct shared_inquiry *q)
{
    struct shared_op *op = shared_op_new(SHARED_PULL);

    shared_op_add(op, q->id);
    op->known = q->from;
    op->inquiry = q;
    q->op = op;
    if (!shared_give(q->s, op))
        q->op = NULL; /* the next tick tries again */
}

static void expect_gates(struct shared_inquiry *q)
{
    const struct shared *s = q->s;
    struct shared_answers *a = q->answers;

    for (size_t i = 0; i < s->gate_count; i++) {
        const char *gate = s->gate[i].gate;
        if (strcmp(gate, s->c->gate) != 0 && (q->only == NULL || strcmp(gate, q->only) == 0))
            a->gate[a->count++].gate = insist_alloc(strdup(gate));
    }
}

/* Sends the question. Returns NULL, or why it is not sent. */
static const char *send_question(struct shared_inquiry *q)
{
    struct shared *s = q->s;
    char subject[SHARED_SUBJECT_MAX + 1];

    snprintf(q->id, sizeof q->id, "%s.%u", s->c->gate, ++s->inquiries.number);
    const int n = snprintf(subject, sizeof subject, "q:%s\n%s", q->id, q->text);
    if (n < 0 || (size_t)n >= sizeof subject)
        return "the question is too long";
    struct shared_op *op = shared_op_new(SHARED_BAN);
    shared_op_add_change(op, subject, SHARED_ASK_WORD, SHARED_QUESTION_MS, 0, 0);
    return shared_give(s, op) ? NULL : "the store takes no more commands";
}

static void on_inquire(void *arg)
{
    struct shared_inquiry *q = arg;
    struct shared *s = q->s;
    const char *why = NULL;

    if (!shared_link_ready(&s->link))
        why = *s->state.why == '\0' ? "not connected yet" : s->state.why;
    else if (s->gate_count == 0)
        why = "the store has not named the other gates yet";
    else if (s->inquiries.count == OPEN_MAX)
        why = "too many questions at a time";
    else
        expect_gates(q);
    if (why == NULL && q->answers->count > 0)
        why = send_question(q);
    if (why != NULL || q->answers->count == 0) {
        finish(q, why);
        return;
    }
    q->due_ms = shared_now(s) + SHARED_INQUIRY_MS;
    DL_APPEND(s->inquiries.open, q);
    s->inquiries.count++;
}

void shared_inquire(struct shared *s, const char *text, const char *only, void *arg)
{
    struct shared_inquiry *q = NEW(struct shared_inquiry);

    q->s = s;
    q->text = insist_alloc(strdup(text));
    q->only = only == NULL ? NULL : insist_alloc(strdup(only));
    q->answers = NEW(struct shared_answers);
    q->answers->arg = arg;
    worker_post(&s->worker, on_inquire, q);
}

void shared_inquiries_tick(struct shared *s)
{
    struct shared_inquiry *q, *next;

    DL_FOREACH_SAFE(s->inquiries.open, q, next) {
        if (q->due_ms <= shared_now(s))
            end(q, NULL);
        else if (q->op == NULL)
            pull(q);
    }
}

void shared_inquiries_end(struct shared *s, const char *why)
{
    while (s->inquiries.open != NULL)
        end(s->inquiries.open, why);
}

/* ---- pages of other gates ---- */

static struct shared_answer *answer_of(struct shared_answers *a, struct span gate)
{
    for (size_t i = 0; i < a->count; i++)
        if (span_eq(gate, span_str(a->gate[i].gate)))
            return &a->gate[i];
    return NULL;
}

/* Adds a page: `+` or, if it is the last one, `.` and its text. */
static void page_add(struct shared_answer *g, struct span page)
{
    const bool valid = page.n > 0 && page.n <= SHARED_PAGE_MAX + 1 &&
                       (page.p[0] == '+' || page.p[0] == '.') &&
                       memchr(page.p, '\0', page.n) == NULL;

    if (!valid || g->pages == SHARED_PAGES_MAX) {
        g->missing = "its answer is damaged";
        g->complete = true;
        return;
    }
    if ((g->pages & (g->pages - 1)) == 0) /* 0 and powers of 2: grows to the next one */
        g->page =
            insist_alloc(realloc(g->page, (g->pages == 0 ? 1 : 2 * g->pages) * sizeof *g->page));
    g->page[g->pages++] = insist_alloc(strndup((const char *)page.p + 1, page.n - 1));
    g->complete = page.p[0] == '.';
}

/* Takes an item of the list. Returns whether it was of use. */
static bool page_take(struct shared_inquiry *q, struct span gate, struct span page)
{
    struct shared_answer *g = answer_of(q->answers, gate);

    q->bytes += page.n + PAGE_COST;
    if (g == NULL || g->complete || q->bytes > BYTES_MAX)
        return false;
    page_add(g, page);
    return true;
}

static bool is_complete(const struct shared_answers *a)
{
    for (size_t i = 0; i < a->count; i++)
        if (!a->gate[i].complete)
            return false;
    return true;
}

void shared_inquiries_pulled(struct shared *s, struct shared_op *op, const struct shared_reply *a)
{
    struct shared_inquiry *q = op->inquiry;
    const size_t count = shared_reply_count(a);
    bool useful = false;

    (void)s;
    op->inquiry = NULL;
    if (q == NULL)
        return; /* its time was over */
    q->op = NULL;
    for (size_t i = 0; i + 1 < count; i += 2)
        useful |= page_take(q, shared_reply_text(shared_reply_item(a, i)),
                            shared_reply_text(shared_reply_item(a, i + 1)));
    q->from += (int64_t)count;
    if (is_complete(q->answers) || q->bytes > BYTES_MAX)
        end(q, NULL);
    else if (useful)
        pull(q);
}

/* ---- answering ---- */

void shared_inquiries_take(struct shared *s, const struct shared_ban *change)
{
    char id[ID_SIZE];
    const char *text = strchr(change->subject, '\n');

    if (strncmp(change->subject, "q:", 2) != 0 || text == NULL ||
        strcmp(change->by, s->c->gate) == 0)
        return;
    const size_t n = (size_t)(text - change->subject - 2);
    if (n == 0 || n >= sizeof id)
        return;
    memcpy(id, change->subject + 2, n);
    id[n] = '\0';
    const struct shared_question q = {
        .id = id,
        .text = text + 1,
        .gate = change->by,
        .age_ms = change->left_ms < SHARED_QUESTION_MS ? SHARED_QUESTION_MS - change->left_ms : 0};
    s->ops->on_question(s->arg, &q);
}

struct answering {
    struct shared *s;
    struct shared_op *op;
};

static void on_reply(void *arg)
{
    struct answering *a = arg;
    struct shared *s = a->s;

    if (s->inquiries.answering == ANSWERING_MAX)
        shared_op_free(a->op); /* the gate that asks reports the lack */
    else if (shared_give(s, a->op))
        s->inquiries.answering++;
    free(a);
}

void shared_reply_pages(struct shared *s, const char *id, char **page, size_t pages)
{
    struct answering *a = NEW(struct answering);

    INSIST(pages > 0 && pages <= SHARED_PAGES_MAX);
    a->s = s;
    a->op = shared_op_new(SHARED_PUSH);
    shared_op_add(a->op, id);
    for (size_t i = 0; i < pages; i++)
        shared_op_add(a->op, page[i]);
    worker_post(&s->worker, on_reply, a);
}

bool shared_inquiries_pushed(struct shared *s, struct shared_op *op, const struct shared_reply *a)
{
    if (shared_reply_number(shared_reply_item(a, 0), 0) == 1 && !shared_op_is_last_page(op)) {
        op->known++;
        if (shared_op_send(op, &s->link, s->c, &s->counts))
            return true;
    }
    s->inquiries.answering--;
    return false;
}
