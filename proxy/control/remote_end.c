#include "control/remote_end.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "base/log.h"
#include "control/inquiry.h"
#include "control/report_gates.h"
#include "control/report_pages.h"
#include "shared/shared.h"

struct remote_end {
    struct inquiry inquiry;
    const char *by;
    char *at, *id;
    remote_end_done *done;
    void *arg;
};

const char *remote_end_resolve(struct gate *gate, struct call_filter *f, char **at,
                               char why[REPORT_WHY_MAX])
{
    const char *slash = f->id == NULL ? NULL : strrchr(f->id, '/'), *problem;
    bool mine;

    *at = NULL;
    if (slash == NULL)
        return NULL;
    if (slash[1] == '\0')
        return "an ID at another gate is GATE/ID";
    *at = report_gates_find(gate, f->id, (size_t)(slash - f->id), &mine, &problem, why);
    if (*at == NULL)
        return problem;
    f->id = slash + 1;
    if (mine) {
        free(*at);
        *at = NULL;
    }
    return NULL;
}

/* Returns the number of tunnels that have ended, as the answer says; -1: it does not. */
static int64_t ended_of(const struct shared_answers *a)
{
    struct report_page page;

    if (a == NULL || a->count != 1 || a->gate[0].missing != NULL || a->gate[0].pages == 0 ||
        !report_page_begin(&page, span_str(a->gate[0].page[0])))
        return -1;
    return (int64_t)page.total;
}

static void log_end_at(const struct remote_end *r, int64_t ended)
{
    struct log_line l;

    log_begin(&l, LOG_LEVEL_INFO, "end");
    log_str(&l, "by", r->by);
    log_str(&l, "gate", r->at);
    log_str(&l, "id", r->id);
    log_num(&l, "tunnels", (uint64_t)ended);
    log_end(&l);
}

static void on_answers(struct inquiry *inquiry, const struct shared_answers *a)
{
    struct remote_end *r = (struct remote_end *)inquiry;
    const int64_t ended = ended_of(a);
    char text[REPORT_WHY_MAX];

    snprintf(text, sizeof text, "%" PRId64 " ended at another gate\n", ended);
    if (ended > 0)
        log_end_at(r, ended);
    if (ended > 0)
        r->done(r->arg, text, NULL);
    else if (ended == 0)
        r->done(r->arg, "", "no tunnel of that gate matches");
    else if (a == NULL || *a->why != '\0')
        r->done(r->arg, "", "the other gate does not get the order: the store is down");
    else
        r->done(r->arg, "", "the other gate does not answer: whether the tunnel ends is unknown");
    free(r->at);
    free(r->id);
    free(r);
}

const char *remote_end_begin(struct gate *gate, const char *by, const struct call_filter *f,
                             char *at, remote_end_done *done, void *arg)
{
    struct remote_end *r = NEW(struct remote_end);
    char line[192];

    *r = (struct remote_end){.inquiry = {.on_answers = on_answers},
                             .by = by,
                             .at = at,
                             .id = insist_alloc(strdup(f->id)),
                             .done = done,
                             .arg = arg};
    (void)snprintf(line, sizeof line, "end %s", at);
    if (inquiry_begin(gate, &r->inquiry, line, f, at))
        return NULL;
    free(r->at);
    free(r->id);
    free(r);
    return "the filter is too long, or has a line end";
}
