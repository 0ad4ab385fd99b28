#include "gate/gate.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/file.h"
#include "base/insist.h"
#include "base/log.h"
#include "base/memo.h"
#include "base/version.h"
#include "call/calls.h"
#include "call/failures.h"
#include "gate/admin.h"
#include "gate/bans.h"
#include "gate/cgroup.h"
#include "gate/containment.h"
#include "gate/drains.h"
#include "gate/gate_state.h"
#include "gate/inherited.h"
#include "gate/key_file.h"
#include "gate/reload.h"
#include "gate/service.h"
#include "gate/sockets.h"
#include "gate/status_service.h"
#include "gate/upgrade.h"
#include "gate/totals.h"
#include "gate/watch.h"
#include "net/worker.h"
#include "policy/backends.h"
#include "policy/limits.h"
#include "radius/keyring.h"
#include "site/leaves.h"
#include "site/site.h"
#include "site/snapshot.h"
#include "tls/aead.h"
#include "tls/key_log.h"

/* Returns the number of CPUs that the process may use, by its affinity and its control group. */
static size_t cpus(const struct cgroup_limits *limits)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    const size_t n = (size_t)CPU_COUNT(&set);
    const size_t least = n < limits->cpus ? n : limits->cpus;
    return least < 1 ? 1 : least;
}

/* ---- workers ---- */

static void worker_main(void *arg)
{
    struct gate_worker *sw = arg;
    char name[16];

    snprintf(name, sizeof name, "worker-%u", sw->worker.index);
    (void)pthread_setname_np(pthread_self(), name);
    worker_run(&sw->worker);
    atomic_fetch_add(&sw->gate->workers_done, 1);
    INSIST_UV(uv_async_send(&sw->gate->worker_done));
}

static void workers_init(struct gate *gate)
{
    gate->worker = insist_alloc(calloc(gate->workers, sizeof *gate->worker));
    for (size_t i = 0; i < gate->workers; i++) {
        struct gate_worker *sw = &gate->worker[i];
        sw->gate = gate;
        worker_init(&sw->worker, (unsigned)i, calls_sweep, &sw->calls);
        calls_init(&sw->calls, &sw->worker, &gate->shared);
        sw->calls.set.next_number = gate->first_number;
    }
}

static void workers_start(struct gate *gate)
{
    gate->shared.store =
        shared_service_start(&gate->store, gate->shared.limits, gate->shared.keyring,
                             &gate->shared.tunnels, &gate->worker_done);
    for (size_t i = 0; i < gate->workers; i++)
        INSIST_UV(uv_thread_create(&gate->worker[i].thread, worker_main, &gate->worker[i]));
    radius_service_run(&gate->radius);
    status_service_start(&gate->status, &gate->loop, gate->control->answers, gate, gate->snapshot);
}

/* Frees the workers. Call it after their threads have ended. */
static void workers_fini(struct gate *gate)
{
    for (size_t i = 0; i < gate->workers; i++) {
        worker_fini(&gate->worker[i].worker);
        calls_fini(&gate->worker[i].calls);
    }
    free(gate->worker);
}

static void post_all(struct gate *gate, void (*fn)(void *))
{
    for (size_t i = 0; i < gate->workers; i++)
        worker_post(&gate->worker[i].worker, fn, &gate->worker[i].calls);
}

struct worker_task {
    struct worker_call call;
    void (*fn)(struct calls *calls, void *part);
    struct calls *calls;
    void *part;
};

static void task_run(void *arg)
{
    struct worker_task *t = arg;
    t->fn(t->calls, t->part);
}

void gate_call_workers(struct gate *gate, void (*fn)(struct calls *calls, void *part), void *part,
                       size_t size)
{
    if (gate->finishing)
        return;
    struct worker_task *task = insist_alloc(calloc(gate->workers, sizeof *task));
    for (size_t i = 0; i < gate->workers; i++) {
        task[i].fn = fn;
        task[i].calls = &gate->worker[i].calls;
        task[i].part = (char *)part + i * size;
        worker_call_start(&task[i].call, &gate->worker[i].worker, task_run, &task[i]);
    }
    for (size_t i = 0; i < gate->workers; i++)
        worker_call_wait(&task[i].call);
    free(task);
}

/* Lets all workers try new keys. Called in the RADIUS thread, which ends before the workers'
 * mailboxes are destroyed. */
static void on_keys(void *arg)
{
    post_all(arg, calls_try_keys);
}

/* ---- stop and drain ---- */

/* Logs what happens, and by whom: a signal, or an administrator. */
static void log_by(const char *event, const char *by, const char *what)
{
    struct log_line l;

    log_begin(&l, LOG_LEVEL_INFO, event);
    log_str(&l, "by", by);
    log_str(&l, "msg", what);
    log_end(&l);
}

void gate_stop(struct gate *gate, const char *cause)
{
    log_by("stop", cause, "closing all calls");
    service_stopping(gate);
    upgrade_stop(gate);
    gate->phase = STOPPING;
    gate->finishing = true;
    post_all(gate, calls_stop);
}

void gate_drain(struct gate *gate, const char *cause)
{
    if (gate->phase != SERVING)
        return;
    upgrade_cancel(gate);
    log_by("stop", cause, "no new calls; waiting for the existing calls to end");
    shared_service_drain(&gate->store, true);
    gate->phase = DRAINING; /* first, so that load balancers notice it before connections fail */
    post_all(gate, calls_drain);
    drains_begin(gate, NULL);
}

bool gate_resume(struct gate *gate, const char *cause)
{
    if (gate->phase != DRAINING || gate->finishing || gate->handed_over)
        return false;
    log_by("resume", cause, "accepting calls again");
    drains_cancel(gate, NULL);
    shared_service_drain(&gate->store, false);
    gate->phase = SERVING;
    post_all(gate, calls_resume);
    reload_files(gate); /* which have changed during the drain */
    return true;
}

/* Called in a worker's thread when its last call has ended during a drain. */
static void on_idle(void *arg)
{
    struct gate *gate = arg;
    INSIST_UV(uv_async_send(&gate->worker_done));
}

/* Ends the program when the last call of all workers has ended during a drain. */
static void finish_if_idle(struct gate *gate)
{
    if (gate->phase != DRAINING || gate->finishing || atomic_load(&gate->shared.count) > 0)
        return;
    gate->finishing = true;
    post_all(gate, calls_finish);
}

/* ---- signals ---- */

static void reopen(struct gate *gate)
{
    if (log_reopen() != ERR_OK)
        log_msg(LOG_LEVEL_ERROR, "log", "cannot reopen %s: %s", gate->snapshot->config->gate.log,
                strerror(errno));
    key_file_reopen();
    upgrade_reopen(gate);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct gate *gate = handle->data;

    switch (number) {
    case SIGTERM:
    case SIGINT: gate_stop(gate, strsignal(number)); break;
    case SIGQUIT: gate_drain(gate, strsignal(number)); break;
    case SIGUSR1: reopen(gate); break;
    case SIGUSR2: upgrade_start(gate); break;
    case SIGHUP: (void)reload(gate, "HUP", NULL); break;
    default: upgrade_leave(gate); break;
    }
}

static void signals_block(void)
{
    sigset_t all;
    sigfillset(&all);
    sigdelset(&all, SIGSYS); /* a blocked one kills the process: confine/syscalls.h */
    INSIST(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
}

/* Carries out the orders of other gates to end tunnels. */
static void orders_carry_out(struct gate *gate)
{
    struct order *order;
    struct call_filter f;
    struct log_line l;

    while ((order = shared_service_order(&gate->store)) != NULL) {
        if (orders_read(order->text, &f)) {
            const size_t ended = drains_end_tunnels(gate, &f, order->is_ban ? "ban" : "end", 1);
            log_begin(&l, LOG_LEVEL_INFO, "end");
            log_str(&l, "by", "shared");
            log_str(&l, "gate", order->gate);
            log_num(&l, "tunnels", ended);
            log_end(&l);
        }
        order_free(order);
    }
}

static void questions_answer(struct gate *gate)
{
    struct inquiry_question *q;

    while ((q = shared_service_question(&gate->store)) != NULL) {
        gate->control->on_question(gate, q);
        inquiry_question_free(q);
    }
}

static void answers_take(struct gate *gate)
{
    struct shared_answers *a;

    while ((a = shared_service_answers(&gate->store)) != NULL) {
        gate->control->on_answers(gate, a);
        shared_answers_free(a);
    }
}

static void on_worker_done(uv_async_t *async)
{
    struct gate *gate = async->data;

    orders_carry_out(gate);
    questions_answer(gate);
    answers_take(gate);
    finish_if_idle(gate);
    if (atomic_load(&gate->workers_done) < gate->workers)
        return; /* uv_async merges sends, but the last one always arrives */
    /* All calls have ended, so no login and no accounting message needs the RADIUS proxy. */
    if (!radius_service_stop(&gate->radius) || upgrade_waits(gate) ||
        !shared_service_stop(&gate->store))
        return;
    answers_take(gate); /* the thread gave the last ones at its end */
    for (size_t i = 0; i < gate->workers; i++)
        INSIST_UV(uv_thread_join(&gate->worker[i].thread));
    signals_block(); /* without a handler the next signal would kill the program */
    for (size_t i = 0; i < sizeof gate->signal / sizeof *gate->signal; i++)
        uv_close((uv_handle_t *)&gate->signal[i], NULL);
    uv_close((uv_handle_t *)&gate->worker_done, NULL);
    uv_close((uv_handle_t *)&gate->bans_timer, NULL);
    uv_close((uv_handle_t *)&gate->expiry_timer, NULL);
    uv_close((uv_handle_t *)&gate->history_timer, NULL);
    drains_stop(gate);
    watch_free(gate->watch);
    admin_free(gate->admin);
    status_service_stop(&gate->status);
    upgrade_close(gate);
    service_close(gate);
}

static void on_files_changed(void *arg)
{
    reload_files(arg);
}

static void loop_open(struct gate *gate)
{
    const int numbers[] = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGHUP, SIGRTMIN};

    INSIST_UV(uv_loop_init(&gate->loop));
    INSIST_UV(uv_async_init(&gate->loop, &gate->worker_done, on_worker_done));
    gate->worker_done.data = gate;
    bans_start(gate);
    reload_start(gate);
    totals_start(gate);
    drains_start(gate);
    upgrade_open(gate);
    service_open(gate);
    gate->watch = watch_new(&gate->loop, on_files_changed, gate);
    watch_files(gate->watch, gate->snapshot->files);
    gate->started_ms = uv_now(&gate->loop);
    gate->started = time(NULL);
    if (gate->admin_fd >= 0)
        gate->admin = admin_new(&gate->loop, gate->admin_fd, gate->snapshot->config->gate.admin,
                                gate->control->commands, gate);
    if (gate->admin != NULL && !gate->admin_inherited)
        admin_own_file(gate->admin);
    for (size_t i = 0; i < sizeof gate->signal / sizeof *gate->signal; i++) {
        INSIST_UV(uv_signal_init(&gate->loop, &gate->signal[i]));
        gate->signal[i].data = gate;
        INSIST_UV(uv_signal_start(&gate->signal[i], on_signal, numbers[i]));
    }
}

/* ---- ready ---- */

static bool ready_print(FILE *out, void *arg)
{
    const struct gate *gate = arg;

    for (size_t i = 0; i < gate->sockets.count; i++) {
        char text[ADDR_TEXT_MAX];
        fprintf(out, "%s %s\n", reload_listener_name(gate, &gate->sockets.item[i]),
                addr_format(&gate->sockets.item[i].bound, text));
    }
    radius_service_print_ready(&gate->radius, gate->snapshot->config, out);
    status_service_print_ready(&gate->status, out);
    return true;
}

/* Replaces the file atomically, so that a program that waits for it never reads a part of it. */
static bool ready_write(struct gate *gate, const char *path, FILE *problems)
{
    /* mode: minus the umask; the file has no secrets */
    const bool ok = file_replace(path, 0666, ready_print, gate);

    if (!ok)
        fprintf(problems, "cannot write %s: %s\n", path, strerror(errno));
    return ok;
}

/* ---- begin and end ---- */

static bool log_prepare(const struct snapshot *snapshot, FILE *problems)
{
    const struct config_gate *g = &snapshot->config->gate;

    /* If the configuration has errors, nothing is opened: reload_prepare reports the other
     * errors. */
    if (!snapshot->sound ||
        log_open(g->log, (enum log_level)g->log_level, (enum log_format)g->log_format) == ERR_OK)
        return true;
    const char *cause = strerror(errno);
    fprintf(problems, "%s:%u: cannot open the log %s%s: %s\n", g->file,
            config_line(snapshot->config, g, "log"), g->log,
            strncmp(g->log, "syslog", 6) == 0 ? " (/dev/log)" : "", cause);
    return false;
}

static bool admin_prepare(struct gate *gate, const struct config *c, FILE *problems)
{
    if (c->gate.admin == NULL)
        return true;
    gate->admin_fd = inherited_unix(c->gate.admin, &gate->admin_held);
    gate->admin_inherited = gate->admin_fd >= 0;
    if (gate->admin_fd >= 0 &&
        !admin_share(c->gate.admin, c->gate.admin_group, (unsigned)c->gate.admin_mode))
        log_msg(LOG_LEVEL_WARNING, "admin", "admin-group and admin-mode were not applied to %s: %s",
                c->gate.admin, strerror(errno));
    if (gate->admin_fd < 0)
        gate->admin_fd =
            admin_bind(c->gate.admin, c->gate.admin_group, (unsigned)c->gate.admin_mode);
    if (gate->admin_fd < 0)
        fprintf(problems, "%s:%u: admin: cannot listen on %s: %s\n", c->gate.file,
                config_line(c, &c->gate, "admin"), c->gate.admin, strerror(errno));
    return gate->admin_fd >= 0;
}

/* Opens all sockets. False: every problem was written to problems, and nothing is open. */
static bool next_prepare(struct gate *gate, struct reload_next *n, struct snapshot *snapshot,
                         FILE *problems)
{
    gate->first_number = upgrade_describe(gate->upgrade);
    gate->admin_fd = -1;
    bool ok = reload_prepare(gate, n, snapshot, problems);
    if (ok && !shared_service_prepare(&gate->store, snapshot, problems)) {
        reload_drop(gate, n);
        ok = false;
    }
    if (ok && !status_service_bind(&gate->status, snapshot->config, problems)) {
        shared_service_fini(&gate->store);
        reload_drop(gate, n);
        ok = false;
    }
    if (ok && !admin_prepare(gate, snapshot->config, problems)) {
        shared_service_fini(&gate->store);
        status_service_fini(&gate->status);
        reload_drop(gate, n);
        ok = false;
    }
    inherited_end();
    return ok;
}

static void admin_drop(const struct gate *gate, const struct config *c)
{
    if (gate->admin_fd < 0)
        return;
    close(gate->admin_fd);
    if (!gate->admin_inherited)
        (void)unlink(c->gate.admin);
}

/* Logs the version and the library of the ciphers. */
static void log_start(void)
{
    struct log_line l;

    log_begin(&l, LOG_LEVEL_INFO, "start");
    log_str(&l, "version", version_text);
    log_str(&l, "ciphers", aead_name());
    log_end(&l);
}

/* Logs how the process is confined, and which files its user may not use. */
static void containment_report(const struct gate *gate)
{
    struct memo m;

    containment_log(&gate->containment, gate->snapshot->config);
    containment_check_access(gate->snapshot->config, gate->snapshot->files, memo_open(&m));
    log_lines(LOG_LEVEL_WARNING, "sandbox", memo_text(&m));
    memo_free(&m);
}

/* Creates the objects that all threads share. */
static void shared_init(struct gate *gate, const struct config *c)
{
    gate->shared.limits = limits_new(&c->gate.limits);
    bans_load(gate, c->gate.limits.ban_file);
    gate->shared.leaves = leaves_new();
    gate->shared.failures = failures_new();
    gate->shared.on_idle = on_idle;
    gate->shared.idle_arg = gate;
    gate->shared.keyring = keyring_new();
    keyring_on_put(gate->shared.keyring, on_keys, gate);
    radius_service_init(&gate->radius, gate->shared.keyring, &gate->worker_done);
}

static void shared_fini(struct gate *gate)
{
    radius_service_fini(&gate->radius);
    keyring_free(gate->shared.keyring);
    leaves_free(gate->shared.leaves);
    failures_free(gate->shared.failures);
    /* No call exists any more, so each count must be 0 again. */
    INSIST(atomic_load(&gate->shared.count) == 0 && limits_unused(gate->shared.limits));
    bans_save(gate);
    limits_free(gate->shared.limits);
}

static void gate_free(struct gate *gate)
{
    workers_fini(gate);
    shared_service_fini(&gate->store);
    shared_fini(gate);
    sockets_free(&gate->sockets);
    status_service_fini(&gate->status);
    containment_fini(&gate->containment);
    free(gate->expiry_steps);
    free(gate->mistakes);
    upgrade_free(gate->upgrade);
    site_unref(gate->site);
    snapshot_unref(gate->snapshot);
    backends_free(gate->backends);
    free(gate);
}

/* Reads the configuration and opens all sockets; they listen, but no connection is accepted yet.
 * NULL: every problem has been written to problems. */
static struct gate *gate_new(const char *path, const char *ready_file, struct upgrade *upgrade,
                             FILE *problems)
{
    struct gate *gate = NEW(struct gate);
    struct reload_next n;
    int key_log = -1;

    gate->path = path;
    gate->upgrade = upgrade;
    gate->backends = backends_new();
    struct snapshot *snapshot = snapshot_load(path, gate->backends, problems);
    if (snapshot == NULL)
        goto err_backends;
    if (!log_prepare(snapshot, problems))
        goto err_snapshot;
    const struct config_gate *g = &snapshot->config->gate;
    const struct cgroup_limits limits = cgroup_read("/proc/self/cgroup", "/sys/fs/cgroup");
    gate->memory = limits.memory;
    gate->workers = g->workers == 0 ? cpus(&limits) : g->workers;
    if (!next_prepare(gate, &n, snapshot, problems))
        goto err_snapshot;
    /* No later step needs root. */
    if (!key_file_prepare(snapshot->config, &key_log, problems) ||
        !containment_enter(&gate->containment, snapshot->config, ready_file, problems))
        goto err_next;
    key_file_commit(snapshot->config, key_log);
    shared_init(gate, snapshot->config);
    upgrade_restore(gate, snapshot);
    workers_init(gate);
    reload_warn(gate, &n);
    reload_commit(gate, &n, false);
    snapshot_unref(snapshot);
    return gate;

err_next:
    if (key_log >= 0)
        close(key_log);
    shared_service_fini(&gate->store);
    status_service_fini(&gate->status);
    containment_fini(&gate->containment);
    admin_drop(gate, snapshot->config);
    reload_drop(gate, &n);
err_snapshot:
    snapshot_unref(snapshot);
err_backends:
    backends_free(gate->backends);
    free(gate);
    return NULL;
}

/* Makes the files of Unix sockets those of this process, which removes them at its end. Before,
 * they are those of the process that it replaces. */
static void own_files(struct gate *gate)
{
    if (gate->admin != NULL && !gate->admin_held)
        admin_own_file(gate->admin);
    status_service_own_files(&gate->status);
}

/* Chooses the library of the ciphers, and checks it. */
static bool ciphers_start(FILE *problems)
{
    char error[AEAD_ERROR_MAX];

    if (aead_start(error))
        return true;
    fprintf(problems, "%s\n", error);
    return false;
}

int gate_run(const char *path, const char *ready_file, char *const *argv,
             const struct gate_control *control)
{
    bool ok = true;

    signal(SIGPIPE, SIG_IGN); /* a write to a closed socket returns an error instead */
    signal(SIGXFSZ, SIG_IGN); /* so does a write to a log that has reached its size limit */
    struct upgrade *upgrade = upgrade_new(argv);
    /* First, because the confinement may forbid to load a library of ciphers later. */
    struct gate *gate = ciphers_start(upgrade_problems(upgrade))
                            ? gate_new(path, ready_file, upgrade, upgrade_problems(upgrade))
                            : NULL;
    if (gate == NULL) {
        upgrade_free(upgrade);
        return 1;
    }
    gate->control = control;
    loop_open(gate);
    workers_start(gate);
    log_start();
    reload_log_listen(gate, 0, 0);
    status_service_log_listen(&gate->status);
    containment_report(gate);
    if (ready_file != NULL && !ready_write(gate, ready_file, upgrade_problems(upgrade))) {
        ok = false;
        upgrade_abandon(gate);
        gate->finishing = true;
        post_all(gate, calls_stop);
    } else {
        own_files(gate);
        upgrade_ready(gate);
    }
    INSIST_UV(uv_run(&gate->loop, UV_RUN_DEFAULT));
    INSIST_UV(uv_loop_close(&gate->loop));
    log_msg(LOG_LEVEL_INFO, "stop", "all calls have ended");
    gate_free(gate);
    key_log_use(-1, NULL, 0);
    containment_log_refused();
    return ok ? 0 : 1;
}
