#include "call/candidates.h"

#include <openssl/crypto.h>
#include <string.h>

#include "binding/binding.h"
#include "binding/mschap.h"
#include "users/users.h"

/* RADIUS_MAX bounds the cost of a Call Connected with a wrong MAC. The keyring lists keys of the
 * same login first, and then the newest ones of other logins. */
enum { USERS_MAX = 2 * USERS_MATCH_MAX, RADIUS_MAX = 64 };

/* Returns whether the server can have judged the response with the hash-hash of this line: its
 * answer proves which one it used (RFC 2759 8.7). A key of another line that matches the name
 * belongs to another user. */
static bool is_judged_with(const struct ppp_mschap *m, const struct users_match *line)
{
    return !m->answered ||
           mschap_answer_fits(m->server_answer, line->hash_hash, m->nt_response, m->peer_challenge,
                              m->challenge, span_of(m->user, m->user_len));
}

/* Appends the keys of m to keys, which has *n already, and counts the user's lines as tried. With
 * v1 the server's Success proves nothing, so only the line with the closest name is used. */
static void add_users(struct candidates *c, const struct ppp_mschap *m, struct hlak *keys,
                      size_t *n)
{
    struct users_match found[USERS_MATCH_MAX];

    if (!m->seen || c->users == NULL)
        return;
    size_t lines = users_find_current(c->users, span_of(m->user, m->user_len), c->time, found);
    if (m->v1 && lines > 1)
        lines = 1;
    c->tried.users_file += lines;
    for (size_t i = 0; i < lines; i++) {
        if (m->v1)
            hlak_mschapv1(&keys[(*n)++], found[i].hash_hash, m->challenge);
        else if (is_judged_with(m, &found[i]))
            hlak_mschapv2(&keys[(*n)++], found[i].hash_hash, m->nt_response);
    }
}

static bool same_response(const struct ppp_mschap *a, const struct ppp_mschap *b)
{
    return a->seen && b->seen && memcmp(a->nt_response, b->nt_response, PPP_NT_RESPONSE) == 0;
}

/* Finds the key that made the MAC, and wipes keys. */
static bool find_key(struct span msg, struct hlak *keys, size_t n, struct hlak *key, size_t *which)
{
    *which = binding_find_key(msg, keys, n);
    bool found = *which < n;
    if (found)
        *key = keys[*which];
    OPENSSL_cleanse(keys, n * sizeof *keys);
    return found;
}

static bool find_users(struct candidates *c, struct span msg, const struct ppp_observer *ppp,
                       struct hlak *key)
{
    struct hlak keys[USERS_MAX];
    size_t which, n = 0;

    c->tried.users_file = 0;
    add_users(c, &ppp->confirmed, keys, &n);
    if (!same_response(&ppp->confirmed, &ppp->last))
        add_users(c, &ppp->last, keys, &n);
    return find_key(msg, keys, n, key, &which);
}

static bool find_radius(struct candidates *c, struct span msg, const struct keyring_login *login,
                        uint64_t now_ms, struct hlak *key)
{
    struct hlak keys[RADIUS_MAX];
    uint64_t ids[RADIUS_MAX];
    struct keyring_search s = {.radius = c->radius,
                               .login = login,
                               .latest = c->latest,
                               .keys = keys,
                               .ids = ids,
                               .max = RADIUS_MAX};
    size_t which;

    if (c->keyring == NULL)
        return false;
    size_t n = keyring_find(c->keyring, &s, now_ms);
    c->latest = s.latest;
    c->tried.radius += n;
    if (!find_key(msg, keys, n, key, &which))
        return false;
    keyring_spend(c->keyring, ids[which]);
    return true;
}

void candidates_login_ended(struct candidates *c, const struct keyring_login *login,
                            uint64_t now_ms)
{
    struct hlak key;
    uint64_t id;
    struct keyring_search s = {.radius = c->radius,
                               .login = login,
                               .latest =
                                   c->latest, /* not updated, so that the key is found again */
                               .keys = &key,
                               .ids = &id,
                               .max = 1};

    if (c->keyring == NULL)
        return;
    if (keyring_find(c->keyring, &s, now_ms) > 0)
        c->key_seen = true;
    hlak_wipe(&key);
    c->ended_ms = now_ms;
    if (!keyring_is_shared(c->keyring))
        return;
    if (keyring_accepted(c->keyring, c->radius, login, now_ms))
        c->accepted = login->marks;
    else
        candidates_ask_others(c, login, now_ms);
}

void candidates_ask_others(struct candidates *c, const struct keyring_login *login, uint64_t now_ms)
{
    const uint64_t end = (c->ended_ms == 0 ? now_ms : c->ended_ms) + KEYRING_MS;

    if (c->keyring != NULL && keyring_is_shared(c->keyring) && now_ms < end &&
        !keyring_accepted(c->keyring, c->radius, login, now_ms))
        keyring_want_outcome(c->keyring, c->radius, login, (uint32_t)(end - now_ms));
}

bool candidates_would_know_key(const struct candidates *c, const struct keyring_login *login,
                               uint64_t now_ms)
{
    if (c->keyring == NULL || !keyring_is_shared(c->keyring))
        return true;
    return (c->accepted.chain != 0 && c->accepted.chain == login->marks.chain) ||
           keyring_accepted(c->keyring, c->radius, login, now_ms);
}

/* Returns whether zeros may be the client's key. With MS-CHAP both ends have keys, so a MAC under
 * zeros was made without the key. Inside EAP some Windows clients reportedly use zeros nevertheless
 * (PROTOCOL.md 4.4). If a key of this login is known, zeros are a candidate only if the
 * configuration allows it; otherwise a man in the middle could change the envelope from MS-CHAPv2
 * to EAP-MSCHAPv2 and would need no key. */
static bool zeros_are_possible(const struct candidates *c, const struct ppp_observer *ppp,
                               const struct keyring_login *login, uint64_t now_ms)
{
    if (ppp->no_zero_key || ppp->method == PPP_METHOD_MSCHAPV1 ||
        ppp->method == PPP_METHOD_MSCHAPV2)
        return false;
    const bool eap = ppp_method_has_keys(ppp->method) || ppp->method == PPP_METHOD_EAP;
    return !eap || c->zero_key_eap ||
           (!candidates_have_key(c) && candidates_would_know_key(c, login, now_ms));
}

bool candidates_find(struct candidates *c, struct span msg, const struct ppp_observer *ppp,
                     const struct keyring_login *login, uint64_t now_ms, struct hlak *key)
{
    size_t which;

    if (find_users(c, msg, ppp, key) || find_radius(c, msg, login, now_ms, key))
        return true;
    if (!zeros_are_possible(c, ppp, login, now_ms))
        return false;
    c->tried.zeros = 1;
    struct hlak zeros;
    hlak_zero(&zeros);
    return find_key(msg, &zeros, 1, key, &which);
}

bool candidates_fit_login(struct candidates *c, struct span msg, const struct ppp_observer *ppp,
                          const struct keyring_login *login, uint64_t now_ms)
{
    struct hlak keys[USERS_MATCH_MAX], key;
    size_t which, n = 0;

    c->tried.users_file = 0;
    add_users(c, ppp->confirmed.seen ? &ppp->confirmed : &ppp->last, keys, &n);
    if (find_key(msg, keys, n, &key, &which) || find_radius(c, msg, login, now_ms, &key)) {
        hlak_wipe(&key);
        return true;
    }
    return zeros_are_possible(c, ppp, login, now_ms) && candidates_zeros_fit(msg);
}

bool candidates_zeros_fit(struct span msg)
{
    struct hlak zeros;

    hlak_zero(&zeros);
    return binding_find_key(msg, &zeros, 1) == 0;
}
