#include "call/front.h"

#include <openssl/crypto.h>
#include <stdlib.h>

#include "base/check.h"
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

/* The keyring remembers so many of all calls, and one that guesses shall not push out the others.
 * EAP with long certificates, and tries, come to a few dozen. */
enum { NOTES_MAX = 128 };

/* What the server will ask RADIUS about next. */
static void note_login(struct front *f, struct span frame, uint64_t now_ms)
{
    struct keyring_login login;

    if (f->candidates.keyring == NULL || !ppp_login(frame, &login.user, &login.proof))
        return;
    if (f->notes++ >= NOTES_MAX)
        return;
    if (login.user.n == 0)
        login.user = span_of(f->ppp.user, f->ppp.user_len);
    keyring_saw(f->candidates.keyring, f->candidates.radius, &login, &f->session->client, now_ms);
}

static struct front_answer ppp_data(struct front *f, enum ppp_from from, struct span frame)
{
    struct session *s = f->session;

    /* [MS-SSTP] 3.2.5.3, 3.3.5.2: no network data before Call Connected. Some clients are a little
     * early; their packets are lost here, as IP packets may be, and no octet of a client that was
     * not verified reaches the network behind the backend. */
    if (!ppp_is_control(frame))
        return drop;
    ppp_observe(&f->ppp, from, frame);
    front_binding_check_users(f);
    s->method = f->ppp.method == PPP_METHOD_NONE ? NULL : ppp_method_name(f->ppp.method);
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
    return user_may_pass(f, ended || front_two_names(f)) ? pass : front_refuse(REASON_USER_DENIED);
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

static struct front_answer client_frame(struct front *f, struct span frame, uint64_t now_ms)
{
    if (f->progress < WAIT_CONNECTED)
        return front_refuse(REASON_CLIENT_OUT_OF_PLACE);
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
    f->now_ms = now_ms;
    if (!packet->control) /* [MS-SSTP] 3.3.5.3: PPP may begin when the Ack is out */
        return client_frame(f, packet->body, now_ms);
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

/* PPP from the server, when Call Connected has gone on: is it content? */
static struct front_answer ppp_result(struct front *f, struct span frame, struct span octets)
{
    struct front_answer a = ppp_data(f, PPP_FROM_SERVER, frame);
    if (a.verdict == FRONT_REFUSE ||
        (f->ppp.result != PPP_RESULT_SUCCESS && !ppp_is_network(frame)))
        return a;
    if (!front_binding_holds(f))
        return front_refuse(REASON_BINDING_MAC);
    return (struct front_answer){.verdict = FRONT_CONNECTED, .octets = octets};
}

struct front_answer front_from_backend(struct front *f, const struct sstp_packet *packet,
                                       struct span octets)
{
    if (!packet->control && f->progress == WAIT_RESULT)
        return ppp_result(f, packet->body, octets);
    if (!packet->control)
        return f->progress >= WAIT_CONNECTED ? ppp_data(f, PPP_FROM_SERVER, packet->body)
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
