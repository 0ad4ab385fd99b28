#include "control/report_all.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "base/memo.h"
#include "control/inquiry.h"
#include "control/report_calls.h"
#include "control/report_gates.h"
#include "control/report_pages.h"
#include "control/report_rows.h"
#include "gate/gate_state.h"
#include "gate/orders.h"
#include "shared/shared.h"

enum { ROWS_MAX = 100000 }; /* of other gates: a hostile store could send more, and tiny ones */
enum { COLUMNS = REPORT_TUNNEL_COLUMNS + 1, BYTES = REPORT_TUNNEL_COLUMNS * (REPORT_CELL_MAX + 1) };

/* A row of the list. */
struct row {
    uint64_t age;
    const char *gate; /* NULL: this one */
    size_t index;     /* of report_tunnels, or the order of arrival */
    struct report_page page;
};

struct missing {
    const char *gate; /* NULL: all others */
    const char *cause;
};

struct report_all {
    struct inquiry inquiry;
    struct gate *gate;
    struct report_query query;
    uint64_t asked_ms;          /* when, by uv_hrtime */
    char text[ORDERS_TEXT_MAX]; /* of the query's filter */
    enum report_form form;
    report_all_done *done;
    void *arg;
    /* while the answers are there: */
    struct report_tunnels own;
    struct row *row;
    size_t count, room;
    uint64_t others; /* rows that match at other gates */
    struct missing missing[SHARED_GATES_MAX];
    size_t missing_count;
    struct report_rows rows;
    const char *row_gate;
    char bytes[BYTES];
};

/* ---- rows ---- */

static struct row *row_new(struct report_all *all)
{
    if (all->count == all->room) {
        all->room = all->room == 0 ? 64 : 2 * all->room;
        all->row = insist_alloc(realloc(all->row, all->room * sizeof *all->row));
    }
    struct row *r = &all->row[all->count];
    *r = (struct row){.index = all->count++};
    return r;
}

/* Takes the rows of a page. Returns NULL, or what is wrong with it. */
static const char *take_page(struct report_all *all, const char *gate, const char *text,
                             uint64_t *total)
{
    static const char damaged[] = "its answer is damaged";
    struct report_field field[REPORT_TUNNEL_COLUMNS];
    struct report_page page, start;
    enum err e;

    if (!report_page_begin(&page, span_str(text)))
        return damaged;
    *total = page.total;
    for (start = page; (e = report_page_next(&page, report_tunnel_types, REPORT_TUNNEL_COLUMNS,
                                             field, all->bytes)) == ERR_OK;
         start = page) {
        const struct report_field *age = &field[REPORT_TUNNEL_DURATION];
        if (all->count == ROWS_MAX)
            return "too many tunnels for one answer: give a filter or a limit";
        struct row *r = row_new(all);
        r->age = age->type == REPORT_REAL ? (uint64_t)(age->real * 1000) : 0;
        r->gate = gate;
        r->page = start;
    }
    return e == ERR_MISSING ? NULL : damaged;
}

static void put_missing(struct report_all *all, const char *gate, const char *cause)
{
    all->missing[all->missing_count++] = (struct missing){.gate = gate, .cause = cause};
}

/* Takes the rows of another gate. Fewer than match, and than were asked for, are incomplete. */
static void take_gate(struct report_all *all, const struct shared_answer *a)
{
    const size_t before = all->count, wanted = all->query.offset + all->query.limit;
    const char *missing = NULL;
    uint64_t total = 0;

    for (size_t i = 0; i < a->pages && missing == NULL; i++)
        missing = take_page(all, a->gate, a->page[i], &total);
    const size_t got = all->count - before;
    if (missing == NULL)
        missing = a->missing;
    if (missing == NULL && got < total && got < wanted)
        missing = "it has too many tunnels for one answer: give a filter or a limit";
    if (missing != NULL)
        put_missing(all, a->gate, missing);
    all->others += total > got && missing == NULL ? total : got;
}

static void take_answers(struct report_all *all, const struct shared_answers *a)
{
    if (a == NULL) {
        put_missing(all, NULL, "no store: the configuration has no `shared`");
        return;
    }
    if (*a->why != '\0')
        put_missing(all, NULL, a->why);
    for (size_t i = 0; i < a->count && *a->why == '\0'; i++)
        take_gate(all, &a->gate[i]);
}

static void take_own(struct report_all *all)
{
    report_tunnels_collect(&all->own, all->gate, &all->query.filter, all->asked_ms);
    for (size_t i = 0; i < all->own.count; i++) {
        struct row *r = row_new(all);
        r->age = report_tunnels_age(&all->own, i);
        r->index = i;
    }
}

static int compare(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    const int names = strcmp(x->gate == NULL ? "" : x->gate, y->gate == NULL ? "" : y->gate);

    if (x->age != y->age)
        return x->age > y->age ? -1 : 1;
    if (names != 0)
        return names;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* ---- writing ---- */

/* Adds a row: the name of its gate, and its fields. */
static void add(void *to, const struct report_field *field)
{
    struct report_all *all = to;
    struct report_field row[COLUMNS];

    row[0] = report_str(all->row_gate);
    memcpy(row + 1, field, REPORT_TUNNEL_COLUMNS * sizeof *field);
    report_rows_add(&all->rows, row);
}

static void row_write(struct report_all *all, const struct row *r)
{
    struct report_field field[REPORT_TUNNEL_COLUMNS];
    struct report_page page = r->page;

    all->row_gate = r->gate == NULL ? all->gate->store.gate : r->gate;
    if (r->gate == NULL) {
        report_tunnels_row(&all->own, r->index, add, all);
        return;
    }
    INSIST(report_page_next(&page, report_tunnel_types, REPORT_TUNNEL_COLUMNS, field, all->bytes) ==
           ERR_OK); /* it was read before */
    add(all, field);
}

static void more_json(void *arg, struct json *j)
{
    const struct report_all *all = arg;

    json_key(j, "missing");
    json_array_begin(j);
    for (size_t i = 0; i < all->missing_count; i++) {
        json_object_begin(j);
        json_key(j, "gate");
        json_str(j, all->missing[i].gate);
        json_key(j, "cause");
        json_str(j, all->missing[i].cause);
        json_object_end(j);
    }
    json_array_end(j);
}

static void list_write(struct report_all *all, FILE *out)
{
    const char *column[COLUMNS + 1] = {"gate"};
    struct report_rows *rows = &all->rows;

    memcpy(column + 1, report_tunnel_columns, sizeof report_tunnel_columns);
    if (all->count > 0) /* qsort may not be given NULL */
        qsort(all->row, all->count, sizeof *all->row, compare);
    report_rows_begin(rows, column, &all->query, all->form, out);
    rows->more = more_json;
    rows->more_arg = all;
    for (size_t i = 0; i < all->count; i++) {
        if (report_rows_wanted(rows))
            row_write(all, &all->row[i]);
        else
            report_rows_skip(rows);
    }
    rows->total = all->own.count + all->others;
    report_rows_end(rows);
}

/* Writes which gates are missing. Returns NULL: none is. */
static const char *problem_of(const struct report_all *all, char why[REPORT_WHY_MAX])
{
    const struct missing *m = all->missing;
    struct memo text;
    FILE *out;

    if (all->missing_count == 0)
        return NULL;
    out = memo_open(&text);
    fputs(m->gate == NULL ? "these are the tunnels of this gate only: " : "tunnels are missing: ",
          out);
    for (size_t i = 0; i < all->missing_count; i++, m++) {
        fputs(i == 0 ? "" : "; ", out);
        if (m->gate != NULL) {
            report_print(out, m->gate); /* from the store: without a line end */
            fputs(": ", out);
        }
        report_print(out, m->cause);
    }
    (void)snprintf(why, REPORT_WHY_MAX, "%s", memo_text(&text));
    if (text.n >= REPORT_WHY_MAX)
        memcpy(why + REPORT_WHY_MAX - 4, "...", 4);
    memo_free(&text);
    return why;
}

static void on_answers(struct inquiry *inquiry, const struct shared_answers *a)
{
    struct report_all *all = (struct report_all *)inquiry;
    char why[REPORT_WHY_MAX];
    struct memo m;

    take_answers(all, a);
    take_own(all);
    list_write(all, memo_open(&m));
    if (all->form == REPORT_JSON)
        fputc('\n', m.file);
    (void)memo_text(&m);
    const size_t n = m.n;
    const char *problem = problem_of(all, why);
    all->done(all->arg, memo_take(&m), n, problem);
    report_tunnels_fini(&all->own);
    free(all->row);
    free(all);
}

/* ---- begin ---- */

const char *report_all_problem(const char *kind, const struct report_query *q)
{
    if (strcmp(kind, "tunnels") != 0)
        return "only `tunnels` is a view of all gates";
    if (q->offset > REPORT_LIMIT_MAX)
        return "with all gates, offset is a number from 0 to 10000";
    return NULL;
}

const char *report_all_begin(struct gate *gate, const struct report_query *q, enum report_form form,
                             report_all_done *done, void *arg)
{
    struct report_all *all = NEW(struct report_all);
    char line[64];

    *all = (struct report_all){.inquiry = {.on_answers = on_answers},
                               .gate = gate,
                               .query = *q,
                               .asked_ms = uv_hrtime() / 1000000,
                               .form = form,
                               .done = done,
                               .arg = arg};
    if (!orders_filter_write(&q->filter, all->text) ||
        !orders_filter_read(all->text, &all->query.filter)) {
        free(all);
        return "the filter is too long, or has a line end";
    }
    snprintf(line, sizeof line, "tunnels %zu", q->offset + q->limit);
    (void)inquiry_begin(gate, &all->inquiry, line, &q->filter, NULL);
    return NULL;
}
