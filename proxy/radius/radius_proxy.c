#include "radius/radius_proxy.h"

#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"
#include "base/log.h"
#include "config/config.h"
#include "net/udp.h"
#include "radius/keyring.h"
#include "radius/radius_section.h"
#include "site/snapshot.h"

struct radius_listen {
    struct udp udp;
    struct radius_listen *prev, *next;
    struct radius_section *section;
    size_t id;
    bool accounting;
    bool kept; /* in the new configuration, during a switch */
};

/* ---- sections ---- */

static void sections_switch(struct radius_proxy *p, const struct snapshot *snapshot)
{
    const size_t count = snapshot->config->radius_count;
    struct radius_section **next = insist_alloc(calloc(count + 1, sizeof(struct radius_section *)));

    for (size_t i = 0; i < count; i++) {
        const char *name = snapshot->config->radius[i].name;
        for (size_t k = 0; k < p->section_count && next[i] == NULL; k++) {
            if (p->section[k] != NULL && strcmp(radius_section_name(p->section[k]), name) == 0) {
                next[i] = p->section[k];
                p->section[k] = NULL;
            }
        }
        if (next[i] == NULL)
            next[i] = radius_section_new(&p->worker, p->keyring, name);
        radius_section_configure(next[i], snapshot, i);
    }
    for (size_t k = 0; k < p->section_count; k++)
        if (p->section[k] != NULL)
            radius_section_free(p->section[k]);
    free(p->section);
    p->section = next;
    p->section_count = count;
}

/* ---- sockets ---- */

static void on_listen_closed(struct udp *u)
{
    free(u->owner);
}

static void on_request(struct udp *u, struct span octets, const struct udp_path *path)
{
    const struct radius_listen *at = u->owner;
    radius_section_take(at->section, u, at->accounting, octets, path);
}

static void listen_close(struct radius_proxy *p, struct radius_listen *at)
{
    /* An answer leaves from the socket of its request, so these requests end, too. */
    radius_section_forget(at->section, &at->udp);
    DL_DELETE(p->listening, at);
    udp_close(&at->udp, on_listen_closed);
}

static struct radius_listen *listen_find(struct radius_proxy *p, size_t id)
{
    struct radius_listen *at;

    DL_FOREACH(p->listening, at) {
        if (at->id == id)
            break;
    }
    return at;
}

static void listen_open(struct radius_proxy *p, const struct radius_place *place)
{
    struct radius_listen *at = NEW(struct radius_listen);

    at->id = place->id;
    at->kept = true;
    at->accounting = place->accounting;
    const int r = udp_open(&at->udp, &p->worker, place->fd, on_request, at);
    if (r == 0) {
        DL_APPEND(p->listening, at);
        return;
    }
    log_msg(LOG_LEVEL_ERROR, "radius", "cannot poll a socket: %s", uv_strerror(r));
    free(at);
}

/* Closes the sockets that are no longer configured, and opens the new ones. Call it before the
 * sections change. A socket that moves to another section loses its requests. */
static void listening_prepare(struct radius_proxy *p, const struct snapshot *snapshot,
                              const struct radius_place *place, size_t count)
{
    struct radius_listen *at, *next;

    DL_FOREACH(p->listening, at) {
        at->kept = false;
    }
    for (size_t i = 0; i < count; i++) {
        if (place[i].fd >= 0 || (at = listen_find(p, place[i].id)) == NULL)
            continue;
        at->kept = true;
        if (strcmp(radius_section_name(at->section),
                   snapshot->config->radius[place[i].section].name) != 0 ||
            at->accounting != place[i].accounting)
            radius_section_forget(at->section, &at->udp);
        at->accounting = place[i].accounting;
    }
    DL_FOREACH_SAFE(p->listening, at, next) {
        if (!at->kept)
            listen_close(p, at);
    }
    for (size_t i = 0; i < count; i++)
        if (place[i].fd >= 0)
            listen_open(p, &place[i]);
}

void radius_proxy_switch(struct radius_proxy *p, struct snapshot *snapshot,
                         const struct radius_place *place, size_t count)
{
    INSIST(worker_is_here(&p->worker));
    listening_prepare(p, snapshot, place, count);
    sections_switch(p, snapshot);
    for (size_t i = 0; i < count; i++) {
        struct radius_listen *at = listen_find(p, place[i].id);
        if (at != NULL)
            at->section = p->section[place[i].section];
    }
    snapshot_unref(p->snapshot);
    p->snapshot = snapshot_ref(snapshot);
}

/* ---- numbers ---- */

size_t radius_proxy_descriptors(const struct config *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->radius_count; i++)
        n += c->radius[i].server.count + c->radius[i].accounting_server.count;
    return 2 * n;
}

void radius_proxy_print(const struct radius_proxy *p, FILE *out)
{
    for (size_t i = 0; i < p->section_count; i++)
        radius_section_print(p->section[i], out);
}

void radius_proxy_each(const struct radius_proxy *p,
                       void (*each)(void *arg, const struct radius_section *s), void *arg)
{
    for (size_t i = 0; i < p->section_count; i++)
        each(arg, p->section[i]);
}

/* ---- begin and end ---- */

static void on_sweep(void *arg, uint64_t now_ms)
{
    struct radius_proxy *p = arg;

    for (size_t i = 0; i < p->section_count; i++)
        radius_section_sweep(p->section[i], now_ms);
    keyring_sweep(p->keyring, now_ms);
}

void radius_proxy_init(struct radius_proxy *p, struct keyring *keyring)
{
    *p = (struct radius_proxy){.keyring = keyring};
    worker_init(&p->worker, 0, on_sweep, p);
}

void radius_proxy_leave(void *arg)
{
    struct radius_proxy *p = arg;
    struct radius_listen *at;

    DL_FOREACH(p->listening, at) {
        udp_pause(&at->udp);
    }
}

void radius_proxy_sockets(struct radius_proxy *p, void (*each)(void *arg, size_t id, int fd),
                          void *arg)
{
    const struct radius_listen *at;

    INSIST(worker_is_here(&p->worker));
    DL_FOREACH(p->listening, at) {
        each(arg, at->id, at->udp.fd);
    }
}

void radius_proxy_stop(void *arg)
{
    struct radius_proxy *p = arg;
    struct radius_listen *at, *next;

    INSIST(worker_is_here(&p->worker));
    DL_FOREACH_SAFE(p->listening, at, next) {
        listen_close(p, at);
    }
    for (size_t i = 0; i < p->section_count; i++)
        radius_section_free(p->section[i]);
    free(p->section);
    p->section = NULL;
    p->section_count = 0;
    worker_stop(&p->worker);
}

void radius_proxy_fini(struct radius_proxy *p)
{
    INSIST(p->section_count == 0 && p->listening == NULL);
    worker_fini(&p->worker);
    snapshot_unref(p->snapshot);
}
