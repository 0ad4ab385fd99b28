#include "gate/admin_commands.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/log.h"
#include "base/version.h"
#include "gate/bans.h"
#include "gate/gate_state.h"
#include "gate/metrics.h"
#include "gate/reload.h"
#include "policy/backends.h"
#include "policy/limits.h"
#include "site/snapshot.h"

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

static const char *on_status(void *arg, FILE *out)
{
    static const char *const phases[] = {
        [SERVING] = "serving", [DRAINING] = "draining", [STOPPING] = "stopping"};
    struct gate *gate = arg;
    struct limits_counts counts;

    limits_count(gate->shared.limits, &counts);
    fprintf(out, "version: %s\npid: %ld\nstate: %s\nuptime: %llu\nworkers: %zu\n", version_text,
            (long)getpid(), phases[gate->phase],
            (unsigned long long)((uv_now(&gate->loop) - gate->started_ms) / 1000), gate->workers);
    fprintf(out, "calls: %u\ncalls-max: %u\nbans: %zu\n", atomic_load(&gate->shared.count),
            atomic_load(&gate->shared.max), counts.bans);
    fprintf(out, "configuration: %s%s\n", gate->path,
            snapshot_is_outdated(gate->snapshot) ? " (changed on disk, not loaded)" : "");
    print_reload(gate, out);
    files_each(gate->snapshot->files, print_stale, out);
    radius_service_print(&gate->radius, out);
    return NULL;
}

static void print_ban(void *out, const struct limits_ban *ban)
{
    char text[ADDR_TEXT_MAX];
    fprintf(out, "%s %llu\n", cidr_format(&ban->net, text),
            (unsigned long long)((ban->left_ms + 999) / 1000));
}

static const char *on_bans(void *arg, FILE *out)
{
    struct gate *gate = arg;
    limits_bans(gate->shared.limits, bans_now_ms(), print_ban, out);
    return NULL;
}

static const char *on_unban(void *arg, const struct cidr *net, FILE *out)
{
    struct gate *gate = arg;
    size_t n = limits_lift(gate->shared.limits, net, bans_now_ms());
    bans_save(gate);
    fprintf(out, "%zu lifted\n", n);
    return n > 0 || net == NULL ? NULL : "no such ban";
}

static const char *on_reload(void *arg, FILE *out)
{
    struct gate *gate = arg;

    if (gate->phase != SERVING)
        return "the gate is shutting down";
    if (!reload(gate, "admin socket", out))
        return "nothing was changed; the old configuration stays in force";
    fputs("the new configuration is in force\n", out);
    return NULL;
}

/* ---- servers ---- */

static void print_server(const struct gate *gate, size_t backend, size_t server, FILE *out)
{
    static const char *const checks[] = {[CONFIG_CHECK_NO] = "no",
                                         [CONFIG_CHECK_TCP] = "tcp",
                                         [CONFIG_CHECK_TLS] = "tls",
                                         [CONFIG_CHECK_HTTP] = "http",
                                         [CONFIG_CHECK_SSTP] = "sstp"};
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
            checks[c->check]);
    if (state.changed_ms != 0)
        fprintf(out, " %s-since=%llus cause=\"%s\"", state.up ? "up" : "down",
                (unsigned long long)((uv_now(&gate->loop) - state.changed_ms) / 1000), state.cause);
    fputc('\n', out);
}

static const char *on_servers(void *arg, FILE *out)
{
    const struct gate *gate = arg;
    const struct config *c = gate->snapshot->config;

    for (size_t i = 0; i < c->backend_count; i++)
        for (size_t k = 0; k < c->backend[i].servers.count; k++)
            print_server(gate, i, k, out);
    return NULL;
}

static const char *on_metrics(void *arg, FILE *out)
{
    metrics_print(arg, out);
    return NULL;
}

/* Finds the server `name`: with its port, as `servers` prints it, or the host alone if only one
 * server has it. False: no server, or several. */
static bool find_server(const struct config_backend *c, const struct backends_group *g,
                        const char *name, size_t *server)
{
    char whole[BACKENDS_NAME_MAX];
    unsigned found = 0;

    for (size_t i = 0; i < c->servers.count; i++) {
        if (strcmp(backends_name(g, i, whole), name) == 0) {
            *server = i;
            return true;
        }
        if (strcmp(c->servers.item[i].host, name) == 0) {
            *server = i;
            found++;
        }
    }
    return found == 1;
}

static const char *set_drain(const struct gate *gate, const char *name, bool drain)
{
    const struct config *c = gate->snapshot->config;
    const size_t n = strcspn(name, "/");
    char whole[BACKENDS_NAME_MAX];
    struct log_line l;
    size_t i = 0, server;

    while (i < c->backend_count &&
           (strncmp(c->backend[i].name, name, n) != 0 || c->backend[i].name[n] != '\0'))
        i++;
    if (i == c->backend_count)
        return "no such backend; `servers` lists them";
    struct backends_group *g = gate->snapshot->servers[i];
    if (name[n] == '\0' || !find_server(&c->backend[i], g, name + n + 1, &server))
        return "no such server; `servers` lists them";
    if (!backends_drain(g, server, drain, bans_now_ms()))
        return drain ? "the server is already drained" : "the server is not drained";
    log_begin(&l, LOG_LEVEL_INFO, "server");
    log_str(&l, "backend", c->backend[i].name);
    log_str(&l, "server", backends_name(g, server, whole));
    log_str(&l, "state", drain ? "drain" : "ready");
    log_end(&l);
    return NULL;
}

static const char *on_ready(void *arg, const char *server, FILE *out)
{
    (void)out;
    return set_drain(arg, server, false);
}

static const char *on_drain(void *arg, const char *server, FILE *out)
{
    (void)out;
    if (server != NULL)
        return set_drain(arg, server, true);
    gate_drain(arg);
    return NULL;
}

/* ---- the log ---- */

static const char *on_log_level(void *arg, const char *name, FILE *out)
{
    enum log_level level;

    (void)arg;
    if (name != NULL && !log_level_parse(name, &level))
        return "the levels are error, warning, info and debug";
    if (name != NULL)
        log_set_level(level, "admin-socket");
    fprintf(out, "log-level: %s\n", log_level_name(log_level()));
    return NULL;
}

/* ---- the end ---- */

static const char *on_stop(void *arg, FILE *out)
{
    (void)out;
    gate_stop(arg, "admin socket");
    return NULL;
}

const struct admin_ops admin_commands = {.status = on_status,
                                         .bans = on_bans,
                                         .unban = on_unban,
                                         .reload = on_reload,
                                         .servers = on_servers,
                                         .metrics = on_metrics,
                                         .drain = on_drain,
                                         .ready = on_ready,
                                         .log_level = on_log_level,
                                         .stop = on_stop};
