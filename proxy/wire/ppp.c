#include "wire/ppp.h"

#include "wire/ppp_chap.h"
#include "wire/ppp_codes.h"
#include "wire/ppp_eap.h"

/* ---- LCP ---- */

/* Applies the server's latest Configure-Request, because the client has acknowledged it, or the
 * server has continued after LCP. */
static void settle_lcp(struct ppp_observer *o)
{
    if (!o->lcp_pending)
        return;
    o->lcp_pending = false;
    o->lcp_agreed = true;
    o->method = o->lcp_method = ppp_method_of(o->lcp_auth, o->lcp_algorithm);
    o->asked = o->lcp_method == PPP_METHOD_PAP ? PPP_PAP : 0;
}

/* Takes a Configure-Request of the server. After an authentication it starts the link over, and the
 * observer forgets the login. A client's request alone does not, because a server that starts over
 * sends a request of its own (RFC 1661 4.1). A request while a login with a proof is undecided
 * gives PPP_UNJUDGED, because a server may continue with that login: SoftEther sends a request in
 * reply to the client's (PROTOCOL.md 5.2), repeats its question, and judges the answer that it had
 * received before. */
static enum ppp_verdict take_lcp_request(struct ppp_observer *o, const struct ppp_frame *f)
{
    if (o->proof_given)
        return PPP_UNJUDGED;
    if (o->auth_seen) {
        const unsigned failures = o->failures;
        ppp_observer_init(o);
        o->failures = failures;
    }
    o->lcp_pending = true;
    o->lcp_id = f->id;
    (void)ppp_frame_auth_option(f, &o->lcp_auth, &o->lcp_algorithm);
    return PPP_FORWARD;
}

/* Takes the client's Ack, which must have the identifier and the authentication option of the
 * request (RFC 1661 5.2). */
static enum ppp_verdict take_lcp_ack(struct ppp_observer *o, const struct ppp_frame *f)
{
    uint16_t protocol;
    uint8_t algorithm;

    (void)ppp_frame_auth_option(f, &protocol, &algorithm);
    if (!o->lcp_pending || f->id != o->lcp_id || protocol != o->lcp_auth ||
        algorithm != o->lcp_algorithm)
        return PPP_DROP;
    settle_lcp(o);
    return PPP_FORWARD;
}

static enum ppp_verdict observe_lcp(struct ppp_observer *o, enum ppp_from from,
                                    const struct ppp_frame *f)
{
    uint16_t protocol;
    uint8_t algorithm;

    if (from == PPP_FROM_SERVER) {
        if (f->code == LCP_CONFIGURE_REQUEST)
            return take_lcp_request(o, f);
        if (f->code == LCP_TERMINATE_REQUEST)
            ppp_server_ends(o);
        return PPP_FORWARD;
    }
    if (f->code == LCP_CONFIGURE_ACK)
        return take_lcp_ack(o, f);
    return f->code == LCP_CONFIGURE_REQUEST && ppp_frame_auth_option(f, &protocol, &algorithm)
               ? PPP_AUTH_REQUEST
               : PPP_FORWARD;
}

/* Returns whether LCP has agreed on the protocol; frames of other protocols are discarded (RFC 1661
 * 3.5). */
static bool agreed_on(const struct ppp_observer *o, uint16_t protocol)
{
    switch (o->lcp_method) {
    case PPP_METHOD_NONE: return true;
    case PPP_METHOD_PAP: return protocol == PPP_PAP;
    case PPP_METHOD_EAP: return protocol == PPP_EAP;
    default: return protocol == PPP_CHAP;
    }
}

/* ---- PAP, RFC 1334 2.2 ---- */

static bool read_pap_request(const struct ppp_frame *f, struct span *user)
{
    struct cursor c = cursor_of(f->data);

    *user = cursor_take(&c, cursor_u8(&c));
    (void)cursor_take(&c, cursor_u8(&c)); /* the password, which is not kept */
    return !c.short_ && c.rest.n == 0;
}

/* Takes a PAP request, which answers LCP's agreement. Further requests are dropped until the
 * server's reply, because the server would judge each password of a series, and the observer would
 * count only the first. The link is reliable, so no client needs a retransmission. Requests after
 * an Ack are dropped, because the server acknowledges each of them, with any content (2.2.1). */
static enum ppp_verdict take_pap_request(struct ppp_observer *o, const struct ppp_frame *f)
{
    struct span user;

    if (!read_pap_request(f, &user))
        return PPP_MALFORMED;
    if (o->asked != PPP_PAP || o->undecided || o->result == PPP_RESULT_SUCCESS)
        return PPP_DROP;
    const enum ppp_verdict v = ppp_observer_judge_name(o, user);
    if (v == PPP_FORWARD) {
        ppp_observer_take_name(o, user);
        ppp_observer_begin_login(o);
    }
    return v;
}

static void observe_pap_answer(struct ppp_observer *o, const struct ppp_frame *f)
{
    if (f->code == PAP_ACK) {
        if (o->asked == PPP_PAP && o->user_named)
            ppp_observer_let_in(o);
        return;
    }
    ppp_observer_take_refusal(o, 0);
    if (o->asked == PPP_PAP)
        o->result = PPP_RESULT_FAILURE;
    ppp_observer_forget_login(o);
}

/* ---- both directions ---- */

/* Notes a question of the server, even if LCP did not agree on its protocol, because the server
 * waits for its answer. */
static void note_question(struct ppp_observer *o, const struct ppp_frame *f)
{
    if (f->protocol == PPP_CHAP && f->code == CHAP_CHALLENGE) {
        o->asked = PPP_CHAP;
        o->no_zero_key = o->no_zero_key || o->lcp_method != PPP_METHOD_CHAP_MD5;
    } else if (f->protocol == PPP_EAP && f->code == EAP_REQUEST) {
        o->asked = PPP_EAP;
    }
}

static void observe_server(struct ppp_observer *o, const struct ppp_frame *f)
{
    /* after an agreement a request needs the client's Ack: SoftEther repeats stale requests */
    if (ppp_frame_is_control(f) && !o->lcp_agreed)
        settle_lcp(o);
    if (f->code == 0) /* the frame is no authentication */
        return;
    o->auth_seen = true;
    note_question(o, f);
    if (!agreed_on(o, f->protocol))
        return;
    switch (f->protocol) {
    case PPP_PAP: observe_pap_answer(o, f); break;
    case PPP_CHAP: ppp_chap_server(o, f, false); break;
    case PPP_EAP: ppp_eap_server(o, f); break;
    }
}

static enum ppp_verdict observe_client(struct ppp_observer *o, const struct ppp_frame *f)
{
    if (f->code == 0)
        return PPP_FORWARD;
    if (!agreed_on(o, f->protocol))
        return PPP_DROP;
    enum ppp_verdict v = PPP_DROP;
    switch (f->protocol) {
    case PPP_PAP: v = take_pap_request(o, f); break;
    case PPP_CHAP: v = ppp_chap_client(o, f, false); break;
    case PPP_EAP: v = ppp_eap_client(o, f); break;
    }
    o->auth_seen = o->auth_seen || v == PPP_FORWARD;
    return v;
}

enum ppp_verdict ppp_observe(struct ppp_observer *o, enum ppp_from from,
                             const struct ppp_frame *frame)
{
    if (frame->protocol == PPP_LCP)
        return observe_lcp(o, from, frame);
    if (from == PPP_FROM_CLIENT)
        return observe_client(o, frame);
    observe_server(o, frame);
    return PPP_FORWARD;
}

bool ppp_is_content(const struct ppp_observer *o)
{
    return o->result == PPP_RESULT_SUCCESS ||
           (o->asked == 0 && o->lcp_auth == 0 && o->lcp_method == PPP_METHOD_NONE);
}

void ppp_server_ends(struct ppp_observer *o)
{
    if (o->undecided && o->proof_given && o->result != PPP_RESULT_SUCCESS)
        ppp_observer_take_refusal(o, 0);
    o->proof_given = false;
}

void ppp_unreadable_login(struct ppp_observer *o)
{
    o->failures++;
}

struct span ppp_proof(const struct ppp_observer *o)
{
    return span_sub(span_of(o->answer, o->answer_len), o->proof_from, o->proof_len);
}

bool ppp_login(struct span octets, struct span *user, struct span *proof)
{
    struct ppp_frame f;

    *user = *proof = span_of(NULL, 0);
    if (!ppp_frame_read(PPP_FROM_CLIENT, octets, &f))
        return false;
    struct cursor c = cursor_of(f.data);
    switch (f.protocol) {
    case PPP_PAP: return read_pap_request(&f, user);
    case PPP_CHAP: return ppp_chap_login(&f, user, proof);
    case PPP_EAP:
        *proof = f.info;
        if (cursor_u8(&c) == EAP_TYPE_IDENTITY)
            *user = c.rest;
        return !c.short_;
    default: return false;
    }
}
