#include "net/dial.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "base/check.h"
#include "net/worker.h"

struct dial {
    union {
        uv_getaddrinfo_t lookup;
        uv_timer_t late; /* never started: its close callback tells what dial_new must not */
    } req;
    struct worker *worker;
    void (*on_resolved)(void *arg, int status);
    void *arg;
    int failure;    /* of a look-up that did not start */
    bool resolving; /* libuv holds req: only its callback may free */
    bool orphan;    /* dial_free was called meanwhile */
    struct addrinfo *all, *next;
};

static void release(struct dial *d)
{
    uv_freeaddrinfo(d->all);
    free(d);
}

static void resolved(struct dial *d, int status, struct addrinfo *all)
{
    struct worker *w = d->worker;

    d->resolving = false;
    d->all = d->next = all;
    if (d->orphan)
        release(d);
    else
        d->on_resolved(d->arg, status);
    worker_settle(w);
}

static void on_uv_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *all)
{
    resolved(req->data, status, all);
}

static void on_uv_late(uv_handle_t *handle)
{
    struct dial *d = handle->data;
    resolved(d, d->failure, NULL);
}

struct dial *dial_new(struct worker *w, const char *host, uint16_t port,
                      void (*on_resolved)(void *arg, int status), void *arg)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV | AI_ADDRCONFIG};
    struct dial *d = NEW(struct dial);
    char service[8], ip[16];

    d->worker = w;
    d->on_resolved = on_resolved;
    d->arg = arg;
    d->req.lookup.data = d;
    d->resolving = true;
    snprintf(service, sizeof service, "%u", port);
    /* An address needs no resolver, and must work where no interface but loopback is up. It goes
     * the same way all the same: one path, whatever stands in the file. */
    if (uv_inet_pton(AF_INET, host, ip) == 0 || uv_inet_pton(AF_INET6, host, ip) == 0)
        hints.ai_flags = AI_NUMERICSERV | AI_NUMERICHOST;
    d->failure = uv_getaddrinfo(&w->loop, &d->req.lookup, on_uv_resolved, host, service, &hints);
    if (d->failure != 0) {
        CHECK_UV(uv_timer_init(&w->loop, &d->req.late));
        d->req.late.data = d;
        uv_close((uv_handle_t *)&d->req.late, on_uv_late);
    }
    return d;
}

bool dial_next(struct dial *d, struct addr *out)
{
    while (d->next != NULL) {
        struct addrinfo *ai = d->next;
        d->next = ai->ai_next;
        if (addr_from_sockaddr(ai->ai_addr, out) == ERR_OK)
            return true;
    }
    return false;
}

void dial_free(struct dial *d)
{
    if (d == NULL)
        return;
    if (!d->resolving) {
        release(d);
        return;
    }
    d->orphan = true;
    if (d->failure == 0) /* where it runs already, its callback finds an orphan */
        (void)uv_cancel((uv_req_t *)&d->req.lookup);
}
