#include "call/candidates.h"

#include <openssl/crypto.h>
#include <string.h>

#include "binding/binding.h"
#include "policy/users.h"
#include "radius/keyring.h"

/* RADIUS_MAX bounds what a Call Connected with a wrong MAC costs. Keys of this very login come
 * first; a login without anything in common with it is one of the newest. */
enum { USERS_MAX = 2 * USERS_MATCH_MAX, RADIUS_MAX = 64 };

static size_t add_users(const struct candidates *c, const struct ppp_mschap *m, struct hlak *keys)
{
    struct users_match found[USERS_MATCH_MAX];

    if (!m->seen || c->users == NULL)
        return 0;
    size_t n = users_find(c->users, span_of(m->user, m->user_len), found);
    for (size_t i = 0; i < n; i++) {
        if (m->v1)
            hlak_mschapv1(&keys[i], found[i].hash_hash, m->challenge);
        else
            hlak_mschapv2(&keys[i], found[i].hash_hash, m->nt_response);
    }
    return n;
}

static bool same_response(const struct ppp_mschap *a, const struct ppp_mschap *b)
{
    return a->seen && b->seen && memcmp(a->nt_response, b->nt_response, PPP_NT_RESPONSE) == 0;
}

static bool find(struct span msg, struct hlak *keys, size_t n, struct hlak *key, size_t *which)
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
    size_t which, n = add_users(c, &ppp->confirmed, keys);

    if (!same_response(&ppp->confirmed, &ppp->last))
        n += add_users(c, &ppp->last, keys + n);
    c->tried.users_file = n;
    return find(msg, keys, n, key, &which);
}

static bool find_radius(struct candidates *c, struct span msg, const struct keyring_login *login,
                        uint64_t now_ms, struct hlak *key)
{
    struct hlak keys[RADIUS_MAX];
    uint64_t id[RADIUS_MAX];
    size_t which;

    if (c->keyring == NULL)
        return false;
    size_t n = keyring_find(c->keyring, c->radius, login, now_ms, &c->latest, keys, id, RADIUS_MAX);
    c->tried.radius += n;
    if (!find(msg, keys, n, key, &which))
        return false;
    keyring_spend(c->keyring, id[which]);
    return true;
}

/* With MS-CHAP both ends have keys, so a MAC under zeros was made without the key. Inside EAP some
 * Windows clients are said to use zeros all the same (PROTOCOL.md 4.4). Where a key of this login
 * is known it would have fitted the client's own MAC, so zeros are then accepted only if the
 * configuration says so; otherwise a change of the envelope from MS-CHAPv2 to EAP-MSCHAPv2 would
 * need no key. */
static bool zeros_are_possible(const struct candidates *c, const struct ppp_observer *ppp)
{
    if (ppp->no_zero_key || ppp->method == PPP_METHOD_MSCHAPV1 ||
        ppp->method == PPP_METHOD_MSCHAPV2)
        return false;
    const bool eap = ppp_method_has_keys(ppp->method) || ppp->method == PPP_METHOD_EAP;
    return !eap || c->zero_key_eap || !candidates_have_key(c);
}

bool candidates_find(struct candidates *c, struct span msg, const struct ppp_observer *ppp,
                     const struct keyring_login *login, uint64_t now_ms, struct hlak *key)
{
    size_t which;

    if (find_users(c, msg, ppp, key) || find_radius(c, msg, login, now_ms, key))
        return true;
    if (!zeros_are_possible(c, ppp))
        return false;
    c->tried.zeros = 1;
    struct hlak zeros;
    hlak_zero(&zeros);
    return find(msg, &zeros, 1, key, &which);
}

bool candidates_fit_login(struct candidates *c, struct span msg, const struct ppp_observer *ppp,
                          const struct keyring_login *login, uint64_t now_ms)
{
    struct hlak keys[USERS_MATCH_MAX], key;
    size_t which;

    c->tried.users_file = add_users(c, ppp->confirmed.seen ? &ppp->confirmed : &ppp->last, keys);
    if (find(msg, keys, c->tried.users_file, &key, &which) ||
        find_radius(c, msg, login, now_ms, &key)) {
        hlak_wipe(&key);
        return true;
    }
    return zeros_are_possible(c, ppp) && candidates_zeros_fit(msg);
}

bool candidates_zeros_fit(struct span msg)
{
    struct hlak zeros;

    hlak_zero(&zeros);
    return binding_find_key(msg, &zeros, 1) == 0;
}
