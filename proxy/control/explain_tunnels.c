#include "control/explain_tunnels.h"

#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "base/json.h"
#include "base/log_text.h"
#include "base/memo.h"
#include "gate/gate_state.h"
#include "site/site.h"
#include "site/snapshot.h"

/* A tunnel whose client the new configuration would not admit again. */
struct row {
    unsigned worker;
    uint64_t number;
    struct addr client;
    char *user, *server; /* owned; NULL: unknown */
    char *listener;      /* owned */
    enum judgement_recheck recheck;
    struct rules_answer answer;
};

/* The tunnels of one worker. */
struct part {
    struct worker_call call;
    const struct calls *calls;
    const struct config *next;
    size_t count[RECHECK_ENDS + 1];
    struct row *row;
    size_t rows;
};

/* ---- in the worker's thread ---- */

static char *copy(const char *text)
{
    return text == NULL ? NULL : insist_alloc(strdup(text));
}

static void on_call(void *arg, const struct call *call, enum judgement_recheck recheck,
                    const struct rules_answer *answer)
{
    struct part *p = arg;

    p->count[recheck]++;
    if (recheck == RECHECK_STAYS)
        return;
    p->row = insist_alloc(reallocarray(p->row, p->rows + 1, sizeof *p->row));
    p->row[p->rows++] = (struct row){.worker = call->record.worker,
                                     .number = call->record.number,
                                     .client = call->record.client,
                                     .user = copy(call->record.user),
                                     .server = copy(call->record.server),
                                     .listener = copy(call->record.listener),
                                     .recheck = recheck,
                                     .answer = *answer};
}

static void part_judge(void *arg)
{
    struct part *p = arg;
    calls_judge(p->calls, p->next, on_call, p);
}

/* ---- in the main thread ---- */

static void part_free(struct part *p)
{
    for (size_t i = 0; i < p->rows; i++) {
        free(p->row[i].user);
        free(p->row[i].server);
        free(p->row[i].listener);
    }
    free(p->row);
}

static void judge_tunnels(struct gate *gate, const struct config *next, struct part *part)
{
    for (size_t i = 0; i < gate->workers; i++) {
        part[i].calls = &gate->worker[i].calls;
        part[i].next = next;
        worker_call_start(&part[i].call, &gate->worker[i].worker, part_judge, &part[i]);
    }
    for (size_t i = 0; i < gate->workers; i++)
        worker_call_wait(&part[i].call);
}

/* ---- the two forms ---- */

static const char *const outcomes[] = {[RECHECK_STAYS] = "stays",
                                       [RECHECK_NO_LISTENER] = "without-listener",
                                       [RECHECK_TOLERATED] = "stays-denied",
                                       [RECHECK_ENDS] = "ends"};

/* Writes why a tunnel is in the list. */
static void write_why(const struct config *next, const struct row *r, FILE *out)
{
    const struct config_listener *l = next->listener;

    if (r->recheck == RECHECK_NO_LISTENER) {
        fputs("the listener is removed; its tunnels stay", out);
        return;
    }
    while (strcmp(l->name, r->listener) != 0)
        l++;
    if (r->answer.rule == 0)
        fprintf(out, "%s:%u: default = deny", next->path, config_line(next, l, "default"));
    else
        fprintf(out, "%s:%u: %s = %s", next->path, rules_line(&l->rules, r->answer.rule - 1),
                rules_key(&l->rules, r->answer.rule - 1),
                rules_text(&l->rules, r->answer.rule - 1));
    if (r->recheck == RECHECK_TOLERATED)
        fputs(l->dry_run ? " (mode = dry-run)" : " (recheck-tunnels = no)", out);
}

/* Writes a field in the form of log_text.h, so that no name can imitate another field. */
static void write_field(const char *value, FILE *out)
{
    struct span rest = span_str(value == NULL ? "-" : value);
    char c[LOG_TEXT_MAX];

    if (value == NULL || log_text_is_plain(rest)) {
        fputs(value == NULL ? "-" : value, out);
        return;
    }
    fputc('"', out);
    while (rest.n > 0)
        fwrite(c, 1, log_text_take(&rest, c), out);
    fputc('"', out);
}

static void write_row(const struct config *next, const struct row *r, FILE *out)
{
    char text[ADDR_TEXT_MAX];

    fprintf(out, "%u-%llu\t", r->worker, (unsigned long long)r->number);
    write_field(r->user, out);
    fprintf(out, "\t%s\t%s\t", addr_format(&r->client, text), r->listener);
    write_field(r->server, out);
    fprintf(out, "\t%s\t", outcomes[r->recheck]);
    write_why(next, r, out);
    fputc('\n', out);
}

static void json_text(struct json *j, const char *key, const char *value)
{
    json_key(j, key);
    json_str(j, value);
}

static void json_row(struct json *j, const struct config *next, const struct row *r)
{
    char text[ADDR_TEXT_MAX], id[32];
    struct memo why;

    (void)snprintf(id, sizeof id, "%u-%llu", r->worker, (unsigned long long)r->number);
    write_why(next, r, memo_open(&why));
    json_object_begin(j);
    json_text(j, "id", id);
    json_text(j, "user", r->user);
    json_text(j, "client", addr_format(&r->client, text));
    json_text(j, "listener", r->listener);
    json_text(j, "server", r->server);
    json_text(j, "outcome", outcomes[r->recheck]);
    json_text(j, "why", memo_text(&why));
    json_object_end(j);
    memo_free(&why);
}

static void json_count(struct json *j, const char *key, size_t n)
{
    json_key(j, key);
    json_u64(j, n);
}

static void write_json(const struct config *next, const struct part *part, size_t parts,
                       const size_t count[RECHECK_ENDS + 1], FILE *out)
{
    struct json j = json_to(out);

    json_object_begin(&j);
    json_text(&j, "configuration", next->path);
    json_count(&j, "tunnels",
               count[RECHECK_STAYS] + count[RECHECK_NO_LISTENER] + count[RECHECK_TOLERATED] +
                   count[RECHECK_ENDS]);
    json_count(&j, "ends", count[RECHECK_ENDS]);
    json_count(&j, "stays_denied", count[RECHECK_TOLERATED]);
    json_count(&j, "without_listener", count[RECHECK_NO_LISTENER]);
    json_key(&j, "items");
    json_array_begin(&j);
    for (size_t i = 0; i < parts; i++)
        for (size_t k = 0; k < part[i].rows; k++)
            json_row(&j, next, &part[i].row[k]);
    json_array_end(&j);
    json_object_end(&j);
    fputc('\n', out);
}

static void write_text(const struct config *next, const struct part *part, size_t parts,
                       const size_t count[RECHECK_ENDS + 1], FILE *out)
{
    fprintf(out,
            "configuration: %s\ntunnels: %zu\nends: %zu\nstays-denied: %zu\n"
            "without-listener: %zu\n",
            next->path,
            count[RECHECK_STAYS] + count[RECHECK_NO_LISTENER] + count[RECHECK_TOLERATED] +
                count[RECHECK_ENDS],
            count[RECHECK_ENDS], count[RECHECK_TOLERATED], count[RECHECK_NO_LISTENER]);
    if (count[RECHECK_ENDS] + count[RECHECK_TOLERATED] + count[RECHECK_NO_LISTENER] > 0)
        fputs("id\tuser\tclient\tlistener\tserver\toutcome\twhy\n", out);
    for (size_t i = 0; i < parts; i++)
        for (size_t k = 0; k < part[i].rows; k++)
            write_row(next, &part[i].row[k], out);
}

static void answer(struct gate *gate, const struct config *next, bool json, FILE *out)
{
    struct part *part = insist_alloc(calloc(gate->workers, sizeof *part));
    size_t count[RECHECK_ENDS + 1] = {0};

    judge_tunnels(gate, next, part);
    for (size_t i = 0; i < gate->workers; i++)
        for (size_t k = 0; k <= RECHECK_ENDS; k++)
            count[k] += part[i].count[k];
    if (json)
        write_json(next, part, gate->workers, count, out);
    else
        write_text(next, part, gate->workers, count, out);
    for (size_t i = 0; i < gate->workers; i++)
        part_free(&part[i]);
    free(part);
}

const char *explain_tunnels(struct gate *gate, const char *path, bool json, FILE *out)
{
    if (gate->phase != SERVING)
        return "the gate is shutting down";
    struct snapshot *next = snapshot_load(path, NULL, out);
    struct site *site = next == NULL ? NULL : site_new(next, out); /* reports certificates */
    const bool usable = site != NULL && next->sound;

    if (usable)
        answer(gate, next->config, json, out);
    site_unref(site);
    snapshot_unref(next);
    return usable ? NULL : "a reload would not accept this configuration, so no tunnel would end";
}
