#include "control/admin_commands.h"

#include <stdio.h>
#include <string.h>

#include "base/addr.h"
#include "base/insist.h"
#include "base/log.h"
#include "control/actions.h"
#include "gate/bans.h"
#include "control/explain_live.h"
#include "gate/gate_state.h"
#include "control/health.h"
#include "control/metrics.h"
#include "control/remote_end.h"
#include "control/report.h"
#include "control/report_all.h"
#include "control/report_gates.h"
#include "control/report_rows.h"
#include "control/report_site.h"
#include "policy/backends.h"
#include "policy/limits_bans.h"
#include "site/snapshot.h"

_Static_assert((int)ADMIN_WHY_MAX == (int)REPORT_WHY_MAX, "a reason fits in both directions");

/* ---- views ---- */

/* Reads `user NAME` and the like, and `--all`. Returns NULL, or the problem. */
static const char *read_filter(struct report_query *q, char *const *word, size_t words, char *why)
{
    for (size_t i = 0; i < words; i++) {
        if (strcmp(word[i], "--all") == 0) {
            q->all = true;
            continue;
        }
        if (i + 1 == words)
            return "a filter is two words, such as: user NAME";
        const char *problem = report_query_set(q, word[i], word[i + 1], why);
        if (problem != NULL)
            return problem;
        i++;
    }
    return NULL;
}

static void all_done(void *arg, char *text, size_t n, const char *problem)
{
    admin_later_end(arg, text, n, problem);
}

/* Answers later, with the rows of all gates. */
static const char *view_all(struct gate *gate, const struct admin_request *r,
                            const struct report_query *q)
{
    const char *problem = report_all_problem(r->name, q);
    struct admin_later *later = problem == NULL ? admin_defer(r) : NULL;

    if (later == NULL)
        return problem;
    problem = report_all_begin(gate, q, r->json ? REPORT_JSON : REPORT_TEXT, all_done, later);
    if (problem != NULL)
        admin_later_end(later, NULL, 0, problem);
    return NULL;
}

static const char *on_view(void *arg, const struct admin_request *r, FILE *out)
{
    struct report_query q = report_query_init();

    q.limit = REPORT_LIMIT_MAX;
    q.writable = true;
    const char *problem = read_filter(&q, r->word, r->words, r->why);
    if (problem != NULL)
        return problem;
    if (q.all)
        return view_all(arg, r, &q);
    (void)report_write(arg, r->name, &q, r->json ? REPORT_JSON : REPORT_TEXT, out);
    if (r->json)
        fputc('\n', out);
    return NULL;
}

static const char *on_health(void *arg, const struct admin_request *r, FILE *out)
{
    (void)out;
    return health_problem(arg, r->why);
}

static const char *on_gates(void *arg, const struct admin_request *r, FILE *out)
{
    const char *problem = report_gates_problem(arg, r->why);
    return problem != NULL ? problem : on_view(arg, r, out);
}

/* ---- bans and servers: in their old form, unless JSON is wanted ---- */

static void print_ban(void *arg, const struct limits_ban *ban)
{
    char text[ADDR_TEXT_MAX];
    FILE *out = arg;

    if (ban->user != NULL) {
        fputs("user ", out);
        report_print(out, ban->user);
    } else {
        fputs(cidr_format(&ban->net, text), out);
    }
    fprintf(out, " %llu%s\n", (unsigned long long)((ban->left_ms + 999) / 1000),
            ban->manual ? " manual" : "");
}

static const char *on_bans(void *arg, const struct admin_request *r, FILE *out)
{
    struct gate *gate = arg;

    if (r->json)
        return on_view(arg, r, out);
    limits_bans(gate->shared.limits, bans_now_ms(), print_ban, out);
    return NULL;
}

static void print_server(const struct gate *gate, size_t backend, size_t server, FILE *out)
{
    const struct config_backend *c = &gate->snapshot->config->backend[backend];
    const struct backends_server *cs = &c->servers.item[server];
    struct backends_group *g = gate->snapshot->servers[backend];
    struct backends_state state;
    char name[BACKENDS_NAME_MAX];

    backends_state(g, server, &state);
    fprintf(out, "%s/%s %s tunnels=%u", c->name, backends_name(g, server, name),
            state.draining ? "drain"
            : state.up     ? "up"
                           : "down",
            state.tunnels);
    if (cs->max_tunnels != 0)
        fprintf(out, "/%u", cs->max_tunnels);
    fprintf(out, " weight=%u%s check=%s", cs->weight, cs->backup ? " backup" : "",
            report_check_word(c->check));
    if (state.changed_ms != 0)
        fprintf(out, " %s-since=%llus cause=\"%s\"", state.up ? "up" : "down",
                (unsigned long long)((uv_now(&gate->loop) - state.changed_ms) / 1000), state.cause);
    fputc('\n', out);
}

static const char *on_servers(void *arg, const struct admin_request *r, FILE *out)
{
    const struct gate *gate = arg;
    const struct config *c = gate->snapshot->config;

    if (r->json || r->words > 0)
        return on_view(arg, r, out);
    for (size_t i = 0; i < c->backend_count; i++)
        for (size_t k = 0; k < c->backend[i].servers.count; k++)
            print_server(gate, i, k, out);
    return NULL;
}

/* ---- actions ---- */

static struct action action_of(void *arg, FILE *out)
{
    return (struct action){.gate = arg, .by = "admin-socket", .out = out};
}

/* Returns the error in memory that outlives the action. */
static const char *outcome(const char *error, const struct admin_request *r)
{
    if (error == NULL)
        return NULL;
    (void)snprintf(r->why, ADMIN_WHY_MAX, "%s", error);
    return r->why;
}

static void end_done(void *arg, const char *said, const char *error)
{
    admin_later_end(arg, insist_alloc(strdup(said)), strlen(said), error);
}

/* Answers later, with what the gate `at` says; takes ownership of `at`. */
static const char *end_at(struct gate *gate, const struct admin_request *r,
                          const struct call_filter *f, char *at)
{
    struct admin_later *later = admin_defer(r);
    const char *problem = remote_end_begin(gate, "admin-socket", f, at, end_done, later);

    if (problem != NULL)
        admin_later_end(later, NULL, 0, problem);
    return NULL;
}

static const char *on_end(void *arg, const struct admin_request *r, FILE *out)
{
    struct report_query q = report_query_init();
    struct action a = action_of(arg, out);
    const char *problem = r->words == 1 ? report_query_set(&q, "id", r->word[0], r->why)
                                        : read_filter(&q, r->word, r->words, r->why);

    char *at = NULL;
    if (problem == NULL && q.all)
        problem = "with a filter, `end` is for all gates already";
    if (problem == NULL)
        problem = remote_end_resolve(arg, &q.filter, &at, r->why);
    if (problem != NULL)
        return problem;
    return at != NULL ? end_at(arg, r, &q.filter, at) : outcome(action_end(&a, &q.filter), r);
}

/* Reads `PREFIX` or `user NAME`, and sets *used to the number of these words. */
static const char *read_target(struct report_query *q, const struct admin_request *r, size_t *used)
{
    const bool user = r->words > 1 && strcmp(r->word[0], "user") == 0;

    *used = user ? 2 : 1;
    return report_query_set(q, user ? "user" : "address", r->word[*used - 1], r->why);
}

static const char *on_ban(void *arg, const struct admin_request *r, FILE *out)
{
    struct report_query q = report_query_init();
    struct action a = action_of(arg, out);
    size_t used;
    const char *problem = read_target(&q, r, &used);

    if (problem == NULL && r->words > used + 1)
        problem = "too many words";
    return problem != NULL ? problem : outcome(action_ban(&a, &q.filter, r->word[used]), r);
}

static const char *on_unban(void *arg, const struct admin_request *r, FILE *out)
{
    struct report_query q = report_query_init();
    struct action a = action_of(arg, out);
    size_t used;

    if (r->words == 1 && strcmp(r->word[0], "all") == 0)
        return outcome(action_unban_all(&a), r);
    const char *problem = read_target(&q, r, &used);
    if (problem == NULL && r->words > used)
        problem = "too many words";
    return problem != NULL ? problem : outcome(action_unban(&a, &q.filter), r);
}

static const char *on_reload(void *arg, const struct admin_request *r, FILE *out)
{
    struct action a = action_of(arg, out);
    return outcome(action_reload(&a), r);
}

static const char *on_drain(void *arg, const struct admin_request *r, FILE *out)
{
    struct action a = action_of(arg, out);
    return outcome(action_drain(&a, r->word[0]), r);
}

static const char *on_resume(void *arg, const struct admin_request *r, FILE *out)
{
    struct action a = action_of(arg, out);
    return outcome(action_resume(&a, r->word[0]), r);
}

static const char *on_metrics(void *arg, const struct admin_request *r, FILE *out)
{
    (void)r;
    metrics_print(arg, out);
    return NULL;
}

static const char *on_log_level(void *arg, const struct admin_request *r, FILE *out)
{
    enum log_level level;

    (void)arg;
    if (r->words > 0 && !log_level_parse(r->word[0], &level))
        return "the levels are error, warning, info and debug";
    if (r->words > 0)
        log_set_level(level, "admin-socket");
    fprintf(out, "log-level: %s\n", log_level_name(log_level()));
    return NULL;
}

_Static_assert((int)ADMIN_WHY_MAX == (int)EXPLAIN_ERROR_MAX, "a reason fits");

static const char *on_explain(void *arg, const struct admin_request *r, FILE *out)
{
    return explain_live(arg, r->word, r->words, out, r->why);
}

static const char *on_stop(void *arg, const struct admin_request *r, FILE *out)
{
    struct action a = action_of(arg, out);
    return outcome(action_stop(&a), r);
}

const struct admin_ops admin_commands = {.run = {[ADMIN_STATUS] = on_view,
                                                 [ADMIN_HEALTH] = on_health,
                                                 [ADMIN_TUNNELS] = on_view,
                                                 [ADMIN_FAILURES] = on_view,
                                                 [ADMIN_LISTENERS] = on_view,
                                                 [ADMIN_CERTIFICATES] = on_view,
                                                 [ADMIN_SERVERS] = on_servers,
                                                 [ADMIN_LIMITS] = on_view,
                                                 [ADMIN_GATES] = on_gates,
                                                 [ADMIN_BANS] = on_bans,
                                                 [ADMIN_END] = on_end,
                                                 [ADMIN_BAN] = on_ban,
                                                 [ADMIN_UNBAN] = on_unban,
                                                 [ADMIN_RELOAD] = on_reload,
                                                 [ADMIN_DRAIN] = on_drain,
                                                 [ADMIN_RESUME] = on_resume,
                                                 [ADMIN_READY] = on_resume,
                                                 [ADMIN_EXPLAIN] = on_explain,
                                                 [ADMIN_LOG_LEVEL] = on_log_level,
                                                 [ADMIN_METRICS] = on_metrics,
                                                 [ADMIN_STOP] = on_stop}};
