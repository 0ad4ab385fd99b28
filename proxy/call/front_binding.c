#include "call/front_binding.h"

#include <string.h>

#include "base/insist.h"
#include "binding/mschap.h"
#include "call/advice.h"
#include "policy/users.h"
#include "radius/keyring.h"

static struct advice advice_for(const struct front *f)
{
    return (struct advice){.session = f->session,
                           .backend = f->backend,
                           .ours = &f->client_leaf,
                           .theirs = &f->backend_leaf,
                           .leaves = f->leaves};
}

/* The server's Success proves what it knows of the user (RFC 2759 8.7). A wrong password is none of
 * this: for that there is no Success. */
void front_binding_check_users(struct front *f)
{
    const struct ppp_mschap *m = &f->ppp.confirmed;
    struct users_match found[USERS_MATCH_MAX];
    struct span user = span_of(m->user, m->user_len);

    if (!m->answered || f->backend->users == NULL)
        return;
    size_t n = users_find(f->backend->users, user, found);
    for (size_t i = 0; i < n; i++)
        if (mschap_answer_fits(m->server_answer, found[i].hash_hash, m->nt_response,
                               m->peer_challenge, m->challenge, user))
            return;
    if (n == 0 || f->stale == found[0].line)
        return; /* logged before */
    f->stale = found[0].line;
    struct advice a = advice_for(f);
    advice_stale(&a, f->stale);
}

static struct keyring_login login_of(const struct front *f)
{
    return login_label_of(&f->label, f->candidates.keyring, &f->ppp);
}

void front_binding_login_ended(struct front *f)
{
    const struct keyring_login login = login_of(f);
    candidates_login_ended(&f->candidates, &login, f->now_ms);
}

static bool makes_again(const struct front *f)
{
    enum config_binding b = f->backend->config->binding;
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

/* Anybody can send a Call Connected made with zeros. Until the server shows that it has let this
 * user in the call stays under watch, and under its deadline. */
static struct front_answer connected_as_is(struct front *f, struct span octets,
                                           enum session_binding how)
{
    f->session->binding = how;
    f->progress = WAIT_RESULT;
    return (struct front_answer){
        .verdict = f->ppp.result == PPP_RESULT_SUCCESS ? FRONT_CONNECTED : FRONT_REPLACE,
        .octets = octets,
    };
}

/* The same again for the backend: its leaf, and a MAC under the client's own key. */
static struct front_answer made_again(struct front *f, struct span msg, const struct hlak *key)
{
    struct session *s = f->session;
    uint8_t hash = binding_choose_hash(f->hash, f->backend_mask, &f->backend_leaf);

    if (hash == 0) {
        session_keep(&s->detail,
                     span_str("the hash protocol the backend wants is not in binding-cert-hash"));
        return front_refuse(REASON_BINDING_HASH);
    }
    binding_make(msg, hash, &f->backend_leaf, key, f->made);
    s->key = hlak_kind_name(key->kind);
    s->weak = key->kind == HLAK_ZERO && ppp_method_has_keys(f->ppp.method);
    return connected_as_is(f, span_of(f->made, sizeof f->made), SESSION_BINDING_VERIFIED);
}

/* Of EAP we do not know all types; any of them may give keys. */
static bool key_may_come(const struct front *f)
{
    return f->candidates.keyring != NULL &&
           (ppp_method_has_keys(f->ppp.method) || f->ppp.method == PPP_METHOD_EAP);
}

static void note_early(struct front *f, struct span msg, enum early early)
{
    if (f->ppp.result == PPP_RESULT_SUCCESS)
        return;
    f->early = early;
    f->early_marks = login_of(f).marks;
    f->early_user_len = f->ppp.user_len;
    memcpy(f->early_user, f->ppp.user, f->ppp.user_len);
    memmove(f->early_msg, msg.p, sizeof f->early_msg);
}

/* Forged, if this user's key is known and not known to be stale; if it was made with zeros and
 * there should have been a key; or the other way round. Of the keys of RADIUS that were tried none
 * need be this user's. */
static void mac_failed(struct front *f, struct span msg, bool passed)
{
    const struct candidates *c = &f->candidates;
    bool zeros = candidates_zeros_fit(msg);
    bool keyless = !ppp_method_has_keys(f->ppp.method) && f->ppp.method != PPP_METHOD_EAP;
    struct advice a = advice_for(f);

    advice_mac(&a, c, &f->ppp, f->stale, zeros, passed);
    if (passed)
        return;
    f->session->binding = SESSION_BINDING_FAILED;
    f->session->forged = zeros || keyless || (f->stale == 0 && c->tried.users_file > 0);
}

/* Returns whether the login that has ended is the one whose key bound the call. */
static bool same_login(const struct front *f)
{
    const struct keyring_login login = login_of(f);

    return users_same_name(span_of(f->early_user, f->early_user_len), login.user) &&
           f->early_marks.proof == login.marks.proof && f->early_marks.chain == login.marks.chain;
}

/* Who can vouch for it? late: nobody else will come. */
static struct front_answer judge(struct front *f, struct span msg, uint64_t now_ms, bool late)
{
    const struct keyring_login login = login_of(f);
    struct candidates *c = &f->candidates;
    struct hlak key;

    if (candidates_find(c, msg, &f->ppp, &login, now_ms, &key)) {
        note_early(f, msg, key.kind == HLAK_RADIUS ? EARLY_RADIUS : EARLY_KEY);
        struct front_answer answer = made_again(f, msg, &key);
        hlak_wipe(&key);
        return answer;
    }
    if (!late && key_may_come(f)) {
        memmove(f->made, msg.p, sizeof f->made);
        f->progress = WAIT_KEY;
        f->session->binding = SESSION_BINDING_NONE;
        return (struct front_answer){.verdict = FRONT_WAIT};
    }
    /* for want of a key, not in spite of one */
    bool pass_on = f->backend->config->binding == CONFIG_BINDING_AUTO && !candidates_have_key(c);
    mac_failed(f, msg, pass_on);
    if (!pass_on)
        return front_refuse(REASON_BINDING_MAC);
    note_early(f, msg, EARLY_NONE_YET);
    return connected_as_is(f, msg, SESSION_BINDING_PASSED);
}

/* The heart of the gate: is it ours, who can vouch for it, and the same again for the backend. */
struct front_answer front_binding_connected(struct front *f, const struct sstp_packet *packet,
                                            struct span octets, uint64_t now_ms)
{
    struct session *s = f->session;

    if (f->backend->config->binding == CONFIG_BINDING_OFF)
        return connected_as_is(f, octets, SESSION_BINDING_OFF);

    s->binding = SESSION_BINDING_FAILED;
    enum binding_result r = binding_check(octets, &f->expect, &f->hash);
    if (f->hash != 0)
        s->hash = f->hash == SSTP_HASH_SHA1 ? "sha1" : "sha256";
    if (r == BINDING_LEAF) {
        struct sstp_connected c;
        struct advice a = advice_for(f);
        if (sstp_parse_connected(packet, &c) == ERR_OK)
            advice_leaf(&a, &c, f->hash);
    }
    s->forged = r != BINDING_OK;
    if (r != BINDING_OK)
        return front_refuse(reason_of(r));
    if (!makes_again(f))
        return connected_as_is(f, octets, SESSION_BINDING_PASSED);
    return judge(f, octets, now_ms, false);
}

struct front_answer front_try_key(struct front *f, uint64_t now_ms, bool late)
{
    INSIST(f->progress == WAIT_KEY);
    f->now_ms = now_ms;
    return judge(f, span_of(f->made, sizeof f->made), now_ms, late);
}

/* Returns whether the reason still holds for which `auto` accepted the MAC: no key is known. */
static bool none_yet_holds(struct front *f)
{
    return !candidates_have_key(&f->candidates) &&
           (f->ppp.result == PPP_RESULT_SUCCESS || !ppp_method_has_keys(f->ppp.method));
}

static bool fits_login(struct front *f)
{
    const struct keyring_login login = login_of(f);
    return candidates_fit_login(&f->candidates, span_of(f->early_msg, sizeof f->early_msg), &f->ppp,
                                &login, f->now_ms);
}

/* Checks an early Call Connected again, now that the login has succeeded. It was accepted with
 * zeros, because no method was known yet, or with the key of an answer that the server had not
 * judged. */
static bool early_holds(struct front *f)
{
    struct session *s = f->session;

    switch (f->early) {
    case EARLY_NOT: return true;
    case EARLY_RADIUS: return same_login(f);
    case EARLY_NONE_YET: return fits_login(f) || none_yet_holds(f);
    case EARLY_KEY:
        s->weak =
            strcmp(s->key, hlak_kind_name(HLAK_ZERO)) == 0 && ppp_method_has_keys(f->ppp.method);
        return fits_login(f);
    }
    return false;
}

bool front_binding_holds(struct front *f)
{
    if (early_holds(f))
        return true;
    mac_failed(f, span_of(f->early_msg, sizeof f->early_msg), false);
    return false;
}
