#include "call/front.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/insist.h"
#include "base/siphash.h"
#include "call/front_binding.h"
#include "radius/keyring.h"

static const struct front_answer pass = {.verdict = FRONT_PASS};
static const struct front_answer drop = {.verdict = FRONT_DROP};
static const struct front_answer hold = {.verdict = FRONT_HOLD};

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
    f->candidates.zero_key_eap = backend->config->zero_key_eap;
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
    if (f->rebuilt != NULL)
        OPENSSL_cleanse(f->rebuilt, SSTP_PACKET_MAX);
    free(f->rebuilt);
    OPENSSL_cleanse(f, sizeof *f);
    free(f);
}

/* ---- PPP ---- */

/* sure: no more names can come, so a missing name is decided, too. */
static bool user_may_pass(struct front *f, bool sure)
{
    struct span user = span_of(f->ppp.user, f->session->user_is_claim ? 0 : f->ppp.user_len);

    if (f->user_allowed == NULL || f->user_asked || (user.n == 0 && !sure))
        return true;
    f->user_asked = true;
    return f->user_allowed(f->user_arg, user);
}

/* The keyring keeps a bounded number of notes for all calls, and one call that guesses must not
 * push out the notes of others. EAP with long certificates and retries needs a few dozen. */
enum { NOTES_MAX = 128 };

/* Notes the login that the server will ask RADIUS about next. False: the call has used up its notes
 * and must end, because without a note the gate could send RADIUS the address of another client
 * that uses the same name. */
static bool note_login(struct front *f, struct span frame)
{
    struct candidates *c = &f->candidates;
    struct keyring_login login;

    if (!login_label_asked(&f->label, c->keyring, &f->ppp, frame, &login))
        return true;
    if (f->notes++ >= NOTES_MAX)
        return false;
    keyring_saw(c->keyring, c->radius, &login, &f->session->client, f->now_ms);
    return true;
}

/* An honest client may send some network data too early, and its retransmission may cross an
 * answer. A client that sends more frames that cannot be forwarded is trying to reach the server
 * past the gate's parser. */
enum { DROPPED_MAX = 32 };

static struct front_answer drop_frame(struct front *f, enum ppp_from from)
{
    f->session->frames_dropped++;
    return from == PPP_FROM_CLIENT && ++f->dropped > DROPPED_MAX
               ? front_refuse(REASON_CLIENT_BAD_FRAMES)
               : drop;
}

static struct front_answer drop_unreadable(struct front *f, enum ppp_from from, struct span octets)
{
    struct span request;

    if (from == PPP_FROM_CLIENT && ppp_frame_relogin(octets, &request) == PPP_LOGIN)
        ppp_unreadable_login(&f->ppp);
    f->session->failures = f->ppp.failures;
    return drop_frame(f, from);
}

/* Returns the packet that carries the frame in its canonical form; most packets already do. */
static struct front_answer forward(struct front *f, const struct ppp_frame *frame,
                                   struct span octets)
{
    if (ppp_frame_is_canonical(frame, octets))
        return pass;
    if (f->rebuilt == NULL)
        f->rebuilt = insist_alloc(malloc(SSTP_PACKET_MAX));
    const size_t n = ppp_frame_build(frame, f->rebuilt + SSTP_DATA_HEAD);
    sstp_build_data(f->rebuilt, n);
    return (struct front_answer){.verdict = FRONT_REPLACE,
                                 .octets = span_of(f->rebuilt, SSTP_DATA_HEAD + n)};
}

static enum reason reason_of_verdict(enum ppp_verdict v)
{
    if (v == PPP_UNJUDGED)
        return REASON_BACKEND_OUT_OF_PLACE;
    return v == PPP_AUTH_REQUEST ? REASON_CLIENT_ASKS_AUTH : REASON_BAD_USER_NAME;
}

/* Refuses a frame that must not reach the other side. The log shows a name that is not allowed. */
static struct front_answer refuse_frame(struct front *f, struct span octets, enum ppp_verdict v)
{
    struct span user, proof;

    if (v == PPP_BAD_NAME && ppp_login(octets, &user, &proof) && user.n > 0)
        session_keep(&f->session->user, user);
    return front_refuse(reason_of_verdict(v));
}

/* Returns whether the login that has ended well proves another name than the one that PPP shows:
 * the outer name of EAP-TLS, PEAP and other EAP is its sender's choice. */
static bool user_is_claim(const struct front *f)
{
    const enum ppp_method m = f->ppp.method;

    return f->ppp.result == PPP_RESULT_SUCCESS && !f->backend->config->outer_name_verified &&
           (m == PPP_METHOD_EAP || m == PPP_METHOD_EAP_TLS || m == PPP_METHOD_EAP_PEAP);
}

/* Copies user and method from the observer to the session, and asks the rules about the user.
 * False: the rules deny the user. */
static bool show_login(struct front *f)
{
    struct session *s = f->session;
    const struct span user = span_of(f->ppp.user, f->ppp.user_len);

    s->method = f->ppp.method == PPP_METHOD_NONE ? NULL : ppp_method_name(f->ppp.method);
    const bool claim = user_is_claim(f);
    if (claim != s->user_is_claim || !span_eq(span_str(s->user == NULL ? "" : s->user), user)) {
        session_keep(&s->user, user);
        s->user_is_claim = claim;
        f->user_asked = false;
    }
    return user_may_pass(f, f->ppp.result != PPP_RESULT_PENDING);
}

static struct front_answer ppp_data(struct front *f, enum ppp_from from, struct span octets,
                                    struct ppp_frame *frame)
{
    if (!ppp_frame_read(from, octets, frame))
        return drop_unreadable(f, from, octets);
    /* [MS-SSTP] 3.2.5.3, 3.3.5.2: no network data before Call Connected. The gate drops early
     * packets, because IP packets may be lost, and because no byte of an unverified client may
     * reach the network behind the backend. */
    if (!ppp_frame_is_control(frame))
        return drop;
    const bool was_in = f->ppp.result == PPP_RESULT_SUCCESS;
    const enum ppp_verdict v = ppp_observe(&f->ppp, from, frame);
    if (v == PPP_MALFORMED)
        return drop_unreadable(f, from, octets);
    if (v == PPP_DROP)
        return drop_frame(f, from);
    if (v == PPP_UNJUDGED) /* the login that LCP cuts off has not ended with a Success */
        ppp_server_ends(&f->ppp);
    f->session->failures = f->ppp.failures;
    if (v != PPP_FORWARD)
        return refuse_frame(f, octets, v);
    login_label_follow(&f->label, f->candidates.keyring, from, octets);
    front_binding_check_users(f);
    if (!was_in && f->ppp.result == PPP_RESULT_SUCCESS)
        front_binding_login_ended(f);
    return show_login(f) ? forward(f, frame, octets) : front_refuse(REASON_USER_DENIED);
}

void front_server_ends(struct front *f)
{
    ppp_server_ends(&f->ppp);
    f->session->failures = f->ppp.failures;
}

/* The hash needs no secret key: a frame with the hash of another one is dropped, which harms only
 * its sender. */
uint64_t front_hash_lcp(struct span request)
{
    static const struct siphash_key key;
    const uint64_t hash = siphash(&key, request.p, request.n);
    return hash == 0 ? 1 : hash;
}

uint64_t front_lcp_request(const struct front *f)
{
    return f->lcp_request;
}

/* ---- the Ack ---- */

static struct front_answer ack(struct front *f, const struct sstp_packet *packet,
                               struct span octets)
{
    struct sstp_ack a;

    if (sstp_parse_ack(packet, &a) != ERR_OK) {
        if (f->backend->config->binding != CONFIG_BINDING_OFF)
            return front_refuse(REASON_BACKEND_OUT_OF_PLACE);
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

/* ---- the order of messages ---- */

static struct front_answer client_frame(struct front *f, struct span octets)
{
    struct ppp_frame frame;
    struct span request;

    if (f->progress < WAIT_CONNECTED)
        return front_refuse(REASON_CLIENT_OUT_OF_PLACE);
    /* LCP and authentication overtake the waiting packets, because the key may depend on them. */
    if (f->progress == WAIT_KEY && ppp_frame_read(PPP_FROM_CLIENT, octets, &frame) &&
        ppp_frame_is_network(&frame))
        return hold;
    struct front_answer a = ppp_data(f, PPP_FROM_CLIENT, octets, &frame);
    if (a.verdict != FRONT_PASS && a.verdict != FRONT_REPLACE)
        return a;
    if (!note_login(f, octets))
        return front_refuse(REASON_CLIENT_TOO_MANY_ANSWERS);
    if (ppp_frame_relogin(octets, &request) == PPP_LCP_REQUEST)
        f->lcp_request = front_hash_lcp(request);
    return a;
}

struct front_answer front_from_client(struct front *f, const struct sstp_packet *packet,
                                      struct span octets, uint64_t now_ms)
{
    f->now_ms = now_ms;
    if (!packet->control) /* [MS-SSTP] 3.3.5.3: PPP may begin when the Ack is out */
        return client_frame(f, packet->body);
    if (f->progress == WAIT_RESULT)
        return front_in_place(packet) ? pass : front_refuse(REASON_CLIENT_OUT_OF_PLACE);
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
        return user_may_pass(f, true) ? front_binding_connected(f, packet, octets, now_ms)
                                      : front_refuse(REASON_USER_DENIED);
    case SSTP_ECHO_REQUEST: /* before Call Connected an Echo is out of place: [MS-SSTP] 3.3.5.2 */
    case SSTP_ECHO_RESPONSE:
        if (f->progress != WAIT_KEY)
            break;
        return hold;
    case SSTP_ABORT:
    case SSTP_DISCONNECT:
    case SSTP_DISCONNECT_ACK: return pass;
    default: break;
    }
    return front_refuse(REASON_CLIENT_OUT_OF_PLACE);
}

/* Handles PPP from the server after Call Connected was forwarded. The tunnel is up with the
 * server's Success, or with the server's first network frame if it has asked for no login. */
static struct front_answer ppp_result(struct front *f, struct span octets, struct span packet)
{
    struct ppp_frame frame;
    struct front_answer a = ppp_data(f, PPP_FROM_SERVER, octets, &frame);

    if (a.verdict == FRONT_REFUSE || a.verdict == FRONT_DROP || !ppp_is_content(&f->ppp) ||
        (f->ppp.result != PPP_RESULT_SUCCESS && !ppp_frame_is_network(&frame)))
        return a;
    if (!front_binding_holds(f))
        return front_refuse(REASON_BINDING_MAC);
    return (struct front_answer){.verdict = FRONT_CONNECTED,
                                 .octets = a.verdict == FRONT_REPLACE ? a.octets : packet};
}

struct front_answer front_from_backend(struct front *f, const struct sstp_packet *packet,
                                       struct span octets)
{
    struct ppp_frame frame;

    if (!packet->control && f->progress == WAIT_RESULT)
        return ppp_result(f, packet->body, octets);
    if (!packet->control)
        return f->progress >= WAIT_CONNECTED ? ppp_data(f, PPP_FROM_SERVER, packet->body, &frame)
                                             : front_refuse(REASON_BACKEND_OUT_OF_PLACE);
    if (f->progress == WAIT_RESULT)
        return front_in_place(packet) ? pass : front_refuse(REASON_BACKEND_OUT_OF_PLACE);
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
    case SSTP_DISCONNECT_ACK: return pass;
    default: break;
    }
    return front_refuse(REASON_BACKEND_OUT_OF_PLACE);
}

bool front_in_place(const struct sstp_packet *packet)
{
    switch (packet->type) {
    case SSTP_DATA:
    case SSTP_ABORT:
    case SSTP_DISCONNECT:
    case SSTP_DISCONNECT_ACK:
    case SSTP_ECHO_REQUEST:
    case SSTP_ECHO_RESPONSE: return true;
    default: return false;
    }
}
