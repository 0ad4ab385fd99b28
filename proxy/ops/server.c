#include "ops/server.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "base/check.h"
#include "base/log.h"
#include "call/site.h"
#include "call/tunnels.h"
#include "net/listener.h"
#include "net/worker.h"

struct server_worker {
    struct worker worker;
    struct tunnels tunnels;
    struct site *site;
    struct server *server;
    uv_thread_t thread;
    bool started;
};

struct server_socket {
    size_t listener; /* index into config->listener */
    struct addr bound;
    int *fds; /* one for each worker */
};

struct server {
    const struct config *config;
    struct site_users users;
    struct server_worker *worker;
    size_t workers;
    struct server_socket *socket;
    size_t sockets;
    struct tunnels_total total;

    uv_loop_t loop;
    uv_signal_t signal[5];
    uv_async_t worker_done;
    atomic_size_t workers_done;
};

static size_t cpus(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n < 1 ? 1 : (size_t)n;
}

/* A call needs two descriptors, and the program a few of its own. */
static unsigned tunnels_max(unsigned wanted, size_t sockets, size_t workers)
{
    struct rlimit lim;
    size_t own = 32 + sockets * workers + 8 * workers;

    if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
        return wanted;
    if (lim.rlim_cur < lim.rlim_max) {
        lim.rlim_cur = lim.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &lim); /* what we have is read again below */
        (void)getrlimit(RLIMIT_NOFILE, &lim);
    }
    size_t room = lim.rlim_cur > own + 2 ? (size_t)(lim.rlim_cur - own) / 2 : 1;
    if (room >= wanted)
        return wanted;
    log_msg(LOG_LEVEL_WARNING, "limit", "max-tunnels is %u, but the limit of open files (%llu) "
            "leaves room for %zu", wanted, (unsigned long long)lim.rlim_cur, room);
    return (unsigned)room;
}

/* ---- sockets ---- */

static bool bind_all(struct server *s)
{
    bool ok = true;

    for (size_t i = 0; i < s->config->listener_count; i++) {
        const struct config_listener *l = &s->config->listener[i];
        for (size_t k = 0; k < l->listen_count; k++) {
            struct server_socket *sock = &s->socket[s->sockets];
            char text[ADDR_TEXT_MAX];
            sock->listener = i;
            sock->fds = check_alloc(calloc(s->workers, sizeof *sock->fds));
            if (listener_bind(&l->listen[k], s->workers, sock->fds, &sock->bound) == ERR_OK) {
                s->sockets++;
                continue;
            }
            fprintf(stderr, "%s:%u: listener %s: cannot listen on %s: %s\n", s->config->path,
                    config_line(s->config, l, "listen"), l->name,
                    addr_format(&l->listen[k], text), strerror(errno));
            free(sock->fds);
            ok = false;
        }
    }
    return ok;
}

static void sockets_close(struct server *s)
{
    for (size_t i = 0; i < s->sockets; i++)
        for (size_t w = 0; w < s->workers; w++)
            if (s->socket[i].fds[w] >= 0)
                close(s->socket[i].fds[w]);
}

static void sockets_free(struct server *s)
{
    for (size_t i = 0; i < s->sockets; i++)
        free(s->socket[i].fds);
    free(s->socket);
}

/* ---- workers ---- */

static void worker_main(void *arg)
{
    struct server_worker *sw = arg;
    worker_run(&sw->worker);
    atomic_fetch_add(&sw->server->workers_done, 1);
    CHECK_UV(uv_async_send(&sw->server->worker_done));
}

static bool worker_prepare(struct server *s, size_t index)
{
    struct server_worker *sw = &s->worker[index];

    sw->server = s;
    sw->site = site_new(s->config, &s->users, stderr);
    if (sw->site == NULL)
        return false;
    worker_init(&sw->worker, (unsigned)index, tunnels_sweep, &sw->tunnels);
    tunnels_init(&sw->tunnels, &sw->worker, sw->site, &s->total, s->sockets);
    sw->started = true;
    bool ok = true;
    for (size_t i = 0; i < s->sockets; i++) {
        int fd = s->socket[i].fds[index];
        s->socket[i].fds[index] = -1;
        int r = tunnels_listen(&sw->tunnels, fd, s->socket[i].listener);
        if (r != 0) {
            char text[ADDR_TEXT_MAX];
            fprintf(stderr, "cannot listen on %s: %s\n", addr_format(&s->socket[i].bound, text),
                    uv_strerror(r));
            ok = false;
        }
    }
    return ok;
}

static void worker_release(struct server_worker *sw)
{
    if (sw->started) {
        tunnels_fini(&sw->tunnels);
        worker_fini(&sw->worker);
    }
    site_free(sw->site);
}

/* For a start that failed: closes what the workers have opened, in this thread. */
static void workers_undo(struct server *s)
{
    for (size_t i = 0; i < s->workers; i++)
        if (s->worker[i].started) {
            tunnels_drain(&s->worker[i].tunnels);
            worker_run(&s->worker[i].worker);
        }
}

/* ---- signals ---- */

static void post_all(struct server *s, void (*fn)(void *))
{
    for (size_t i = 0; i < s->workers; i++)
        worker_post(&s->worker[i].worker, fn, &s->worker[i].tunnels);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct server *s = handle->data;

    switch (number) {
    case SIGTERM:
    case SIGINT:
        log_msg(LOG_LEVEL_INFO, "stop", "%s: closing all calls", strsignal(number));
        post_all(s, tunnels_stop);
        break;
    case SIGQUIT:
        log_msg(LOG_LEVEL_INFO, "stop", "no new calls, waiting for those that are up");
        post_all(s, tunnels_drain);
        break;
    case SIGUSR1:
        if (log_reopen() != ERR_OK)
            log_msg(LOG_LEVEL_ERROR, "log", "cannot open %s again: %s", s->config->gate.log,
                    strerror(errno));
        break;
    case SIGHUP:
        log_msg(LOG_LEVEL_WARNING, "reload", "not possible in this version: restart to take up a "
                                             "new configuration");
        break;
    }
}

static void on_worker_done(uv_async_t *async)
{
    struct server *s = async->data;

    if (atomic_load(&s->workers_done) < s->workers)
        return; /* several sends may arrive as one call, but the last one always arrives */
    for (size_t i = 0; i < s->workers; i++)
        CHECK_UV(uv_thread_join(&s->worker[i].thread));
    for (size_t i = 0; i < sizeof s->signal / sizeof *s->signal; i++)
        uv_close((uv_handle_t *)&s->signal[i], NULL);
    uv_close((uv_handle_t *)&s->worker_done, NULL);
}

static void loop_prepare(struct server *s)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGQUIT, SIGUSR1, SIGHUP};

    CHECK_UV(uv_loop_init(&s->loop));
    CHECK_UV(uv_async_init(&s->loop, &s->worker_done, on_worker_done));
    s->worker_done.data = s;
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

    for (size_t i = 0; ok && i < s->sockets; i++) {
        char text[ADDR_TEXT_MAX];
        fprintf(f, "%s %s\n", s->config->listener[s->socket[i].listener].name,
                addr_format(&s->socket[i].bound, text));
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

static void log_ready(const struct server *s)
{
    for (size_t i = 0; i < s->sockets; i++) {
        char text[ADDR_TEXT_MAX];
        struct log_line l;
        log_begin(&l, LOG_LEVEL_INFO, "listen");
        log_str(&l, "listener", s->config->listener[s->socket[i].listener].name);
        log_str(&l, "address", addr_format(&s->socket[i].bound, text));
        log_num(&l, "workers", s->workers);
        log_end(&l);
    }
}

int server_run(const struct config *config, const char *ready_file)
{
    struct server s = {.config = config};
    size_t addresses = 0;
    bool ok = false;

    signal(SIGPIPE, SIG_IGN); /* a peer that is gone is an error of the write, not a signal */
    if (log_open(config->gate.log, (enum log_level)config->gate.log_level) != ERR_OK) {
        fprintf(stderr, "%s:%u: cannot open the log %s: %s\n", config->path,
                config_line(config, &config->gate, "log"), config->gate.log, strerror(errno));
        return 1;
    }
    for (size_t i = 0; i < config->listener_count; i++)
        addresses += config->listener[i].listen_count;
    s.workers = config->gate.workers == 0 ? cpus() : config->gate.workers;
    s.socket = check_alloc(calloc(addresses, sizeof *s.socket));
    s.worker = check_alloc(calloc(s.workers, sizeof *s.worker));
    s.total.max = tunnels_max(config->gate.max_tunnels, addresses, s.workers);

    if (!site_users_load(&s.users, config, stderr))
        goto out;
    ok = bind_all(&s);
    for (size_t i = 0; ok && i < s.workers; i++)
        ok = worker_prepare(&s, i);
    if (!ok) {
        workers_undo(&s);
        sockets_close(&s);
        goto out;
    }
    loop_prepare(&s);
    for (size_t i = 0; i < s.workers; i++)
        CHECK_UV(uv_thread_create(&s.worker[i].thread, worker_main, &s.worker[i]));
    log_ready(&s);
    if (ready_file != NULL && !ready_write(&s, ready_file)) {
        ok = false;
        post_all(&s, tunnels_stop);
    }
    CHECK_UV(uv_run(&s.loop, UV_RUN_DEFAULT));
    CHECK_UV(uv_loop_close(&s.loop));
    log_msg(LOG_LEVEL_INFO, "stop", "all calls have ended");
out:
    for (size_t i = 0; i < s.workers; i++)
        worker_release(&s.worker[i]);
    site_users_free(&s.users, config);
    sockets_free(&s);
    free(s.worker);
    return ok ? 0 : 1;
}
