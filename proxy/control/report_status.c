#include "control/report_status.h"

#include <stdatomic.h>
#include <unistd.h>

#include "base/files.h"
#include "base/log.h"
#include "base/version.h"
#include "control/report_gates.h"
#include "gate/gate_state.h"
#include "control/report_rows.h"
#include "policy/limits.h"
#include "site/snapshot.h"
#include "tls/aead.h"
#include "tls/tls_conn.h"

static const char *phase_word(const struct gate *gate)
{
    static const char *const words[] = {
        [SERVING] = "serving", [DRAINING] = "draining", [STOPPING] = "stopping"};
    return words[gate->phase];
}

static uint64_t uptime_ms(const struct gate *gate)
{
    return uv_now(&gate->loop) - gate->started_ms;
}

static const char *records_word(const struct gate *gate)
{
    return gate->snapshot->config->gate.own_records ? "auto" : "openssl";
}

/* ---- text ---- */

static void print_reload(const struct gate *gate, FILE *out)
{
    char when[sizeof "2026-01-01T00:00:00Z"];
    struct tm tm;

    if (gate->last_reload.when == 0) {
        fputs("reload: none\n", out);
        return;
    }
    gmtime_r(&gate->last_reload.when, &tm);
    if (strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        when[0] = '\0';
    fprintf(out, "reload: %s %s %s\n", gate->last_reload.ok ? "ok" : "failed", when,
            gate->last_reload.cause);
}

static void print_stale(void *out, const struct files_item *item)
{
    if (item->stale != NULL)
        fprintf(out, "stale: %s: %s\n", item->path, item->stale);
}

static void status_text(struct gate *gate, FILE *out)
{
    struct limits_counts counts;

    limits_count(gate->shared.limits, &counts);
    fprintf(out, "version: %s\npid: %ld\nstate: %s\nuptime: %llu\nworkers: %zu\n", version_text,
            (long)getpid(), phase_word(gate), (unsigned long long)(uptime_ms(gate) / 1000),
            gate->workers);
    fprintf(out, "old-tunnels: %u\n", gate->old_tunnels);
    fprintf(out, "calls: %u\ncalls-max: %u\nbans: %zu\n", atomic_load(&gate->shared.count),
            atomic_load(&gate->shared.max), counts.bans);
    fprintf(out, "configuration: %s%s\n", gate->path,
            snapshot_is_outdated(gate->snapshot) ? " (changed on disk, not loaded)" : "");
    fprintf(out, "sandbox: %s\n", gate->containment.text);
    fprintf(out, "tls-records: %s, ciphers of %s (%llu connections stayed with OpenSSL)\n",
            records_word(gate), aead_name(), (unsigned long long)tls_conn_kept());
    if (gate->snapshot->config->gate.key_log != NULL)
        fprintf(out, "key-log: %s (gets the keys of all TLS connections)\n",
                gate->snapshot->config->gate.key_log);
    report_gates_line(gate, out);
    print_reload(gate, out);
    files_each(gate->snapshot->files, print_stale, out);
    radius_service_print(&gate->radius, out);
}

/* ---- JSON ---- */

static void put(struct json *j, const char *key, struct report_field field)
{
    json_key(j, key);
    report_field_json(j, &field);
}

static void put_reload(struct json *j, const struct gate *gate)
{
    char time[REPORT_TIME_SIZE];

    json_key(j, "reload");
    if (gate->last_reload.when == 0) {
        json_null(j);
        return;
    }
    json_object_begin(j);
    put(j, "time", report_str(report_time((int64_t)gate->last_reload.when * 1000, time)));
    put(j, "ok", report_bool(gate->last_reload.ok));
    put(j, "cause", report_str(gate->last_reload.cause));
    json_object_end(j);
}

static void put_stale(void *arg, const struct files_item *item)
{
    struct json *j = arg;

    if (item->stale == NULL)
        return;
    json_object_begin(j);
    put(j, "file", report_str(item->path));
    put(j, "reason", report_str(item->stale));
    json_object_end(j);
}

static struct report_field history_field(const struct history_point *p, size_t which)
{
    switch (which) {
    case 0: return report_int(p->tunnels);
    case 1: return report_int(p->up_bytes);
    case 2: return report_int(p->down_bytes);
    case 3: return report_int(p->failures);
    default:
        return p->setups == 0 ? report_null()
                              : report_real((double)p->setup_ms / (double)p->setups / 1e3);
    }
}

static void put_history(struct json *j, const struct gate *gate)
{
    static const char *const names[] = {"tunnels", "up_bytes", "down_bytes", "failures",
                                        "tunnel_seconds"};
    const struct history *h = &gate->history;
    char time[REPORT_TIME_SIZE];

    json_key(j, "history");
    json_object_begin(j);
    put(j, "step", report_int(HISTORY_STEP));
    put(j, "time", report_str(report_time((int64_t)h->time * 1000, time)));
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
        json_key(j, names[k]);
        json_array_begin(j);
        for (size_t i = 0; i < h->count; i++) {
            const struct report_field field = history_field(history_at(h, i), k);
            report_field_json(j, &field);
        }
        json_array_end(j);
    }
    json_object_end(j);
}

static void put_counts(struct json *j, struct gate *gate)
{
    struct limits_counts counts;

    limits_count(gate->shared.limits, &counts);
    put(j, "workers", report_int(gate->workers));
    put(j, "calls", report_int(atomic_load(&gate->shared.count)));
    put(j, "calls_max", report_int(atomic_load(&gate->shared.max)));
    put(j, "tunnels", report_int(atomic_load(&gate->shared.tunnels)));
    put(j, "bans", report_int(counts.bans));
}

static void status_json(struct gate *gate, const struct report_query *q, FILE *out)
{
    struct json j = json_to(out);
    char started[REPORT_TIME_SIZE];

    json_object_begin(&j);
    put(&j, "version", report_str(version_text));
    put(&j, "pid", report_int((uint64_t)getpid()));
    put(&j, "state", report_str(phase_word(gate)));
    put(&j, "writable", report_bool(q->writable));
    put(&j, "started", report_str(report_time(report_now() - (int64_t)uptime_ms(gate), started)));
    put(&j, "uptime", report_ms(uptime_ms(gate)));
    put_counts(&j, gate);
    put(&j, "configuration", report_str(gate->path));
    put(&j, "configuration_outdated", report_bool(snapshot_is_outdated(gate->snapshot)));
    put_reload(&j, gate);
    json_key(&j, "stale_files");
    json_array_begin(&j);
    files_each(gate->snapshot->files, put_stale, &j);
    json_array_end(&j);
    put(&j, "sandbox", report_str(gate->containment.text));
    put(&j, "tls_records", report_str(records_word(gate)));
    put(&j, "tls_records_kept", report_int(tls_conn_kept()));
    put(&j, "key_log", report_str(gate->snapshot->config->gate.key_log));
    put(&j, "dropped_log_lines", report_int(log_dropped()));
    put(&j, "old_tunnels", report_int(gate->old_tunnels));
    json_key(&j, "shared");
    report_gates_json(gate, &j);
    put_history(&j, gate);
    json_object_end(&j);
}

void report_status(struct gate *gate, const struct report_query *q, enum report_form form,
                   FILE *out)
{
    if (form == REPORT_JSON)
        status_json(gate, q, out);
    else
        status_text(gate, out);
}
