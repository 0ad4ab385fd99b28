#include "control/report_site.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "base/hex.h"
#include "base/insist.h"
#include "call/tally.h"
#include "gate/bans.h"
#include "gate/gate_state.h"
#include "gate/totals.h"
#include "control/report_rows.h"
#include "policy/backends.h"
#include "policy/limits.h"
#include "policy/limits_bans.h"
#include "site/site.h"
#include "site/snapshot.h"
#include "tls/tls_ctx.h"
#include "tls/tls_facts.h"

/* ---- listeners ---- */

static const char *const listener_columns[] = {
    "name",    "addresses", "tunnels", "calls", "mode", "certificate_expires", "certificate_days",
    "backend", NULL};

struct listener_count {
    unsigned tunnels, calls;
};

/* One worker's part: the counts by listener of the configuration. */
struct counts_part {
    const struct config *config;
    struct listener_count *count;
};

/* Returns the index of the listener with this name; the number of listeners: there is none, because
 * the call began before a reload. */
static size_t listener_find(const struct config *c, const char *name)
{
    size_t i = 0;

    while (i < c->listener_count && strcmp(c->listener[i].name, name) != 0)
        i++;
    return i;
}

static void part_count(struct calls *calls, void *part)
{
    struct counts_part *p = part;
    const char *last = NULL;
    const struct call *call;
    size_t at = 0;

    for (int state = 0; state < CALL_CLOSED; state++)
        DL_FOREACH(calls->set.list[state], call) {
            if (call->record.listener != last)
                at = listener_find(p->config, call->record.listener);
            last = call->record.listener;
            p->count[at].calls++;
            p->count[at].tunnels += state == CALL_RELAY;
        }
}

/* Counts the calls of each listener; the result has one element more than there are listeners. */
static struct listener_count *count_calls(struct gate *gate)
{
    const struct config *c = gate->snapshot->config;
    const size_t n = c->listener_count + 1;
    struct counts_part *part = insist_alloc(calloc(gate->workers, sizeof *part));
    struct listener_count *all = insist_alloc(calloc(n * gate->workers, sizeof *all));

    for (size_t i = 0; i < gate->workers; i++)
        part[i] = (struct counts_part){c, all + i * n};
    gate_call_workers(gate, part_count, part, sizeof *part);
    for (size_t i = 1; i < gate->workers; i++)
        for (size_t k = 0; k < n; k++) {
            all[k].calls += all[i * n + k].calls;
            all[k].tunnels += all[i * n + k].tunnels;
        }
    free(part);
    return all;
}

/* Returns the addresses of a listener, which the caller frees with their texts; *count: their
 * number. */
static char **addresses_of(const struct gate *gate, size_t listener, size_t *count)
{
    char **text = insist_alloc(calloc(gate->sockets.count + 1, sizeof *text));
    char one[ADDR_TEXT_MAX];

    *count = 0;
    for (size_t i = 0; i < gate->sockets.count; i++)
        if (gate->sockets.item[i].listener == listener)
            text[(*count)++] = insist_alloc(strdup(addr_format(&gate->sockets.item[i].bound, one)));
    return text;
}

static void earliest(void *arg, const struct tls_expiry *e)
{
    time_t *until = arg;
    if (*until == 0 || e->until < *until)
        *until = e->until;
}

static int64_t days_left(time_t until, time_t now)
{
    struct tls_expiry e;

    tls_expiry_set(&e, until, now);
    return e.days_left;
}

static void listener_row(struct report_rows *rows, const struct gate *gate, size_t i,
                         const struct listener_count *count)
{
    const struct config_listener *c = &gate->snapshot->config->listener[i];
    const time_t now = time(NULL);
    char expires[REPORT_TIME_SIZE];
    time_t until = 0;
    size_t n;

    tls_ctx_expiry(gate->site->listener[i].tls, now, earliest, &until);
    char **address = addresses_of(gate, i, &n);
    const struct report_field row[] = {
        report_str(c->name),
        report_strs(address, n),
        report_int(count->tunnels),
        report_int(count->calls),
        report_str(c->dry_run ? "dry-run" : "enforce"),
        report_str(report_time((int64_t)until * 1000, expires)),
        report_int((uint64_t)days_left(until, now)),
        report_str(c->backend == NULL ? NULL : c->backend->name),
    };
    report_rows_add(rows, row);
    while (n > 0)
        free(address[--n]);
    free(address);
}

static bool wants_listener(const struct report_query *q, const char *name)
{
    return q->filter.listener == NULL || strcmp(q->filter.listener, name) == 0;
}

void report_listeners(struct gate *gate, const struct report_query *q, enum report_form form,
                      FILE *out)
{
    struct listener_count *count = count_calls(gate);
    const struct config *c = gate->snapshot->config;
    struct report_rows rows;

    report_rows_begin(&rows, listener_columns, q, form, out);
    for (size_t i = 0; i < c->listener_count; i++)
        if (wants_listener(q, c->listener[i].name))
            listener_row(&rows, gate, i, &count[i]);
    report_rows_end(&rows);
    free(count);
}

/* ---- certificates ---- */

static const char *const certificate_columns[] = {
    "listener",  "file", "subject", "names",  "issuer",      "serial", "not_before",
    "not_after", "days", "key",     "staple", "leaf_sha256", NULL};

struct certificates {
    struct report_rows *rows;
    const char *listener;
};

static void certificate_row(void *arg, const struct tls_expiry *e, const struct tls_facts *f)
{
    const struct certificates *c = arg;
    char from[REPORT_TIME_SIZE], until[REPORT_TIME_SIZE], sha256[2 * sizeof f->sha256 + 1] = "";

    hex_write(sha256, f->sha256, sizeof f->sha256);
    const struct report_field row[] = {
        report_str(c->listener),
        report_str(e->file),
        report_str(f->subject),
        report_strs(f->name, f->name_count),
        report_str(f->issuer),
        report_str(f->serial),
        report_str(report_time((int64_t)f->from * 1000, from)),
        report_str(report_time((int64_t)f->until * 1000, until)),
        report_int((uint64_t)(int64_t)e->days_left),
        report_str(f->key),
        report_str(tls_staple_word(e->staple)),
        report_str(sha256),
    };
    report_rows_add(c->rows, row);
}

void report_certificates(struct gate *gate, const struct report_query *q, enum report_form form,
                         FILE *out)
{
    const struct site *site = gate->site;
    struct report_rows rows;

    report_rows_begin(&rows, certificate_columns, q, form, out);
    for (size_t i = 0; i < site->config->listener_count; i++) {
        struct certificates c = {&rows, site->config->listener[i].name};
        if (wants_listener(q, c.listener))
            tls_ctx_facts(site->listener[i].tls, time(NULL), certificate_row, &c);
    }
    report_rows_end(&rows);
}

/* ---- servers ---- */

static const char *const server_columns[] = {"backend", "server",  "state",         "since",
                                             "cause",   "tunnels", "max_tunnels",   "weight",
                                             "backup",  "check",   "check_seconds", NULL};

const char *report_check_word(enum config_check check)
{
    static const char *const words[] = {[CONFIG_CHECK_NO] = "no",
                                        [CONFIG_CHECK_TCP] = "tcp",
                                        [CONFIG_CHECK_TLS] = "tls",
                                        [CONFIG_CHECK_HTTP] = "http",
                                        [CONFIG_CHECK_SSTP] = "sstp"};
    return words[check];
}

static void server_row(struct report_rows *rows, const struct gate *gate, size_t backend, size_t i)
{
    const struct config_backend *c = &gate->snapshot->config->backend[backend];
    const struct backends_server *s = &c->servers.item[i];
    char name[BACKENDS_NAME_MAX];
    struct backends_state state;
    const struct call_facts facts = {
        .backend = c->name, .server = backends_name(gate->snapshot->servers[backend], i, name)};
    const struct call_filter only = {.server = rows->query->filter.server};

    if (!filter_matches(&only, &facts))
        return;
    backends_state(gate->snapshot->servers[backend], i, &state);
    const struct report_field row[] = {
        report_str(c->name),
        report_str(name),
        report_str(state.draining ? "drain"
                   : state.up     ? "up"
                                  : "down"),
        state.changed_ms == 0 ? report_null() : report_ms(uv_now(&gate->loop) - state.changed_ms),
        report_str(state.cause),
        report_int(state.tunnels),
        s->max_tunnels == 0 ? report_null() : report_int(s->max_tunnels),
        report_int(s->weight),
        report_bool(s->backup),
        report_str(report_check_word(c->check)),
        state.check_ms == UINT64_MAX ? report_null() : report_ms(state.check_ms),
    };
    report_rows_add(rows, row);
}

void report_servers(struct gate *gate, const struct report_query *q, enum report_form form,
                    FILE *out)
{
    const struct config *c = gate->snapshot->config;
    struct report_rows rows;

    report_rows_begin(&rows, server_columns, q, form, out);
    for (size_t i = 0; i < c->backend_count; i++)
        for (size_t k = 0; k < c->backend[i].servers.count; k++)
            server_row(&rows, gate, i, k);
    report_rows_end(&rows);
}

/* ---- bans and limits ---- */

static const char *const ban_columns[] = {"net", "user", "left", "cause", NULL};

static void ban_row(void *arg, const struct limits_ban *ban)
{
    struct report_rows *rows = arg;
    char net[ADDR_TEXT_MAX];
    const struct report_field row[] = {
        report_str(ban->user == NULL ? cidr_format(&ban->net, net) : NULL),
        report_str(ban->user),
        report_int((ban->left_ms + 999) / 1000),
        report_str(ban->manual ? "manual" : "points"),
    };
    report_rows_add(rows, row);
}

void report_bans(struct gate *gate, const struct report_query *q, enum report_form form, FILE *out)
{
    struct report_rows rows;

    report_rows_begin(&rows, ban_columns, q, form, out);
    limits_bans(gate->shared.limits, bans_now_ms(), ban_row, &rows);
    report_rows_end(&rows);
}

static const char *const limit_columns[] = {"name", "limit", "used", "hits", NULL};

struct limit_rows {
    struct report_rows rows;
    const struct tally *sum; /* of all workers */
};

/* limit 0: none. */
static void limit_row(struct limit_rows *l, enum tally_limit which, double limit,
                      struct report_field used)
{
    const struct report_field row[] = {
        report_str(tally_limit_name(which)),
        limit == 0 ? report_null() : report_real(limit),
        used,
        report_int(tally_get(&l->sum->gate.limits[which])),
    };
    report_rows_add(&l->rows, row);
}

/* Returns the events per second that a rate allows. */
static double per_second(const struct rate *r)
{
    return r->count == 0 ? 0 : (double)r->count * 1000 / r->per_ms;
}

void report_limits(struct gate *gate, const struct report_query *q, enum report_form form,
                   FILE *out)
{
    const struct config_gate *g = &gate->snapshot->config->gate;
    const struct limits_settings *c = &g->limits;
    struct limits_counts counts;
    struct limit_rows l;
    struct tally sum;

    limits_count(gate->shared.limits, &counts);
    totals_sum(gate, &sum);
    l.sum = &sum;
    report_rows_begin(&l.rows, limit_columns, q, form, out);
    limit_row(&l, TALLY_LIMIT_CALLS, atomic_load(&gate->shared.max),
              report_int(atomic_load(&gate->shared.count)));
    limit_row(&l, TALLY_LIMIT_HANDSHAKES, g->handshakes_at_once, report_null());
    limit_row(&l, (enum tally_limit)LIMITS_RATE, per_second(&c->rate), report_null());
    limit_row(&l, (enum tally_limit)LIMITS_RATE_PER_ADDRESS, per_second(&c->rate_per_address),
              report_null());
    limit_row(&l, (enum tally_limit)LIMITS_PER_ADDRESS, c->tunnels_per_address, report_null());
    limit_row(&l, (enum tally_limit)LIMITS_PER_USER, c->tunnels_per_user, report_null());
    limit_row(&l, (enum tally_limit)LIMITS_BANNED, c->ban_points, report_int(counts.bans));
    limit_row(&l, TALLY_LIMIT_FILES, 0, report_null());
    limit_row(&l, TALLY_LIMIT_SERVERS, 0, report_null());
    report_rows_end(&l.rows);
    tally_fini(&sum);
}
