#include "control/report_calls.h"

#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "call/failures.h"
#include "call/reason_words.h"
#include "call/tunnels.h"
#include "gate/gate_state.h"
#include "control/report_rows.h"

enum { ID_SIZE = 48, IPV4_SIZE = 16 };

static const char *id_text(unsigned worker, uint64_t number, char out[ID_SIZE])
{
    (void)snprintf(out, ID_SIZE, "%u-%llu", worker, (unsigned long long)number);
    return out;
}

static const char *client_text(const struct addr *client, char out[ADDR_TEXT_MAX])
{
    return client->family == 0 ? NULL : addr_format(client, out);
}

/* ---- tunnels ---- */

static const char *const tunnel_columns[] = {
    "id",           "user",    "client",    "assigned",       "listener",       "backend",
    "server",       "start",   "duration",  "up_bytes",       "up_packets",     "down_bytes",
    "down_packets", "up_rate", "down_rate", "method",         "binding",        "hash",
    "key",          "tls",     "cipher",    "client_records", "server_records", "host",
    "sni",          NULL};

/* One worker's part. */
struct tunnels_part {
    struct tunnels list;
    const struct call_filter *filter;
};

static void part_collect(struct calls *calls, void *part)
{
    struct tunnels_part *p = part;
    tunnels_collect(&p->list, &calls->set, p->filter);
}

/* Orders tunnels by age, oldest first; of equal age by id, so that pages are stable. */
static int compare_age(const void *a, const void *b)
{
    const struct tunnel_facts *x = *(const struct tunnel_facts *const *)a;
    const struct tunnel_facts *y = *(const struct tunnel_facts *const *)b;

    if (x->age_ms != y->age_ms)
        return x->age_ms > y->age_ms ? -1 : 1;
    if (x->worker != y->worker)
        return x->worker < y->worker ? -1 : 1;
    return x->number < y->number ? -1 : x->number > y->number;
}

static const char *assigned_text(const uint8_t ip[4], char out[IPV4_SIZE])
{
    static const uint8_t unknown[4];

    if (memcmp(ip, unknown, sizeof unknown) == 0)
        return NULL;
    (void)snprintf(out, IPV4_SIZE, "%u.%u.%u.%u", ip[0], ip[1], ip[2], ip[3]);
    return out;
}

static void tunnel_row(struct report_rows *rows, const struct tunnel_facts *t, int64_t now)
{
    char id[ID_SIZE], client[ADDR_TEXT_MAX], assigned[IPV4_SIZE], start[REPORT_TIME_SIZE];
    const struct report_field row[] = {
        report_str(id_text(t->worker, t->number, id)),
        report_str(t->user),
        report_str(client_text(&t->client, client)),
        report_str(assigned_text(t->assigned, assigned)),
        report_str(t->listener),
        report_str(t->backend),
        report_str(t->server),
        report_str(report_time(now - (int64_t)t->age_ms, start)),
        report_ms(t->age_ms),
        report_int(t->up.octets),
        report_int(t->up.packets),
        report_int(t->down.octets),
        report_int(t->down.packets),
        report_int(t->up_rate),
        report_int(t->down_rate),
        report_str(t->method),
        report_str(t->binding),
        report_str(t->hash),
        report_str(t->key),
        report_str(t->tls),
        report_str(t->cipher),
        report_str(t->client_records),
        report_str(t->server_records),
        report_str(t->host),
        report_str(t->sni),
    };
    report_rows_add(rows, row);
}

/* Writes the tunnels of all parts in their order. */
static void tunnel_rows(struct report_rows *rows, struct tunnels_part *part, size_t parts)
{
    const int64_t now = report_now();
    size_t count = 0, n = 0;

    for (size_t i = 0; i < parts; i++)
        count += part[i].list.count;
    const struct tunnel_facts **all = insist_alloc(calloc(count + 1, sizeof(void *)));
    for (size_t i = 0; i < parts; i++)
        for (const struct tunnel_facts *t = part[i].list.first; t != NULL; t = t->next)
            all[n++] = t;
    qsort(all, n, sizeof *all, compare_age);
    for (size_t i = 0; i < n; i++) {
        if (report_rows_wanted(rows))
            tunnel_row(rows, all[i], now);
        else
            report_rows_skip(rows);
    }
    free(all);
}

void report_tunnels(struct gate *gate, const struct report_query *q, enum report_form form,
                    FILE *out)
{
    struct tunnels_part *part = insist_alloc(calloc(gate->workers, sizeof *part));
    /* The kernel spreads the calls over the workers, but not exactly. */
    const size_t each = atomic_load(&gate->shared.tunnels) * 5 / 4 / gate->workers;
    struct report_rows rows;

    for (size_t i = 0; i < gate->workers; i++) {
        tunnels_init(&part[i].list);
        if (!filter_is_set(&q->filter))
            tunnels_reserve(&part[i].list, each);
        part[i].filter = &q->filter;
    }
    gate_call_workers(gate, part_collect, part, sizeof *part);
    report_rows_begin(&rows, tunnel_columns, q, form, out);
    tunnel_rows(&rows, part, gate->workers);
    report_rows_end(&rows);
    for (size_t i = 0; i < gate->workers; i++)
        tunnels_fini(&part[i].list);
    free(part);
}

/* ---- failures ---- */

static const char *const failure_columns[] = {
    "time",  "id",     "listener", "client", "user",   "host",    "sni",    "outcome",
    "stage", "reason", "words",    "remedy", "detail", "backend", "server", NULL};

static void failure_row(void *arg, const struct failure *f)
{
    struct report_rows *rows = arg;
    char time[REPORT_TIME_SIZE], id[ID_SIZE], client[ADDR_TEXT_MAX];
    const struct call_facts facts = {.worker = f->worker,
                                     .number = f->number,
                                     .client = f->client.family == 0 ? NULL : &f->client,
                                     .user = f->user,
                                     .listener = f->listener,
                                     .backend = f->backend,
                                     .server = f->server};

    if (!filter_matches(&rows->query->filter, &facts))
        return;
    const struct report_field row[] = {
        report_str(report_time(f->time_ms, time)),
        report_str(id_text(f->worker, f->number, id)),
        report_str(f->listener),
        report_str(client_text(&f->client, client)),
        report_str(f->user),
        report_str(f->host),
        report_str(f->sni),
        report_str(f->outcome == OUTCOME_REFUSED ? "refused" : "failed"),
        report_str(f->stage),
        report_str(reason_info(f->reason)->name),
        report_str(reason_words(f->reason)->words),
        report_str(reason_words(f->reason)->remedy),
        report_str(f->detail),
        report_str(f->backend),
        report_str(f->server),
    };
    report_rows_add(rows, row);
}

void report_failures(struct gate *gate, const struct report_query *q, enum report_form form,
                     FILE *out)
{
    struct report_rows rows;

    report_rows_begin(&rows, failure_columns, q, form, out);
    failures_each(gate->shared.failures, failure_row, &rows);
    report_rows_end(&rows);
}
