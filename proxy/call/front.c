#include "call/front.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/check.h"
#include "binding/mschap.h"
#include "call/advice.h"
#include "call/candidates.h"
#include "call/keyring.h"
#include "policy/users.h"
#include "wire/ppp.h"

/* Named for what SSTP waits for ([MS-SSTP] 3.3.1); WAIT_KEY: Call Connected is here, its key is not. */
enum progress { WAIT_REQUEST, WAIT_ACK, WAIT_CONNECTED, WAIT_KEY, WAIT_RESULT };

/* What Call Connected was judged by that came before the login had ended. EARLY_KEY: of the users file, or
 * zeros; EARLY_NONE_YET: none, while one could come; EARLY_SETTLED: a key of RADIUS, which that gives for
 * a login only that has ended; or we had waited for one in vain. */
enum early { EARLY_NOT, EARLY_KEY, EARLY_NONE_YET, EARLY_SETTLED };

struct front {
    enum progress progress;
    const struct site_backend *backend;
    struct session *session;
    struct binding_leaf client_leaf, backend_leaf;
    struct binding_expect expect; /* nonce, and the mask as the client was told it */
    uint8_t backend_mask;         /* as the backend sent it */
    struct ppp_observer ppp;
    front_user_allowed user_allowed; /* NULL: nobody wants to be asked */
    void *user_arg;
    bool user_asked; /* about the user that session shows, or about nobody */
    struct leaves *leaves; /* NULL: nobody knows */
    struct candidates candidates;
    unsigned stale; /* line of the users file that the server has proved wrong; 0: none */
    uint8_t hash;   /* the client's hash protocol, once its binding was checked */
    enum early early;
    uint8_t early_msg[SSTP_CONNECTED_LEN]; /* if any: the client's Call Connected */
    /* The Ack or Call Connected that goes on instead; in WAIT_KEY the client's own Call Connected. */
    uint8_t made[SSTP_CONNECTED_LEN];
};

static const struct front_answer pass = {.verdict = FRONT_PASS};
static const struct front_answer drop = {.verdict = FRONT_DROP};
static const struct front_answer hold = {.verdict = FRONT_HOLD};

static struct front_answer refuse(enum reason reason)
{
    return (struct front_answer){.verdict = FRONT_REFUSE, .reason = reason};
}

struct front *front_new(const struct site_backend *backend, const struct binding_leaf *client_leaf,
                        const struct binding_leaf *backend_leaf, struct session *session)
{
    struct front *f = NEW(struct front);
    f->backend = backend;
    f->session = session;
    f->client_leaf = *client_leaf;
    f->backend_leaf = *backend_leaf;
    f->expect.leaf = &f->client_leaf;
    f->candidates.users = backend->users;
    ppp_observer_init(&f->ppp);
    return f;
}

void front_use_leaves(struct front *f, struct leaves *leaves)
{
    f->leaves = leaves;
}

void front_use_keyring(struct front *f, struct keyring *keyring)
{
    const struct config_radius *radius = f->backend->config->radius;

    if (radius == NULL)
        return;
    f->candidates.keyring = keyring;
    f->candidates.radius = radius->name;
}

void front_ask_user(struct front *f, front_user_allowed allowed, void *arg)
{
    f->user_allowed = allowed;
    f->user_arg = arg;
}

void front_free(struct front *f)
{
    if (f == NULL)
        return;
    OPENSSL_cleanse(f, sizeof *f);
    free(f);
}

/* ---- PPP ---- */

/* sure: there is nothing more to wait for, so that no name is an answer too. */
static bool user_may_pass(struct front *f, bool sure)
{
    struct span user = span_of(f->ppp.user, f->ppp.user_len);

    if (f->user_allowed == NULL || f->user_asked || (user.n == 0 && !sure))
        return true;
    f->user_asked = true;
    return f->user_allowed(f->user_arg, user);
}

static struct keyring_login login_of(const struct front *f)
{
    return (struct keyring_login){.user = span_of(f->ppp.user, f->ppp.user_len),
                                  .proof = span_of(f->ppp.proof, f->ppp.proof_len)};
}

/* What the server will ask RADIUS about next. */
static void note_login(struct front *f, struct span frame, uint64_t now_ms)
{
    struct keyring_login login;

    if (f->candidates.keyring == NULL || !ppp_login(frame, &login.user, &login.proof))
        return;
    if (login.user.n == 0)
        login.user = span_of(f->ppp.user, f->ppp.user_len);
    keyring_saw(f->candidates.keyring, f->candidates.radius, &login, &f->session->client, now_ms);
}

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
static void check_users_line(struct front *f)
{
    struct ppp_mschap *m = &f->ppp.confirmed;
    struct users_match found[USERS_MATCH_MAX];
    struct span user = span_of(m->user, m->user_len);

    if (!m->answered || f->backend->users == NULL)
        return;
    m->answered = false; /* once for each answer */
    size_t n = users_find(f->backend->users, user, found);
    for (size_t i = 0; i < n; i++)
        if (mschap_answer_fits(m->server_answer, found[i].hash_hash, m->nt_response,
                               m->peer_challenge, m->challenge, user))
            return;
    if (n == 0 || f->stale == found[0].line)
        return; /* told before: this is a retransmission */
    f->stale = found[0].line;
    struct advice a = advice_for(f);
    advice_stale(&a, f->stale);
}

/* Of two names the server may hear the one and we the other, and no honest client says two. */
static bool two_names(const struct front *f)
{
    return f->ppp.user_named && f->ppp.user_len == 0;
}

static struct front_answer ppp_data(struct front *f, enum ppp_from from, struct span frame)
{
    struct session *s = f->session;

    /* [MS-SSTP] 3.2.5.3, 3.3.5.2: no network data before Call Connected. Some clients are a little
     * early; their packets are lost here, as IP packets may be, and no octet of a client that was not
     * verified reaches the network behind the backend. */
    if (!ppp_is_control(frame))
        return drop;
    ppp_observe(&f->ppp, from, frame);
    check_users_line(f);
    if (f->ppp.method != PPP_METHOD_NONE)
        s->method = ppp_method_name(f->ppp.method);
    s->failures = f->ppp.failures;
    /* An observer that was told two names at once knows none, and neither does the log. */
    struct span user = span_of(f->ppp.user, f->ppp.user_len);
    if (!span_eq(span_str(s->user == NULL ? "" : s->user), user)) {
        session_keep(&s->user, user);
        f->user_asked = false;
    }
    /* With two names the server's answer is not waited for: inside EAP it tells the client that the
     * password was right before the method has ended. */
    bool ended = f->ppp.result != PPP_RESULT_PENDING;
    return user_may_pass(f, ended || two_names(f)) ? pass : refuse(REASON_USER_DENIED);
}

/* ---- the Ack ---- */

static bool makes_again(const struct front *f)
{
    enum config_binding b = f->backend->config->binding;
    return b == CONFIG_BINDING_REWRITE || b == CONFIG_BINDING_AUTO;
}

static struct front_answer ack(struct front *f, const struct sstp_packet *packet,
                               struct span octets)
{
    struct sstp_ack a;

    if (sstp_parse_ack(packet, &a) != ERR_OK) {
        if (f->backend->config->binding != CONFIG_BINDING_OFF)
            return refuse(REASON_BACKEND_OUT_OF_PLACE);
        f->progress = WAIT_CONNECTED;
        return pass;
    }
    memcpy(f->expect.nonce, a.nonce.p, SSTP_NONCE);
    f->backend_mask = f->expect.mask = a.mask;
    f->progress = WAIT_CONNECTED;
    /* The mask is covered by no MAC. A message that is made again in any case may use another hash
     * than the client's, so the client is offered both, and a pair that shares none gets on
     * (PROTOCOL.md 4.1). Where the client's own octets may go on unchanged its choice must suit the
     * backend, and the mask stays. */
    if (f->backend->config->binding != CONFIG_BINDING_REWRITE || octets.n > sizeof f->made)
        return pass;
    memcpy(f->made, octets.p, octets.n);
    f->expect.mask = SSTP_HASH_SHA1 | SSTP_HASH_SHA256;
    f->made[(size_t)(a.nonce.p - octets.p) - 1] = f->expect.mask;
    return (struct front_answer){.verdict = FRONT_REPLACE, .octets = span_of(f->made, octets.n)};
}

/* ---- Call Connected ---- */

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

/* Anybody can send a Call Connected made with zeros. Until the server shows that it has let this user in
 * the call stays under watch, and under its deadline. */
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
        return refuse(REASON_BINDING_HASH);
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
    memmove(f->early_msg, msg.p, sizeof f->early_msg);
}

/* Forged, if this user's key is known and not known to be stale; if it was made with zeros and there should
 * have been a key; or the other way round. Of the keys of RADIUS that were tried none need be this user's. */
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
    f->session->forged = zeros || keyless || two_names(f) ||
                         (f->stale == 0 && c->tried.users_file > 0);
}

/* Who can vouch for it? late: nobody else will come. */
static struct front_answer judge(struct front *f, struct span msg, uint64_t now_ms, bool late)
{
    const struct keyring_login login = login_of(f);
    struct candidates *c = &f->candidates;
    struct hlak key;

    if (candidates_find(c, msg, &f->ppp, &login, now_ms, &key)) {
        note_early(f, msg, key.kind == HLAK_RADIUS ? EARLY_SETTLED : EARLY_KEY);
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
    bool pass_on = f->backend->config->binding == CONFIG_BINDING_AUTO &&
                   c->tried.users_file + c->tried.radius == 0 && !two_names(f);
    mac_failed(f, msg, pass_on);
    if (!pass_on)
        return refuse(REASON_BINDING_MAC);
    note_early(f, msg, late ? EARLY_SETTLED : EARLY_NONE_YET);
    return connected_as_is(f, msg, SESSION_BINDING_PASSED);
}

/* The heart of the gate: is it ours, who can vouch for it, and the same again for the backend. */
static struct front_answer connected(struct front *f, const struct sstp_packet *packet,
                                     struct span octets, uint64_t now_ms)
{
    struct session *s = f->session;

    if (!user_may_pass(f, true))
        return refuse(REASON_USER_DENIED);
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
        return refuse(reason_of(r));
    if (!makes_again(f))
        return connected_as_is(f, octets, SESSION_BINDING_PASSED);
    return judge(f, octets, now_ms, false);
}

struct front_answer front_try_key(struct front *f, uint64_t now_ms, bool late)
{
    CHECK(f->progress == WAIT_KEY);
    return judge(f, span_of(f->made, sizeof f->made), now_ms, late);
}

/* ---- the order of messages ---- */

static struct front_answer client_frame(struct front *f, struct span frame, uint64_t now_ms)
{
    if (f->progress < WAIT_CONNECTED)
        return refuse(REASON_CLIENT_OUT_OF_PLACE);
    /* LCP and authentication may pass what waits: the key may come of them. */
    if (f->progress == WAIT_KEY && (!ppp_is_control(frame) || ppp_is_network(frame)))
        return hold;
    struct front_answer a = ppp_data(f, PPP_FROM_CLIENT, frame);
    if (a.verdict == FRONT_PASS)
        note_login(f, frame, now_ms);
    return a;
}

struct front_answer front_from_client(struct front *f, const struct sstp_packet *packet,
                                      struct span octets, uint64_t now_ms)
{
    if (!packet->control) /* [MS-SSTP] 3.3.5.3: PPP may begin when the Ack is out */
        return client_frame(f, packet->body, now_ms);
    if (f->progress == WAIT_RESULT)
        return front_in_place(packet) ? pass : refuse(REASON_CLIENT_OUT_OF_PLACE);
    switch (packet->type) {
    case SSTP_CONNECT_REQUEST:
        /* kittoku repeats it while it waits; what the backend makes of that is its own affair */
        if (f->progress != WAIT_REQUEST && f->progress != WAIT_ACK)
            break;
        f->progress = WAIT_ACK;
        return pass;
    case SSTP_CONNECTED:
        if (f->progress != WAIT_CONNECTED)
            break;
        return connected(f, packet, octets, now_ms);
    case SSTP_ECHO_REQUEST: /* before Call Connected an Echo is out of place: [MS-SSTP] 3.3.5.2 */
    case SSTP_ECHO_RESPONSE:
        if (f->progress != WAIT_KEY)
            break;
        return hold;
    case SSTP_ABORT:
    case SSTP_DISCONNECT:
    case SSTP_DISCONNECT_ACK:
        return pass;
    default:
        break;
    }
    return refuse(REASON_CLIENT_OUT_OF_PLACE);
}

/* A Call Connected that came before the login had ended was judged by what there was: zeros, as no method
 * was known yet, or the key of an answer that the server has not heard. Now it is known who was let in,
 * and how; whoever bound the call must have had the key of that. */
static bool early_one_holds(struct front *f)
{
    struct session *s = f->session;

    if (f->early == EARLY_NOT || f->early == EARLY_SETTLED)
        return true;
    struct candidates *c = &f->candidates;
    struct span msg = span_of(f->early_msg, sizeof f->early_msg);
    bool fits = candidates_fit_login(c, msg, &f->ppp);
    if (f->early == EARLY_NONE_YET)
        fits = fits || (c->tried.users_file == 0 && !key_may_come(f) && !two_names(f));
    else
        s->weak = strcmp(s->key, hlak_kind_name(HLAK_ZERO)) == 0 && ppp_method_has_keys(f->ppp.method);
    if (fits)
        return true;
    mac_failed(f, msg, false);
    return false;
}

/* PPP from the server, when Call Connected has gone on: is it content? */
static struct front_answer ppp_result(struct front *f, struct span frame, struct span octets)
{
    struct front_answer a = ppp_data(f, PPP_FROM_SERVER, frame);
    if (a.verdict == FRONT_REFUSE ||
        (f->ppp.result != PPP_RESULT_SUCCESS && !ppp_is_network(frame)))
        return a;
    if (!early_one_holds(f))
        return refuse(REASON_BINDING_MAC);
    return (struct front_answer){.verdict = FRONT_CONNECTED, .octets = octets};
}

struct front_answer front_from_backend(struct front *f, const struct sstp_packet *packet,
                                       struct span octets)
{
    if (!packet->control && f->progress == WAIT_RESULT)
        return ppp_result(f, packet->body, octets);
    if (!packet->control)
        return f->progress >= WAIT_CONNECTED ? ppp_data(f, PPP_FROM_SERVER, packet->body)
                                             : refuse(REASON_BACKEND_OUT_OF_PLACE);
    if (f->progress == WAIT_RESULT)
        return front_in_place(packet) ? pass : refuse(REASON_BACKEND_OUT_OF_PLACE);
    switch (packet->type) {
    case SSTP_CONNECT_ACK:
        if (f->progress != WAIT_ACK)
            break;
        return ack(f, packet, octets);
    case SSTP_CONNECT_NAK:
        if (f->progress != WAIT_ACK)
            break;
        f->progress = WAIT_REQUEST; /* a Nak is answered with another Request */
        return pass;
    case SSTP_ABORT:
    case SSTP_DISCONNECT:
    case SSTP_DISCONNECT_ACK:
        return pass;
    default:
        break;
    }
    return refuse(REASON_BACKEND_OUT_OF_PLACE);
}

bool front_in_place(const struct sstp_packet *packet)
{
    switch (packet->type) {
    case SSTP_DATA:
    case SSTP_ABORT:
    case SSTP_DISCONNECT:
    case SSTP_DISCONNECT_ACK:
    case SSTP_ECHO_REQUEST:
    case SSTP_ECHO_RESPONSE:
        return true;
    default:
        return false;
    }
}
