#include "gate/reload.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/files.h"
#include "base/insist.h"
#include "base/log.h"
#include "base/memo.h"
#include "gate/bans.h"
#include "gate/cgroup.h"
#include "gate/containment.h"
#include "gate/descriptors.h"
#include "gate/gate_state.h"
#include "gate/key_file.h"
#include "gate/preflight.h"
#include "gate/service.h"
#include "gate/watch.h"
#include "net/mute.h"
#include "policy/limits.h"
#include "site/site.h"
#include "site/snapshot.h"

/* ---- prepare ---- */

void reload_drop(struct gate *gate, struct reload_next *n)
{
    for (size_t i = 0; n->site != NULL && i <= gate->workers; i++)
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
    n->site = insist_alloc(calloc(gate->workers + 1, sizeof *n->site));
    /* The first site reports all errors; the others could only repeat them. */
    for (size_t i = 0; i <= gate->workers && (i == 0 || ok); i++) {
        n->site[i] = site_new(snapshot, problems);
        ok &= n->site[i] != NULL;
    }
    ok &= containment_check(&gate->containment, snapshot->config, problems);
    if (ok) { /* both report everything that they cannot open */
        ok =
            sockets_prepare(&n->sockets, &gate->sockets, snapshot->config, gate->workers, problems);
        ok &= radius_sockets_prepare(&n->radius_sockets, &gate->radius.sockets, snapshot->config,
                                     problems);
    }
    if (!ok)
        reload_drop(gate, n);
    return ok;
}

/* ---- commit ---- */

/* One worker's part of a commit. */
struct commit_part {
    struct worker_call call;
    struct calls *calls;
    struct site *site;
    struct calls_place *place;
    size_t count;
};

/* Lists a socket for worker number `worker`: each of its descriptors goes to one worker. */
static void part_add(struct commit_part *p, const struct listening_socket *sock, size_t worker,
                     size_t workers)
{
    struct calls_place place = {.socket = sock->id,
                                .listener = sock->listener,
                                .fd = -1,
                                .shared = sock->inherited,
                                .plain = sock->plain};

    if (sock->fds == NULL)
        p->place[p->count++] = place;
    for (size_t k = worker; sock->fds != NULL && k < sock->fd_count; k += workers) {
        place.fd = sock->fds[k];
        p->place[p->count++] = place;
    }
}

static void part_init(struct commit_part *p, struct gate *gate, struct reload_next *n,
                      size_t worker)
{
    size_t most = 1;

    for (size_t i = 0; i < n->sockets.count; i++)
        most += 1 + n->sockets.item[i].fd_count;
    p->calls = &gate->worker[worker].calls;
    p->site = n->site[worker];
    p->place = insist_alloc(calloc(most, sizeof *p->place));
    for (size_t i = 0; i < n->sockets.count; i++)
        part_add(p, &n->sockets.item[i], worker, gate->workers);
}

/* Puts the new site in force. Called in the worker's thread, or before it runs. */
static void part_apply(void *arg)
{
    struct commit_part *p = arg;
    calls_switch(p->calls, p->site, p->place, p->count);
}

/* Gives each worker its part. running: all at the same time, in their threads. */
static void workers_switch(struct gate *gate, struct reload_next *n, bool running)
{
    struct commit_part *part = insist_alloc(calloc(gate->workers, sizeof *part));

    for (size_t i = 0; i < gate->workers; i++) {
        part_init(&part[i], gate, n, i);
        if (running)
            worker_call_start(&part[i].call, &gate->worker[i].worker, part_apply, &part[i]);
        else
            part_apply(&part[i]);
    }
    for (size_t i = 0; i < gate->workers; i++) {
        if (running)
            worker_call_wait(&part[i].call);
        free(part[i].place);
    }
    free(part);
}

/* Warns that max-tunnels calls do not fit, but not again as long as the numbers are the same.
 * Returns the number that fits. */
static unsigned warn_short(struct gate *gate, unsigned wanted, size_t room, const char *limit,
                           const char *remedy)
{
    if (gate->short_of.wanted != wanted || gate->short_of.room != room)
        log_msg(LOG_LEVEL_WARNING, "limit",
                "max-tunnels is %u, but the limit of %s allows only %zu (raise %s)", wanted, limit,
                room, remedy);
    gate->short_of.wanted = wanted;
    gate->short_of.room = room;
    return (unsigned)room;
}

static unsigned short_of_files(struct gate *gate, unsigned wanted, size_t room,
                               unsigned long long limit)
{
    char text[64];

    snprintf(text, sizeof text, "open files (%llu)", limit);
    return warn_short(gate, wanted, room, text, "ulimit -n, or LimitNOFILE= of systemd");
}

static unsigned short_of_memory(struct gate *gate, unsigned wanted, size_t room)
{
    char text[64];

    snprintf(text, sizeof text, "the control group's memory (%llu MiB)",
             (unsigned long long)(gate->memory >> 20));
    return warn_short(gate, wanted, room, text, "MemoryMax= of systemd, or that of the container");
}

/* Returns how many calls the gate accepts: max-tunnels, or as many as have descriptors and memory.
 */
static unsigned calls_max(struct gate *gate)
{
    const unsigned wanted = gate->snapshot->config->gate.max_tunnels;
    const struct descriptors_open open = {.workers = gate->workers,
                                          .listening = gate->sockets.count,
                                          .radius = gate->radius.sockets.count,
                                          .status = gate->status.count};
    const unsigned long long limit = descriptors_raise();
    const size_t files =
        descriptors_calls(limit, descriptors_needed(gate->snapshot->config, &open));
    const size_t memory = cgroup_calls(gate->memory);

    if (memory < wanted && memory < files)
        return short_of_memory(gate, wanted, memory);
    if (files < wanted)
        return short_of_files(gate, wanted, files, limit);
    gate->short_of.wanted = 0;
    return wanted;
}

void reload_commit(struct gate *gate, struct reload_next *n, bool running)
{
    site_unref(gate->site);
    gate->site = n->site[gate->workers];
    site_show_leaves(gate->site, gate->shared.leaves);
    workers_switch(gate, n, running);
    radius_service_commit(&gate->radius, n->snapshot, &n->radius_sockets);
    if (running)
        radius_service_run(&gate->radius);
    free(n->site);
    for (size_t i = 0; i < n->sockets.count; i++) {
        free(n->sockets.item[i].fds); /* owned by the workers now */
        n->sockets.item[i].fds = NULL;
    }
    sockets_free(&gate->sockets);
    gate->sockets = n->sockets;
    files_settle(n->snapshot->files);
    snapshot_unref(gate->snapshot);
    gate->snapshot = n->snapshot;
    atomic_store(&gate->shared.max, calls_max(gate));
    status_service_configure(&gate->status, gate->snapshot);
}

/* ---- listening sockets ---- */

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

/* ---- warnings ---- */

enum { EXPIRY_MS = 5000 };

/* Logs which certificates and lines of users files expire soon. always: also if nothing has changed
 * since the last time; otherwise only if a new warning is due. */
static void expiry_warn(struct gate *gate, const struct site *site, bool always)
{
    struct memo warnings, steps;

    preflight_expiry(site, time(NULL), memo_open(&warnings), memo_open(&steps));
    if (always || gate->expiry_steps == NULL || strcmp(memo_text(&steps), gate->expiry_steps) != 0)
        log_lines(LOG_LEVEL_WARNING, "expiry", memo_text(&warnings));
    memo_free(&warnings);
    free(gate->expiry_steps);
    gate->expiry_steps = memo_take(&steps);
}

static void on_expiry_timer(uv_timer_t *timer)
{
    struct gate *gate = timer->data;
    expiry_warn(gate, gate->site, false);
    containment_log_refused();
}

void reload_start(struct gate *gate)
{
    INSIST_UV(uv_timer_init(&gate->loop, &gate->expiry_timer));
    gate->expiry_timer.data = gate;
    INSIST_UV(uv_timer_start(&gate->expiry_timer, on_expiry_timer, EXPIRY_MS, EXPIRY_MS));
}

/* Logs the lines of text that are not in known. */
static void log_new_lines(const char *event, const char *text, const char *known)
{
    struct memo m;
    FILE *out = memo_open(&m);

    while (*text != '\0') {
        const size_t n = strcspn(text, "\n");
        char *line = insist_alloc(strndup(text, n));
        if (strstr(known, line) == NULL)
            fprintf(out, "%s\n", line);
        free(line);
        text += n + (text[n] == '\n');
    }
    log_lines(LOG_LEVEL_WARNING, event, memo_text(&m));
    memo_free(&m);
}

/* Logs likely mistakes. always: repeats mistakes that were logged the last time. */
static void mistakes_warn(struct gate *gate, const struct site *site, bool always)
{
    struct memo m;

    preflight_mistakes(site, time(NULL), memo_open(&m));
    log_new_lines("config", memo_text(&m), always || gate->mistakes == NULL ? "" : gate->mistakes);
    free(gate->mistakes);
    gate->mistakes = memo_take(&m);
}

void reload_warn(struct gate *gate, const struct reload_next *n)
{
    mistakes_warn(gate, n->site[0], true);
    expiry_warn(gate, n->site[0], true);
    bans_warn(n->snapshot->config->gate.limits.ban_file);
}

/* ---- reload ---- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_sockets(const struct config_sockets *a, const struct config_sockets *b)
{
    bool same = a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++)
        same = same_text(a->item[i].path, b->item[i].path) &&
               (a->item[i].path != NULL || addr_equal(&a->item[i].addr, &b->item[i].addr));
    return same;
}

static bool same_stores(const struct config_stores *a, const struct config_stores *b)
{
    bool same = a->count == b->count;

    for (size_t i = 0; same && i < a->count; i++) {
        const struct config_store *x = &a->item[i], *y = &b->item[i];
        same = same_text(x->path, y->path) && same_text(x->host, y->host) &&
               same_text(x->user, y->user) && x->port == y->port && x->database == y->database &&
               x->tls == y->tls && same_text(x->service, y->service);
    }
    return same;
}

static bool same_pins(const struct config_pins *a, const struct config_pins *b)
{
    return a->count == b->count &&
           (a->count == 0 || memcmp(a->item, b->item, a->count * sizeof *a->item) == 0);
}

static bool same_store(const struct config_gate *was, const struct config_gate *is)
{
    return same_stores(&was->shared, &is->shared) &&
           same_text(was->shared_password_file, is->shared_password_file) &&
           same_text(was->sentinel_password_file, is->sentinel_password_file) &&
           same_text(was->shared_secret_file, is->shared_secret_file) &&
           same_text(was->shared_prefix, is->shared_prefix) &&
           same_text(was->shared_name, is->shared_name) &&
           same_text(was->shared_ca_file, is->shared_ca_file) &&
           same_pins(&was->shared_pin, &is->shared_pin) &&
           was->shared_timeout == is->shared_timeout && was->shared_refuse == is->shared_refuse;
}

void reload_list_fixed(const struct config_gate *was, const struct config_gate *is, FILE *to)
{
    if (was->workers != is->workers)
        fputs("a change of workers requires a restart\n", to);
    if (strcmp(was->log, is->log) != 0)
        fputs("a change of log requires a restart\n", to);
    if (was->log_format != is->log_format)
        fputs("a change of log-format requires a restart\n", to);
    if (!same_text(was->admin, is->admin))
        fputs("a change of admin requires a restart\n", to);
    if (!same_text(was->admin_group, is->admin_group) || was->admin_mode != is->admin_mode)
        fputs("a change of admin-group or admin-mode requires a restart\n", to);
    if (!same_text(was->user, is->user) || !same_text(was->group, is->group) ||
        was->sandbox != is->sandbox)
        fputs("a change of user, group or sandbox requires a restart\n", to);
    if (!same_sockets(&was->status, &is->status))
        fputs("a change of status requires a restart\n", to);
    if (!same_text(was->status_group, is->status_group) || was->status_mode != is->status_mode)
        fputs("a change of status-group or status-mode requires a restart\n", to);
    if (!same_store(was, is))
        fputs(
            "a change of shared, or of another key that begins with shared-, requires a restart\n",
            to);
    if (was->limits.prefix_ipv4 != is->limits.prefix_ipv4 ||
        was->limits.prefix_ipv6 != is->limits.prefix_ipv6)
        fputs("a change of address-prefix-ipv4 or address-prefix-ipv6 requires a restart\n", to);
}

/* Warns about new settings that are not in force, in the log and in the answer. */
static void warn_fixed(const struct config_gate *was, const struct config_gate *is, FILE *answer)
{
    struct memo m;

    reload_list_fixed(was, is, memo_open(&m));
    if (answer != NULL)
        fputs(memo_text(&m), answer);
    log_lines(LOG_LEVEL_WARNING, "reload", memo_text(&m)); /* cuts the text into lines, so last */
    memo_free(&m);
}

/* key_log: the result of key_file_prepare. */
static void reload_succeed(struct gate *gate, struct reload_next *n, int key_log, const char *cause,
                           FILE *answer)
{
    const size_t first_id = gate->sockets.next_id;
    const size_t first_radius_id = gate->radius.sockets.next_id;
    struct log_line l;

    warn_fixed(&gate->snapshot->config->gate, &n->snapshot->config->gate, answer);
    reload_warn(gate, n);
    key_file_commit(n->snapshot->config, key_log);
    reload_commit(gate, n, true);
    reload_log_listen(gate, first_id, first_radius_id);
    limits_configure(gate->shared.limits, &gate->snapshot->config->gate.limits);
    log_begin(&l, LOG_LEVEL_INFO, "reload");
    log_str(&l, "by", cause);
    log_fmt(&l, "msg", "%s: the new configuration is in force", cause);
    log_end(&l);
    log_set_level((enum log_level)gate->snapshot->config->gate.log_level, "reload");
}

bool reload(struct gate *gate, const char *cause, FILE *answer)
{
    struct memo problems;
    struct reload_next n;
    int key_log;

    if (gate->phase != SERVING)
        return false;
    service_reloading(gate);
    memo_open(&problems);
    struct snapshot *snapshot = snapshot_load(gate->path, gate->backends, problems.file);
    bool ok = snapshot != NULL && reload_prepare(gate, &n, snapshot, problems.file);
    if (ok && !key_file_prepare(snapshot->config, &key_log, problems.file)) {
        reload_drop(gate, &n);
        ok = false;
    }
    if (answer != NULL)
        fputs(memo_text(&problems), answer);
    if (ok) {
        reload_succeed(gate, &n, key_log, cause, answer);
        watch_files(gate->watch, gate->snapshot->files);
    } else {
        log_lines(LOG_LEVEL_ERROR, "reload", memo_text(&problems));
        log_msg(LOG_LEVEL_ERROR, "reload",
                "%s: nothing was changed; the old configuration stays in force", cause);
    }
    memo_free(&problems);
    snapshot_unref(snapshot);
    gate->last_reload.when = time(NULL);
    gate->last_reload.ok = ok;
    gate->last_reload.cause = cause;
    service_reloaded(gate);
    return ok;
}

/* ---- files that have changed ---- */

static void log_file(void *arg, const struct files_item *item)
{
    struct log_line l;
    (void)arg;

    if (!item->changed)
        return;
    log_begin(&l, item->stale == NULL ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, "reload");
    log_str(&l, "file", item->path);
    if (item->stale == NULL)
        log_str(&l, "msg", "a file has changed: its new content is in force");
    else
        log_fmt(&l, "msg", "a file has changed: %s; its old content stays in force", item->stale);
    log_end(&l);
}

static void count_change(void *arg, const struct files_item *item)
{
    size_t *n = arg;
    *n += item->changed;
}

void reload_files(struct gate *gate)
{
    struct memo problems;
    struct reload_next n;
    size_t changes = 0;

    if (gate->phase != SERVING)
        return;
    memo_open(&problems);
    struct snapshot *next = snapshot_read_again(gate->snapshot, gate->backends, problems.file);
    const bool ok = next != NULL && reload_prepare(gate, &n, next, problems.file);

    if (ok)
        files_each(next->files, count_change, &changes);
    if (ok && changes > 0) {
        reload_commit(gate, &n, true);
        watch_files(gate->watch, gate->snapshot->files);
        files_each(gate->snapshot->files, log_file, NULL);
        mistakes_warn(gate, gate->site, false);
        expiry_warn(gate, gate->site, false);
    } else if (ok) {
        reload_drop(gate, &n);
    } else {
        log_lines(LOG_LEVEL_ERROR, "reload", memo_text(&problems));
        log_msg(
            LOG_LEVEL_ERROR, "reload",
            "a file has changed, but could not be loaded: the old configuration stays in force");
    }
    memo_free(&problems);
    snapshot_unref(next);
}
