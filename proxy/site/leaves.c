#include "site/leaves.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "base/insist.h"

/* The tables grow only at start and at a reload, by certificates of the administrator. */
#define uthash_fatal(msg) insist_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

struct leaf {
    struct leaf *prev, *next; /* least recently shown first */
    UT_hash_handle by_sha1, by_sha256;
    struct binding_leaf leaf;
    unsigned round; /* number of the last leaves_show() that contained it */
    char **listener;
    size_t listeners;
};

struct leaves {
    pthread_mutex_t lock;
    unsigned round;
    struct leaf *sha1, *sha256; /* tables */
    struct leaf *list;
    size_t count;
};

struct leaves *leaves_new(void)
{
    struct leaves *l = NEW(struct leaves);
    INSIST(pthread_mutex_init(&l->lock, NULL) == 0);
    return l;
}

static void leaf_forget_listeners(struct leaf *k)
{
    for (size_t i = 0; i < k->listeners; i++)
        free(k->listener[i]);
    free(k->listener);
    k->listener = NULL;
    k->listeners = 0;
}

static void leaf_forget(struct leaves *l, struct leaf *k)
{
    HASH_DELETE(by_sha1, l->sha1, k);
    HASH_DELETE(by_sha256, l->sha256, k);
    DL_DELETE(l->list, k);
    l->count--;
    leaf_forget_listeners(k);
    free(k);
}

void leaves_free(struct leaves *l)
{
    if (l == NULL)
        return;
    while (l->list != NULL)
        leaf_forget(l, l->list);
    INSIST(pthread_mutex_destroy(&l->lock) == 0);
    free(l);
}

static struct leaf *leaf_add(struct leaves *l, const struct binding_leaf *leaf)
{
    struct leaf *k = NEW(struct leaf);

    k->leaf = *leaf;
    HASH_ADD(by_sha1, l->sha1, leaf.sha1, BINDING_SHA1, k);
    HASH_ADD(by_sha256, l->sha256, leaf.sha256, BINDING_SHA256, k);
    DL_APPEND(l->list, k);
    l->count++;
    return k;
}

static bool leaf_has(const struct leaf *k, const char *listener)
{
    for (size_t i = 0; i < k->listeners; i++)
        if (strcmp(k->listener[i], listener) == 0)
            return true;
    return false;
}

static void leaf_show(struct leaves *l, const struct leaves_shown *s)
{
    struct leaf *k;

    HASH_FIND(by_sha256, l->sha256, s->leaf.sha256, BINDING_SHA256, k);
    if (k == NULL)
        k = leaf_add(l, &s->leaf);
    if (k->round != l->round) {
        leaf_forget_listeners(k);
        DL_DELETE(l->list, k);
        DL_APPEND(l->list, k);
        k->round = l->round;
    }
    if (leaf_has(k, s->listener))
        return;
    k->listener = insist_alloc(reallocarray(k->listener, k->listeners + 1, sizeof *k->listener));
    k->listener[k->listeners++] = insist_alloc(strdup(s->listener));
}

void leaves_show(struct leaves *l, const struct leaves_shown *shown, size_t n)
{
    struct leaf *k;
    size_t now = 0;

    INSIST(pthread_mutex_lock(&l->lock) == 0);
    l->round++;
    for (size_t i = 0; i < n; i++)
        leaf_show(l, &shown[i]);
    DL_FOREACH(l->list, k) {
        now += k->round == l->round;
    }
    while (l->count - now > LEAVES_EARLIER_MAX)
        leaf_forget(l, l->list);
    INSIST(pthread_mutex_unlock(&l->lock) == 0);
}

enum leaves_whose leaves_find(struct leaves *l, uint8_t hash, const uint8_t *digest,
                              const char *listener, char name[LEAVES_NAME_MAX])
{
    enum leaves_whose whose = LEAVES_NOBODYS;
    struct leaf *k;

    INSIST(pthread_mutex_lock(&l->lock) == 0);
    if (hash == SSTP_HASH_SHA1)
        HASH_FIND(by_sha1, l->sha1, digest, BINDING_SHA1, k);
    else
        HASH_FIND(by_sha256, l->sha256, digest, BINDING_SHA256, k);
    if (k != NULL) {
        whose = k->round != l->round    ? LEAVES_EARLIER
                : leaf_has(k, listener) ? LEAVES_LISTENERS_OWN
                                        : LEAVES_OTHER_LISTENERS;
        snprintf(name, LEAVES_NAME_MAX, "%s",
                 whose == LEAVES_LISTENERS_OWN ? listener : k->listener[0]);
    }
    INSIST(pthread_mutex_unlock(&l->lock) == 0);
    return whose;
}
