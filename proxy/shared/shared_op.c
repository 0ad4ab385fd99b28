#include "shared/shared_op.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"

enum { NUMBER_SIZE = 24 };

/* The arguments of a command. */
struct args {
    int n;
    size_t numbers;
    const char *text[SHARED_ARGS_MAX];
    size_t len[SHARED_ARGS_MAX];
    char number[SHARED_ARGS_MAX][NUMBER_SIZE];
};

struct shared_op *shared_op_new(enum shared_script script)
{
    struct shared_op *op = NEW(struct shared_op);

    op->script = script;
    return op;
}

void shared_op_clear(struct shared_op *op)
{
    for (size_t i = 0; i < op->count; i++)
        free(op->text[i]);
    free(op->text);
    op->text = NULL;
    op->count = 0;
}

void shared_op_free(struct shared_op *op)
{
    if (op == NULL)
        return;
    shared_op_clear(op);
    free(op->epoch);
    free(op);
}

void shared_op_add(struct shared_op *op, const char *text)
{
    INSIST(op->count < SHARED_OP_TEXTS);
    if ((op->count & (op->count - 1)) == 0) /* 0 and powers of 2: grows to the next one */
        op->text =
            insist_alloc(realloc(op->text, (op->count == 0 ? 1 : 2 * op->count) * sizeof(char *)));
    op->text[op->count++] = insist_alloc(strdup(text));
}

void shared_op_add_number(struct shared_op *op, uint64_t n)
{
    char text[NUMBER_SIZE];

    snprintf(text, sizeof text, "%" PRIu64, n);
    shared_op_add(op, text);
}

void shared_op_add_change(struct shared_op *op, const char *subject, const char *kind,
                          uint64_t left_ms, uint64_t made, uint64_t floor)
{
    shared_op_add(op, subject);
    shared_op_add(op, kind);
    shared_op_add_number(op, left_ms);
    shared_op_add_number(op, made);
    shared_op_add_number(op, floor);
}

static void put(struct args *a, const char *text)
{
    INSIST(a->n < SHARED_ARGS_MAX);
    a->text[a->n] = text;
    a->len[a->n++] = strlen(text);
}

static void put_number(struct args *a, int64_t n)
{
    char *at = a->number[a->numbers++];

    snprintf(at, NUMBER_SIZE, "%" PRId64, n);
    put(a, at);
}

static void put_texts(struct args *a, const struct shared_op *op)
{
    for (size_t i = 0; i < op->count; i++)
        put(a, op->text[i]);
}

static void put_enter(struct args *a, const struct shared_op *op,
                      const struct shared_counts *counts)
{
    put(a, op->text[0]);
    put_number(a, shared_counts_get(counts, op->text[0]));
    put_number(a, op->max);
    put_number(a, SHARED_LEASE_MS);
    put(a, op->text[1]);
    put_number(a, op->rate_count);
    put_number(a, (int64_t)op->step_us);
}

static void put_counts(struct args *a, const struct shared_op *op,
                       const struct shared_counts *counts)
{
    put_number(a, SHARED_LEASE_MS);
    for (size_t i = 0; i < op->count; i++) {
        put(a, op->text[i]);
        put_number(a, shared_counts_get(counts, op->text[i]));
    }
}

static void put_points(struct args *a, const struct shared_op *op)
{
    put(a, op->text[0]);
    put_number(a, op->points);
    put_number(a, (int64_t)op->slot_ms);
    put_number(a, op->least);
    put_number(a, (int64_t)op->ban_ms);
}

bool shared_op_is_last_page(const struct shared_op *op)
{
    return (size_t)op->known + 2 == op->count; /* text[0] is the ID */
}

static void put_page(struct args *a, const struct shared_op *op)
{
    put(a, op->text[0]);
    put(a, shared_op_is_last_page(op) ? "." : "+");
    put(a, op->text[op->known + 1]);
    put_number(a, SHARED_LIST_MAX);
    put_number(a, SHARED_ANSWER_MS);
}

static void put_range(struct args *a, const struct shared_op *op)
{
    put(a, op->text[0]);
    put_number(a, op->known);
    put_number(a, op->known + 2 * SHARED_PULL_PAGES - 1);
}

bool shared_op_send(struct shared_op *op, struct shared_link *link,
                    const struct shared_settings *settings, const struct shared_counts *counts)
{
    struct args args, *a = &args;

    a->n = 0;
    a->numbers = 0;
    put(a, settings->prefix);
    put(a, settings->gate);
    switch (op->script) {
    case SHARED_BEAT:
        put(a, op->text[0]);
        put_number(a, SHARED_LEASE_MS);
        put(a, op->epoch);
        put_number(a, op->known);
        break;
    case SHARED_ENTER: put_enter(a, op, counts); break;
    case SHARED_COUNT: put_counts(a, op, counts); break;
    case SHARED_POINTS: put_points(a, op); break;
    case SHARED_PUSH: put_page(a, op); break;
    case SHARED_PULL: put_range(a, op); break;
    case SHARED_BAN:
    case SHARED_PUT:
    case SHARED_FETCH: put_texts(a, op); break;
    case SHARED_SCRIPTS: INSIST(false);
    }
    return shared_link_run(link, op->script, op->as_text, a->n, a->text, a->len, op);
}
