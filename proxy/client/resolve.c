#include "client/resolve.h"

#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/insist.h"

struct lookup {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char *host;
    bool done, abandoned; /* abandoned: the thread frees the struct */
    int error;
    struct addrinfo *list;
};

static void lookup_free(struct lookup *l)
{
    if (l->list != NULL)
        freeaddrinfo(l->list);
    pthread_cond_destroy(&l->changed);
    pthread_mutex_destroy(&l->lock);
    free(l->host);
    free(l);
}

static void *look_up(void *arg)
{
    struct lookup *l = arg;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;

    const int error = getaddrinfo(l->host, NULL, &hints, &list);
    pthread_mutex_lock(&l->lock);
    l->error = error;
    l->list = list;
    l->done = true;
    const bool abandoned = l->abandoned;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->lock);
    if (abandoned)
        lookup_free(l);
    return NULL;
}

static struct lookup *lookup_new(const char *host)
{
    struct lookup *l = NEW(struct lookup);
    pthread_condattr_t clock;

    l->host = insist_alloc(strdup(host));
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_cond_init(&l->changed, &clock);
    pthread_condattr_destroy(&clock);
    return l;
}

/* Waits for the end of the look-up. Returns false if it has none in time: then the thread frees
 * it. */
static bool lookup_wait(struct lookup *l, uint64_t wait_ms)
{
    struct timespec until;
    int rc = 0;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    pthread_mutex_lock(&l->lock);
    while (!l->done && rc == 0)
        rc = pthread_cond_timedwait(&l->changed, &l->lock, &until);
    const bool done = l->done;
    l->abandoned = !done;
    pthread_mutex_unlock(&l->lock);
    return done;
}

static size_t copy_addresses(const struct lookup *l, uint16_t port, struct addr out[RESOLVE_MAX])
{
    size_t n = 0;

    for (const struct addrinfo *i = l->list; i != NULL && n < RESOLVE_MAX; i = i->ai_next)
        if (addr_from_sockaddr(i->ai_addr, &out[n]) == ERR_OK)
            out[n++].port = port;
    return n;
}

size_t resolve(const char *host, uint16_t port, uint64_t wait_ms, struct addr out[RESOLVE_MAX],
               const char **why)
{
    struct lookup *l = lookup_new(host);
    pthread_t thread;

    if (pthread_create(&thread, NULL, look_up, l) != 0) {
        lookup_free(l);
        *why = "no thread can be started";
        return 0;
    }
    pthread_detach(thread);
    if (!lookup_wait(l, wait_ms)) {
        *why = "the name servers do not answer in time";
        return 0;
    }
    const size_t n = l->error == 0 ? copy_addresses(l, port, out) : 0;
    *why = l->error != 0 ? gai_strerror(l->error) : "no IPv4 or IPv6 address";
    lookup_free(l);
    return n;
}
