#include "ops/server.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/check.h"
#include "base/log.h"
#include "call/site.h"
#include "call/snapshot.h"
#include "call/tunnels.h"
#include "net/worker.h"
#include "ops/admin.h"
#include "ops/check.h"
#include "ops/sockets.h"
#include "ops/watch.h"
#include "policy/limits.h"

struct server_worker {
    struct worker worker;
    struct tunnels tunnels;
    struct server *server;
    uv_thread_t thread;
};

struct server {
    const char *path;
    struct snapshot *snapshot; /* in force */
    struct server_worker *worker;
    size_t workers;
    struct sockets sockets;
    struct tunnels_total total;
    struct limits *limits;

    uv_loop_t loop;
    uv_signal_t signal[5];
    uv_timer_t bans_timer, expiry_timer;
    char *expiry_steps; /* as they were told last */
    uv_async_t worker_done;
    uv_sem_t switched; /* posted by each worker that serves what next_commit gave it */
    atomic_size_t workers_done;
    struct watch *watch;
    struct admin *admin; /* NULL where the configuration names no socket */
    int admin_fd;        /* its socket, until the loop has it; -1 */
    struct {
        unsigned wanted;
        size_t room;
    } short_of; /* descriptors for calls, as it was told last; wanted 0: not short */
    enum server_phase { SERVING, DRAINING, STOPPING } phase;
    uint64_t started_ms;
    struct {
        time_t when; /* 0: there was none */
        bool ok;
        const char *cause; /* stays */
    } last_reload;
};

static size_t cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : (size_t)n;
}

/* A call needs two descriptors, and the program a few of its own. A reload that changes nothing about
 * it does not say again that there are too few. */
static unsigned tunnels_max(struct server *s)
{
    const unsigned wanted = s->snapshot->config->gate.max_tunnels;
    struct rlimit lim;
    size_t own = 32 + s->sockets.count * s->workers + 8 * s->workers;

    if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
        return wanted;
    if (lim.rlim_cur < lim.rlim_max) {
        lim.rlim_cur = lim.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &lim); /* what we have is read again below */
        (void)getrlimit(RLIMIT_NOFILE, &lim);
    }
    size_t room = lim.rlim_cur > own + 2 ? (size_t)(lim.rlim_cur - own) / 2 : 1;
    if (room >= wanted) {
        s->short_of.wanted = 0;
        return wanted;
    }
    if (s->short_of.wanted != wanted || s->short_of.room != room)
        log_msg(LOG_LEVEL_WARNING, "limit",
                "max-tunnels is %u, but the limit of open files (%llu) leaves room for %zu", wanted,
                (unsigned long long)lim.rlim_cur, room);
    s->short_of.wanted = wanted;
    s->short_of.room = room;
    return (unsigned)room;
}

/* ---- what the workers serve ---- */

/* Everything new, built and checked, before anything old is touched. */
struct next {
    struct snapshot *snapshot;
    struct sockets sockets;
    struct site **site; /* one for each worker */
};

static void next_free(struct server *s, struct next *n)
{
    for (size_t i = 0; n->site != NULL && i < s->workers; i++)
        site_unref(n->site[i]);
    free(n->site);
    sockets_free(&n->sockets);
    snapshot_unref(n->snapshot);
}

/* snapshot: becomes the next's. */
static bool next_prepare(struct server *s, struct next *n, struct snapshot *snapshot,
                         FILE *problems)
{
    bool ok = snapshot->sound;

    *n = (struct next){.snapshot = snapshot};
    n->site = check_alloc(calloc(s->workers, sizeof *n->site));
    /* The first tells every error there is; the others can only repeat it. */
    for (size_t i = 0; i < s->workers && (i == 0 || ok); i++) {
        n->site[i] = site_new(snapshot, problems);
        ok &= n->site[i] != NULL;
    }
    ok = ok && sockets_prepare(&n->sockets, &s->sockets, snapshot->config, s->workers, problems);
    if (!ok)
        next_free(s, n);
    return ok;
}

/* One worker's part, on its way to the worker's thread. */
struct switch_letter {
    struct tunnels *tunnels;
    uv_sem_t *done;
    struct site *site;
    size_t count;
    struct tunnels_place place[];
};

static void switch_deliver(void *arg)
{
    struct switch_letter *l = arg;
    uv_sem_t *done = l->done;
    tunnels_switch(l->tunnels, l->site, l->place, l->count);
    free(l);
    uv_sem_post(done);
}

static struct switch_letter *switch_letter(struct server *s, struct next *n, size_t worker)
{
    size_t count = n->sockets.count;
    struct switch_letter *l = check_alloc(calloc(1, sizeof *l + count * sizeof *l->place));

    l->tunnels = &s->worker[worker].tunnels;
    l->done = &s->switched;
    l->site = n->site[worker];
    l->count = count;
    for (size_t i = 0; i < count; i++) {
        const struct socket *sock = &n->sockets.item[i];
        l->place[i] = (struct tunnels_place){
            .socket = sock->id,
            .listener = sock->listener,
            .fd = sock->fds == NULL ? -1 : sock->fds[worker],
        };
    }
    return l;
}

static const char *listener_name(const struct server *s, const struct socket *sock)
{
    return s->snapshot->config->listener[sock->listener].name;
}

static void log_listen(const struct server *s, size_t first_id)
{
    for (size_t i = 0; i < s->sockets.count; i++) {
        const struct socket *sock = &s->sockets.item[i];
        char text[ADDR_TEXT_MAX];
        struct log_line l;
        if (sock->id < first_id)
            continue;
        log_begin(&l, LOG_LEVEL_INFO, "listen");
        log_str(&l, "listener", listener_name(s, sock));
        log_str(&l, "address", addr_format(&sock->bound, text));
        log_num(&l, "workers", s->workers);
        log_end(&l);
    }
}

/* Cannot fail. running: the workers have threads, and are told there. When this returns the new is in
 * force: who connects from now on meets it. */
static void next_commit(struct server *s, struct next *n, bool running)
{
    for (size_t i = 0; i < s->workers; i++) {
        struct switch_letter *l = switch_letter(s, n, i);
        if (running)
            worker_post(&s->worker[i].worker, switch_deliver, l);
        else
            switch_deliver(l);
    }
    for (size_t i = 0; i < s->workers; i++)
        uv_sem_wait(&s->switched);
    free(n->site);
    for (size_t i = 0; i < n->sockets.count; i++) {
        free(n->sockets.item[i].fds); /* the workers have them */
        n->sockets.item[i].fds = NULL;
    }
    sockets_free(&s->sockets);
    s->sockets = n->sockets;
    snapshot_unref(s->snapshot);
    s->snapshot = n->snapshot;
    atomic_store(&s->total.max, tunnels_max(s));
}

static void log_problems(const char *event, enum log_level level, char *text)
{
    for (char *line, *rest = text; (line = strsep(&rest, "\n")) != NULL;)
        if (*line != '\0')
            log_msg(level, event, "%s", line);
}

/* ---- bans ---- */

enum { BANS_MS = 5000 };

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static void bans_load(struct server *s, const char *path)
{
    char *text = NULL;
    size_t len = 0;

    if (path == NULL)
        return;
    FILE *problems = check_alloc(open_memstream(&text, &len));
    /* A damaged file loses bans; that is no reason to lose the gate. */
    (void)!limits_load(s->limits, path, now_ms(), (int64_t)time(NULL), problems);
    fclose(problems);
    log_problems("bans", LOG_LEVEL_WARNING, text);
    free(text);
}

static void bans_save(struct server *s)
{
    const char *path = s->snapshot->config->gate.limits.ban_file;

    if (path == NULL || !limits_unsaved(s->limits))
        return;
    if (limits_save(s->limits, path, now_ms(), (int64_t)time(NULL)) != ERR_OK)
        log_msg(LOG_LEVEL_ERROR, "bans", "cannot write %s: %s", path, strerror(errno));
}

static void on_bans_timer(uv_timer_t *timer)
{
    struct server *s = timer->data;
    limits_sweep(s->limits, now_ms());
    bans_save(s);
}

/* ---- warnings about files ---- */

static void files_warn(const struct config *c)
{
    char *text = NULL;
    size_t len = 0;
    FILE *to = check_alloc(open_memstream(&text, &len));

    check_files(c, to);
    fclose(to);
    log_problems("files", LOG_LEVEL_WARNING, text);
    free(text);
}

enum { EXPIRY_MS = 3600 * 1000 };

/* Said when the program starts, at a reload, and when a certificate comes 30, 7 or 1 days near its
 * end; not each time somebody looks. */
static void expiry_warn(struct server *s, const struct site *site, bool always)
{
    char *text = NULL, *steps = NULL;
    size_t len = 0, steps_len = 0;
    FILE *to = check_alloc(open_memstream(&text, &len));
    FILE *steps_to = check_alloc(open_memstream(&steps, &steps_len));

    check_expiry(site, to, steps_to);
    fclose(to);
    fclose(steps_to);
    if (always || s->expiry_steps == NULL || strcmp(steps, s->expiry_steps) != 0)
        log_problems("expiry", LOG_LEVEL_WARNING, text);
    free(text);
    free(s->expiry_steps);
    s->expiry_steps = steps;
}

static void on_expiry_timer(uv_timer_t *timer)
{
    struct server *s = timer->data;
    char *text = NULL;
    size_t len = 0;
    FILE *problems = check_alloc(open_memstream(&text, &len));
    /* The workers' sites are theirs alone; an hour is long enough to make one more. */
    struct site *site = site_new(s->snapshot, problems);

    fclose(problems);
    free(text); /* files that are being replaced right now: watch tells what comes of it */
    if (site != NULL)
        expiry_warn(s, site, false);
    site_unref(site);
}

/* ---- reload ---- */

static bool same_text(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void warn_fixed(const struct config_gate *was, const struct config_gate *is)
{
    if (was->workers != is->workers)
        log_msg(LOG_LEVEL_WARNING, "reload", "workers changes with a restart only");
    if (strcmp(was->log, is->log) != 0 || was->log_level != is->log_level)
        log_msg(LOG_LEVEL_WARNING, "reload", "log and log-level change with a restart only");
    if (!same_text(was->admin, is->admin))
        log_msg(LOG_LEVEL_WARNING, "reload", "admin changes with a restart only");
    if (was->limits.prefix_ipv4 != is->limits.prefix_ipv4 ||
        was->limits.prefix_ipv6 != is->limits.prefix_ipv6)
        log_msg(LOG_LEVEL_WARNING, "reload",
                "address-prefix-ipv4 and address-prefix-ipv6 change with a restart only");
}

/* cause: a literal. answer: NULL, or where the problems go besides the log. */
static bool reload(struct server *s, const char *cause, FILE *answer)
{
    char *text = NULL;
    size_t len = 0;

    if (s->phase != SERVING)
        return false;
    watch_mark(s->watch);
    FILE *problems = check_alloc(open_memstream(&text, &len));
    struct snapshot *snapshot = snapshot_load(s->path, problems);
    struct next n;
    bool ok = snapshot != NULL && next_prepare(s, &n, snapshot, problems);

    fclose(problems);
    if (answer != NULL)
        fputs(text, answer);
    if (ok) {
        size_t first_id = s->sockets.next_id;
        warn_fixed(&s->snapshot->config->gate, &n.snapshot->config->gate);
        files_warn(n.snapshot->config);
        expiry_warn(s, n.site[0], true);
        next_commit(s, &n, true);
        log_listen(s, first_id);
        limits_configure(s->limits, &s->snapshot->config->gate.limits);
        log_msg(LOG_LEVEL_INFO, "reload", "%s: the new configuration is in force", cause);
    } else {
        log_problems("reload", LOG_LEVEL_ERROR, text);
        log_msg(LOG_LEVEL_ERROR, "reload", "%s: nothing was changed, the old configuration stays",
                cause);
    }
    s->last_reload.when = time(NULL);
    s->last_reload.ok = ok;
    s->last_reload.cause = cause;
    watch_files(s->watch, s->snapshot->config);
    free(text);
    return ok;
}

static void on_files_changed(void *arg)
{
    (void)reload(arg, "a file has changed", NULL);
}

/* ---- workers ---- */

static void worker_main(void *arg)
{
    struct server_worker *sw = arg;
    worker_run(&sw->worker);
    atomic_fetch_add(&sw->server->workers_done, 1);
    CHECK_UV(uv_async_send(&sw->server->worker_done));
}

static void workers_init(struct server *s)
{
    for (size_t i = 0; i < s->workers; i++) {
        struct server_worker *sw = &s->worker[i];
        sw->server = s;
        worker_init(&sw->worker, (unsigned)i, tunnels_sweep, &sw->tunnels);
        tunnels_init(&sw->tunnels, &sw->worker, &s->total, s->limits);
    }
}

static void post_all(struct server *s, void (*fn)(void *))
{
    for (size_t i = 0; i < s->workers; i++)
        worker_post(&s->worker[i].worker, fn, &s->worker[i].tunnels);
}

/* ---- the end ---- */

static void stop(struct server *s, const char *cause)
{
    log_msg(LOG_LEVEL_INFO, "stop", "%s: closing all calls", cause);
    s->phase = STOPPING;
    post_all(s, tunnels_stop);
}

static void drain(struct server *s)
{
    log_msg(LOG_LEVEL_INFO, "stop", "no new calls, waiting for those that are up");
    if (s->phase == SERVING)
        s->phase = DRAINING;
    post_all(s, tunnels_drain);
}

/* ---- commands of the admin socket ---- */

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

    limits_count(s->limits, &counts);
    fprintf(out, "version: " SSTPGATE_VERSION "\npid: %ld\nstate: %s\nuptime: %llu\nworkers: %zu\n",
            (long)getpid(), phases[s->phase],
            (unsigned long long)((uv_now(&s->loop) - s->started_ms) / 1000), s->workers);
    fprintf(out, "calls: %u\ncalls-max: %u\nbans: %zu\n", atomic_load(&s->total.count),
            atomic_load(&s->total.max), counts.bans);
    fprintf(out, "configuration: %s\n", s->path);
    print_reload(s, out);
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
    limits_bans(s->limits, now_ms(), print_ban, out);
    return NULL;
}

static const char *on_unban(void *arg, const struct cidr *net, FILE *out)
{
    struct server *s = arg;
    size_t n = limits_lift(s->limits, net, now_ms());
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
    drain(arg);
    return NULL;
}

static const char *on_stop(void *arg, FILE *out)
{
    (void)out;
    stop(arg, "admin socket");
    return NULL;
}

static const struct admin_ops admin_ops = {.status = on_status,
                                           .bans = on_bans,
                                           .unban = on_unban,
                                           .reload = on_reload,
                                           .drain = on_drain,
                                           .stop = on_stop};

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

/* ---- signals ---- */

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *s = handle->data;

    switch (number) {
    case SIGTERM:
    case SIGINT:
        stop(s, strsignal(number));
        break;
    case SIGQUIT:
        drain(s);
        break;
    case SIGUSR1:
        if (log_reopen() != ERR_OK)
            log_msg(LOG_LEVEL_ERROR, "log", "cannot open %s again: %s",
                    s->snapshot->config->gate.log,
                    strerror(errno));
        break;
    case SIGHUP:
        (void)reload(s, "HUP", NULL);
        break;
    }
}

static void signals_block(void)
{
    sigset_t all;
    sigfillset(&all);
    CHECK(pthread_sigmask(SIG_BLOCK, &all, NULL) == 0);
}

static void on_worker_done(uv_async_t *async)
{
    struct server *s = async->data;

    if (atomic_load(&s->workers_done) < s->workers)
        return; /* several sends may arrive as one call, but the last one always arrives */
    for (size_t i = 0; i < s->workers; i++)
        CHECK_UV(uv_thread_join(&s->worker[i].thread));
    signals_block(); /* without handlers the next one would kill us instead of finding us done */
    for (size_t i = 0; i < sizeof s->signal / sizeof *s->signal; i++)
        uv_close((uv_handle_t *)&s->signal[i], NULL);
    uv_close((uv_handle_t *)&s->worker_done, NULL);
    uv_close((uv_handle_t *)&s->bans_timer, NULL);
    uv_close((uv_handle_t *)&s->expiry_timer, NULL);
    watch_free(s->watch);
    admin_free(s->admin);
}

static void loop_prepare(struct server *s)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGHUP};

    CHECK_UV(uv_loop_init(&s->loop));
    CHECK_UV(uv_async_init(&s->loop, &s->worker_done, on_worker_done));
    s->worker_done.data = s;
    CHECK_UV(uv_timer_init(&s->loop, &s->bans_timer));
    s->bans_timer.data = s;
    CHECK_UV(uv_timer_start(&s->bans_timer, on_bans_timer, BANS_MS, BANS_MS));
    CHECK_UV(uv_timer_init(&s->loop, &s->expiry_timer));
    s->expiry_timer.data = s;
    CHECK_UV(uv_timer_start(&s->expiry_timer, on_expiry_timer, EXPIRY_MS, EXPIRY_MS));
    s->watch = watch_new(&s->loop, on_files_changed, s);
    watch_files(s->watch, s->snapshot->config);
    s->started_ms = uv_now(&s->loop);
    if (s->admin_fd >= 0)
        s->admin = admin_new(&s->loop, s->admin_fd, s->snapshot->config->gate.admin, &admin_ops, s);
    for (size_t i = 0; i < sizeof s->signal / sizeof *s->signal; i++) {
        CHECK_UV(uv_signal_init(&s->loop, &s->signal[i]));
        s->signal[i].data = s;
        CHECK_UV(uv_signal_start(&s->signal[i], on_signal, numbers[i]));
    }
}

/* ---- ready ---- */

/* Written beside and renamed, so that whoever waits for the file finds it whole. */
static bool ready_write(const struct server *s, const char *path)
{
    static const char suffix[] = ".new";
    size_t n = strlen(path);
    char *beside = check_alloc(malloc(n + sizeof suffix));
    memcpy(beside, path, n);
    memcpy(beside + n, suffix, sizeof suffix);
    FILE *f = fopen(beside, "w");
    bool ok = f != NULL;

    for (size_t i = 0; ok && i < s->sockets.count; i++) {
        char text[ADDR_TEXT_MAX];
        fprintf(f, "%s %s\n", listener_name(s, &s->sockets.item[i]),
                addr_format(&s->sockets.item[i].bound, text));
    }
    if (f != NULL && fclose(f) != 0)
        ok = false;
    if (!ok || rename(beside, path) != 0) {
        fprintf(stderr, "cannot write %s: %s\n", path, strerror(errno));
        ok = false;
    }
    free(beside);
    return ok;
}

/* libuv makes 4 threads unless told, for all loops together, and lets names have half of them. A name
 * that no resolver answers holds one for each worker (net/dial.c): leave as many for the others. */
static void threads_suit(size_t workers)
{
    char text[24];
    snprintf(text, sizeof text, "%zu", 4 * workers);
    (void)setenv("UV_THREADPOOL_SIZE", text, 0); /* what the administrator says goes before */
}

/* From the configuration to the point where all sockets listen; nothing was accepted before. */
static bool start(struct server *s)
{
    struct snapshot *snapshot = snapshot_load(s->path, stderr);
    struct next n;

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
    threads_suit(s->workers);
    sockets_inherited_begin();
    bool ok = next_prepare(s, &n, snapshot, stderr);
    sockets_inherited_end();
    if (!ok)
        return false;
    if (!admin_prepare(s, snapshot->config)) {
        next_free(s, &n);
        return false;
    }
    s->worker = check_alloc(calloc(s->workers, sizeof *s->worker));
    s->limits = limits_new(&snapshot->config->gate.limits);
    bans_load(s, snapshot->config->gate.limits.ban_file);
    CHECK_UV(uv_sem_init(&s->switched, 0));
    workers_init(s);
    files_warn(n.snapshot->config);
    expiry_warn(s, n.site[0], true);
    next_commit(s, &n, false);
    return true;
}

int server_run(const char *path, const char *ready_file)
{
    struct server s = {.path = path};
    bool ok = true;

    signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error of the write, not a signal */
    if (!start(&s))
        return 1;
    loop_prepare(&s);
    for (size_t i = 0; i < s.workers; i++)
        CHECK_UV(uv_thread_create(&s.worker[i].thread, worker_main, &s.worker[i]));
    log_listen(&s, 0);
    if (ready_file != NULL && !ready_write(&s, ready_file)) {
        ok = false;
        post_all(&s, tunnels_stop);
    }
    CHECK_UV(uv_run(&s.loop, UV_RUN_DEFAULT));
    CHECK_UV(uv_loop_close(&s.loop));
    log_msg(LOG_LEVEL_INFO, "stop", "all calls have ended");
    for (size_t i = 0; i < s.workers; i++) {
        worker_fini(&s.worker[i].worker);
        tunnels_fini(&s.worker[i].tunnels);
    }
    uv_sem_destroy(&s.switched);
    free(s.worker);
    bans_save(&s);
    limits_free(s.limits);
    free(s.expiry_steps);
    sockets_free(&s.sockets);
    snapshot_unref(s.snapshot);
    return ok ? 0 : 1;
}
