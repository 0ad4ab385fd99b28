#include "radius/keyring.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/check.h"
#include "base/siphash.h"
#include "policy/users.h"

/* A proof of so many octets is one for itself: a response of CHAP, or a packet of EAP with
 * something in it. */
enum { PROOF_STRONG = 16 };

/* What two sides must have in common to mean the same login; hashes, 0: it has none. */
struct label {
    uint64_t radius;
    uint64_t user,
        bare; /* the whole name, and without its domain and realm: the same if it has none */
    uint64_t proof;
    bool strong;
};

/* n == 0: spent */
struct ring_keys {
    uint64_t id, put;
    struct label label;
    size_t n;
    struct hlak key[KEYRING_PER_LOGIN];
};

struct ring_seen {
    uint64_t at;
    struct label label;
    struct addr client;
    uint16_t next; /* in its bucket, as there */
};

/* Clients may say much: what is noted is found by a hash, not by looking through the ring. */
enum { BUCKETS = KEYRING_SEEN_MAX };

/* Which places of a ring are taken: count of them from first on, oldest first. */
struct stretch {
    size_t first, count;
};

struct keyring {
    pthread_mutex_t lock;
    struct siphash_key secret;
    void (*on_put)(void *arg);
    void *on_put_arg;
    uint64_t latest; /* id */
    struct stretch kept, noted;
    struct ring_keys keys[KEYRING_MAX];
    struct ring_seen seen[KEYRING_SEEN_MAX];
    uint16_t bucket[BUCKETS]; /* index in seen, plus 1; the latest first; 0: none */
};

static size_t place(const struct stretch *r, size_t i, size_t size)
{
    return (r->first + i) % size;
}

static void drop_oldest(struct stretch *r, size_t size)
{
    r->first = place(r, 1, size);
    r->count--;
}

static uint64_t hash(const struct keyring *k, struct span s)
{
    uint64_t h = s.n == 0 ? 0 : siphash(&k->secret, s.p, s.n);
    return s.n > 0 && h == 0 ? 1 : h;
}

static struct label label_of(const struct keyring *k, const char *radius,
                             const struct keyring_login *login)
{
    uint8_t folded[256];
    struct span user = span_sub(login->user, 0, sizeof folded); /* more PPP does not keep */

    for (size_t i = 0; i < user.n; i++)
        folded[i] = ascii_lower(user.p[i]);
    user = span_of(folded, user.n);
    return (struct label){
        .radius = hash(k, span_str(radius)),
        .user = hash(k, user),
        .bare = hash(k, users_bare_name(user)),
        .proof = hash(k, login->proof),
        .strong = login->proof.n >= PROOF_STRONG,
    };
}

static void lock(struct keyring *k)
{
    CHECK(pthread_mutex_lock(&k->lock) == 0);
}

static void unlock(struct keyring *k)
{
    CHECK(pthread_mutex_unlock(&k->lock) == 0);
}

static void wipe(struct ring_keys *e)
{
    explicit_bzero(e->key, sizeof e->key);
    e->n = 0;
}

static void forget_oldest_keys(struct keyring *k)
{
    wipe(&k->keys[k->kept.first]);
    drop_oldest(&k->kept, KEYRING_MAX);
}

/* Threads read the clock one after the other, so a time may be a little ahead of now. */
static bool is_over(uint64_t since, uint64_t now_ms)
{
    return now_ms > since && now_ms - since > KEYRING_MS;
}

/* What is asked for together is in one bucket: a strong proof by itself, another one with its user.
 */
static uint16_t *bucket_of(struct keyring *k, const struct label *l)
{
    return &k->bucket[(l->strong ? l->proof : l->proof ^ l->bare) % BUCKETS];
}

static void forget_oldest_seen(struct keyring *k)
{
    const size_t oldest = k->noted.first;
    uint16_t *at = bucket_of(k, &k->seen[oldest].label);

    while (*at != oldest + 1)
        at = &k->seen[*at - 1].next;
    *at = k->seen[oldest].next;
    drop_oldest(&k->noted, KEYRING_SEEN_MAX);
}

static void expire(struct keyring *k, uint64_t now_ms)
{
    while (k->kept.count > 0 && is_over(k->keys[k->kept.first].put, now_ms))
        forget_oldest_keys(k);
    while (k->noted.count > 0 && is_over(k->seen[k->noted.first].at, now_ms))
        forget_oldest_seen(k);
}

struct keyring *keyring_new(void)
{
    struct keyring *k = NEW(struct keyring);

    CHECK(pthread_mutex_init(&k->lock, NULL) == 0);
    CHECK(getrandom(&k->secret, sizeof k->secret, 0) == (ssize_t)sizeof k->secret);
    return k;
}

void keyring_free(struct keyring *k)
{
    if (k == NULL)
        return;
    CHECK(pthread_mutex_destroy(&k->lock) == 0);
    explicit_bzero(k, sizeof *k);
    free(k);
}

void keyring_on_put(struct keyring *k, void (*fn)(void *arg), void *arg)
{
    k->on_put = fn;
    k->on_put_arg = arg;
}

void keyring_put(struct keyring *k, const char *radius, const struct keyring_login *login,
                 const struct hlak *keys, size_t n, uint64_t now_ms)
{
    if (n > KEYRING_PER_LOGIN)
        n = KEYRING_PER_LOGIN;
    lock(k);
    expire(k, now_ms);
    if (k->kept.count == KEYRING_MAX)
        forget_oldest_keys(k);
    struct ring_keys *e = &k->keys[place(&k->kept, k->kept.count++, KEYRING_MAX)];
    e->id = ++k->latest;
    e->put = now_ms;
    e->label = label_of(k, radius, login);
    e->n = n;
    memcpy(e->key, keys, n * sizeof *keys);
    unlock(k);
    if (k->on_put != NULL)
        k->on_put(k->on_put_arg);
}

/* What two logins have in common, best first. */
enum kinship { SAME_LOGIN, SAME_PROOF, SAME_USER, STRANGERS };

static bool same_user(const struct label *a, const struct label *b)
{
    bool one_is_bare = a->user == a->bare || b->user == b->bare;
    return a->user != 0 && b->user != 0 &&
           (a->user == b->user || (one_is_bare && a->bare == b->bare));
}

static enum kinship kinship_of(const struct label *a, const struct label *b)
{
    const bool user = same_user(a, b), proof = a->proof != 0 && a->proof == b->proof;

    if (a->radius != b->radius)
        return STRANGERS;
    if (proof && (user || a->strong))
        return user ? SAME_LOGIN : SAME_PROOF;
    return user && !(a->strong && b->strong) ? SAME_USER : STRANGERS;
}

size_t keyring_find(struct keyring *k, const char *radius, const struct keyring_login *login,
                    uint64_t now_ms, uint64_t *latest, struct hlak *keys, uint64_t *id, size_t max)
{
    size_t found = 0;

    lock(k);
    expire(k, now_ms);
    const struct label wanted = label_of(k, radius, login);
    for (enum kinship kin = SAME_LOGIN; kin < STRANGERS; kin++) {
        for (size_t i = k->kept.count; i-- > 0;) {
            const struct ring_keys *e = &k->keys[place(&k->kept, i, KEYRING_MAX)];
            if (e->id <= *latest)
                break;
            if (kinship_of(&e->label, &wanted) != kin)
                continue;
            for (size_t j = 0; j < e->n && found < max; j++, found++) {
                keys[found] = e->key[j];
                id[found] = e->id;
            }
        }
    }
    *latest = k->latest;
    unlock(k);
    return found;
}

void keyring_spend(struct keyring *k, uint64_t id)
{
    lock(k);
    for (size_t i = k->kept.count; i-- > 0;) {
        struct ring_keys *e = &k->keys[place(&k->kept, i, KEYRING_MAX)];
        if (e->id == id)
            wipe(e);
    }
    unlock(k);
}

static bool same_host(const struct addr *a, const struct addr *b)
{
    struct addr x = *a, y = *b;
    x.port = y.port = 0;
    return addr_equal(&x, &y);
}

static bool same_label(const struct label *a, const struct label *b)
{
    return a->radius == b->radius && a->user == b->user && a->proof == b->proof;
}

/* Most often that is a retransmission, or somebody who tries one thing over and over: it shall not
 * push out the others. One note more in half the time keeps it known. */
static bool noted_lately(const struct keyring *k, uint16_t bucket, const struct label *label,
                         const struct addr *client, uint64_t now_ms)
{
    for (uint16_t i = bucket; i != 0; i = k->seen[i - 1].next) {
        const struct ring_seen *e = &k->seen[i - 1];
        if (e->at + KEYRING_MS / 2 < now_ms)
            break;
        if (same_label(&e->label, label) && addr_equal(&e->client, client))
            return true;
    }
    return false;
}

void keyring_saw(struct keyring *k, const char *radius, const struct keyring_login *login,
                 const struct addr *client, uint64_t now_ms)
{
    lock(k);
    expire(k, now_ms);
    const struct label label = label_of(k, radius, login);
    uint16_t *bucket = bucket_of(k, &label);
    if (!noted_lately(k, *bucket, &label, client, now_ms)) {
        if (k->noted.count == KEYRING_SEEN_MAX)
            forget_oldest_seen(k);
        const size_t i = place(&k->noted, k->noted.count++, KEYRING_SEEN_MAX);
        k->seen[i] =
            (struct ring_seen){.at = now_ms, .label = label, .client = *client, .next = *bucket};
        *bucket = (uint16_t)(i + 1);
    }
    unlock(k);
}

/* How many addresses are there that logins of this kin come from: none, one, or more (2 and up)? */
static unsigned seen_from(struct keyring *k, const struct label *wanted, enum kinship kin,
                          struct addr *client)
{
    unsigned n = 0;

    for (uint16_t i = *bucket_of(k, wanted); i != 0; i = k->seen[i - 1].next) {
        const struct ring_seen *e = &k->seen[i - 1];
        if (kinship_of(&e->label, wanted) != kin)
            continue;
        if (n == 0)
            *client = e->client;
        if (n == 0 || !same_host(client, &e->client))
            n++;
    }
    return n;
}

bool keyring_whence(struct keyring *k, const char *radius, const struct keyring_login *login,
                    uint64_t now_ms, struct addr *client)
{
    lock(k);
    expire(k, now_ms);
    const struct label wanted = label_of(k, radius, login);
    unsigned n = seen_from(k, &wanted, SAME_LOGIN, client);
    if (n == 0)
        n = seen_from(k, &wanted, wanted.proof != 0 ? SAME_PROOF : SAME_USER, client);
    unlock(k);
    return n == 1;
}

void keyring_sweep(struct keyring *k, uint64_t now_ms)
{
    lock(k);
    expire(k, now_ms);
    unlock(k);
}
