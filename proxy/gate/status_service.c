#include "gate/status_service.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/log.h"
#include "config/config.h"
#include "gate/admin.h"
#include "gate/inherited.h"
#include "net/listener.h"
#include "site/snapshot.h"
#include "status/status.h"
#include "users/secret.h"

enum { BEAT_MS = 1000 };

/* ---- sockets ---- */

static void own_file(struct status_socket *s)
{
    struct stat st;

    if (s->path == NULL || lstat(s->path, &st) != 0)
        return;
    s->device = st.st_dev;
    s->inode = st.st_ino;
}

void status_service_own_files(struct status_service *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (!s->socket[i].held)
            own_file(&s->socket[i]);
}

/* Applies the configured group and mode to a socket of the gate that this one replaces. A socket of
 * a service manager keeps the group and mode of its unit. */
static void share_again(const char *path, const struct config_gate *g)
{
    if (!admin_share(path, g->status_group, (unsigned)g->status_mode))
        log_msg(LOG_LEVEL_WARNING, "status",
                "status-group and status-mode were not applied to %s: %s", path, strerror(errno));
}

static int bind_path(struct status_socket *s, const char *path, const struct config_gate *g)
{
    int fd = inherited_unix(path, &s->held);
    const bool own = fd < 0;

    if (own)
        fd = admin_bind(path, g->status_group, (unsigned)g->status_mode);
    else if (!s->held)
        share_again(path, g);
    if (fd < 0)
        return -1;
    s->path = insist_alloc(strdup(path));
    if (own)
        own_file(s);
    return fd;
}

/* Takes the socket of a service manager, or of the gate that this one replaces. Returns -1 if there
 * is none. */
static int take_addr(const struct addr *want)
{
    bool shared;
    int *fds, fd = -1;
    const size_t count = inherited_listening(want, NULL, true, 1, &fds, &shared);

    for (size_t i = 0; i < count; i++) {
        if (i == 0)
            fd = fds[i];
        else
            close(fds[i]);
    }
    free(fds);
    return fd;
}

static int bind_addr(struct status_socket *s, const struct addr *want)
{
    int fd = take_addr(want);

    s->want = *want;
    if (fd >= 0)
        return listener_address(fd, &s->bound) ? fd : -1;
    return listener_bind(want, NULL, 1, &fd, &s->bound) == ERR_OK ? fd : -1;
}

bool status_service_bind(struct status_service *s, const struct config *c, FILE *problems)
{
    const struct config_sockets *wanted = &c->gate.status;
    bool ok = true;

    *s = (struct status_service){0};
    s->socket = insist_alloc(calloc(wanted->count + 1, sizeof *s->socket));
    for (size_t i = 0; i < wanted->count; i++) {
        const struct config_socket *w = &wanted->item[i];
        struct status_socket *socket = &s->socket[s->count];
        char text[ADDR_TEXT_MAX];
        socket->fd =
            w->path != NULL ? bind_path(socket, w->path, &c->gate) : bind_addr(socket, &w->addr);
        if (socket->fd >= 0) {
            s->count++;
            continue;
        }
        fprintf(problems, "%s:%u: status: cannot listen on %s: %s\n", c->gate.file, w->line,
                w->path != NULL ? w->path : addr_format(&w->addr, text), strerror(errno));
        ok = false;
    }
    if (!ok)
        status_service_fini(s);
    return ok;
}

/* Closes the sockets, and leaves the files. */
static void sockets_close(struct status_service *s)
{
    for (size_t i = 0; i < s->count; i++) {
        close(s->socket[i].fd);
        free(s->socket[i].path);
    }
    free(s->socket);
    s->socket = NULL;
    s->count = 0;
}

void status_service_fini(struct status_service *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct status_socket *socket = &s->socket[i];
        struct stat st;
        if (socket->path != NULL && lstat(socket->path, &st) == 0 && st.st_dev == socket->device &&
            st.st_ino == socket->inode)
            (void)unlink(socket->path); /* on failure the next start replaces the stale file */
    }
    sockets_close(s);
}

/* ---- the main loop ---- */

/* Answers one question in a round of the loop, so that signals and commands are served as well. */
static void on_question(uv_async_t *question)
{
    struct status_service *s = question->data;

    if (status_serve(s->status))
        status_service_wake(s);
}

void status_service_wake(struct status_service *s)
{
    INSIST_UV(uv_async_send(&s->question));
}

static void beat(struct pulse *p)
{
    const uint64_t now_us = uv_hrtime() / 1000;
    pulse_beat(p, now_us, now_us + BEAT_MS * 1000);
}

static void on_beat(uv_timer_t *timer)
{
    struct status_service *s = timer->data;
    beat(&s->pulse);
}

void status_service_start(struct status_service *s, uv_loop_t *loop, const struct status_ops *ops,
                          void *arg, const struct snapshot *snapshot)
{
    if (s->count == 0)
        return;
    int *fd = insist_alloc(calloc(s->count, sizeof *fd));
    for (size_t i = 0; i < s->count; i++)
        fd[i] = s->socket[i].fd;
    INSIST_UV(uv_async_init(loop, &s->question, on_question));
    INSIST_UV(uv_timer_init(loop, &s->beat));
    s->question.data = s->beat.data = s;
    pulse_init(&s->pulse);
    beat(&s->pulse);
    INSIST_UV(uv_timer_start(&s->beat, on_beat, BEAT_MS, BEAT_MS));
    s->status = status_new(fd, s->count, ops, arg);
    free(fd);
    status_service_configure(s, snapshot);
    status_start(s->status);
}

void status_service_configure(struct status_service *s, const struct snapshot *snapshot)
{
    const struct config_gate *g = &snapshot->config->gate;
    struct guard_settings settings = {
        .allow = &g->status_allow, .host = g->status_host.item, .host_count = g->status_host.count};

    if (s->status == NULL)
        return;
    if (snapshot->status_token != NULL)
        settings.token = secret_span(snapshot->status_token);
    atomic_store(&s->ban_time, g->limits.ban_time);
    status_configure(s->status, &settings);
}

void status_service_leave(struct status_service *s)
{
    status_service_stop(s);
    sockets_close(s);
}

void status_service_stop(struct status_service *s)
{
    if (s->status == NULL)
        return;
    status_free(s->status);
    s->status = NULL;
    uv_close((uv_handle_t *)&s->question, NULL);
    uv_close((uv_handle_t *)&s->beat, NULL);
}

/* ---- log ---- */

void status_service_log_listen(const struct status_service *s)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct status_socket *socket = &s->socket[i];
        char text[ADDR_TEXT_MAX];
        struct log_line l;
        log_begin(&l, LOG_LEVEL_INFO, "listen");
        log_str(&l, "status", "http");
        if (socket->path != NULL)
            log_fmt(&l, "address", "unix:%s", socket->path);
        else
            log_str(&l, "address", addr_format(&socket->bound, text));
        log_end(&l);
    }
}

void status_service_print_ready(const struct status_service *s, FILE *out)
{
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < s->count; i++)
        if (s->socket[i].path == NULL)
            fprintf(out, "status %s\n", addr_format(&s->socket[i].bound, text));
}
