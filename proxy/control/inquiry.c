#include "control/inquiry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "base/log.h"
#include "base/value.h"
#include "call/filter.h"
#include "control/report_calls.h"
#include "control/report_pages.h"
#include "gate/drains.h"
#include "gate/gate_state.h"
#include "gate/inquiries.h"
#include "gate/orders.h"
#include "shared/shared.h"

enum { LINE_SIZE = 192, LIMIT_MAX = 2 * REPORT_LIMIT_MAX };

_Static_assert((int)REPORT_PAGES_MAX <= (int)SHARED_PAGES_MAX, "the store takes all pages");
_Static_assert(REPORT_PAGE_SIZE + REPORT_TUNNEL_COLUMNS * (REPORT_CELL_MAX + 8) <= SHARED_PAGE_MAX,
               "the store takes a page with one more row");

/* ---- asking ---- */

bool inquiry_begin(struct gate *gate, struct inquiry *inquiry, const char *line,
                   const struct call_filter *filter, const char *only)
{
    char text[LINE_SIZE + ORDERS_TEXT_MAX], words[ORDERS_TEXT_MAX];
    struct shared *store = shared_service_view(&gate->store);

    if (!orders_filter_write(filter, words))
        return false;
    snprintf(text, sizeof text, "%.*s\n%s", LINE_SIZE - 2, line, words);
    if (store == NULL)
        inquiry->on_answers(inquiry, NULL);
    else
        shared_inquire(store, text, only, inquiry);
    return true;
}

void inquiry_on_answers(void *gate, const struct shared_answers *a)
{
    struct inquiry *inquiry = a->arg;

    (void)gate;
    inquiry->on_answers(inquiry, a);
}

/* ---- answering ---- */

/* Sends the pages, and frees them. */
static void reply(struct gate *gate, const struct inquiry_question *q, struct report_pages *p)
{
    size_t count;
    char **page = report_pages_end(p, &count);

    if (shared_service_view(&gate->store) != NULL)
        shared_reply_pages(shared_service_view(&gate->store), q->id, page, count);
    for (size_t i = 0; i < count; i++)
        free(page[i]);
    free(page);
}

static void page_row(void *to, const struct report_field *row)
{
    (void)report_pages_add(to, row); /* false: the total shows that rows are missing */
}

static void answer_tunnels(struct gate *gate, const struct inquiry_question *q, const char *word,
                           const struct call_filter *filter)
{
    struct report_tunnels list;
    struct report_pages p;
    uint32_t limit;

    if (value_number(word, 1, LIMIT_MAX, &limit) != ERR_OK)
        return;
    report_tunnels_collect(&list, gate, filter, q->asked_ms);
    report_pages_begin(&p, list.count, REPORT_TUNNEL_COLUMNS);
    for (size_t i = 0; i < list.count && i < limit; i++)
        report_tunnels_row(&list, i, page_row, &p);
    report_tunnels_fini(&list);
    reply(gate, q, &p);
}

static void answer_end(struct gate *gate, const struct inquiry_question *q, const char *word,
                       const struct call_filter *filter)
{
    struct report_pages p;
    struct log_line l;

    if (strcmp(word, gate->store.gate) != 0 || filter->id == NULL)
        return;
    const size_t ended = drains_end_tunnels(gate, filter, "end", 1);
    log_begin(&l, LOG_LEVEL_INFO, "end");
    log_str(&l, "by", "shared");
    log_str(&l, "gate", q->gate);
    log_str(&l, "id", filter->id);
    log_num(&l, "tunnels", ended);
    log_end(&l);
    report_pages_begin(&p, ended, 1);
    reply(gate, q, &p);
}

/* A question that this version does not understand gets no answer, and the gate that asks reports
 * that. */
void inquiry_on_question(void *gate, const struct inquiry_question *q)
{
    char *text = insist_alloc(strdup(q->text)), *rest = text;
    const char *line = strsep(&rest, "\n");
    struct call_filter filter;
    static const char tunnels[] = "tunnels ", end[] = "end ";

    if (rest != NULL && orders_filter_read(rest, &filter)) {
        if (strncmp(line, tunnels, strlen(tunnels)) == 0)
            answer_tunnels(gate, q, line + strlen(tunnels), &filter);
        else if (strncmp(line, end, strlen(end)) == 0)
            answer_end(gate, q, line + strlen(end), &filter);
    }
    free(text);
}
