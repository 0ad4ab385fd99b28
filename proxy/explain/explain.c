#include "explain/explain.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/hostname.h"
#include "base/insist.h"
#include "base/memo.h"
#include "call/judgement.h"
#include "explain/explain_print.h"
#include "policy/limits_bans.h"
#include "policy/rules_words.h"
#include "site/site.h"
#include "site/snapshot.h"
#include "tls/tls_ctx.h"
#include "users/users.h"

/* ---- the rules ---- */

/* The rules of one evaluation, for on_step. */
struct tracing {
    const struct rules *rules;
    const struct rules_facts *facts;
    struct explain_steps *steps;
};

static void steps_free(struct explain_steps *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->item[i].words);
    free(s->item);
    *s = (struct explain_steps){.count = 0};
}

static void on_step(void *arg, const struct rules_step *step)
{
    const struct tracing *t = arg;
    struct explain_steps *s = t->steps;
    struct memo words;

    rules_words(t->rules, t->facts, step, memo_open(&words));
    s->item = insist_alloc(reallocarray(s->item, s->count + 1, sizeof *s->item));
    s->item[s->count++] = (struct explain_step){.rule = step->rule - 1,
                                                .holds = step->holds,
                                                .missing = step->dry_run ? 0 : step->missing,
                                                .words = memo_take(&words)};
}

/* Evaluates rules, and keeps the steps of this evaluation only. */
static struct rules_answer trace(const struct rules *rules, const struct rules_facts *facts,
                                 struct explain_steps *steps)
{
    struct tracing t = {.rules = rules, .facts = facts, .steps = steps};

    steps_free(steps);
    return rules_trace(rules, facts, on_step, &t);
}

/* Returns the facts that an undecided answer waits for. */
static unsigned missing_of(const struct explain_steps *s, const struct rules_answer *answer)
{
    unsigned missing = 0;

    for (size_t i = 0; answer->verdict == RULES_UNDECIDED && i < s->count; i++)
        missing |= s->item[i].missing;
    return missing;
}

/* ---- the phases of a call ---- */

/* The first refusal counts, as in a call. */
static void refuse(struct explanation *e, enum explain_stage stage, enum reason reason)
{
    if (e->reason != REASON_NONE)
        return;
    e->reason = reason;
    e->stage = stage;
}

static bool is_over(const struct explanation *e)
{
    return e->reason != REASON_NONE;
}

/* Evaluates the listener's rules at a stage. Returns what the answer means. */
static enum judgement judge(struct explanation *e, enum explain_stage stage,
                            const struct rules_facts *facts)
{
    if (e->overruled)
        return JUDGEMENT_OVERRULED;
    e->facts = *facts;
    e->answer = trace(&e->listener->rules, facts, &e->steps);
    e->judged = stage;
    if (e->dry.rule == 0)
        e->dry = e->answer.dry;
    const enum judgement judgement = judgement_of(e->listener, &e->answer);
    e->overruled = judgement == JUDGEMENT_OVERRULED;
    e->dropped = judgement == JUDGEMENT_DROP && stage != EXPLAIN_LOGIN;
    return judgement;
}

static void judge_limits(struct explanation *e, const struct explain_state *live)
{
    const char *user = e->query->user;
    const struct span counted = users_counted_name(span_str(user == NULL ? "" : user));

    e->limits = limits_look(live->limits, &e->query->address, counted, live->now_ms);
    if (e->limits.verdict != LIMITS_OK)
        refuse(e, EXPLAIN_ACCEPT, REASON_LIMIT);
}

/* The gate judges a client's address when it accepts the connection. */
static void judge_accept(struct explanation *e)
{
    const struct rules_facts facts = {.client = &e->query->address, .now = e->now};

    switch (judge(e, EXPLAIN_ACCEPT, &facts)) {
    case JUDGEMENT_RESET:
    case JUDGEMENT_DROP: refuse(e, EXPLAIN_ACCEPT, REASON_ADDRESS_DENIED); break;
    case JUDGEMENT_DECOY: e->decoy = true; break;
    case JUDGEMENT_PASS:
    case JUDGEMENT_OVERRULED: break;
    }
    if (e->live != NULL && !is_over(e))
        judge_limits(e, e->live);
}

static const struct tls_ctx *tls_of(const struct explanation *e)
{
    return e->live == NULL ? NULL : e->live->site->listener[e->listener_index].tls;
}

/* strict-sni refuses names that no certificate has. */
static void judge_handshake(struct explanation *e)
{
    const char *sni = e->query->sni;
    const struct tls_ctx *tls = tls_of(e);

    if (!e->listener->strict_sni)
        return;
    if (sni == NULL)
        e->missing |= RULES_SNI;
    else if (*sni == '\0' ||
             (tls != NULL && (hostname_is_address(sni) || !tls_ctx_has_name(tls, sni))))
        refuse(e, EXPLAIN_HANDSHAKE, REASON_TLS_REFUSED);
    else
        e->strict_sni_open = tls == NULL;
}

static void set_text(struct rules_facts *f, enum rules_fact fact, struct span *value,
                     const char *text)
{
    if (text == NULL)
        return;
    f->request |= fact;
    *value = span_str(text);
}

static struct rules_facts request_facts(const struct explanation *e)
{
    struct rules_facts f = {.client = &e->query->address, .now = e->now};

    set_text(&f, RULES_HOST, &f.host, e->query->host);
    set_text(&f, RULES_SNI, &f.sni, e->query->sni);
    set_text(&f, RULES_TENANT, &f.tenant, e->query->tenant);
    return f;
}

static void judge_names(struct explanation *e)
{
    const struct explain_query *q = e->query;

    if ((q->host != NULL && !judgement_serves_host(e->listener, span_str(q->host))) ||
        (q->sni != NULL && !judgement_serves_sni(e->listener, span_str(q->sni))))
        refuse(e, EXPLAIN_REQUEST, REASON_HOST_REFUSED);
    if (e->listener->host.count > 0)
        e->missing |= (q->host == NULL ? RULES_HOST : 0u) | (q->sni == NULL ? RULES_SNI : 0u);
}

static void judge_request(struct explanation *e)
{
    const struct rules_facts facts = request_facts(e);

    judge_names(e);
    if (e->decoy)
        refuse(e, EXPLAIN_REQUEST, REASON_RULE_DENIED);
    if (is_over(e))
        return;
    switch (judge(e, EXPLAIN_REQUEST, &facts)) {
    case JUDGEMENT_DECOY: refuse(e, EXPLAIN_REQUEST, REASON_RULE_DENIED); break;
    case JUDGEMENT_RESET:
    case JUDGEMENT_DROP: refuse(e, EXPLAIN_REQUEST, REASON_RULE_REJECTED); break;
    case JUDGEMENT_PASS:
    case JUDGEMENT_OVERRULED: break;
    }
}

static void list_servers(struct explanation *e)
{
    const size_t index = (size_t)(e->backend - e->snapshot->config->backend);
    const struct backends_group *g = e->snapshot->servers[index];
    const uint64_t now = e->live == NULL ? 0 : e->live->now_ms;
    uint64_t tried = 0;

    e->servers = g;
    while (e->server_count < BACKENDS_SERVERS_MAX &&
           backends_peek(g, &e->query->address, &tried, now, &e->server[e->server_count]))
        e->server_count++;
    if (e->server_count == 0)
        refuse(e, EXPLAIN_BACKEND, REASON_NO_SERVER);
}

static void choose_backend(struct explanation *e)
{
    const struct rules_facts facts = request_facts(e);

    e->route = trace(&e->listener->routes, &facts, &e->route_steps);
    e->route_missing = missing_of(&e->route_steps, &e->route);
    if (e->route.verdict == RULES_UNDECIDED)
        return;
    e->backend = judgement_backend(e->listener, &e->route);
    e->users = e->snapshot->users[e->backend - e->snapshot->config->backend];
    list_servers(e);
}

/* Returns whether an administrator has banned the user; the gate asks this before the rules. */
static bool is_banned(const struct explanation *e)
{
    const struct span user = span_str(e->query->user == NULL ? "" : e->query->user);

    return e->live != NULL && user.n > 0 &&
           limits_user_banned(e->live->limits, user, users_counted_name(user), e->live->now_ms);
}

/* Finds the line of the user with the key; or, if all lines of the user have expired, the one that
 * users_expired() returns. The gate does this after the rules. */
static void find_line(struct explanation *e, struct span user)
{
    struct users_match found[USERS_MATCH_MAX];
    const enum config_binding binding = e->backend->binding;

    e->user_expired = users_expired(e->users, user, e->now, &found[0]);
    if (!e->user_expired && users_find_current(e->users, user, e->now, found) == 0)
        return;
    e->user_line = found[0].line;
    e->user_until = found[0].until;
    if (e->user_expired && (binding == CONFIG_BINDING_REWRITE || binding == CONFIG_BINDING_AUTO))
        refuse(e, EXPLAIN_LOGIN, REASON_USER_EXPIRED);
}

/* The gate asks the rules again when PPP has shown the user, if one of them has a user. */
static void judge_login(struct explanation *e)
{
    const char *user = e->query->user;
    struct rules_facts facts = request_facts(e);

    if (is_banned(e))
        refuse(e, EXPLAIN_LOGIN, REASON_USER_BANNED);
    else if (rules_needs_user(&e->listener->rules)) {
        facts.user = span_str(user == NULL ? "" : user);
        facts.user_known = user == NULL    ? RULES_USER_LATER
                           : *user == '\0' ? RULES_USER_DOUBTFUL
                                           : RULES_USER_KNOWN;
        const enum judgement j = judge(e, EXPLAIN_LOGIN, &facts);
        if (j != JUDGEMENT_PASS && j != JUDGEMENT_OVERRULED)
            refuse(e, EXPLAIN_LOGIN, REASON_USER_DENIED);
    }
    if (e->live != NULL && e->limits.user_full)
        refuse(e, EXPLAIN_LOGIN, REASON_USER_LIMIT);
    if (!e->overruled)
        e->missing |= missing_of(&e->steps, &e->answer);
    if (e->users != NULL && user != NULL && *user != '\0')
        find_line(e, span_str(user));
}

static void judge_all(struct explanation *e)
{
    void (*const phases[])(struct explanation *) = {judge_accept, judge_handshake, judge_request,
                                                    choose_backend, judge_login};

    for (size_t i = 0; i < sizeof phases / sizeof *phases && !is_over(e); i++)
        phases[i](e);
    e->verdict = is_over(e)        ? EXPLAIN_REFUSED
                 : e->missing != 0 ? EXPLAIN_DEPENDS
                                   : EXPLAIN_ADMITTED;
}

/* ---- the question ---- */

static bool find_listener(struct explanation *e, char error[EXPLAIN_ERROR_MAX])
{
    const struct config *c = e->snapshot->config;
    char suggestion[SUGGEST_TEXT];

    e->listener = config_find_listener(c, e->query->listener, suggestion);
    if (e->listener == NULL) {
        snprintf(error, EXPLAIN_ERROR_MAX, "there is no listener '%.100s'%s", e->query->listener,
                 suggestion);
        return false;
    }
    e->listener_index = (size_t)(e->listener - c->listener);
    return true;
}

enum explain_verdict explain_client(const struct snapshot *snapshot,
                                    const struct explain_state *live, int64_t now,
                                    const struct explain_query *query, FILE *out,
                                    char error[EXPLAIN_ERROR_MAX])
{
    struct explanation e = {.snapshot = snapshot, .live = live, .query = query, .now = now};

    if (!find_listener(&e, error))
        return EXPLAIN_FAILED;
    if (query->at != NULL && !explain_query_time(query->at, &e.listener->rules, &e.now, error))
        return EXPLAIN_FAILED;
    judge_all(&e);
    explain_print(&e, out);
    steps_free(&e.steps);
    steps_free(&e.route_steps);
    return e.verdict;
}

int explain_file(const char *config, char *const *words, size_t n, FILE *out, FILE *problems)
{
    enum { USAGE = 2 };
    char error[EXPLAIN_ERROR_MAX];
    struct explain_query q;

    const bool good = explain_query_read(words, n, &q, error);
    if (!good || q.new_file != NULL) {
        fprintf(problems, "sstpgate explain: %s\n",
                good ? "--new needs a running gate: sstpgate ctl explain" : error);
        return USAGE;
    }
    struct snapshot *s = snapshot_load(config, NULL, problems);
    enum explain_verdict v = EXPLAIN_FAILED;
    if (s != NULL && s->sound) {
        v = explain_client(s, NULL, time(NULL), &q, out, error);
        if (v == EXPLAIN_FAILED)
            fprintf(problems, "sstpgate explain: %s\n", error);
    } else if (s != NULL) {
        fputs("sstpgate explain: the configuration has errors, see above\n", problems);
    }
    snapshot_unref(s);
    return (int)v;
}
