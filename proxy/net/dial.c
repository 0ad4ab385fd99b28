#include "net/dial.h"

#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <uv.h>

#include "base/check.h"
#include "net/worker.h"

/* A name on its way through the C library, and who waits for it. libuv lets a few names through at
 * a time, for all workers together; without a resolver that answers each takes many seconds, so
 * that many calls to one backend would keep those to others waiting. */
struct dial_lookup {
    uv_getaddrinfo_t req;
    struct worker *worker;
    struct dial_lookup *prev, *next; /* of the worker's; not in its list: nobody may join */
    bool joinable;
    struct dial *waiting;
    char host[];
};

struct dial {
    struct worker *worker;
    void (*on_resolved)(void *arg, int status);
    void *arg;
    struct dial_lookup *lookup; /* that it waits for, NULL: for none */
    struct dial *prev, *next;   /* of those that wait for the same */
    uv_timer_t late; /* never started: its close callback tells what dial_new must not */
    bool closing;    /* libuv holds late: only its callback may free */
    bool orphan;     /* dial_free was called meanwhile */
    int failure;     /* of a look-up that did not start */
    uint16_t port;
    struct addr *address;
    size_t count, taken;
};

static void take_addresses(struct dial *d, const struct addrinfo *all)
{
    size_t most = 0;

    for (const struct addrinfo *ai = all; ai != NULL; ai = ai->ai_next)
        most++;
    if (most == 0)
        return;
    d->address = check_alloc(calloc(most, sizeof *d->address));
    for (const struct addrinfo *ai = all; ai != NULL; ai = ai->ai_next)
        if (addr_from_sockaddr(ai->ai_addr, &d->address[d->count]) == ERR_OK)
            d->address[d->count++].port = d->port;
}

static void release(struct dial *d)
{
    free(d->address);
    free(d);
}

/* ---- what needs no look-up, or gets none ---- */

static void on_uv_late(uv_handle_t *handle)
{
    struct dial *d = handle->data;
    struct worker *w = d->worker;

    d->closing = false;
    if (d->orphan)
        release(d);
    else
        d->on_resolved(d->arg, d->failure);
    worker_settle(w);
}

static void tell_later(struct dial *d, int failure)
{
    d->failure = failure;
    d->closing = true;
    CHECK_UV(uv_timer_init(&d->worker->loop, &d->late));
    d->late.data = d;
    uv_close((uv_handle_t *)&d->late, on_uv_late);
}

/* An address needs no resolver and no thread, and must work where no interface but loopback is up.
 * With AI_NUMERICHOST the C library opens no file and asks nobody. */
static bool take_literal(struct dial *d, const char *host)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *all;

    if (getaddrinfo(host, NULL, &hints, &all) != 0)
        return false;
    take_addresses(d, all);
    freeaddrinfo(all);
    return true;
}

/* ---- names ---- */

/* Whoever asks for the name from now on begins anew. */
static void lookup_leave(struct dial_lookup *l)
{
    if (l->joinable)
        DL_DELETE(l->worker->lookups, l);
    l->joinable = false;
}

static void on_uv_resolved(uv_getaddrinfo_t *req, int status, struct addrinfo *all)
{
    struct dial_lookup *l = req->data;
    struct worker *w = l->worker;

    lookup_leave(l);
    while (l->waiting != NULL) { /* a callback may free any of the others */
        struct dial *d = l->waiting;
        DL_DELETE(l->waiting, d);
        d->lookup = NULL;
        take_addresses(d, all);
        d->on_resolved(d->arg, status);
    }
    uv_freeaddrinfo(all);
    free(l);
    worker_settle(w);
}

static int lookup_begin(struct worker *w, const char *host, struct dial_lookup **out)
{
    static const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    const size_t size = strlen(host) + 1;
    struct dial_lookup *l = check_alloc(calloc(1, sizeof *l + size));

    l->worker = w;
    l->req.data = l;
    memcpy(l->host, host, size);
    const int r = uv_getaddrinfo(&w->loop, &l->req, on_uv_resolved, host, NULL, &hints);
    if (r != 0) {
        free(l);
        return r;
    }
    DL_APPEND(w->lookups, l);
    l->joinable = true;
    *out = l;
    return 0;
}

static int lookup_join(struct dial *d, const char *host)
{
    struct dial_lookup *l;

    DL_FOREACH (d->worker->lookups, l)
        if (strcmp(l->host, host) == 0)
            break;
    const int r = l == NULL ? lookup_begin(d->worker, host, &l) : 0;
    if (r != 0)
        return r;
    d->lookup = l;
    DL_APPEND(l->waiting, d);
    return 0;
}

/* ---- all of it ---- */

struct dial *dial_new(struct worker *w, const char *host, uint16_t port,
                      void (*on_resolved)(void *arg, int status), void *arg)
{
    struct dial *d = NEW(struct dial);

    d->worker = w;
    d->on_resolved = on_resolved;
    d->arg = arg;
    d->port = port;
    if (take_literal(d, host)) {
        tell_later(d, 0);
        return d;
    }
    const int r = lookup_join(d, host);
    if (r != 0)
        tell_later(d, r);
    return d;
}

bool dial_next(struct dial *d, struct addr *out)
{
    if (d->taken == d->count)
        return false;
    *out = d->address[d->taken++];
    return true;
}

void dial_free(struct dial *d)
{
    if (d == NULL)
        return;
    if (d->closing) {
        d->orphan = true;
        return;
    }
    struct dial_lookup *l = d->lookup;
    if (l != NULL) {
        DL_DELETE(l->waiting, d);
        /* One that runs cannot be stopped: it stays, for who asks next. */
        if (l->waiting == NULL && uv_cancel((uv_req_t *)&l->req) == 0)
            lookup_leave(l);
    }
    release(d);
}
