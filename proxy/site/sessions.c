#include "site/sessions.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/addr.h"
#include "base/insist.h"
#include "tls/tls_session.h"

struct slot {
    struct tls_session *session; /* a counted reference; NULL: none */
    struct addr at;
    bool failed;                      /* failed_ms is set */
    uint64_t failed_ms, paused_until; /* ms; paused_until 0: never */
};

struct sessions {
    atomic_uint refs;
    pthread_mutex_t lock; /* protects the slots */
    size_t count;
    struct slot slot[];
};

struct sessions *sessions_new(size_t servers)
{
    struct sessions *all = insist_alloc(calloc(1, sizeof *all + servers * sizeof *all->slot));

    atomic_init(&all->refs, 1);
    INSIST(pthread_mutex_init(&all->lock, NULL) == 0);
    all->count = servers;
    return all;
}

static struct slot *slot_lock(struct sessions *all, size_t server)
{
    INSIST(server < all->count);
    pthread_mutex_lock(&all->lock);
    return &all->slot[server];
}

static void slot_set(struct slot *k, struct tls_session *s)
{
    tls_session_unref(k->session);
    k->session = s;
}

struct sessions *sessions_ref(struct sessions *all)
{
    atomic_fetch_add(&all->refs, 1);
    return all;
}

void sessions_unref(struct sessions *all)
{
    if (all == NULL || atomic_fetch_sub(&all->refs, 1) > 1)
        return;
    sessions_close(all);
    pthread_mutex_destroy(&all->lock);
    free(all);
}

void sessions_close(struct sessions *all)
{
    if (all == NULL)
        return;
    pthread_mutex_lock(&all->lock);
    for (size_t i = 0; i < all->count; i++)
        slot_set(&all->slot[i], NULL);
    pthread_mutex_unlock(&all->lock);
}

void sessions_keep(struct sessions *all, size_t server, const struct addr *at,
                   struct tls_session *s, uint64_t now_ms)
{
    if (all == NULL) {
        tls_session_unref(s);
        return;
    }
    struct slot *k = slot_lock(all, server);
    slot_set(k, s);
    if (now_ms < k->paused_until)
        slot_set(k, NULL);
    k->at = *at;
    pthread_mutex_unlock(&all->lock);
}

struct tls_session *sessions_get(struct sessions *all, size_t server, const struct addr *at)
{
    if (all == NULL)
        return NULL;
    struct slot *k = slot_lock(all, server);
    const bool fits = k->session != NULL && addr_equal(&k->at, at);
    struct tls_session *s = fits ? tls_session_ref(k->session) : NULL;
    pthread_mutex_unlock(&all->lock);
    return s;
}

void sessions_compare(struct sessions *all, size_t server, struct span leaf)
{
    if (all == NULL)
        return;
    struct slot *k = slot_lock(all, server);
    if (k->session != NULL && !span_eq(tls_session_leaf(k->session), leaf))
        slot_set(k, NULL);
    pthread_mutex_unlock(&all->lock);
}

void sessions_distrust(struct sessions *all, size_t server, uint64_t now_ms)
{
    if (all == NULL)
        return;
    struct slot *k = slot_lock(all, server);
    if (k->session != NULL) {
        slot_set(k, NULL);
        if (k->failed && now_ms - k->failed_ms < SESSIONS_PAUSE_MS)
            k->paused_until = now_ms + SESSIONS_PAUSE_MS;
        k->failed = true;
        k->failed_ms = now_ms;
    }
    pthread_mutex_unlock(&all->lock);
}
