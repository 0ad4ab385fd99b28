#include "radius/keyring.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/fold.h"
#include "base/insist.h"
#include "base/siphash.h"
#include "users/users.h"
#include "wire/eap.h"

/* Minimum length of a proof in bytes: that of a CHAP-MD5 response. */
enum { PROOF_MIN = 16 };

/* The keys of one login. n == 0: spent. */
struct ring_keys {
    uint64_t id, put;
    struct keyring_label label;
    size_t n;
    struct hlak key[KEYRING_PER_LOGIN];
};

struct ring_verdict {
    uint64_t at;
    struct keyring_label label;
    enum keyring_verdict verdict; /* UNDECIDED: removed */
};

/* A note for one mark of a login; a login has one for each mark, because a search may use
 * either. */
struct note {
    uint64_t radius, user, bare; /* as in a label */
    uint64_t mark;               /* 0: PAP */
};

struct ring_seen {
    uint64_t at;
    struct note note;
    struct addr client;
    bool foreign;  /* of a call at another gate */
    uint16_t next; /* next in its bucket; an index as in struct bucket */
};

/* Notes are in a hash table, because clients can cause many. */
enum { BUCKETS = KEYRING_SEEN_MAX };

struct bucket {
    uint64_t full_until; /* ms; until then a note that was replaced may still have been valid */
    uint16_t first;      /* index in seen of the latest note, plus 1; 0: none */
};

/* The occupied part of a ring buffer: count entries from first on, oldest first. */
struct stretch {
    size_t first, count;
};

struct keyring {
    pthread_mutex_t lock;
    struct siphash_key secret; /* never changes, so it needs no lock */
    uint64_t start;            /* chain of every login that has only begun */
    void (*on_put)(void *arg);
    void *on_put_arg;
    const struct keyring_others *others; /* NULL: none */
    void *others_arg;
    uint64_t latest; /* id of the newest keys */
    struct stretch kept, noted, judged;
    struct ring_keys keys[KEYRING_MAX];
    struct ring_verdict verdict[KEYRING_VERDICTS_MAX];
    struct ring_seen seen[KEYRING_SEEN_MAX];
    struct bucket bucket[BUCKETS];
};

static size_t ring_place(const struct stretch *r, size_t i, size_t size)
{
    return (r->first + i) % size;
}

static void ring_drop_oldest(struct stretch *r, size_t size)
{
    r->first = ring_place(r, 1, size);
    r->count--;
}

uint64_t keyring_hash(const struct keyring *k, struct span octets)
{
    const uint64_t h = octets.n == 0 ? 0 : siphash(&k->secret, octets.p, octets.n);
    return octets.n > 0 && h == 0 ? 1 : h;
}

static struct keyring_label label_of(const struct keyring *k, const char *radius,
                                     const struct keyring_login *login)
{
    enum { USER_MAX = 256 }; /* PPP keeps no longer name */
    uint8_t folded[FOLD_ROOM(USER_MAX)];
    const struct span user = span_of(folded, fold_case(span_sub(login->user, 0, USER_MAX), folded));

    return (struct keyring_label){
        .radius = keyring_hash(k, span_str(radius)),
        .user = keyring_hash(k, user),
        .bare = keyring_hash(k, users_bare_name(user)),
        .marks = login->marks,
    };
}

static void keyring_lock(struct keyring *k)
{
    INSIST(pthread_mutex_lock(&k->lock) == 0);
}

static void keyring_unlock(struct keyring *k)
{
    INSIST(pthread_mutex_unlock(&k->lock) == 0);
}

static void keys_wipe(struct ring_keys *e)
{
    explicit_bzero(e->key, sizeof e->key);
    e->n = 0;
}

static void forget_oldest_keys(struct keyring *k)
{
    keys_wipe(&k->keys[k->kept.first]);
    ring_drop_oldest(&k->kept, KEYRING_MAX);
}

/* Returns whether KEYRING_MS have passed. Each thread reads the clock itself, so `since` may be
 * a little later than now_ms. */
static bool is_over(uint64_t since, uint64_t now_ms)
{
    return now_ms > since && now_ms - since > KEYRING_MS;
}

/* Returns whether many logins have this mark, so that the name must match as well. */
static bool is_common(const struct keyring *k, uint64_t mark)
{
    return mark == 0 || mark == k->start;
}

/* Returns the bucket of a note; all notes that match one search are in the same bucket. */
static struct bucket *bucket_of(struct keyring *k, const struct note *n)
{
    return &k->bucket[(is_common(k, n->mark) ? n->mark ^ n->bare : n->mark) % BUCKETS];
}

static void forget_oldest_seen(struct keyring *k)
{
    const size_t oldest = k->noted.first;
    uint16_t *at = &bucket_of(k, &k->seen[oldest].note)->first;

    while (*at != oldest + 1)
        at = &k->seen[*at - 1].next;
    *at = k->seen[oldest].next;
    ring_drop_oldest(&k->noted, KEYRING_SEEN_MAX);
}

static void make_room_for_note(struct keyring *k, uint64_t now_ms)
{
    if (k->noted.count < KEYRING_SEEN_MAX)
        return;
    bucket_of(k, &k->seen[k->noted.first].note)->full_until = now_ms + KEYRING_MS;
    forget_oldest_seen(k);
}

static void keyring_expire(struct keyring *k, uint64_t now_ms)
{
    while (k->kept.count > 0 && is_over(k->keys[k->kept.first].put, now_ms))
        forget_oldest_keys(k);
    while (k->noted.count > 0 && is_over(k->seen[k->noted.first].at, now_ms))
        forget_oldest_seen(k);
    while (k->judged.count > 0 && is_over(k->verdict[k->judged.first].at, now_ms))
        ring_drop_oldest(&k->judged, KEYRING_VERDICTS_MAX);
}

struct keyring *keyring_new(void)
{
    struct keyring *k = NEW(struct keyring);

    INSIST(pthread_mutex_init(&k->lock, NULL) == 0);
    INSIST(getrandom(&k->secret, sizeof k->secret, 0) == (ssize_t)sizeof k->secret);
    k->start = keyring_hash(k, span_str("login"));
    return k;
}

void keyring_free(struct keyring *k)
{
    if (k == NULL)
        return;
    INSIST(pthread_mutex_destroy(&k->lock) == 0);
    explicit_bzero(k, sizeof *k);
    free(k);
}

/* ---- marks ---- */

uint64_t keyring_proof(const struct keyring *k, struct span proof)
{
    return proof.n < PROOF_MIN ? 0 : keyring_hash(k, proof);
}

/* Returns the chain `before`, extended by these bytes of the server (request) or the client. */
static uint64_t link_to(const struct keyring *k, uint64_t before, bool request, struct span octets)
{
    const uint64_t all[] = {before, request, keyring_hash(k, octets)};
    return keyring_hash(k, span_of(all, sizeof all));
}

/* Returns the proof after packet p. A proof answers a challenge; it stays when the server accepts
 * it, and any other request of the server clears it. A second, different answer is mixed in: the
 * server may have taken either, so the result is a mark that no login has. */
static uint64_t follow_proof(const struct keyring *k, uint64_t proof, const struct eap_packet *p)
{
    const uint64_t answer = keyring_hash(k, p->nt_response);

    if (p->request)
        return p->accepted ? proof : 0;
    if (answer == 0 || answer == proof)
        return proof;
    return proof == 0 ? answer : link_to(k, proof, false, p->nt_response);
}

void keyring_follow(const struct keyring *k, struct keyring_marks *m, struct span eap)
{
    struct eap_packet p;

    if (!eap_parse(eap, &p))
        p = (struct eap_packet){.data = eap};
    if (p.identity) {
        *m = (struct keyring_marks){.chain = p.request ? 0 : k->start};
    } else if (m->chain != 0) {
        m->chain = link_to(k, m->chain, p.request, p.data);
        m->proof = follow_proof(k, m->proof, &p);
    }
}

/* ---- keys ---- */

void keyring_on_put(struct keyring *k, void (*fn)(void *arg), void *arg)
{
    k->on_put = fn;
    k->on_put_arg = arg;
}

static struct ring_keys *add_keys(struct keyring *k, const struct keyring_label *label,
                                  const struct hlak *keys, size_t n, uint64_t now_ms)
{
    if (k->kept.count == KEYRING_MAX)
        forget_oldest_keys(k);
    struct ring_keys *e = &k->keys[ring_place(&k->kept, k->kept.count++, KEYRING_MAX)];
    e->id = ++k->latest;
    e->put = now_ms;
    e->label = *label;
    e->n = n;
    memcpy(e->key, keys, n * sizeof *keys);
    return e;
}

void keyring_put(struct keyring *k, const char *radius, const struct keyring_login *login,
                 const struct hlak *keys, size_t n, uint64_t now_ms)
{
    if (n > KEYRING_PER_LOGIN)
        n = KEYRING_PER_LOGIN;
    if (login->marks.proof == 0 && is_common(k, login->marks.chain))
        return;
    keyring_lock(k);
    keyring_expire(k, now_ms);
    const struct keyring_label label = label_of(k, radius, login);
    add_keys(k, &label, keys, n, now_ms);
    keyring_unlock(k);
    if (k->on_put != NULL)
        k->on_put(k->on_put_arg);
}

static bool same_user(uint64_t user, uint64_t bare, uint64_t user2, uint64_t bare2)
{
    const bool one_is_bare = user == bare || user2 == bare2;
    return user != 0 && user2 != 0 && (user == user2 || (one_is_bare && bare == bare2));
}

static bool same_login(const struct keyring *k, const struct keyring_label *a,
                       const struct keyring_label *b)
{
    if (a->radius != b->radius)
        return false;
    if (a->marks.proof != 0 && a->marks.proof == b->marks.proof)
        return true;
    return !is_common(k, a->marks.chain) && a->marks.chain == b->marks.chain &&
           same_user(a->user, a->bare, b->user, b->bare);
}

size_t keyring_find(struct keyring *k, struct keyring_search *s, uint64_t now_ms)
{
    size_t found = 0;

    keyring_lock(k);
    keyring_expire(k, now_ms);
    const struct keyring_label wanted = label_of(k, s->radius, s->login);
    for (size_t i = k->kept.count; i-- > 0;) {
        const struct ring_keys *e = &k->keys[ring_place(&k->kept, i, KEYRING_MAX)];
        if (e->id <= s->latest)
            break;
        if (!same_login(k, &e->label, &wanted))
            continue;
        for (size_t j = 0; j < e->n && found < s->max; j++, found++) {
            s->keys[found] = e->key[j];
            s->ids[found] = e->id;
        }
    }
    s->latest = k->latest;
    keyring_unlock(k);
    return found;
}

void keyring_spend(struct keyring *k, uint64_t id)
{
    keyring_lock(k);
    for (size_t i = k->kept.count; i-- > 0;) {
        struct ring_keys *e = &k->keys[ring_place(&k->kept, i, KEYRING_MAX)];
        if (e->id == id)
            keys_wipe(e);
    }
    keyring_unlock(k);
}

/* ---- verdicts ---- */

static struct note note_of(const struct keyring_label *l, uint64_t mark)
{
    return (struct note){.radius = l->radius, .user = l->user, .bare = l->bare, .mark = mark};
}

/* Returns whether a login with this mark, which no other login has, belongs to a call of this gate.
 */
static bool is_noted_here(struct keyring *k, const struct keyring_label *l, uint64_t mark)
{
    const struct note wanted = note_of(l, mark);

    if (is_common(k, mark))
        return false;
    for (uint16_t i = bucket_of(k, &wanted)->first; i != 0; i = k->seen[i - 1].next) {
        const struct ring_seen *e = &k->seen[i - 1];
        if (!e->foreign && e->note.radius == l->radius && e->note.mark == mark)
            return true;
    }
    return false;
}

/* Returns whether the call of a login may be at another gate, which needs this verdict. */
static bool others_need(struct keyring *k, const struct keyring_label *l,
                        enum keyring_verdict verdict)
{
    return k->others != NULL && (verdict == KEYRING_ACCEPTED || verdict == KEYRING_REJECTED) &&
           !is_noted_here(k, l, l->marks.proof) && !is_noted_here(k, l, l->marks.chain);
}

/* Copies the keys of the login that has just been accepted. */
static void copy_keys(const struct keyring *k, struct keyring_outcome *o)
{
    for (size_t i = k->kept.count; i-- > 0;) {
        const struct ring_keys *e = &k->keys[ring_place(&k->kept, i, KEYRING_MAX)];
        if (!same_login(k, &e->label, &o->label))
            continue;
        o->n = e->n;
        memcpy(o->key, e->key, e->n * sizeof *e->key);
        return;
    }
}

static void add_verdict(struct keyring *k, const struct keyring_label *label,
                        enum keyring_verdict verdict, uint64_t now_ms)
{
    if (k->judged.count == KEYRING_VERDICTS_MAX)
        ring_drop_oldest(&k->judged, KEYRING_VERDICTS_MAX);
    k->verdict[ring_place(&k->judged, k->judged.count++, KEYRING_VERDICTS_MAX)] =
        (struct ring_verdict){.at = now_ms, .label = *label, .verdict = verdict};
}

void keyring_judge(struct keyring *k, const char *radius, const struct keyring_login *login,
                   enum keyring_verdict verdict, uint64_t now_ms)
{
    struct keyring_outcome o = {.verdict = verdict};

    keyring_lock(k);
    keyring_expire(k, now_ms);
    o.label = label_of(k, radius, login);
    add_verdict(k, &o.label, verdict, now_ms);
    const bool give = others_need(k, &o.label, verdict);
    if (give && verdict == KEYRING_ACCEPTED)
        copy_keys(k, &o);
    keyring_unlock(k);
    if (give)
        k->others->give_outcome(k->others_arg, &o);
    explicit_bzero(o.key, sizeof o.key);
}

static bool has_marks(const struct keyring *k, const struct keyring_label *l)
{
    return l->marks.proof != 0 || !is_common(k, l->marks.chain);
}

/* Returns whether a verdict holds for a login by its user alone. */
static bool user_is_judged(const struct keyring *k, const struct ring_verdict *v,
                           const struct keyring_label *wanted)
{
    if (v->label.radius != wanted->radius ||
        !same_user(v->label.user, v->label.bare, wanted->user, wanted->bare))
        return false;
    return v->verdict >= KEYRING_CHALLENGED || !(has_marks(k, &v->label) || has_marks(k, wanted));
}

static struct ring_verdict *find_verdict(struct keyring *k, const struct keyring_label *wanted,
                                         uint64_t since_ms)
{
    struct ring_verdict *by_user = NULL;

    for (size_t i = k->judged.count; i-- > 0;) {
        struct ring_verdict *v = &k->verdict[ring_place(&k->judged, i, KEYRING_VERDICTS_MAX)];
        if (v->verdict == KEYRING_UNDECIDED || (v->verdict == KEYRING_ACCEPTED && v->at < since_ms))
            continue;
        if (same_login(k, &v->label, wanted))
            return v;
        if (by_user == NULL && user_is_judged(k, v, wanted))
            by_user = v;
    }
    return by_user;
}

enum keyring_verdict keyring_take_verdict(struct keyring *k, const char *radius,
                                          const struct keyring_login *login, uint64_t since_ms,
                                          uint64_t now_ms)
{
    enum keyring_verdict verdict = KEYRING_UNDECIDED;

    keyring_lock(k);
    keyring_expire(k, now_ms);
    const struct keyring_label wanted = label_of(k, radius, login);
    struct ring_verdict *v = find_verdict(k, &wanted, since_ms);
    if (v != NULL)
        verdict = v->verdict;
    if (verdict == KEYRING_REJECTED)
        v->verdict = KEYRING_UNDECIDED;
    keyring_unlock(k);
    return verdict;
}

/* ---- clients ---- */

static bool same_note(const struct note *a, const struct note *b)
{
    return a->radius == b->radius && a->user == b->user && a->mark == b->mark;
}

/* Returns whether the same note was made in the last half of KEYRING_MS: most often the packet is a
 * retransmission, or the client retries, and this must not push out the notes of others. */
static bool noted_lately(const struct keyring *k, uint16_t first, const struct note *note,
                         const struct addr *client, bool foreign, uint64_t now_ms)
{
    for (uint16_t i = first; i != 0; i = k->seen[i - 1].next) {
        const struct ring_seen *e = &k->seen[i - 1];
        if (e->at + KEYRING_MS / 2 < now_ms)
            break;
        if (same_note(&e->note, note) && addr_equal(&e->client, client) && e->foreign == foreign)
            return true;
    }
    return false;
}

static void add_note(struct keyring *k, struct note note, const struct addr *client, bool foreign,
                     uint64_t now_ms)
{
    struct bucket *bucket = bucket_of(k, &note);

    if (noted_lately(k, bucket->first, &note, client, foreign, now_ms))
        return;
    make_room_for_note(k, now_ms);
    const size_t i = ring_place(&k->noted, k->noted.count++, KEYRING_SEEN_MAX);
    k->seen[i] = (struct ring_seen){
        .at = now_ms, .note = note, .client = *client, .foreign = foreign, .next = bucket->first};
    bucket->first = (uint16_t)(i + 1);
}

/* Adds a note for each mark of a login. */
static void add_notes(struct keyring *k, const struct keyring_label *label,
                      const struct addr *client, bool foreign, uint64_t now_ms)
{
    if (label->marks.proof != 0)
        add_note(k, note_of(label, label->marks.proof), client, foreign, now_ms);
    if (label->marks.chain != 0 || label->marks.proof == 0)
        add_note(k, note_of(label, label->marks.chain), client, foreign, now_ms);
}

void keyring_saw(struct keyring *k, const char *radius, const struct keyring_login *login,
                 const struct addr *client, uint64_t now_ms)
{
    keyring_lock(k);
    keyring_expire(k, now_ms);
    const struct keyring_label label = label_of(k, radius, login);
    add_notes(k, &label, client, false, now_ms);
    keyring_unlock(k);
}

static bool note_matches(const struct keyring *k, const struct note *a, const struct note *wanted)
{
    return a->radius == wanted->radius && a->mark == wanted->mark &&
           (!is_common(k, a->mark) || same_user(a->user, a->bare, wanted->user, wanted->bare));
}

/* Returns the number of addresses that have such a note: 0, 1, or more; also more than 1 if notes
 * were replaced that might match. */
static unsigned seen_from(struct keyring *k, struct note wanted, uint64_t now_ms,
                          struct addr *client)
{
    const struct bucket *bucket = bucket_of(k, &wanted);
    unsigned n = bucket->full_until > now_ms ? 2 : 0;

    for (uint16_t i = bucket->first; i != 0; i = k->seen[i - 1].next) {
        const struct ring_seen *e = &k->seen[i - 1];
        if (!note_matches(k, &e->note, &wanted))
            continue;
        if (n == 0)
            *client = e->client;
        if (n == 0 || !addr_same_host(client, &e->client))
            n++;
    }
    return n;
}

bool keyring_client_of(struct keyring *k, const char *radius, const struct keyring_login *login,
                       uint64_t now_ms, struct addr *client)
{
    unsigned n = 0;

    keyring_lock(k);
    keyring_expire(k, now_ms);
    const struct keyring_label wanted = label_of(k, radius, login);
    if (wanted.marks.chain != 0 || wanted.marks.proof == 0)
        n = seen_from(k, note_of(&wanted, wanted.marks.chain), now_ms, client);
    if (n == 0 && wanted.marks.proof != 0)
        n = seen_from(k, note_of(&wanted, wanted.marks.proof), now_ms, client);
    keyring_unlock(k);
    return n == 1;
}

/* ---- other gates ---- */

void keyring_share(struct keyring *k, const uint8_t secret[16], const struct keyring_others *others,
                   void *arg)
{
    memcpy(&k->secret, secret, sizeof k->secret);
    k->start = keyring_hash(k, span_str("login"));
    k->others = others;
    k->others_arg = arg;
}

bool keyring_is_shared(const struct keyring *k)
{
    return k->others != NULL;
}

void keyring_want_outcome(struct keyring *k, const char *radius, const struct keyring_login *login,
                          uint32_t ms)
{
    if (k->others == NULL)
        return;
    const struct keyring_label label = label_of(k, radius, login);
    k->others->want_outcome(k->others_arg, &label, ms);
}

void *keyring_await_outcome(struct keyring *k, const char *radius,
                            const struct keyring_login *login, struct worker *from,
                            void (*on_answer)(void *to), void *to)
{
    if (k->others == NULL)
        return NULL;
    const struct keyring_label label = label_of(k, radius, login);
    return k->others->await_outcome(k->others_arg, &label, from, on_answer, to);
}

void keyring_offer_client(struct keyring *k, const char *radius, const struct keyring_login *login,
                          const struct addr *client)
{
    if (k->others == NULL)
        return;
    const struct keyring_label label = label_of(k, radius, login);
    k->others->give_client(k->others_arg, &label, client);
}

void *keyring_want_client(struct keyring *k, const char *radius, const struct keyring_login *login,
                          uint64_t now_ms, struct worker *from, void (*on_answer)(void *to),
                          void *to)
{
    struct addr client;

    if (k->others == NULL)
        return NULL;
    const struct keyring_label label = label_of(k, radius, login);
    const bool alone = has_marks(k, &label);
    if (alone && keyring_client_of(k, radius, login, now_ms, &client))
        return NULL;
    return k->others->want_client(k->others_arg, &label, !alone, from, on_answer, to);
}

void keyring_forget_client(const struct keyring *k, void *search)
{
    if (search != NULL)
        k->others->forget_client(search);
}

void keyring_take_outcome(struct keyring *k, const struct keyring_outcome *o, uint64_t now_ms)
{
    keyring_lock(k);
    keyring_expire(k, now_ms);
    if (o->n > 0 && has_marks(k, &o->label)) {
        struct ring_keys *e = add_keys(k, &o->label, o->key, o->n, now_ms);
        for (size_t i = 0; i < e->n; i++)
            e->key[i].kind = HLAK_SHARED;
    }
    add_verdict(k, &o->label, o->verdict, now_ms);
    keyring_unlock(k);
    if (k->on_put != NULL)
        k->on_put(k->on_put_arg);
}

void keyring_take_client(struct keyring *k, const struct keyring_label *label,
                         const struct addr *client, uint64_t now_ms)
{
    keyring_lock(k);
    keyring_expire(k, now_ms);
    add_notes(k, label, client, true, now_ms);
    keyring_unlock(k);
}

bool keyring_accepted(struct keyring *k, const char *radius, const struct keyring_login *login,
                      uint64_t now_ms)
{
    bool accepted = false;

    keyring_lock(k);
    keyring_expire(k, now_ms);
    const struct keyring_label wanted = label_of(k, radius, login);
    for (size_t i = 0; i < k->judged.count; i++) {
        const struct ring_verdict *v = &k->verdict[ring_place(&k->judged, i, KEYRING_VERDICTS_MAX)];
        accepted |= v->verdict == KEYRING_ACCEPTED && same_login(k, &v->label, &wanted);
    }
    keyring_unlock(k);
    return accepted;
}

/* Writes one label for others: its kind, the [radius NAME], a mark and a user. */
static void write_key(uint8_t out[KEYRING_KEY], uint8_t kind, uint64_t radius, uint64_t mark,
                      uint64_t user)
{
    const uint64_t parts[] = {radius, mark, user};

    out[0] = kind;
    for (size_t i = 0; i < sizeof parts; i++)
        out[1 + i] = (uint8_t)(parts[i / 8] >> (56 - 8 * (i % 8)));
}

size_t keyring_keys(const struct keyring *k, const struct keyring_label *label,
                    uint8_t out[KEYRING_KEYS_MAX][KEYRING_KEY])
{
    const struct keyring_marks *m = &label->marks;
    size_t n = 0;

    if (m->proof != 0)
        write_key(out[n++], 'p', label->radius, m->proof, 0);
    if (!is_common(k, m->chain))
        write_key(out[n++], 'c', label->radius, m->chain, 0);
    if (n == 0)
        write_key(out[n++], 'u', label->radius, m->chain, label->bare);
    return n;
}

void keyring_sweep(struct keyring *k, uint64_t now_ms)
{
    keyring_lock(k);
    keyring_expire(k, now_ms);
    keyring_unlock(k);
}
