#include "net/dial.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>
#include <uv.h>

#include "base/insist.h"
#include "net/worker.h"

/* A name that the C library looks up, in a thread of its own, and the dials that wait for it. When
 * no resolver answers, a look-up takes many seconds and cannot be cancelled. So each look-up has a
 * thread of its own (libuv runs few look-ups at a time, for all workers together), and a worker
 * that ends does not wait for it; the loop, and the exit of the program, would wait for a look-up
 * of libuv. A worker has at most one look-up for each name. */
struct dial_lookup {
    struct dials *all; /* NULL: the worker has ended; guarded by `parting` */
    bool answered;     /* the letter is in the worker's mailbox; guarded by `parting` */
    struct dial_lookup *prev, *next; /* in all->lookups */
    struct dial *waiting;
    int status;
    struct addrinfo *found;
    char host[];
};

/* The look-ups of one worker. */
struct dials {
    struct worker_part part;
    struct dial_lookup *lookups; /* names that are being resolved */
};

/* Guards the fields of a look-up that its thread and a worker that ends both use. Both hold it
 * rarely and briefly, so one mutex serves all workers. */
static pthread_mutex_t parting = PTHREAD_MUTEX_INITIALIZER;

struct dial {
    struct worker *worker;
    void (*on_resolved)(void *arg, int status);
    void *arg;
    struct dial_lookup *lookup; /* the look-up that it waits for; NULL: none */
    struct dial *prev, *next;   /* in lookup->waiting */
    uv_timer_t late; /* never started: its close callback calls on_resolved for dial_new */
    bool closing;    /* libuv still uses late: only its close callback may free the dial */
    bool orphan;     /* dial_free was called while `closing` */
    int failure;     /* libuv error of a look-up that did not start; 0: none */
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
    d->address = insist_alloc(calloc(most, sizeof *d->address));
    for (const struct addrinfo *ai = all; ai != NULL; ai = ai->ai_next)
        if (addr_from_sockaddr(ai->ai_addr, &d->address[d->count]) == ERR_OK)
            d->address[d->count++].port = d->port;
}

static void dial_release(struct dial *d)
{
    free(d->address);
    free(d);
}

/* ---- addresses, and look-ups that do not start ---- */

static void on_uv_late(uv_handle_t *handle)
{
    struct dial *d = handle->data;
    struct worker *w = d->worker;

    d->closing = false;
    if (d->orphan)
        dial_release(d);
    else
        d->on_resolved(d->arg, d->failure);
    worker_settle(w);
}

static void report_later(struct dial *d, int failure)
{
    d->failure = failure;
    d->closing = true;
    INSIST_UV(uv_timer_init(&d->worker->loop, &d->late));
    d->late.data = d;
    uv_close((uv_handle_t *)&d->late, on_uv_late);
}

/* Takes host if it is an address. An address needs no resolver and no thread, and must work where
 * only the loopback interface is up: with AI_NUMERICHOST the C library opens no file and asks no
 * server. Returns false for a name. */
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

static void lookup_free(struct dial_lookup *l)
{
    if (l->found != NULL)
        freeaddrinfo(l->found);
    free(l);
}

static void on_answer(void *arg)
{
    struct dial_lookup *l = arg;

    DL_DELETE(l->all->lookups, l); /* later dials for the name start another look-up */
    while (l->waiting != NULL) {   /* on_resolved may free any other dial */
        struct dial *d = l->waiting;
        DL_DELETE(l->waiting, d);
        d->lookup = NULL;
        take_addresses(d, l->found);
        d->on_resolved(d->arg, l->status);
    }
    lookup_free(l);
}

static int status_of(int eai)
{
    switch (eai) {
    case 0: return 0;
    case EAI_AGAIN: return UV_EAI_AGAIN;
    case EAI_MEMORY: return UV_EAI_MEMORY;
    case EAI_NODATA: return UV_EAI_NODATA;
    case EAI_NONAME: return UV_EAI_NONAME;
    case EAI_SYSTEM: return uv_translate_sys_error(errno);
    default: return UV_EAI_FAIL;
    }
}

static void *lookup_thread(void *arg)
{
    static const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct dial_lookup *l = arg;

    l->status = status_of(getaddrinfo(l->host, NULL, &hints, &l->found));
    pthread_mutex_lock(&parting);
    bool alone = l->all == NULL;
    if (!alone) {
        l->answered = true;
        worker_post(l->all->part.worker, on_answer, l); /* on_answer takes ownership of l */
    }
    pthread_mutex_unlock(&parting);
    if (alone)
        lookup_free(l);
    return NULL;
}

static int lookup_begin(struct dials *all, const char *host, struct dial_lookup **out)
{
    const size_t size = strlen(host) + 1;
    struct dial_lookup *l = insist_alloc(calloc(1, sizeof *l + size));
    pthread_attr_t detached;
    pthread_t thread;

    l->all = all;
    memcpy(l->host, host, size);
    INSIST(pthread_attr_init(&detached) == 0);
    INSIST(pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED) == 0);
    const int r = pthread_create(&thread, &detached, lookup_thread, l);
    pthread_attr_destroy(&detached);
    if (r != 0) {
        free(l);
        return uv_translate_sys_error(r);
    }
    DL_APPEND(all->lookups, l);
    *out = l;
    return 0;
}

static int lookup_join(struct dial *d, struct dials *all, const char *host)
{
    struct dial_lookup *l;

    DL_FOREACH(all->lookups, l) {
        if (strcmp(l->host, host) == 0)
            break;
    }
    const int r = l == NULL ? lookup_begin(all, host, &l) : 0;
    if (r != 0)
        return r;
    d->lookup = l;
    DL_APPEND(l->waiting, d);
    return 0;
}

/* ---- the worker's end ---- */

static void dials_stop(struct worker_part *part)
{
    struct dials *all = (struct dials *)part;
    struct dial_lookup *l, *next;

    pthread_mutex_lock(&parting);
    DL_FOREACH_SAFE(all->lookups, l, next) {
        INSIST(l->waiting == NULL);
        if (l->answered)
            continue; /* its letter may still be read */
        DL_DELETE(all->lookups, l);
        l->all = NULL;
    }
    pthread_mutex_unlock(&parting);
}

static void dials_fini(struct worker_part *part)
{
    struct dials *all = (struct dials *)part;

    while (all->lookups != NULL) { /* their letters were never read */
        struct dial_lookup *l = all->lookups;
        DL_DELETE(all->lookups, l);
        lookup_free(l);
    }
}

static const struct worker_part_ops dials_ops = {
    .size = sizeof(struct dials), .stop = dials_stop, .fini = dials_fini};

/* ---- dials ---- */

struct dial *dial_new(struct worker *w, const char *host, uint16_t port,
                      void (*on_resolved)(void *arg, int status), void *arg)
{
    struct dial *d = NEW(struct dial);

    d->worker = w;
    d->on_resolved = on_resolved;
    d->arg = arg;
    d->port = port;
    if (take_literal(d, host)) {
        report_later(d, 0);
        return d;
    }
    const int r = lookup_join(d, (struct dials *)worker_part(w, &dials_ops), host);
    if (r != 0)
        report_later(d, r);
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
    if (d->lookup != NULL)
        DL_DELETE(d->lookup->waiting, d); /* the look-up continues; a later dial may join it */
    dial_release(d);
}
