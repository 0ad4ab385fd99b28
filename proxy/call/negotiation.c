#include "call/negotiation.h"

#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/insist.h"
#include "base/siphash.h"
#include "call/negotiation_binding.h"
#include "radius/keyring.h"
#include "users/users.h"

static const struct negotiation_answer pass = {.verdict = NEGOTIATION_PASS};
static const struct negotiation_answer drop = {.verdict = NEGOTIATION_DROP};
static const struct negotiation_answer hold = {.verdict = NEGOTIATION_HOLD};

struct negotiation *negotiation_new(const struct site_backend *backend,
                                    const struct binding_leaf *client_leaf,
                                    const struct binding_leaf *backend_leaf, struct record *record)
{
    struct negotiation *n = NEW(struct negotiation);
    n->backend = backend;
    n->record = record;
    n->client_leaf = *client_leaf;
    n->backend_leaf = *backend_leaf;
    n->expect.leaf = &n->client_leaf;
    n->candidates.users = backend->users;
    n->candidates.zero_key_eap = backend->config->zero_key_eap;
    ppp_observer_init(&n->ppp);
    login_trial_init(&n->trial);
    return n;
}

void negotiation_use_clock(struct negotiation *n, time_t (*clock)(void))
{
    n->clock = clock;
}

void negotiation_use_leaves(struct negotiation *n, struct leaves *leaves)
{
    n->leaves = leaves;
}

void negotiation_use_keyring(struct negotiation *n, struct keyring *keyring)
{
    const struct config_radius *radius = n->backend->config->radius;

    if (radius == NULL)
        return;
    n->candidates.keyring = keyring;
    n->candidates.radius = radius->name;
    login_trial_use_keyring(&n->trial, keyring, radius->name, radius->timeout_server);
}

void negotiation_ask_user(struct negotiation *n, negotiation_user_allowed allowed, void *arg)
{
    n->user_allowed = allowed;
    n->user_arg = arg;
}

void negotiation_free(struct negotiation *n)
{
    if (n == NULL)
        return;
    if (n->asked != NULL)
        keyring_forget_client(n->candidates.keyring, n->asked);
    if (n->rebuilt != NULL)
        OPENSSL_cleanse(n->rebuilt, SSTP_PACKET_MAX);
    free(n->rebuilt);
    OPENSSL_cleanse(n, sizeof *n);
    free(n);
}

/* ---- PPP ---- */

/* Asks the rules about each user once. sure: no other name can come, so the rules decide about
 * a missing name, too. */
static bool user_may_pass(struct negotiation *n, bool sure)
{
    struct span user = span_of(n->ppp.user, n->record->user_is_claim ? 0 : n->ppp.user_len);

    if (n->user_allowed == NULL || n->user_asked || (user.n == 0 && !sure))
        return true;
    n->user_asked = true;
    return n->user_allowed(n->user_arg, user);
}

/* Returns whether the users file has the user only in lines that have expired. The detail of the
 * record names the line. Reads the clock, for the keys, too. */
static bool user_has_expired(struct negotiation *n)
{
    const struct users *users = n->backend->users;
    char until[UNTIL_TEXT_MAX], text[64];
    struct users_match line;

    if (n->clock == NULL || users == NULL || !negotiation_binding_re_signs(n))
        return false;
    n->candidates.time = n->clock();
    const struct span user = span_of(n->ppp.user, n->record->user_is_claim ? 0 : n->ppp.user_len);
    if (!users_expired(users, user, n->candidates.time, &line))
        return false;
    snprintf(text, sizeof text, "line %u of the users file ended at %s", line.line,
             until_print(line.until, until));
    record_keep(&n->record->detail, span_str(text));
    return true;
}

/* Bound of the notes of one call. The keyring keeps a bounded number of notes for all calls,
 * and one call that guesses passwords must not displace the notes of others. EAP with long
 * certificates and retries needs a few dozen. */
enum { NOTES_MAX = 128 };

/* Notes the login that the server will ask RADIUS about next. Returns false if the call has used up
 * its notes and must end, because without a note the gate could send RADIUS the address of another
 * client with the same name. */
static bool note_login(struct negotiation *n, struct span frame)
{
    struct candidates *c = &n->candidates;
    struct keyring_login login;

    if (!login_label_asked(&n->label, c->keyring, &n->ppp, frame, &login))
        return true;
    if (n->notes++ >= NOTES_MAX)
        return false;
    keyring_saw(c->keyring, c->radius, &login, &n->record->client, n->now_ms);
    if (n->backend->config->radius->calling_station_client)
        keyring_offer_client(c->keyring, c->radius, &login, &n->record->client);
    return true;
}

/* Bound of dropped frames. An honest client may send some network data too early, and its
 * retransmission may cross an answer; a client that sends more frames that cannot be forwarded
 * is trying to reach the server past the gate's parser. */
enum { DROPPED_MAX = 32 };

static struct negotiation_answer drop_frame(struct negotiation *n, enum ppp_from from)
{
    n->record->frames_dropped++;
    return from == PPP_FROM_CLIENT && ++n->dropped > DROPPED_MAX
               ? negotiation_refuse(REASON_CLIENT_BAD_FRAMES)
               : drop;
}

/* ---- failed logins ---- */

/* Returns a hash, never 0. It needs no secret key: a frame with the hash of another one counts as a
 * retransmission, which harms only its sender. */
static uint64_t hash_of(struct span frame)
{
    static const struct siphash_key key;
    const uint64_t hash = siphash(&key, frame.p, frame.n);
    return hash == 0 ? 1 : hash;
}

/* Copies the failures that are the user's to the record. refused: as for login_trial_judge. */
static void count_failures(struct negotiation *n, bool refused)
{
    n->record->failures += login_trial_judge(&n->trial, &n->ppp, refused, n->log_ms);
    n->record->refusal = n->ppp.refusal;
    n->record->rejected = n->trial.rejected;
}

static void note_answer(struct negotiation *n, struct span frame)
{
    struct span user, proof;

    if (!ppp_login(frame, &user, &proof))
        return;
    if (login_trial_is_deferred(&n->trial))
        count_failures(n, false);
    const struct keyring_login login = login_label_of(&n->label, n->candidates.keyring, &n->ppp);
    login_trial_answer(&n->trial, &login, hash_of(frame), n->now_ms);
}

bool negotiation_radius_is_silent(const struct negotiation *n, uint64_t now_ms)
{
    return login_trial_is_silent(&n->trial, &n->ppp, now_ms);
}

/* Counts a login that the server does not get. */
static void count_unreadable(struct negotiation *n)
{
    ppp_unreadable_login(&n->ppp);
    login_trial_skip(&n->trial);
    n->record->failures++;
}

void negotiation_gate_ends(struct negotiation *n, uint64_t now_ms)
{
    n->log_ms = now_ms;
    if (login_trial_is_deferred(&n->trial))
        count_failures(n, false);
}

void negotiation_server_ends(struct negotiation *n, uint64_t now_ms)
{
    n->log_ms = now_ms;
    ppp_server_ends(&n->ppp);
    count_failures(n, false);
}

static struct negotiation_answer drop_unreadable(struct negotiation *n, enum ppp_from from,
                                                 struct span octets)
{
    struct span request;

    if (from == PPP_FROM_CLIENT && ppp_frame_relogin(octets, &request) == PPP_LOGIN)
        count_unreadable(n);
    return drop_frame(n, from);
}

/* Returns the packet that carries the frame in its canonical form; most packets already do. */
static struct negotiation_answer forward_frame(struct negotiation *n, const struct ppp_frame *frame,
                                               struct span octets)
{
    if (ppp_frame_is_canonical(frame, octets))
        return pass;
    if (n->rebuilt == NULL)
        n->rebuilt = insist_alloc(malloc(SSTP_PACKET_MAX));
    const size_t len = ppp_frame_build(frame, n->rebuilt + SSTP_DATA_HEAD);
    sstp_build_data(n->rebuilt, len);
    return (struct negotiation_answer){.verdict = NEGOTIATION_REPLACE,
                                       .octets = span_of(n->rebuilt, SSTP_DATA_HEAD + len)};
}

static enum reason reason_of_verdict(enum ppp_verdict v)
{
    if (v == PPP_UNJUDGED)
        return REASON_BACKEND_OUT_OF_PLACE;
    return v == PPP_AUTH_REQUEST ? REASON_CLIENT_ASKS_AUTH : REASON_BAD_USER_NAME;
}

/* Refuses a frame that must not reach the other side. The log shows a name that is refused. */
static struct negotiation_answer refuse_frame(struct negotiation *n, struct span octets,
                                              enum ppp_verdict v)
{
    struct span user, proof;

    if (v == PPP_BAD_NAME && ppp_login(octets, &user, &proof) && user.n > 0)
        record_keep(&n->record->user, user);
    return negotiation_refuse(reason_of_verdict(v));
}

/* Returns whether the login has succeeded without proving the name that PPP shows: the outer name
 * of EAP-TLS, PEAP and other EAP is its sender's choice. */
static bool user_is_claim(const struct negotiation *n)
{
    const enum ppp_method m = n->ppp.method;

    return n->ppp.result == PPP_RESULT_SUCCESS && !n->backend->config->outer_name_verified &&
           (m == PPP_METHOD_EAP || m == PPP_METHOD_EAP_TLS || m == PPP_METHOD_EAP_PEAP);
}

/* Copies user and method from the observer to the record, and returns whether the rules allow the
 * user. */
static bool show_login(struct negotiation *n)
{
    struct record *record = n->record;
    const struct span user = span_of(n->ppp.user, n->ppp.user_len);

    record->method = n->ppp.method == PPP_METHOD_NONE ? NULL : ppp_method_name(n->ppp.method);
    const bool claim = user_is_claim(n);
    if (claim != record->user_is_claim ||
        !span_eq(span_str(record->user == NULL ? "" : record->user), user)) {
        record_keep(&record->user, user);
        record->user_is_claim = claim;
        n->user_asked = false;
    }
    return user_may_pass(n, n->ppp.result != PPP_RESULT_PENDING);
}

static struct negotiation_answer ppp_data(struct negotiation *n, enum ppp_from from,
                                          struct span octets, struct ppp_frame *frame)
{
    if (!ppp_frame_read(from, octets, frame))
        return drop_unreadable(n, from, octets);
    /* [MS-SSTP] 3.2.5.3, 3.3.5.2: no network data before Call Connected. The gate drops early
     * packets, which it may, because IP packets can be lost, and must, because no byte of an
     * unverified client may reach the network behind the backend. */
    if (!ppp_frame_is_control(frame))
        return drop;
    const bool was_in = n->ppp.result == PPP_RESULT_SUCCESS;
    const enum ppp_verdict v = ppp_observe(&n->ppp, from, frame);
    if (v == PPP_MALFORMED)
        return drop_unreadable(n, from, octets);
    if (v == PPP_DROP)
        return drop_frame(n, from);
    count_failures(n, true);
    if (v == PPP_UNJUDGED) /* LCP starts over: the login has not ended with a Success */
        negotiation_server_ends(n, n->log_ms);
    if (v != PPP_FORWARD)
        return refuse_frame(n, octets, v);
    login_label_follow(&n->label, n->candidates.keyring, from, octets);
    negotiation_binding_check_users(n);
    if (!was_in && n->ppp.result == PPP_RESULT_SUCCESS)
        negotiation_binding_login_ended(n);
    if (!show_login(n))
        return negotiation_refuse(REASON_USER_DENIED);
    return user_has_expired(n) ? negotiation_refuse(REASON_USER_EXPIRED)
                               : forward_frame(n, frame, octets);
}

uint64_t negotiation_hash_lcp(struct span request)
{
    return hash_of(request);
}

uint64_t negotiation_lcp_request(const struct negotiation *n)
{
    return n->lcp_request;
}

/* ---- the Ack ---- */

static struct negotiation_answer handle_ack(struct negotiation *n, const struct sstp_packet *packet,
                                            struct span octets)
{
    struct sstp_ack a;

    if (sstp_parse_ack(packet, &a) != ERR_OK) {
        if (n->backend->config->binding != CONFIG_BINDING_OFF)
            return negotiation_refuse(REASON_BACKEND_OUT_OF_PLACE);
        n->progress = WAIT_CONNECTED;
        return pass;
    }
    memcpy(n->expect.nonce, a.nonce.p, SSTP_NONCE);
    n->backend_mask = n->expect.mask = a.mask;
    n->progress = WAIT_CONNECTED;
    /* No MAC covers the mask. A message that is re-signed in any case may use another hash than the
     * client's, so the gate offers both to the client, and a client and a server without a hash in
     * common work together (PROTOCOL.md 4.1). If the client's message may be forwarded unchanged,
     * its hash must suit the backend, so the mask remains unchanged. */
    if (n->backend->config->binding != CONFIG_BINDING_REWRITE || octets.n > sizeof n->made)
        return pass;
    memcpy(n->made, octets.p, octets.n);
    n->expect.mask = SSTP_HASH_SHA1 | SSTP_HASH_SHA256;
    n->made[(size_t)(a.nonce.p - octets.p) - 1] = n->expect.mask;
    return (struct negotiation_answer){.verdict = NEGOTIATION_REPLACE,
                                       .octets = span_of(n->made, octets.n)};
}

/* ---- the order of messages ---- */

static struct negotiation_answer client_frame(struct negotiation *n, struct span octets)
{
    struct ppp_frame frame;
    struct span request;

    if (n->progress < WAIT_CONNECTED)
        return negotiation_refuse(REASON_CLIENT_OUT_OF_PLACE);
    /* LCP and authentication overtake the waiting packets, because the key may depend on them. */
    if (n->progress == WAIT_KEY && ppp_frame_read(PPP_FROM_CLIENT, octets, &frame) &&
        ppp_frame_is_network(&frame))
        return hold;
    struct negotiation_answer a = ppp_data(n, PPP_FROM_CLIENT, octets, &frame);
    if (a.verdict != NEGOTIATION_PASS && a.verdict != NEGOTIATION_REPLACE)
        return a;
    note_answer(n, octets);
    if (!note_login(n, octets))
        return negotiation_refuse(REASON_CLIENT_TOO_MANY_ANSWERS);
    if (ppp_frame_relogin(octets, &request) == PPP_LCP_REQUEST)
        n->lcp_request = negotiation_hash_lcp(request);
    return a;
}

struct negotiation_answer negotiation_from_client(struct negotiation *n,
                                                  const struct sstp_packet *packet,
                                                  struct span octets, uint64_t now_ms)
{
    n->now_ms = n->log_ms = now_ms;
    if (!packet->control) /* [MS-SSTP] 3.3.5.3: PPP may begin when the Ack was sent */
        return client_frame(n, packet->body);
    if (n->progress == WAIT_RESULT)
        return negotiation_in_place(packet) ? pass : negotiation_refuse(REASON_CLIENT_OUT_OF_PLACE);
    switch (packet->type) {
    case SSTP_CONNECT_REQUEST:
        /* kittoku retransmits it while it waits; the backend handles the retransmission */
        if (n->progress != WAIT_REQUEST && n->progress != WAIT_ACK)
            break;
        n->progress = WAIT_ACK;
        return pass;
    case SSTP_CONNECTED:
        if (n->progress != WAIT_CONNECTED)
            break;
        return !user_may_pass(n, true) ? negotiation_refuse(REASON_USER_DENIED)
               : user_has_expired(n)   ? negotiation_refuse(REASON_USER_EXPIRED)
                                       : negotiation_binding_connected(n, packet, octets, now_ms);
    case SSTP_ECHO_REQUEST: /* before Call Connected an Echo is out of place: [MS-SSTP] 3.3.5.2 */
    case SSTP_ECHO_RESPONSE:
        if (n->progress != WAIT_KEY)
            break;
        return hold;
    case SSTP_ABORT:
    case SSTP_DISCONNECT:
    case SSTP_DISCONNECT_ACK: return pass;
    default: break;
    }
    return negotiation_refuse(REASON_CLIENT_OUT_OF_PLACE);
}

/* Judges the early Call Connected, because the server has accepted the user with this packet. late:
 * the other gates are not asked (again). */
static struct negotiation_answer judge_result(struct negotiation *n, struct span packet, bool late)
{
    enum negotiation_verdict v = NEGOTIATION_CONNECTED;

    switch (negotiation_binding_holds(n, late)) {
    case BINDING_FAILS: return negotiation_refuse(REASON_BINDING_MAC);
    case BINDING_ASKS: v = NEGOTIATION_ASK; break;
    case BINDING_HOLDS: break;
    }
    return (struct negotiation_answer){.verdict = v, .octets = packet};
}

/* Handles PPP from the server after Call Connected was forwarded. The tunnel is up with the
 * server's Success, or with the server's first network frame if it has asked for no login. */
static struct negotiation_answer ppp_result(struct negotiation *n, struct span octets,
                                            struct span packet)
{
    struct ppp_frame frame;
    struct negotiation_answer a = ppp_data(n, PPP_FROM_SERVER, octets, &frame);

    if (a.verdict == NEGOTIATION_REFUSE || a.verdict == NEGOTIATION_DROP ||
        !ppp_is_content(&n->ppp) ||
        (n->ppp.result != PPP_RESULT_SUCCESS && !ppp_frame_is_network(&frame)))
        return a;
    if (a.verdict == NEGOTIATION_REPLACE)
        packet = a.octets;
    return judge_result(n, packet, false);
}

bool negotiation_ask(struct negotiation *n, struct worker *from, void (*on_answer)(void *arg),
                     void *arg)
{
    n->asked = negotiation_binding_ask(n, from, on_answer, arg);
    return n->asked != NULL;
}

struct negotiation_answer negotiation_ask_again(struct negotiation *n, struct span octets,
                                                uint64_t now_ms)
{
    n->asked = NULL;
    n->now_ms = n->log_ms = now_ms;
    return judge_result(n, octets, true);
}

struct negotiation_answer negotiation_from_backend(struct negotiation *n,
                                                   const struct sstp_packet *packet,
                                                   struct span octets, uint64_t now_ms)
{
    struct ppp_frame frame;

    n->log_ms = now_ms;
    if (!packet->control && n->progress == WAIT_RESULT)
        return ppp_result(n, packet->body, octets);
    if (!packet->control)
        return n->progress >= WAIT_CONNECTED ? ppp_data(n, PPP_FROM_SERVER, packet->body, &frame)
                                             : negotiation_refuse(REASON_BACKEND_OUT_OF_PLACE);
    if (n->progress == WAIT_RESULT)
        return negotiation_in_place(packet) ? pass
                                            : negotiation_refuse(REASON_BACKEND_OUT_OF_PLACE);
    switch (packet->type) {
    case SSTP_CONNECT_ACK:
        if (n->progress != WAIT_ACK)
            break;
        return handle_ack(n, packet, octets);
    case SSTP_CONNECT_NAK:
        if (n->progress != WAIT_ACK)
            break;
        n->progress = WAIT_REQUEST; /* the client answers a Nak with another Request */
        return pass;
    case SSTP_ABORT:
    case SSTP_DISCONNECT:
    case SSTP_DISCONNECT_ACK: return pass;
    default: break;
    }
    return negotiation_refuse(REASON_BACKEND_OUT_OF_PLACE);
}

struct negotiation_answer negotiation_try_key(struct negotiation *n, uint64_t now_ms, bool late)
{
    return negotiation_binding_try_key(n, now_ms, late);
}

bool negotiation_in_place(const struct sstp_packet *packet)
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
