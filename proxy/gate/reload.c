#include "gate/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/insist.h"
#include "base/log.h"
#include "gate/descriptors.h"
#include "gate/gate_state.h"
#include "gate/preflight.h"
#include "gate/watch.h"
#include "policy/limits.h"
#include "site/site.h"
#include "site/snapshot.h"

/* ---- what the workers serve ---- */

/* Warns that max-tunnels calls do not fit, but not again as long as the numbers are the same. */
static void warn_short(struct gate *gate, unsigned wanted, size_t room, unsigned long long limit)
{
    if (gate->short_of.wanted != wanted || gate->short_of.room != room)
        log_msg(LOG_LEVEL_WARNING, "limit",
                "max-tunnels is %u, but the limit of open files (%llu) leaves room for %zu "
                "(ulimit -n, or LimitNOFILE= of systemd)",
                wanted, limit, room);
    gate->short_of.wanted = wanted;
    gate->short_of.room = room;
}

/* Returns how many calls the gate accepts: max-tunnels, or as many as have descriptors. */
static unsigned calls_max(struct gate *gate)
{
    const unsigned wanted = gate->snapshot->config->gate.max_tunnels;
    const struct descriptors_open open = {.workers = gate->workers,
                                          .listening = gate->sockets.count,
                                          .radius = gate->radius.sockets.count};
    const unsigned long long limit = descriptors_raise();
    const size_t room = descriptors_calls(limit, descriptors_needed(gate->snapshot->config, &open));

    if (room >= wanted) {
        gate->short_of.wanted = 0;
        return wanted;
    }
    warn_short(gate, wanted, room, limit);
    return (unsigned)room;
}

void reload_drop(struct gate *gate, struct reload_next *n)
{
    for (size_t i = 0; n->site != NULL && i < gate->workers; i++)
        site_unref(n->site[i]);
    free(n->site);
    sockets_free(&n->sockets);
    radius_sockets_free(&n->radius_sockets);
    snapshot_unref(n->snapshot);
}

bool reload_prepare(struct gate *gate, struct reload_next *n, struct snapshot *snapshot,
                    FILE *problems)
{
    bool ok = snapshot->sound;

    *n = (struct reload_next){.snapshot = snapshot_ref(snapshot)};
    n->site = insist_alloc(calloc(gate->workers, sizeof *n->site));
    /* The first tells every error there is; the others can only repeat it. */
    for (size_t i = 0; i < gate->workers && (i == 0 || ok); i++) {
        n->site[i] = site_new(snapshot, problems);
        ok &= n->site[i] != NULL;
    }
    if (ok) { /* both tell all that they cannot have */
        ok =
            sockets_prepare(&n->sockets, &gate->sockets, snapshot->config, gate->workers, problems);
        ok &= radius_sockets_prepare(&n->radius_sockets, &gate->radius.sockets, snapshot->config,
                                     problems);
    }
    if (!ok)
        reload_drop(gate, n);
    return ok;
}

/* One worker's part, on its way to the worker's thread. */
struct switch_letter {
    struct calls *calls;
    uv_sem_t *done;
    struct site *site;
    size_t count;
    struct calls_place place[];
};

static void switch_deliver(void *arg)
{
    struct switch_letter *l = arg;
    uv_sem_t *done = l->done;
    calls_switch(l->calls, l->site, l->place, l->count);
    free(l);
    uv_sem_post(done);
}

static struct switch_letter *switch_letter(struct gate *gate, struct reload_next *n, size_t worker)
{
    size_t count = n->sockets.count;
    struct switch_letter *l = insist_alloc(calloc(1, sizeof *l + count * sizeof *l->place));

    l->calls = &gate->worker[worker].calls;
    l->done = &gate->switched;
    l->site = n->site[worker];
    l->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct listening_socket *sock = &n->sockets.item[i];
        l->place[i] = (struct calls_place){
            .socket = sock->id,
            .listener = sock->listener,
            .fd = sock->fds == NULL ? -1 : sock->fds[worker],
        };
    }
    return l;
}

const char *reload_listener_name(const struct gate *gate, const struct listening_socket *sock)
{
    return gate->snapshot->config->listener[sock->listener].name;
}

void reload_log_listen(const struct gate *gate, size_t first_id, size_t first_radius_id)
{
    for (size_t i = 0; i < gate->sockets.count; i++) {
        const struct listening_socket *sock = &gate->sockets.item[i];
        char text[ADDR_TEXT_MAX];
        struct log_line l;
        if (sock->id < first_id)
            continue;
        log_begin(&l, LOG_LEVEL_INFO, "listen");
        log_str(&l, "listener", reload_listener_name(gate, sock));
        log_str(&l, "address", addr_format(&sock->bound, text));
        log_num(&l, "workers", gate->workers);
        log_end(&l);
    }
    radius_service_log_listen(&gate->radius, gate->snapshot->config, first_radius_id);
}

/* Cannot fail. running: the workers have threads, and are told there. When this returns the new is
 * in force: who connects from now on meets it. */
void reload_commit(struct gate *gate, struct reload_next *n, bool running)
{
    site_show_leaves(n->site[0], gate->shared.leaves); /* before it is the worker's own */
    for (size_t i = 0; i < gate->workers; i++) {
        struct switch_letter *l = switch_letter(gate, n, i);
        if (running)
            worker_post(&gate->worker[i].worker, switch_deliver, l);
        else
            switch_deliver(l);
    }
    for (size_t i = 0; i < gate->workers; i++)
        uv_sem_wait(&gate->switched);
    radius_service_commit(&gate->radius, n->snapshot, &n->radius_sockets);
    if (running)
        radius_service_run(&gate->radius);
    free(n->site);
    for (size_t i = 0; i < n->sockets.count; i++) {
        free(n->sockets.item[i].fds); /* the workers have them */
        n->sockets.item[i].fds = NULL;
    }
    sockets_free(&gate->sockets);
    gate->sockets = n->sockets;
    snapshot_unref(gate->snapshot);
    gate->snapshot = n->snapshot;
    atomic_store(&gate->shared.max, calls_max(gate));
}

/* ---- warnings ---- */

static void warn(const struct config *c, const char *event,
                 void (*check)(const struct config *c, FILE *to))
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = insist_alloc(open_memstream(&text, &len));

    check(c, to);
    fclose(to);
    log_lines(LOG_LEVEL_WARNING, event, text);
    free(text);
}

enum { EXPIRY_MS = 3600 * 1000 };

/* Said when the program starts, at a reload, and when a certificate comes 30, 7 or 1 days near its
 * end; not each time somebody looks. */
static void expiry_warn(struct gate *gate, const struct site *site, bool always)
{
    char *text = NULL, *steps = NULL;
    size_t len = 0, steps_len = 0;
    FILE *to = insist_alloc(open_memstream(&text, &len));
    FILE *steps_to = insist_alloc(open_memstream(&steps, &steps_len));

    preflight_expiry(site, to, steps_to);
    fclose(to);
    fclose(steps_to);
    if (always || gate->expiry_steps == NULL || strcmp(steps, gate->expiry_steps) != 0)
        log_lines(LOG_LEVEL_WARNING, "expiry", text);
    free(text);
    free(gate->expiry_steps);
    gate->expiry_steps = steps;
}

static void on_expiry_timer(uv_timer_t *timer)
{
    struct gate *gate = timer->data;
    char *text = NULL;
    size_t len = 0;
    FILE *problems = insist_alloc(open_memstream(&text, &len));
    /* The workers' sites are theirs alone; an hour is long enough to make one more. */
    struct site *site = site_new(gate->snapshot, problems);

    fclose(problems);
    free(text); /* files that are being replaced right now: watch tells what comes of it */
    if (site != NULL)
        expiry_warn(gate, site, false);
    site_unref(site);
}

void reload_start(struct gate *gate)
{
    INSIST_UV(uv_timer_init(&gate->loop, &gate->expiry_timer));
    gate->expiry_timer.data = gate;
    INSIST_UV(uv_timer_start(&gate->expiry_timer, on_expiry_timer, EXPIRY_MS, EXPIRY_MS));
}

void reload_warn(struct gate *gate, const struct reload_next *n)
{
    warn(n->snapshot->config, "config", preflight_doubts);
    warn(n->snapshot->config, "files", preflight_files);
    expiry_warn(gate, n->site[0], true);
}

/* ---- reload ---- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

void reload_list_fixed(const struct config_gate *was, const struct config_gate *is, FILE *to)
{
    if (was->workers != is->workers)
        fputs("workers changes with a restart only\n", to);
    if (strcmp(was->log, is->log) != 0 || was->log_level != is->log_level)
        fputs("log and log-level change with a restart only\n", to);
    if (!same_text(was->admin, is->admin))
        fputs("admin changes with a restart only\n", to);
    if (was->limits.prefix_ipv4 != is->limits.prefix_ipv4 ||
        was->limits.prefix_ipv6 != is->limits.prefix_ipv6)
        fputs("address-prefix-ipv4 and address-prefix-ipv6 change with a restart only\n", to);
}

/* What a reload leaves as it was: whoever has asked for it hears of it, too. */
static void warn_fixed(const struct config_gate *was, const struct config_gate *is, FILE *answer)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = insist_alloc(open_memstream(&text, &len));

    reload_list_fixed(was, is, to);
    fclose(to);
    if (answer != NULL)
        fputs(text, answer);
    log_lines(LOG_LEVEL_WARNING, "reload", text); /* which cuts it into lines */
    free(text);
}

bool reload(struct gate *gate, const char *cause, FILE *answer)
{
    char *text = NULL;
    size_t len = 0;

    if (gate->phase != SERVING)
        return false;
    watch_mark(gate->watch);
    FILE *problems = insist_alloc(open_memstream(&text, &len));
    struct snapshot *snapshot = snapshot_load(gate->path, gate->backends, problems);
    struct reload_next n;
    bool ok = snapshot != NULL && reload_prepare(gate, &n, snapshot, problems);

    fclose(problems);
    if (answer != NULL)
        fputs(text, answer);
    if (ok) {
        size_t first_id = gate->sockets.next_id, first_radius_id = gate->radius.sockets.next_id;
        warn_fixed(&gate->snapshot->config->gate, &n.snapshot->config->gate, answer);
        reload_warn(gate, &n);
        reload_commit(gate, &n, true);
        reload_log_listen(gate, first_id, first_radius_id);
        limits_configure(gate->shared.limits, &gate->snapshot->config->gate.limits);
        log_msg(LOG_LEVEL_INFO, "reload", "%s: the new configuration is in force", cause);
    } else {
        log_lines(LOG_LEVEL_ERROR, "reload", text);
        log_msg(LOG_LEVEL_ERROR, "reload", "%s: nothing was changed, the old configuration stays",
                cause);
    }
    snapshot_unref(snapshot);
    gate->last_reload.when = time(NULL);
    gate->last_reload.ok = ok;
    gate->last_reload.cause = cause;
    watch_files(gate->watch, gate->snapshot->config);
    free(text);
    return ok;
}
