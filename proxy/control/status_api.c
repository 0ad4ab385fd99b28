#include "control/status_api.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/memo.h"
#include "control/actions.h"
#include "base/insist.h"
#include "gate/gate_state.h"
#include "control/remote_end.h"
#include "control/report.h"
#include "control/report_all.h"
#include "site/snapshot.h"
#include "status/status.h"

enum { HTTP_OK = 200, HTTP_BAD_REQUEST = 400, HTTP_CONFLICT = 409 };

/* Writes the outcome of an action, or an error; error NULL: text. */
static void write_outcome(const char *text, const char *error, FILE *out)
{
    struct json j = json_to(out);

    json_object_begin(&j);
    json_key(&j, "ok");
    json_bool(&j, error == NULL);
    json_key(&j, error == NULL ? "text" : "error");
    json_str(&j, error == NULL ? text : error);
    json_object_end(&j);
    fputc('\n', out);
}

/* ---- views ---- */

/* Returns NULL, or the problem, which may be in why. */
static const char *read_query(struct report_query *query, const struct form *form,
                              char why[REPORT_WHY_MAX])
{
    const char *problem = NULL;

    for (size_t i = 0; i < form->count && problem == NULL; i++)
        problem = report_query_set(query, form->param[i].name, form->param[i].value, why);
    return problem;
}

/* An answer that the status listener waits for. */
struct later {
    struct gate *gate;
    struct status_question q;
};

static struct later *later_new(struct gate *gate, const struct status_question *q)
{
    struct later *l = NEW(struct later);

    *l = (struct later){.gate = gate, .q = *q};
    return l;
}

/* Gives the answer, and frees l. */
static void later_end(struct later *l, unsigned http_status, char *text, size_t n)
{
    status_answer_later(l->gate->status.status, l->q.later, http_status, text, n);
    free(l);
}

/* The object itself has the problem. */
static void all_done(void *arg, char *text, size_t n, const char *problem)
{
    (void)problem;
    later_end(arg, HTTP_OK, text, n);
}

/* Answers later, with the rows of all gates. Returns NULL, or the problem. */
static const char *view_all(struct gate *gate, const struct status_question *q,
                            const struct report_query *query)
{
    const char *problem = report_all_problem(q->route->name, query);

    if (problem != NULL)
        return problem;
    struct later *l = later_new(gate, q);
    problem = report_all_begin(gate, query, REPORT_JSON, all_done, l);
    if (problem != NULL)
        free(l);
    return problem;
}

unsigned status_api_view(struct gate *gate, const struct status_question *q, FILE *out)
{
    struct report_query query = report_query_init();
    char why[REPORT_WHY_MAX];
    const char *problem = read_query(&query, q->form, why);

    if (problem == NULL && query.all) {
        problem = view_all(gate, q, &query);
        if (problem == NULL)
            return STATUS_LATER;
    }
    if (problem != NULL) {
        write_outcome(NULL, problem, out);
        return HTTP_BAD_REQUEST;
    }
    query.writable = gate->snapshot->status_token != NULL;
    if (!report_write(gate, q->route->name, &query, REPORT_JSON, out)) {
        write_outcome(NULL, "the gate has no such view", out);
        return HTTP_BAD_REQUEST;
    }
    fputc('\n', out);
    return HTTP_OK;
}

/* ---- actions ---- */

/* Parameters of an action, read from its form. */
struct parameters {
    struct report_query query;
    const char *time;
};

static const char *act_end(struct action *a, const struct parameters *p)
{
    return action_end(a, &p->query.filter);
}

static const char *act_ban(struct action *a, const struct parameters *p)
{
    return action_ban(a, &p->query.filter, p->time);
}

static const char *act_unban(struct action *a, const struct parameters *p)
{
    return action_unban(a, &p->query.filter);
}

static const char *act_drain(struct action *a, const struct parameters *p)
{
    return action_drain(a, p->query.filter.server);
}

static const char *act_resume(struct action *a, const struct parameters *p)
{
    return action_resume(a, p->query.filter.server);
}

static const char *act_reload(struct action *a, const struct parameters *p)
{
    (void)p;
    return action_reload(a);
}

static const struct act {
    const char *name;
    const char *parameters[6]; /* up to NULL */
    const char *(*run)(struct action *a, const struct parameters *p);
} acts[] = {
    {"end", {"id", "user", "address", "listener", "server"}, act_end},
    {"ban", {"address", "user", "time"}, act_ban},
    {"unban", {"address", "user"}, act_unban},
    {"drain", {"server"}, act_drain},
    {"resume", {"server"}, act_resume},
    {"reload", {NULL}, act_reload},
};

static const struct act *act_find(const char *name)
{
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++)
        if (strcmp(acts[i].name, name) == 0)
            return &acts[i];
    return NULL;
}

static bool act_takes(const struct act *act, const char *name)
{
    size_t i = 0;

    while (act->parameters[i] != NULL && strcmp(act->parameters[i], name) != 0)
        i++;
    return act->parameters[i] != NULL;
}

/* Reads the parameters. An unknown one is a mistake, because without it the action would be
 * another. Returns NULL, or the problem, which may be in why. */
static const char *read_parameters(const struct act *act, const struct form *form,
                                   struct parameters *p, char why[REPORT_WHY_MAX])
{
    *p = (struct parameters){.query = report_query_init()};
    for (size_t i = 0; i < form->count; i++) {
        const char *name = form->param[i].name, *value = form->param[i].value;
        const char *problem = NULL;
        if (!act_takes(act, name))
            problem = "this action has no such parameter";
        else if (strcmp(name, "time") == 0)
            p->time = value;
        else
            problem = report_query_set(&p->query, name, value, why);
        if (problem != NULL)
            return problem;
    }
    return NULL;
}

/* The action itself logs what it has done; this line says whose action it was, also if it has
 * failed. */
static void log_action(const struct status_question *q, const char *error)
{
    struct log_line l;

    log_begin(&l, error == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "status");
    log_str(&l, "by", "status");
    log_str(&l, "client", q->client);
    log_str(&l, "action", q->route->name);
    for (size_t i = 0; i < q->form->count; i++)
        log_str(&l, q->form->param[i].name, q->form->param[i].value);
    log_str(&l, "error", error);
    log_end(&l);
}

static void end_done(void *arg, const char *said, const char *error)
{
    struct later *l = arg;
    struct memo text;
    char *line = insist_alloc(strdup(said));

    line[strcspn(line, "\n")] = '\0';
    log_action(&l->q, error);
    write_outcome(line, error, memo_open(&text));
    free(line);
    (void)memo_text(&text);
    const size_t n = text.n;
    later_end(l, error == NULL ? HTTP_OK : HTTP_CONFLICT, memo_take(&text), n);
}

/* Answers later, with what the gate `at` says; takes ownership of `at`. Returns NULL, or the
 * problem. */
static const char *end_at(struct gate *gate, const struct status_question *q,
                          const struct call_filter *f, char *at)
{
    struct later *l = later_new(gate, q);
    const char *problem = remote_end_begin(gate, "status", f, at, end_done, l);

    if (problem != NULL)
        free(l);
    return problem;
}

unsigned status_api_act(struct gate *gate, const struct status_question *q, FILE *out)
{
    const struct act *act = act_find(q->route->name);
    struct action a = {.gate = gate, .by = "status"};
    struct parameters p;
    struct memo text;
    char *at = NULL;
    const char *error =
        act == NULL ? "the gate has no such action" : read_parameters(act, q->form, &p, a.why);

    if (error != NULL) {
        write_outcome(NULL, error, out);
        return HTTP_BAD_REQUEST;
    }
    error = remote_end_resolve(gate, &p.query.filter, &at, a.why);
    if (error == NULL && at != NULL) {
        error = end_at(gate, q, &p.query.filter, at);
        if (error == NULL)
            return STATUS_LATER;
    }
    a.out = memo_open(&text);
    if (error == NULL)
        error = act->run(&a, &p);
    char *said = memo_text(&text);
    if (text.n > 0 && said[text.n - 1] == '\n')
        said[text.n - 1] = '\0';
    log_action(q, error);
    write_outcome(said, error, out);
    memo_free(&text);
    return error == NULL ? HTTP_OK : HTTP_CONFLICT;
}
