#include "gate/radius_service.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/insist.h"
#include "base/log.h"

void radius_service_init(struct radius_service *s, struct keyring *keyring, uv_async_t *done)
{
    *s = (struct radius_service){.keyring = keyring, .done = done};
}

/* ---- configuration ---- */

struct service_change {
    struct radius_service *service;
    struct snapshot *snapshot;
    struct radius_place *place;
    size_t count;
};

static void service_switch(void *arg)
{
    struct service_change *c = arg;
    radius_proxy_switch(&c->service->proxy, c->snapshot, c->place, c->count);
}

void radius_service_commit(struct radius_service *s, struct snapshot *snapshot,
                           struct radius_sockets *next)
{
    struct service_change c = {.service = s, .snapshot = snapshot, .count = next->count};

    c.place = insist_alloc(calloc(next->count + 1, sizeof *c.place));
    for (size_t i = 0; i < next->count; i++) {
        struct radius_socket *sock = &next->item[i];
        c.place[i] = (struct radius_place){.id = sock->id,
                                           .section = sock->section,
                                           .accounting = sock->accounting,
                                           .fd = sock->fd};
        sock->fd = -1; /* owned by the proxy now */
    }
    if (s->phase == RADIUS_NONE && next->count > 0) {
        radius_proxy_init(&s->proxy, s->keyring);
        s->phase = RADIUS_MADE;
    }
    if (s->phase == RADIUS_MADE)
        service_switch(&c);
    else if (s->phase != RADIUS_NONE)
        worker_call(&s->proxy.worker, service_switch, &c);
    free(c.place);
    radius_sockets_free(&s->sockets);
    s->sockets = *next;
    *next = (struct radius_sockets){0};
}

/* ---- thread ---- */

static void service_main(void *arg)
{
    struct radius_service *s = arg;

    (void)pthread_setname_np(pthread_self(), "radius");
    worker_run(&s->proxy.worker);
    atomic_store(&s->ended, true);
    INSIST_UV(uv_async_send(s->done));
}

void radius_service_run(struct radius_service *s)
{
    if (s->phase != RADIUS_MADE)
        return;
    INSIST_UV(uv_thread_create(&s->thread, service_main, s));
    s->phase = RADIUS_RUNS;
}

void radius_service_leave(struct radius_service *s)
{
    if (s->phase == RADIUS_RUNS)
        worker_post(&s->proxy.worker, radius_proxy_leave, &s->proxy);
}

struct service_sockets {
    struct radius_proxy *proxy;
    void (*each)(void *arg, size_t id, int fd);
    void *arg;
};

static void list_sockets(void *arg)
{
    struct service_sockets *s = arg;
    radius_proxy_sockets(s->proxy, s->each, s->arg);
}

void radius_service_sockets(struct radius_service *s, void (*each)(void *arg, size_t id, int fd),
                            void *arg)
{
    struct service_sockets list = {.proxy = &s->proxy, .each = each, .arg = arg};

    if (s->phase == RADIUS_RUNS)
        worker_call(&s->proxy.worker, list_sockets, &list);
}

bool radius_service_stop(struct radius_service *s)
{
    if (s->phase == RADIUS_NONE || s->phase == RADIUS_ENDED)
        return true;
    if (s->phase == RADIUS_RUNS) {
        s->phase = RADIUS_STOPS;
        worker_post(&s->proxy.worker, radius_proxy_stop, &s->proxy);
    }
    if (!atomic_load(&s->ended))
        return false;
    INSIST_UV(uv_thread_join(&s->thread));
    s->phase = RADIUS_ENDED;
    return true;
}

void radius_service_fini(struct radius_service *s)
{
    INSIST(s->phase == RADIUS_NONE || s->phase == RADIUS_ENDED);
    if (s->phase == RADIUS_ENDED)
        radius_proxy_fini(&s->proxy);
    s->phase = RADIUS_NONE;
    radius_sockets_free(&s->sockets);
}

/* ---- log and counters ---- */

static const char *section_name(const struct config *c, const struct radius_socket *sock)
{
    return c->radius[sock->section].name;
}

void radius_service_log_listen(const struct radius_service *s, const struct config *c,
                               size_t first_id)
{
    for (size_t i = 0; i < s->sockets.count; i++) {
        const struct radius_socket *sock = &s->sockets.item[i];
        char text[ADDR_TEXT_MAX];
        struct log_line l;
        if (sock->id < first_id)
            continue;
        log_begin(&l, LOG_LEVEL_INFO, "listen");
        log_str(&l, radius_socket_kind(sock), section_name(c, sock));
        log_str(&l, "address", addr_format(&sock->bound, text));
        log_end(&l);
    }
}

void radius_service_print_ready(const struct radius_service *s, const struct config *c, FILE *out)
{
    for (size_t i = 0; i < s->sockets.count; i++) {
        const struct radius_socket *sock = &s->sockets.item[i];
        char text[ADDR_TEXT_MAX];
        fprintf(out, "%s:%s %s\n", radius_socket_kind(sock), section_name(c, sock),
                addr_format(&sock->bound, text));
    }
}

void radius_service_print(const struct radius_service *s, FILE *out)
{
    if (s->phase == RADIUS_MADE || s->phase == RADIUS_RUNS)
        radius_proxy_print(&s->proxy, out);
}

void radius_service_each(const struct radius_service *s,
                         void (*each)(void *arg, const struct radius_section *section), void *arg)
{
    if (s->phase == RADIUS_MADE || s->phase == RADIUS_RUNS)
        radius_proxy_each(&s->proxy, each, arg);
}
