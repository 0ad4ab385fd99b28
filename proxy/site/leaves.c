#include "site/leaves.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"

/* It grows at start and at a reload, by what the administrator wrote. */
#define uthash_fatal(msg) insist_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

struct known {
    struct known *prev, *next; /* in the order in which they were shown last */
    UT_hash_handle by_sha1, by_sha256;
    struct binding_leaf leaf;
    unsigned round; /* of leaves_show, when it was shown last */
    char **listener;
    size_t listeners;
};

struct leaves {
    pthread_mutex_t lock;
    unsigned round;
    struct known *sha1, *sha256; /* tables */
    struct known *list;
    size_t count;
};

struct leaves *leaves_new(void)
{
    struct leaves *l = NEW(struct leaves);
    INSIST(pthread_mutex_init(&l->lock, NULL) == 0);
    return l;
}

static void forget_listeners(struct known *k)
{
    for (size_t i = 0; i < k->listeners; i++)
        free(k->listener[i]);
    free(k->listener);
    k->listener = NULL;
    k->listeners = 0;
}

static void forget(struct leaves *l, struct known *k)
{
    HASH_DELETE(by_sha1, l->sha1, k);
    HASH_DELETE(by_sha256, l->sha256, k);
    DL_DELETE(l->list, k);
    l->count--;
    forget_listeners(k);
    free(k);
}

void leaves_free(struct leaves *l)
{
    if (l == NULL)
        return;
    while (l->list != NULL)
        forget(l, l->list);
    INSIST(pthread_mutex_destroy(&l->lock) == 0);
    free(l);
}

static struct known *add(struct leaves *l, const struct binding_leaf *leaf)
{
    struct known *k = NEW(struct known);

    k->leaf = *leaf;
    HASH_ADD(by_sha1, l->sha1, leaf.sha1, BINDING_SHA1, k);
    HASH_ADD(by_sha256, l->sha256, leaf.sha256, BINDING_SHA256, k);
    DL_APPEND(l->list, k);
    l->count++;
    return k;
}

static bool has(const struct known *k, const char *listener)
{
    for (size_t i = 0; i < k->listeners; i++)
        if (strcmp(k->listener[i], listener) == 0)
            return true;
    return false;
}

static void show(struct leaves *l, const struct leaves_shown *s)
{
    struct known *k;

    HASH_FIND(by_sha256, l->sha256, s->leaf.sha256, BINDING_SHA256, k);
    if (k == NULL)
        k = add(l, &s->leaf);
    if (k->round != l->round) {
        forget_listeners(k);
        DL_DELETE(l->list, k);
        DL_APPEND(l->list, k);
        k->round = l->round;
    }
    if (has(k, s->listener))
        return;
    k->listener = insist_alloc(reallocarray(k->listener, k->listeners + 1, sizeof *k->listener));
    k->listener[k->listeners++] = insist_alloc(strdup(s->listener));
}

void leaves_show(struct leaves *l, const struct leaves_shown *shown, size_t n)
{
    struct known *k;
    size_t now = 0;

    INSIST(pthread_mutex_lock(&l->lock) == 0);
    l->round++;
    for (size_t i = 0; i < n; i++)
        show(l, &shown[i]);
    DL_FOREACH(l->list, k) {
        now += k->round == l->round;
    }
    while (l->count - now > LEAVES_EARLIER_MAX)
        forget(l, l->list);
    INSIST(pthread_mutex_unlock(&l->lock) == 0);
}

enum leaves_whose leaves_find(struct leaves *l, uint8_t hash, const uint8_t *digest,
                              const char *listener, char name[LEAVES_NAME_MAX])
{
    enum leaves_whose whose = LEAVES_NOBODYS;
    struct known *k;

    INSIST(pthread_mutex_lock(&l->lock) == 0);
    if (hash == SSTP_HASH_SHA1)
        HASH_FIND(by_sha1, l->sha1, digest, BINDING_SHA1, k);
    else
        HASH_FIND(by_sha256, l->sha256, digest, BINDING_SHA256, k);
    if (k != NULL) {
        whose = k->round != l->round ? LEAVES_EARLIER
                : has(k, listener)   ? LEAVES_LISTENERS_OWN
                                     : LEAVES_OTHER_LISTENERS;
        snprintf(name, LEAVES_NAME_MAX, "%s",
                 whose == LEAVES_LISTENERS_OWN ? listener : k->listener[0]);
    }
    INSIST(pthread_mutex_unlock(&l->lock) == 0);
    return whose;
}
