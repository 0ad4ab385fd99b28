#include "call/front.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/check.h"
#include "policy/users.h"
#include "wire/ppp.h"

/* Named for what SSTP waits for ([MS-SSTP] 3.3.1). */
enum progress { WAIT_REQUEST, WAIT_ACK, WAIT_CONNECTED, WAIT_RESULT };

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
    uint8_t made[SSTP_CONNECTED_LEN]; /* the Ack or Call Connected that goes on instead */
};

static const struct front_answer pass = {.verdict = FRONT_PASS};
static const struct front_answer drop = {.verdict = FRONT_DROP};

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
    ppp_observer_init(&f->ppp);
    return f;
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

static struct front_answer ppp_data(struct front *f, enum ppp_from from, struct span frame)
{
    struct session *s = f->session;

    /* [MS-SSTP] 3.2.5.3, 3.3.5.2: no network data before Call Connected. Some clients are a little
     * early; their packets are lost here, as IP packets may be, and no octet of a client that was not
     * verified reaches the network behind the backend. */
    if (!ppp_is_control(frame))
        return drop;
    ppp_observe(&f->ppp, from, frame);
    if (f->ppp.method != PPP_METHOD_NONE)
        s->method = ppp_method_name(f->ppp.method);
    s->failures = f->ppp.failures;
    /* An observer that was told two names at once knows none, and neither does the log. */
    struct span user = span_of(f->ppp.user, f->ppp.user_len);
    if (!span_eq(span_str(s->user == NULL ? "" : s->user), user)) {
        session_keep(&s->user, user);
        f->user_asked = false;
    }
    /* Of two names the server may hear the one and we the other. Its answer is not waited for: inside
     * EAP it tells the client that the password was right before the method has ended. */
    bool two_names = f->ppp.user_named && user.n == 0;
    bool ended = f->ppp.result != PPP_RESULT_PENDING;
    return user_may_pass(f, ended || two_names) ? pass : refuse(REASON_USER_DENIED);
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

enum { KEYS_MAX = 2 * USERS_MATCH_MAX + 1 };

static void keys_add(const struct front *f, const struct ppp_mschap *m, struct hlak *keys,
                     size_t *n)
{
    struct users_match found[USERS_MATCH_MAX];
    size_t matches;

    if (!m->seen || f->backend->users == NULL)
        return;
    matches = users_find(f->backend->users, span_of(m->user, m->user_len), found);
    for (size_t i = 0; i < matches; i++, (*n)++) {
        if (m->v1)
            hlak_mschapv1(&keys[*n], found[i].hash_hash, m->challenge);
        else
            hlak_mschapv2(&keys[*n], found[i].hash_hash, m->nt_response);
    }
}

static bool same_response(const struct ppp_mschap *a, const struct ppp_mschap *b)
{
    return a->seen && b->seen && memcmp(a->nt_response, b->nt_response, PPP_NT_RESPONSE) == 0;
}

/* With MS-CHAP both ends have keys, so a MAC under zeros is that of somebody who lacks them. Inside EAP
 * some Windows clients are said to use zeros all the same (PROTOCOL.md 4.4): marked weak. */
static bool zeros_are_possible(const struct front *f)
{
    return f->ppp.method != PPP_METHOD_MSCHAPV1 && f->ppp.method != PPP_METHOD_MSCHAPV2;
}

static void hex(char *out, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        snprintf(out + 2 * i, 3, "%02x", p[i]);
}

/* A stranger may cause these lines: so many in a second for each worker, and the next one says how many
 * there were besides. */
static bool line_allowed(const struct front *f, unsigned *missed)
{
    enum { LINES_PER_SECOND = 20 };
    return log_limit_pass(f->session->binding_lines, (uint64_t)time(NULL) * 1000, LINES_PER_SECOND,
                          missed);
}

/* Two hashes side by side, and what it means that they differ: the line an administrator needs. */
static void log_leaf(const struct front *f, const struct sstp_connected *c, uint8_t hash)
{
    size_t n = hash == SSTP_HASH_SHA1 ? BINDING_SHA1 : BINDING_SHA256;
    const uint8_t *ours = hash == SSTP_HASH_SHA1 ? f->client_leaf.sha1 : f->client_leaf.sha256;
    char text[2 * BINDING_SHA256 + 1];
    unsigned missed;
    struct log_line l;

    if (!line_allowed(f, &missed))
        return;
    session_line(f->session, &l, LOG_LEVEL_WARNING, "binding-leaf");
    log_str(&l, "hash", hash == SSTP_HASH_SHA1 ? "sha1" : "sha256");
    hex(text, c->cert_hash.p, n);
    log_str(&l, "received", text);
    hex(text, ours, n);
    log_str(&l, "ours", text);
    log_str(&l, "msg",
            "the client saw another certificate than ours: somebody stands between the client and "
            "this gate");
    if (missed > 0)
        log_num(&l, "lines-left-out", missed);
    log_end(&l);
}

static void log_mac(const struct front *f, size_t keys, bool passed)
{
    unsigned missed;
    struct log_line l;
    bool user_unknown = keys == 0 && ppp_method_has_keys(f->ppp.method);

    if (!line_allowed(f, &missed))
        return;
    session_line(f->session, &l, LOG_LEVEL_WARNING, "binding-mac");
    log_str(&l, "user", f->session->user);
    log_str(&l, "method", f->session->method);
    log_num(&l, "keys-tried", keys);
    log_str(&l, "action", passed ? "passed-unchanged" : "refused");
    if (user_unknown && f->backend->users == NULL)
        log_str(&l, "msg", "no key for this method: the backend has no users-file");
    else if (user_unknown)
        log_str(&l, "msg", "no key for this user: not in the users-file, or the method's keys "
                           "cannot be known here");
    else
        log_str(&l, "msg", "no key makes the client's MAC: a stale line in the users-file, or an "
                           "altered message");
    if (missed > 0)
        log_num(&l, "lines-left-out", missed);
    log_end(&l);
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

/* The heart of the gate: is it ours, who can vouch for it, and the same again for the backend. */
static struct front_answer connected(struct front *f, const struct sstp_packet *packet,
                                     struct span octets)
{
    struct session *s = f->session;
    struct hlak keys[KEYS_MAX];
    size_t count = 0;
    uint8_t hash = 0;

    if (!user_may_pass(f, true))
        return refuse(REASON_USER_DENIED);
    if (f->backend->config->binding == CONFIG_BINDING_OFF)
        return connected_as_is(f, octets, SESSION_BINDING_OFF);

    s->binding = SESSION_BINDING_FAILED;
    enum binding_result r = binding_check(octets, &f->expect, &hash);
    if (hash != 0)
        s->hash = hash == SSTP_HASH_SHA1 ? "sha1" : "sha256";
    if (r == BINDING_LEAF) {
        struct sstp_connected c;
        if (sstp_parse_connected(packet, &c) == ERR_OK)
            log_leaf(f, &c, hash);
    }
    if (r != BINDING_OK)
        return refuse(reason_of(r));
    if (!makes_again(f))
        return connected_as_is(f, octets, SESSION_BINDING_PASSED);

    /* The client's own MAC is the judge, so a candidate too many does no harm (PROTOCOL.md 4.4). */
    keys_add(f, &f->ppp.confirmed, keys, &count);
    if (!same_response(&f->ppp.confirmed, &f->ppp.last))
        keys_add(f, &f->ppp.last, keys, &count);
    size_t known = count;
    if (zeros_are_possible(f))
        hlak_zero(&keys[count++]);
    size_t which = binding_find_key(octets, keys, count);
    uint8_t out_hash = binding_choose_hash(hash, f->backend_mask, &f->backend_leaf);
    struct front_answer answer;
    if (which == count) {
        /* for want of a key, not in spite of one */
        bool pass_on = f->backend->config->binding == CONFIG_BINDING_AUTO && known == 0;
        log_mac(f, known, pass_on);
        answer = pass_on ? connected_as_is(f, octets, SESSION_BINDING_PASSED)
                         : refuse(REASON_BINDING_MAC);
    } else if (out_hash == 0) {
        session_keep(&s->detail,
                     span_str("the hash protocol the backend wants is not in binding-cert-hash"));
        answer = refuse(REASON_BINDING_HASH);
    } else {
        binding_make(octets, out_hash, &f->backend_leaf, &keys[which], f->made);
        s->key = hlak_kind_name(keys[which].kind);
        s->weak = keys[which].kind == HLAK_ZERO && ppp_method_has_keys(f->ppp.method);
        answer = connected_as_is(f, span_of(f->made, sizeof f->made), SESSION_BINDING_VERIFIED);
    }
    OPENSSL_cleanse(keys, sizeof keys);
    return answer;
}

/* ---- the order of messages ---- */

struct front_answer front_from_client(struct front *f, const struct sstp_packet *packet,
                                      struct span octets)
{
    if (!packet->control)
        /* [MS-SSTP] 3.3.5.3: PPP may begin when the Ack is out */
        return f->progress >= WAIT_CONNECTED ? ppp_data(f, PPP_FROM_CLIENT, packet->body)
                                             : refuse(REASON_CLIENT_OUT_OF_PLACE);
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
        return connected(f, packet, octets);
    case SSTP_ABORT:
    case SSTP_DISCONNECT:
    case SSTP_DISCONNECT_ACK:
        return pass;
    default:
        break; /* an Echo before Call Connected among them: [MS-SSTP] 3.3.5.2 */
    }
    return refuse(REASON_CLIENT_OUT_OF_PLACE);
}

/* PPP from the server, when Call Connected has gone on: is it content? */
static struct front_answer ppp_result(struct front *f, struct span frame, struct span octets)
{
    struct front_answer a = ppp_data(f, PPP_FROM_SERVER, frame);
    if (a.verdict == FRONT_REFUSE ||
        (f->ppp.result != PPP_RESULT_SUCCESS && !ppp_is_network(frame)))
        return a;
    return (struct front_answer){.verdict = FRONT_CONNECTED, .octets = octets};
}

struct front_answer front_from_backend(struct front *f, const struct sstp_packet *packet,
                                       struct span octets)
{
    if (!packet->control && f->progress == WAIT_RESULT)
        return ppp_result(f, packet->body, octets);
    if (!packet->control)
        return f->progress == WAIT_CONNECTED ? ppp_data(f, PPP_FROM_SERVER, packet->body)
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
