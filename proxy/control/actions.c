#include "control/actions.h"

#include <string.h>

#include "base/log.h"
#include "base/value.h"
#include "call/filter.h"
#include "gate/bans.h"
#include "gate/drains.h"
#include "gate/gate_state.h"
#include "gate/reload.h"
#include "policy/backends.h"
#include "policy/limits_bans.h"
#include "site/snapshot.h"
#include "users/users.h"

/* Begins the line of an action. */
static void action_line(const struct action *a, struct log_line *l, enum log_level level,
                        const char *event)
{
    log_begin(l, level, event);
    log_str(l, "by", a->by);
}

/* Adds what the action is about. */
static void log_target(struct log_line *l, const struct call_filter *f)
{
    char text[ADDR_TEXT_MAX];

    if (f->id != NULL)
        log_str(l, "id", f->id);
    if (f->has_address)
        log_str(l, "net", cidr_format(&f->address, text));
    if (f->user != NULL)
        log_str(l, "user", f->user);
    if (f->listener != NULL)
        log_str(l, "listener", f->listener);
    if (f->server != NULL)
        log_str(l, "server", f->server);
}

/* ---- end ---- */

const char *action_end(struct action *a, const struct call_filter *f)
{
    struct log_line l;

    if (!filter_is_set(f))
        return "give an ID, user NAME, address PREFIX, listener NAME or server BACKEND/SERVER";
    const bool alone = shared_service_view(&a->gate->store) == NULL || f->id != NULL;
    const bool sent = shared_service_end(&a->gate->store, f);
    const size_t ended = drains_end_tunnels(a->gate, f, "end", 1);
    if (ended == 0 && !sent)
        return alone ? "no tunnel matches"
                     : "no tunnel of this gate matches, and the other gates do not get the order: "
                       "the store is down";
    action_line(a, &l, LOG_LEVEL_INFO, "end");
    log_target(&l, f);
    log_num(&l, "tunnels", ended);
    log_end(&l);
    fprintf(a->out, "%zu ended%s\n", ended,
            alone  ? ""
            : sent ? " here; the other gates end theirs"
                   : " here; the other gates do not get the order: the store is down");
    return NULL;
}

/* ---- bans ---- */

static const char *ban_time(struct action *a, const char *text, uint32_t *ms)
{
    *ms = a->gate->snapshot->config->gate.limits.ban_time;
    if (text != NULL && (value_duration(text, ms) != ERR_OK || *ms == 0))
        return "the time is a duration up to 30d, such as 90s, 5m, 2h or 1d";
    return NULL;
}

static const char *ban_problem(enum limits_ban_result r)
{
    switch (r) {
    case LIMITS_BAN_DONE: break;
    case LIMITS_BAN_EXEMPT: return "ban-exempt or trusted-proxies contains it";
    case LIMITS_BAN_LONG: return "no user has such a name: it may have 1 to 256 bytes";
    case LIMITS_BAN_FULL:
        return "there are too many bans; rules with `deny file` have no such limit";
    }
    return NULL;
}

/* Ends the tunnels that the ban would refuse. */
static size_t end_banned(struct action *a, const struct call_filter *f)
{
    const struct call_filter only = {
        .user = f->user, .address = f->address, .has_address = f->has_address};
    return drains_end_tunnels(a->gate, &only, "ban", 1);
}

const char *action_ban(struct action *a, const struct call_filter *f, const char *time)
{
    const struct limits_target target = {.net = f->has_address ? &f->address : NULL,
                                         .user = f->user};
    struct log_line l;
    uint32_t ms;

    if (f->has_address == (f->user != NULL))
        return "give an address or a user";
    const char *problem = ban_time(a, time, &ms);
    if (problem == NULL)
        problem = ban_problem(limits_ban(a->gate->shared.limits, &target, ms, bans_now_ms()));
    if (problem != NULL)
        return problem;
    bans_save(a->gate);
    const size_t ended = end_banned(a, f);
    action_line(a, &l, LOG_LEVEL_WARNING, "ban");
    log_target(&l, f);
    log_num(&l, "seconds", ms / 1000);
    log_num(&l, "tunnels", ended);
    log_end(&l);
    fprintf(a->out, "banned for %u s; %zu ended\n", ms / 1000, ended);
    return NULL;
}

static const char *lifted(struct action *a, const struct call_filter *f, size_t n)
{
    struct log_line l;

    bans_save(a->gate);
    fprintf(a->out, "%zu lifted\n", n);
    if (n == 0)
        return "no such ban";
    action_line(a, &l, LOG_LEVEL_INFO, "unban");
    log_target(&l, f);
    log_num(&l, "bans", n);
    log_end(&l);
    return NULL;
}

const char *action_unban(struct action *a, const struct call_filter *f)
{
    const struct limits_target target = {.net = f->has_address ? &f->address : NULL,
                                         .user = f->user};

    if (f->has_address == (f->user != NULL))
        return "give an address or a user";
    return lifted(a, f, limits_lift(a->gate->shared.limits, &target, bans_now_ms()));
}

const char *action_unban_all(struct action *a)
{
    static const struct call_filter all;

    (void)lifted(a, &all, limits_lift(a->gate->shared.limits, NULL, bans_now_ms()));
    return NULL;
}

/* ---- drain and resume ---- */

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

/* Drains a server, or ends that; with drain-time its tunnels end. */
static void server_changed(struct action *a, const struct config_backend *b, const char *server,
                           bool drain)
{
    char whole[2 * BACKENDS_NAME_MAX];
    struct log_line l;

    action_line(a, &l, LOG_LEVEL_INFO, "server");
    log_str(&l, "backend", b->name);
    log_str(&l, "server", server);
    log_str(&l, "state", drain ? "drain" : "ready");
    log_end(&l);
    (void)snprintf(whole, sizeof whole, "%s/%s", b->name, server);
    if (drain)
        drains_begin(a->gate, whole);
    else
        drains_cancel(a->gate, whole);
}

static const char *set_drain(struct action *a, const char *name, bool drain)
{
    const struct config *c = a->gate->snapshot->config;
    const size_t n = strcspn(name, "/");
    char whole[BACKENDS_NAME_MAX];
    size_t i = 0, server;

    while (i < c->backend_count &&
           (strncmp(c->backend[i].name, name, n) != 0 || c->backend[i].name[n] != '\0'))
        i++;
    if (i == c->backend_count)
        return "no such backend; `servers` lists them";
    struct backends_group *g = a->gate->snapshot->servers[i];
    if (name[n] == '\0' || !find_server(&c->backend[i], g, name + n + 1, &server))
        return "no such server; `servers` lists them";
    if (!backends_drain(g, server, drain, bans_now_ms()))
        return drain ? "the server is already drained" : "the server is not drained";
    server_changed(a, &c->backend[i], backends_name(g, server, whole), drain);
    return NULL;
}

const char *action_drain(struct action *a, const char *server)
{
    if (server != NULL)
        return set_drain(a, server, true);
    if (a->gate->phase != SERVING)
        return a->gate->phase == DRAINING ? "the gate is already draining" : "the gate is stopping";
    gate_drain(a->gate, a->by);
    return NULL;
}

const char *action_resume(struct action *a, const char *server)
{
    if (server != NULL)
        return set_drain(a, server, false);
    if (gate_resume(a->gate, a->by))
        return NULL;
    return a->gate->phase == SERVING ? "the gate is not draining" : "the gate is stopping";
}

/* ---- the rest ---- */

const char *action_reload(struct action *a)
{
    if (a->gate->phase != SERVING)
        return "the gate is shutting down";
    if (!reload(a->gate, a->by, a->out))
        return "nothing was changed; the old configuration stays in force";
    fputs("the new configuration is in force\n", a->out);
    return NULL;
}

const char *action_stop(struct action *a)
{
    gate_stop(a->gate, a->by);
    return NULL;
}
