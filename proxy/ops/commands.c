#include "ops/commands.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/addr.h"
#include "ops/bans.h"
#include "ops/reload.h"
#include "ops/server_state.h"
#include "policy/limits.h"

static void print_reload(const struct server *s, FILE *out)
{
    char when[sizeof "2026-01-01T00:00:00Z"];
    struct tm tm;

    if (s->last_reload.when == 0) {
        fputs("reload: none\n", out);
        return;
    }
    gmtime_r(&s->last_reload.when, &tm);
    if (strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        when[0] = '\0';
    fprintf(out, "reload: %s %s %s\n", s->last_reload.ok ? "ok" : "failed", when,
            s->last_reload.cause);
}

static const char *on_status(void *arg, FILE *out)
{
    static const char *const phases[] = {
        [SERVING] = "serving", [DRAINING] = "draining", [STOPPING] = "stopping"};
    struct server *s = arg;
    struct limits_counts counts;

    limits_count(s->shared.limits, &counts);
    fprintf(out, "version: " SSTPGATE_VERSION "\npid: %ld\nstate: %s\nuptime: %llu\nworkers: %zu\n",
            (long)getpid(), phases[s->phase],
            (unsigned long long)((uv_now(&s->loop) - s->started_ms) / 1000), s->workers);
    fprintf(out, "calls: %u\ncalls-max: %u\nbans: %zu\n", atomic_load(&s->shared.count),
            atomic_load(&s->shared.max), counts.bans);
    fprintf(out, "configuration: %s\n", s->path);
    print_reload(s, out);
    radius_service_print(&s->radius, out);
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
    struct server *s = arg;
    limits_bans(s->shared.limits, bans_now_ms(), print_ban, out);
    return NULL;
}

static const char *on_unban(void *arg, const struct cidr *net, FILE *out)
{
    struct server *s = arg;
    size_t n = limits_lift(s->shared.limits, net, bans_now_ms());
    bans_save(s);
    fprintf(out, "%zu lifted\n", n);
    return n > 0 || net == NULL ? NULL : "there is no such ban";
}

static const char *on_reload(void *arg, FILE *out)
{
    struct server *s = arg;

    if (s->phase != SERVING)
        return "the gate is about to end";
    if (!reload(s, "admin socket", out))
        return "nothing was changed, the old configuration stays";
    fputs("the new configuration is in force\n", out);
    return NULL;
}

static const char *on_drain(void *arg, FILE *out)
{
    (void)out;
    server_drain(arg);
    return NULL;
}

static const char *on_stop(void *arg, FILE *out)
{
    (void)out;
    server_stop(arg, "admin socket");
    return NULL;
}

const struct admin_ops commands = {.status = on_status,
                                   .bans = on_bans,
                                   .unban = on_unban,
                                   .reload = on_reload,
                                   .drain = on_drain,
                                   .stop = on_stop};
