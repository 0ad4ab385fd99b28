#include "call/negotiation_binding.h"

#include <string.h>

#include "base/insist.h"
#include "binding/mschap.h"
#include "call/advice.h"
#include "radius/keyring.h"
#include "site/site.h"
#include "users/users.h"

static struct advice advice_for(const struct negotiation *n)
{
    return (struct advice){.record = n->record,
                           .backend = n->backend,
                           .ours = &n->client_leaf,
                           .theirs = &n->backend_leaf,
                           .leaves = n->leaves,
                           .now_ms = n->log_ms};
}

/* ---- the login ---- */

/* Compares the users file with the server's Success, which proves the password that the server has
 * (RFC 2759 8.7). A wrong password of the client has no effect here, because it causes no
 * Success. */
void negotiation_binding_check_users(struct negotiation *n)
{
    const struct ppp_mschap *m = &n->ppp.confirmed;
    struct users_match found[USERS_MATCH_MAX];
    struct span user = span_of(m->user, m->user_len);

    if (!m->answered || n->backend->users == NULL)
        return;
    size_t count = users_find(n->backend->users, user, found);
    for (size_t i = 0; i < count; i++)
        if (mschap_answer_fits(m->server_answer, found[i].hash_hash, m->nt_response,
                               m->peer_challenge, m->challenge, user))
            return;
    if (count == 0 || n->stale == found[0].line)
        return; /* logged before */
    n->stale = found[0].line;
    struct advice a = advice_for(n);
    advice_stale(&a, n->stale);
}

static struct keyring_login login_of(const struct negotiation *n)
{
    return login_label_of(&n->label, n->candidates.keyring, &n->ppp);
}

void negotiation_binding_login_ended(struct negotiation *n)
{
    const struct keyring_login login = login_of(n);
    candidates_login_ended(&n->candidates, &login, n->log_ms);
}

/* ---- Call Connected ---- */

bool negotiation_binding_re_signs(const struct negotiation *n)
{
    enum config_binding b = n->backend->config->binding;
    return b == CONFIG_BINDING_REWRITE || b == CONFIG_BINDING_AUTO;
}

static enum reason reason_of(enum binding_result r)
{
    switch (r) {
    case BINDING_NONCE: return REASON_BINDING_NONCE;
    case BINDING_HASH: return REASON_BINDING_HASH;
    case BINDING_LEAF: return REASON_BINDING_LEAF;
    case BINDING_MAC: return REASON_BINDING_MAC;
    default: return REASON_BINDING_FORM;
    }
}

/* Forwards a Call Connected. Any client can send one whose MAC was made with zeros, so until
 * the server shows that it has accepted this user, the negotiation and its deadline continue. */
static struct negotiation_answer forward_connected(struct negotiation *n, struct span octets,
                                                   enum record_binding how)
{
    n->record->binding = how;
    n->progress = WAIT_RESULT;
    return (struct negotiation_answer){
        .verdict =
            n->ppp.result == PPP_RESULT_SUCCESS ? NEGOTIATION_CONNECTED : NEGOTIATION_REPLACE,
        .octets = octets,
    };
}

/* Re-signs Call Connected for the backend: with the hash of its certificate, and a MAC under the
 * client's own key. */
static struct negotiation_answer re_sign(struct negotiation *n, struct span msg,
                                         const struct hlak *key)
{
    struct record *s = n->record;
    uint8_t hash = binding_choose_hash(n->hash, n->backend_mask, &n->backend_leaf);

    if (hash == 0) {
        record_keep(
            &s->detail,
            span_str("the hash protocol that the backend requires is not in binding-cert-hash"));
        return negotiation_refuse(REASON_BINDING_HASH);
    }
    binding_make(msg, hash, &n->backend_leaf, key, n->made);
    s->key = hlak_kind_name(key->kind);
    s->weak = key->kind == HLAK_ZERO && ppp_method_has_keys(n->ppp.method);
    return forward_connected(n, span_of(n->made, sizeof n->made), RECORD_BINDING_VERIFIED);
}

/* Returns whether RADIUS may still give a key. The gate does not know all types of EAP, and any
 * type may give keys. */
static bool key_may_come(const struct negotiation *n)
{
    return n->candidates.keyring != NULL &&
           (ppp_method_has_keys(n->ppp.method) || n->ppp.method == PPP_METHOD_EAP);
}

/* Keeps the message and its login, which negotiation_binding_holds checks again once the login
 * has ended. */
static void note_early(struct negotiation *n, struct span msg, enum early early)
{
    if (n->ppp.result == PPP_RESULT_SUCCESS)
        return;
    n->early = early;
    n->early_marks = login_of(n).marks;
    n->early_user_len = n->ppp.user_len;
    memcpy(n->early_user, n->ppp.user, n->ppp.user_len);
    memmove(n->early_msg, msg.p, sizeof n->early_msg);
}

/* Logs a MAC that no candidate made. action: the fate of the message. A message that is not
 * forwarded is forged if a key of this user is known and not known to be stale, if the MAC was
 * made with zeros although the method has a key, or the reverse. The tried keys of RADIUS may
 * all belong to other users, so they prove nothing. */
static void mac_failed(struct negotiation *n, struct span msg, enum advice_action action)
{
    const struct candidates *c = &n->candidates;
    bool zeros = candidates_zeros_fit(msg);
    bool keyless = !ppp_method_has_keys(n->ppp.method) && n->ppp.method != PPP_METHOD_EAP;
    const struct advice_mac mac = {.stale = n->stale, .zeros_fit = zeros, .action = action};
    const struct advice a = advice_for(n);

    advice_mac(&a, c, &n->ppp, &mac);
    if (action == ADVICE_PASSED)
        return;
    n->record->binding = RECORD_BINDING_FAILED;
    n->record->forged = zeros || keyless || (n->stale == 0 && c->tried.users_file > 0);
}

static struct negotiation_answer wait_for_key(struct negotiation *n, struct span msg)
{
    memmove(n->made, msg.p, sizeof n->made);
    n->progress = WAIT_KEY;
    n->record->binding = RECORD_BINDING_NONE;
    return (struct negotiation_answer){.verdict = NEGOTIATION_WAIT};
}

static bool is_of_radius(const struct hlak *key)
{
    return key->kind == HLAK_RADIUS || key->kind == HLAK_SHARED;
}

/* Looks for the key that made the MAC (PROTOCOL.md 4.4). late: no other key will come. */
static struct negotiation_answer judge_mac(struct negotiation *n, struct span msg, uint64_t now_ms,
                                           bool late)
{
    const struct keyring_login login = login_of(n);
    struct candidates *c = &n->candidates;
    struct hlak key;

    if (candidates_find(c, msg, &n->ppp, &login, now_ms, &key)) {
        note_early(n, msg, is_of_radius(&key) ? EARLY_RADIUS : EARLY_KEY);
        struct negotiation_answer answer = re_sign(n, msg, &key);
        hlak_wipe(&key);
        return answer;
    }
    if (!late && key_may_come(n)) {
        if (n->progress != WAIT_KEY)
            candidates_ask_others(c, &login, now_ms);
        return wait_for_key(n, msg);
    }
    /* `auto` forwards only if no key is known */
    bool pass_on = n->backend->config->binding == CONFIG_BINDING_AUTO && !candidates_have_key(c);
    mac_failed(n, msg, pass_on ? ADVICE_PASSED : ADVICE_REFUSED);
    if (!pass_on)
        return negotiation_refuse(REASON_BINDING_MAC);
    note_early(n, msg, EARLY_NONE_YET);
    return forward_connected(n, msg, RECORD_BINDING_PASSED);
}

/* This function is the core of the gate's security: it checks that nonce and certificate are the
 * gate's own before it signs a message ([MS-SSTP] 5.3.3, PROTOCOL.md 4.4). Then it finds the key,
 * and re-signs the message. */
struct negotiation_answer negotiation_binding_connected(struct negotiation *n,
                                                        const struct sstp_packet *packet,
                                                        struct span octets, uint64_t now_ms)
{
    struct record *s = n->record;

    if (n->backend->config->binding == CONFIG_BINDING_OFF)
        return forward_connected(n, octets, RECORD_BINDING_OFF);

    s->binding = RECORD_BINDING_FAILED;
    enum binding_result r = binding_check(octets, &n->expect, &n->hash);
    if (n->hash != 0)
        s->hash = n->hash == SSTP_HASH_SHA1 ? "sha1" : "sha256";
    if (r == BINDING_LEAF) {
        struct sstp_connected c;
        struct advice a = advice_for(n);
        if (sstp_parse_connected(packet, &c) == ERR_OK)
            s->leaf_unknown = advice_leaf(&a, &c, n->hash);
    }
    s->forged = r != BINDING_OK;
    if (r != BINDING_OK)
        return negotiation_refuse(reason_of(r));
    if (!negotiation_binding_re_signs(n))
        return forward_connected(n, octets, RECORD_BINDING_PASSED);
    return judge_mac(n, octets, now_ms, false);
}

struct negotiation_answer negotiation_binding_try_key(struct negotiation *n, uint64_t now_ms,
                                                      bool late)
{
    INSIST(n->progress == WAIT_KEY);
    n->now_ms = n->log_ms = now_ms;
    return judge_mac(n, span_of(n->made, sizeof n->made), now_ms, late);
}

/* ---- an early Call Connected, once the server has accepted the user ----
 *
 * Servers drop some frames that the gate can read, so a man in the middle with an account of
 * his own could show the gate a login that the server never judges, and the gate would sign for
 * it (PROTOCOL.md 4.4, 5.1). So each ground for accepting an early message is checked against
 * the login that the server has accepted. */

/* Returns whether a key of the login that the server has accepted made the early message: the key
 * of the response that the server has confirmed, of RADIUS, or zeros where they may be the key
 * (PROTOCOL.md 4.3, 4.4). */
static bool fits_login(struct negotiation *n)
{
    const struct keyring_login login = login_of(n);
    return candidates_fit_login(&n->candidates, span_of(n->early_msg, sizeof n->early_msg), &n->ppp,
                                &login, n->now_ms);
}

/* Checks EARLY_KEY: a key of the users file, or zeros. The key may belong to a response that the
 * server had not judged, and zeros may have been accepted only because no method was known yet, so
 * the message must fit the login that has succeeded (PROTOCOL.md 4.4). If it fits with zeros
 * although the method gives keys, the log says so. */
static bool early_key_holds(struct negotiation *n)
{
    const bool zeros = strcmp(n->record->key, hlak_kind_name(HLAK_ZERO)) == 0;

    n->record->weak = zeros && ppp_method_has_keys(n->ppp.method);
    return fits_login(n);
}

/* Checks EARLY_NONE_YET: `auto` forwarded the message because no key was known. Either a key of
 * the login fits now, or no key is known and none is needed, because the login has succeeded
 * with a method whose keys the gate cannot have, or the server has asked for no method with
 * keys (PROTOCOL.md 4.3). If another gate may have the key, it has had no time to arrive. */
static bool early_none_holds(struct negotiation *n)
{
    const struct keyring_login login = login_of(n);

    if (fits_login(n))
        return true;
    if (key_may_come(n) && !candidates_would_know_key(&n->candidates, &login, n->log_ms))
        return false;
    return !candidates_have_key(&n->candidates) &&
           (n->ppp.result == PPP_RESULT_SUCCESS || !ppp_method_has_keys(n->ppp.method));
}

/* Checks EARLY_RADIUS: a key of RADIUS, which is spent now and cannot be tried again. It
 * belongs to a login that had ended in RADIUS, so it suffices that the server has accepted the
 * same login: the same user and the same marks (PROTOCOL.md 5.8). */
static bool early_radius_holds(const struct negotiation *n)
{
    const struct keyring_login login = login_of(n);

    return users_same_name(span_of(n->early_user, n->early_user_len), login.user) &&
           n->early_marks.proof == login.marks.proof && n->early_marks.chain == login.marks.chain;
}

static bool early_holds(struct negotiation *n)
{
    switch (n->early) {
    case EARLY_NOT: return true; /* the key belonged to a login that had succeeded */
    case EARLY_KEY: return early_key_holds(n);
    case EARLY_NONE_YET: return early_none_holds(n);
    case EARLY_RADIUS: return early_radius_holds(n);
    }
    return false;
}

/* Returns whether another gate may have the outcome of the login at RADIUS that an early message
 * without a key needs. */
static bool outcome_may_come(const struct negotiation *n)
{
    const struct keyring_login login = login_of(n);

    return n->early == EARLY_NONE_YET && key_may_come(n) && !candidates_have_key(&n->candidates) &&
           !candidates_would_know_key(&n->candidates, &login, n->log_ms);
}

void *negotiation_binding_ask(struct negotiation *n, struct worker *from,
                              void (*on_answer)(void *arg), void *arg)
{
    const struct keyring_login login = login_of(n);
    const struct candidates *c = &n->candidates;

    return keyring_await_outcome(c->keyring, c->radius, &login, from, on_answer, arg);
}

enum binding_verdict negotiation_binding_holds(struct negotiation *n, bool late)
{
    if (early_holds(n))
        return BINDING_HOLDS;
    if (!late && outcome_may_come(n))
        return BINDING_ASKS;
    mac_failed(n, span_of(n->early_msg, sizeof n->early_msg), ADVICE_REFUSED);
    return BINDING_FAILS;
}
