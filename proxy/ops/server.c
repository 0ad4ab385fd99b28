#include "ops/server.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/insist.h"
#include "base/file.h"
#include "base/log.h"
#include "radius/keyring.h"
#include "call/leaves.h"
#include "policy/snapshot.h"
#include "call/calls.h"
#include "net/worker.h"
#include "ops/admin.h"
#include "ops/bans.h"
#include "ops/commands.h"
#include "ops/reload.h"
#include "ops/server_state.h"
#include "ops/sockets.h"
#include "ops/watch.h"
#include "policy/backends.h"
#include "policy/limits.h"

static size_t cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : (size_t)n;
}

/* ---- workers ---- */

static void worker_main(void *arg)
{
    struct server_worker *sw = arg;
    worker_run(&sw->worker);
    atomic_fetch_add(&sw->server->workers_done, 1);
    INSIST_UV(uv_async_send(&sw->server->worker_done));
}

static void workers_init(struct server *s)
{
    for (size_t i = 0; i < s->workers; i++) {
        struct server_worker *sw = &s->worker[i];
        sw->server = s;
        worker_init(&sw->worker, (unsigned)i, calls_sweep, &sw->calls);
        calls_init(&sw->calls, &sw->worker, &s->shared);
    }
}

static void post_all(struct server *s, void (*fn)(void *))
{
    for (size_t i = 0; i < s->workers; i++)
        worker_post(&s->worker[i].worker, fn, &s->worker[i].calls);
}

/* In the thread that proxies RADIUS, which ends before the workers' mailboxes go. */
static void on_keys(void *arg)
{
    post_all(arg, calls_try_keys);
}

/* ---- the end ---- */

void server_stop(struct server *s, const char *cause)
{
    log_msg(LOG_LEVEL_INFO, "stop", "%s: closing all calls", cause);
    s->phase = STOPPING;
    post_all(s, calls_stop);
}

void server_drain(struct server *s)
{
    log_msg(LOG_LEVEL_INFO, "stop", "no new calls, waiting for those that are up");
    if (s->phase == SERVING)
        s->phase = DRAINING;
    post_all(s, calls_drain);
}

/* ---- signals ---- */

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *s = handle->data;

    switch (number) {
    case SIGTERM:
    case SIGINT: server_stop(s, strsignal(number)); break;
    case SIGQUIT: server_drain(s); break;
    case SIGUSR1:
        if (log_reopen() != ERR_OK)
            log_msg(LOG_LEVEL_ERROR, "log", "cannot open %s again: %s",
                    s->snapshot->config->gate.log, strerror(errno));
        break;
    case SIGHUP: (void)reload(s, "HUP", NULL); break;
    }
}

static void signals_block(void)
{
    sigset_t all;
    sigfillset(&all);
    INSIST(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
}

static void on_worker_done(uv_async_t *async)
{
    struct server *s = async->data;

    if (atomic_load(&s->workers_done) < s->workers)
        return; /* several sends may arrive as one call, but the last one always arrives */
    /* The last calls have ended: nobody logs in, and accounting was told. */
    if (!radius_service_stop(&s->radius))
        return;
    for (size_t i = 0; i < s->workers; i++)
        INSIST_UV(uv_thread_join(&s->worker[i].thread));
    signals_block(); /* without handlers the next one would kill us instead of finding us done */
    for (size_t i = 0; i < sizeof s->signal / sizeof *s->signal; i++)
        uv_close((uv_handle_t *)&s->signal[i], NULL);
    uv_close((uv_handle_t *)&s->worker_done, NULL);
    uv_close((uv_handle_t *)&s->bans_timer, NULL);
    uv_close((uv_handle_t *)&s->expiry_timer, NULL);
    watch_free(s->watch);
    admin_free(s->admin);
}

static void on_files_changed(void *arg)
{
    (void)reload(arg, "a file has changed", NULL);
}

static void loop_prepare(struct server *s)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGHUP};

    INSIST_UV(uv_loop_init(&s->loop));
    INSIST_UV(uv_async_init(&s->loop, &s->worker_done, on_worker_done));
    s->worker_done.data = s;
    bans_start(s);
    reload_start(s);
    s->watch = watch_new(&s->loop, on_files_changed, s);
    watch_files(s->watch, s->snapshot->config);
    s->started_ms = uv_now(&s->loop);
    if (s->admin_fd >= 0)
        s->admin = admin_new(&s->loop, s->admin_fd, s->snapshot->config->gate.admin, &commands, s);
    for (size_t i = 0; i < sizeof s->signal / sizeof *s->signal; i++) {
        INSIST_UV(uv_signal_init(&s->loop, &s->signal[i]));
        s->signal[i].data = s;
        INSIST_UV(uv_signal_start(&s->signal[i], on_signal, numbers[i]));
    }
}

/* ---- ready ---- */

static bool ready_print(const struct server *s, const char *path)
{
    const int fd = file_create(path, 0666); /* minus the umask; the file holds no secret */
    FILE *f = fd < 0 ? NULL : insist_alloc(fdopen(fd, "w"));

    if (f == NULL)
        return false;
    for (size_t i = 0; i < s->sockets.count; i++) {
        char text[ADDR_TEXT_MAX];
        fprintf(f, "%s %s\n", reload_listener_name(s, &s->sockets.item[i]),
                addr_format(&s->sockets.item[i].bound, text));
    }
    radius_service_print_ready(&s->radius, s->snapshot->config, f);
    return fclose(f) == 0;
}

/* Writes a file beside path and renames it, so that a reader that waits for path finds it whole. */
static bool ready_write(const struct server *s, const char *path)
{
    char *beside = NULL;

    if (asprintf(&beside, "%s.new", path) < 0)
        beside = NULL;
    insist_alloc(beside);
    const bool ok = ready_print(s, beside) && rename(beside, path) == 0;
    if (!ok)
        fprintf(stderr, "cannot write %s: %s\n", path, strerror(errno));
    free(beside);
    return ok;
}

static bool admin_prepare(struct server *s, const struct config *c)
{
    s->admin_fd = -1;
    if (c->gate.admin == NULL)
        return true;
    s->admin_fd = admin_bind(c->gate.admin);
    if (s->admin_fd < 0)
        fprintf(stderr, "%s:%u: admin: cannot listen at %s: %s\n", s->path,
                config_line(c, &c->gate, "admin"), c->gate.admin, strerror(errno));
    return s->admin_fd >= 0;
}

/* From the configuration to the point where all sockets listen; nothing was accepted before. */
static bool start(struct server *s)
{
    struct snapshot *snapshot = snapshot_load(s->path, s->backends, stderr);
    struct reload_next n;

    if (snapshot == NULL)
        return false;
    const struct config_gate *g = &snapshot->config->gate;
    if (snapshot->sound && log_open(g->log, (enum log_level)g->log_level) != ERR_OK) {
        fprintf(stderr, "%s:%u: cannot open the log %s: %s\n", s->path,
                config_line(snapshot->config, g, "log"), g->log, strerror(errno));
        snapshot_unref(snapshot);
        return false;
    }
    s->workers = g->workers == 0 ? cpus() : g->workers;
    sockets_inherited_begin();
    bool ok = reload_prepare(s, &n, snapshot, stderr);
    sockets_inherited_end();
    if (!ok)
        return false;
    if (!admin_prepare(s, snapshot->config)) {
        reload_drop(s, &n);
        return false;
    }
    s->worker = insist_alloc(calloc(s->workers, sizeof *s->worker));
    s->shared.limits = limits_new(&snapshot->config->gate.limits);
    bans_load(s, snapshot->config->gate.limits.ban_file);
    s->shared.leaves = leaves_new();
    s->shared.keyring = keyring_new();
    keyring_on_put(s->shared.keyring, on_keys, s);
    radius_service_init(&s->radius, s->shared.keyring, &s->worker_done);
    INSIST_UV(uv_sem_init(&s->switched, 0));
    workers_init(s);
    reload_warn(s, &n);
    reload_commit(s, &n, false);
    return true;
}

int server_run(const char *path, const char *ready_file)
{
    struct server s = {.path = path, .backends = backends_new()};
    bool ok = true;

    signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error of the write, not a signal */
    signal(SIGXFSZ, SIG_IGN); /* so is a log that has reached its size limit */
    if (!start(&s)) {
        backends_free(s.backends);
        return 1;
    }
    loop_prepare(&s);
    for (size_t i = 0; i < s.workers; i++)
        INSIST_UV(uv_thread_create(&s.worker[i].thread, worker_main, &s.worker[i]));
    radius_service_run(&s.radius);
    reload_log_listen(&s, 0, 0);
    if (ready_file != NULL && !ready_write(&s, ready_file)) {
        ok = false;
        post_all(&s, calls_stop);
    }
    INSIST_UV(uv_run(&s.loop, UV_RUN_DEFAULT));
    INSIST_UV(uv_loop_close(&s.loop));
    log_msg(LOG_LEVEL_INFO, "stop", "all calls have ended");
    for (size_t i = 0; i < s.workers; i++) {
        worker_fini(&s.worker[i].worker);
        calls_fini(&s.worker[i].calls);
    }
    uv_sem_destroy(&s.switched);
    free(s.worker);
    /* No call is left, so each count must be 0 again. */
    INSIST(atomic_load(&s.shared.count) == 0 && limits_unused(s.shared.limits));
    bans_save(&s);
    limits_free(s.shared.limits);
    leaves_free(s.shared.leaves);
    free(s.expiry_steps);
    sockets_free(&s.sockets);
    radius_service_fini(&s.radius);
    keyring_free(s.shared.keyring);
    snapshot_unref(s.snapshot);
    backends_free(s.backends);
    return ok ? 0 : 1;
}
