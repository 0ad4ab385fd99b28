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

const char *const report_tunnel_columns[] = {
    "id",           "user",    "client",    "assigned",       "listener",       "backend",
    "server",       "start",   "duration",  "up_bytes",       "up_packets",     "down_bytes",
    "down_packets", "up_rate", "down_rate", "method",         "binding",        "hash",
    "key",          "tls",     "cipher",    "client_records", "server_records", "host",
    "sni",          NULL};

const enum report_type report_tunnel_types[] = {
    REPORT_STR, REPORT_STR,  REPORT_STR, REPORT_STR, REPORT_STR, REPORT_STR, REPORT_STR,
    REPORT_STR, REPORT_REAL, REPORT_INT, REPORT_INT, REPORT_INT, REPORT_INT, REPORT_INT,
    REPORT_INT, REPORT_STR,  REPORT_STR, REPORT_STR, REPORT_STR, REPORT_STR, REPORT_STR,
    REPORT_STR, REPORT_STR,  REPORT_STR, REPORT_STR};

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

uint64_t report_tunnels_age(const struct report_tunnels *list, size_t i)
{
    const uint64_t age = list->item[i]->age_ms;
    return age > list->shift_ms ? age - list->shift_ms : 0;
}

void report_tunnels_row(const struct report_tunnels *list, size_t i,
                        void (*use)(void *to, const struct report_field *row), void *to)
{
    const struct tunnel_facts *t = list->item[i];
    char id[ID_SIZE], client[ADDR_TEXT_MAX], assigned[IPV4_SIZE], start[REPORT_TIME_SIZE];
    const struct report_field row[REPORT_TUNNEL_COLUMNS] = {
        report_str(id_text(t->worker, t->number, id)),
        report_str(t->user),
        report_str(client_text(&t->client, client)),
        report_str(assigned_text(t->assigned, assigned)),
        report_str(t->listener),
        report_str(t->backend),
        report_str(t->server),
        report_str(report_time(list->now - (int64_t)t->age_ms, start)),
        report_ms(report_tunnels_age(list, i)),
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
    use(to, row);
}

/* Prepares a part for each worker. */
static void parts_init(struct report_tunnels *list, const struct gate *gate,
                       const struct call_filter *filter)
{
    /* The kernel spreads the calls over the workers, but not exactly. */
    const size_t each = atomic_load(&gate->shared.tunnels) * 5 / 4 / gate->workers;

    *list = (struct report_tunnels){
        .parts = gate->workers,
    };
    list->part = insist_alloc(calloc(gate->workers, sizeof *list->part));
    for (size_t i = 0; i < gate->workers; i++) {
        tunnels_init(&list->part[i].list);
        if (!filter_is_set(filter))
            tunnels_reserve(&list->part[i].list, each);
        list->part[i].filter = filter;
    }
}

void report_tunnels_collect(struct report_tunnels *list, struct gate *gate,
                            const struct call_filter *filter, uint64_t since_ms)
{
    size_t n = 0;

    parts_init(list, gate, filter);
    gate_call_workers(gate, part_collect, list->part, sizeof *list->part);
    list->now = report_now();
    list->shift_ms = since_ms == 0 ? 0 : uv_hrtime() / 1000000 - since_ms;
    for (size_t i = 0; i < list->parts; i++)
        list->count += list->part[i].list.count;
    list->item = insist_alloc(calloc(list->count + 1, sizeof(void *)));
    for (size_t i = 0; i < list->parts; i++)
        for (const struct tunnel_facts *t = list->part[i].list.first; t != NULL; t = t->next)
            list->item[n++] = t;
    qsort(list->item, n, sizeof *list->item, compare_age);
}

void report_tunnels_fini(struct report_tunnels *list)
{
    for (size_t i = 0; i < list->parts; i++)
        tunnels_fini(&list->part[i].list);
    free(list->part);
    free(list->item);
}

static void row_add(void *to, const struct report_field *row)
{
    report_rows_add(to, row);
}

void report_tunnels(struct gate *gate, const struct report_query *q, enum report_form form,
                    FILE *out)
{
    struct report_tunnels list;
    struct report_rows rows;

    report_tunnels_collect(&list, gate, &q->filter, 0);
    report_rows_begin(&rows, report_tunnel_columns, q, form, out);
    for (size_t i = 0; i < list.count; i++) {
        if (report_rows_wanted(&rows))
            report_tunnels_row(&list, i, row_add, &rows);
        else
            report_rows_skip(&rows);
    }
    report_rows_end(&rows);
    report_tunnels_fini(&list);
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
