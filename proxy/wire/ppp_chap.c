#include "wire/ppp_chap.h"

#include "base/hex.h"
#include "wire/ppp_codes.h"

enum { MD5_RESPONSE_LEN = 16 };

/* Takes a challenge. Keeps the response that was taken, because the Success for it may still arrive
 * after a retransmitted challenge. For the same reason a retransmission does not reset the name. */
static void take_challenge(struct ppp_observer *o, const struct ppp_frame *f, bool eap)
{
    struct cursor c = cursor_of(f->data);
    struct span value = cursor_take(&c, cursor_u8(&c));

    if (c.short_)
        return;
    if (value.n != PPP_MSCHAPV2_CHALLENGE && (value.n != PPP_MSCHAPV1_CHALLENGE || eap))
        value.n = 0;
    if (o->challenge_seen && !o->retry && f->id == o->challenge_id &&
        span_eq(value, span_of(o->challenge, o->challenge_len)))
        return;
    o->challenge_seen = true;
    o->retry = o->expired = false;
    if (!eap)
        ppp_observer_forget_answer(o);
    o->user_named = false;
    o->result = PPP_RESULT_PENDING;
    o->challenge_id = f->id;
    o->challenge_len = (uint8_t)value.n;
    if (value.n > 0)
        memcpy(o->challenge, value.p, value.n);
}

/* Keeps an MS-CHAP answer. nt: 24 bytes. peer: 16 bytes, or none for v1. */
static void keep_mschap(struct ppp_observer *o, uint8_t id, struct span nt, struct span peer)
{
    o->response_seen = true;
    o->response_id = id;
    o->last = (struct ppp_mschap){.seen = true, .v1 = peer.n == 0, .id = id};
    o->last.user_len = o->user_len;
    memcpy(o->last.user, o->user, o->user_len);
    memcpy(o->last.challenge, o->challenge, o->challenge_len);
    if (peer.n > 0)
        memcpy(o->last.peer_challenge, peer.p, sizeof o->last.peer_challenge);
    memcpy(o->last.nt_response, nt.p, sizeof o->last.nt_response);
}

/* Returns the method, which follows from the lengths of challenge and response (PROTOCOL.md
 * 5.2). */
static enum ppp_method response_method(const struct ppp_observer *o, struct span value, bool eap)
{
    if (value.n == MD5_RESPONSE_LEN && !eap)
        return PPP_METHOD_CHAP_MD5;
    if (value.n != PPP_MSCHAP_VALUE || o->challenge_len == 0)
        return PPP_METHOD_NONE;
    if (eap)
        return PPP_METHOD_EAP_MSCHAPV2;
    return o->challenge_len == PPP_MSCHAPV2_CHALLENGE ? PPP_METHOD_MSCHAPV2 : PPP_METHOD_MSCHAPV1;
}

/* Keeps a response. Without the flag "use NT" (RFC 2433 4) it has only an LM response, which gives
 * no key here. */
static void keep_response(struct ppp_observer *o, const struct ppp_frame *f, struct span value)
{
    const struct span nt = span_sub(value, PPP_MSCHAP_NT_AT, PPP_NT_RESPONSE);

    switch (o->method) {
    case PPP_METHOD_CHAP_MD5: /* RFC 1994 4.1 */
        o->response_seen = true;
        o->response_id = f->id;
        o->last.seen = false;
        break;
    case PPP_METHOD_MSCHAPV1:
        keep_mschap(o, f->id, nt, span_of(NULL, 0));
        o->last.seen = value.p[PPP_MSCHAP_VALUE - 1] == 1;
        break;
    default: keep_mschap(o, f->id, nt, span_sub(value, 0, PPP_MSCHAPV2_CHALLENGE)); /* RFC 2759 4 */
    }
}

static enum ppp_verdict take_response(struct ppp_observer *o, const struct ppp_frame *f, bool eap)
{
    struct cursor c = cursor_of(f->data);
    const struct span value = cursor_take(&c, cursor_u8(&c));

    if (c.short_)
        return PPP_MALFORMED;
    if (!o->challenge_seen || (f->id != o->challenge_id && !o->retry))
        return PPP_DROP;
    const enum ppp_method method = response_method(o, value, eap);
    if (method == PPP_METHOD_NONE)
        return PPP_DROP;
    if (!eap && o->lcp_method != PPP_METHOD_NONE && o->lcp_method != method)
        return PPP_DROP; /* as in agreed_on: LCP agrees on the CHAP algorithm, too */
    if (!eap && o->answer_given)
        return ppp_observer_is_repeated(o, f) ? PPP_FORWARD : PPP_DROP;
    /* inside EAP a response without a name has that of the Identity */
    const enum ppp_verdict v =
        eap && c.rest.n == 0 ? PPP_FORWARD : ppp_observer_judge_name(o, c.rest);
    if (v != PPP_FORWARD)
        return v;
    o->method = method;
    ppp_observer_begin_login(o);
    if (c.rest.n > 0)
        ppp_observer_take_name(o, c.rest);
    if (!eap)
        ppp_observer_take_answer(o, f,
                                 method == PPP_METHOD_CHAP_MD5
                                     ? value
                                     : span_sub(value, PPP_MSCHAP_NT_AT, PPP_NT_RESPONSE));
    keep_response(o, f, value);
    return PPP_FORWARD;
}

/* Takes a change of password (RFC 2759 7): a response made with the new password, to the challenge
 * of the Failure that asked for the change. It has no name: the user is that of the previous
 * response. */
static enum ppp_verdict take_change_password(struct ppp_observer *o, const struct ppp_frame *f,
                                             bool eap)
{
    const struct span peer = span_sub(f->data, PPP_NEW_PASSWORD, PPP_MSCHAPV2_CHALLENGE);
    const struct span nt = span_sub(f->data, PPP_CHANGE_PASSWORD_NT_AT, PPP_NT_RESPONSE);

    if (f->data.n != PPP_CHANGE_PASSWORD)
        return PPP_MALFORMED;
    if (!o->challenge_seen || !o->expired || o->challenge_len != PPP_MSCHAPV2_CHALLENGE)
        return PPP_DROP;
    if (!eap && o->answer_given)
        return ppp_observer_is_repeated(o, f) ? PPP_FORWARD : PPP_DROP;
    if (!eap)
        ppp_observer_take_answer(o, f, nt);
    ppp_observer_begin_login(o);
    keep_mschap(o, f->id, nt, peer);
    return PPP_FORWARD;
}

static bool starts_with(struct span s, const char *text)
{
    return span_eq(span_sub(s, 0, strlen(text)), span_str(text));
}

/* Reads "S=<40 hex digits> M=<any text>" (RFC 2759 5). */
static void take_server_answer(struct ppp_mschap *m, struct span text)
{
    struct span hex = span_sub(text, 2, 2 * PPP_SERVER_ANSWER);
    m->answered = starts_with(text, "S=") && hex_read(hex, m->server_answer, PPP_SERVER_ANSWER);
}

static void take_success(struct ppp_observer *o, const struct ppp_frame *f, bool eap)
{
    if (!o->response_seen || f->id != o->response_id)
        return;
    o->challenge_seen = false;
    o->undecided = false;
    if (o->last.seen) {
        o->confirmed = o->last;
        if (!o->last.v1)
            take_server_answer(&o->confirmed, f->data);
    }
    if (!eap)
        ppp_observer_let_in(o);
}

/* Takes the new challenge of a Failure if it is as long as the old one; ignores it otherwise. */
static void take_new_challenge(struct ppp_observer *o, struct span hex)
{
    uint8_t octets[sizeof o->challenge];

    if (hex_read(hex, octets, o->challenge_len))
        memcpy(o->challenge, octets, o->challenge_len);
}

struct failure_text {
    bool again, expired;
    unsigned number;       /* 0: none */
    struct span challenge; /* hex digits */
};

enum { FAILURE_DIGITS = 5 };

/* Returns the number in "E=691"; 0: it is none. */
static unsigned failure_number(struct span word)
{
    const struct span digits = span_from(word, 2);
    unsigned n = 0;

    if (digits.n > FAILURE_DIGITS)
        return 0;
    for (size_t i = 0; i < digits.n; i++) {
        if (digits.p[i] < '0' || digits.p[i] > '9')
            return 0;
        n = 10 * n + (digits.p[i] - (unsigned)'0');
    }
    return n;
}

/* Reads "E=691 R=1 C=<hex> V=3 M=<any text>" (RFC 2759 6, RFC 2433 6). R=1 allows another response,
 * E=648 (password expired) a change of password, with any value of R. */
static struct failure_text read_failure(struct span text)
{
    struct failure_text t = {0};

    while (text.n > 0 && !starts_with(text, "M=")) {
        size_t n = 0;
        while (n < text.n && text.p[n] != ' ')
            n++;
        struct span word = span_sub(text, 0, n);
        text = span_from(text, n + 1);
        if (starts_with(word, "E="))
            t.number = failure_number(word);
        if (span_eq(word, span_str("R=1")))
            t.again = true;
        else if (span_eq(word, span_str("E=648")))
            t.again = t.expired = true;
        else if (starts_with(word, "C="))
            t.challenge = span_from(word, 2);
    }
    return t;
}

/* Takes a Failure. A Failure with any identifier is counted, because it comes from the server; only
 * a Failure for the response that was taken allows another one. A Failure of CHAP-MD5 has no R=1,
 * so it allows none. */
static void take_failure(struct ppp_observer *o, const struct ppp_frame *f, bool eap)
{
    struct failure_text t = read_failure(f->data);

    ppp_observer_take_refusal(o, t.number);
    if (!o->response_seen || f->id != o->response_id)
        return;
    t.again = t.again && o->method != PPP_METHOD_CHAP_MD5;
    if (t.again)
        take_new_challenge(o, t.challenge);
    if (!eap)
        ppp_observer_forget_answer(o);
    o->challenge_seen = t.again;
    o->retry = t.again;
    o->expired = t.again && t.expired;
    if (!t.expired) /* a change of password must be that of the same user */
        ppp_observer_forget_login(o);
    if (!eap)
        o->result = t.again ? PPP_RESULT_PENDING : PPP_RESULT_FAILURE;
}

void ppp_chap_server(struct ppp_observer *o, const struct ppp_frame *f, bool eap)
{
    switch (f->code) {
    case CHAP_CHALLENGE: take_challenge(o, f, eap); break;
    case CHAP_SUCCESS: take_success(o, f, eap); break;
    case CHAP_FAILURE: take_failure(o, f, eap); break;
    }
}

enum ppp_verdict ppp_chap_client(struct ppp_observer *o, const struct ppp_frame *f, bool eap)
{
    return f->code == CHAP_RESPONSE ? take_response(o, f, eap) : take_change_password(o, f, eap);
}

bool ppp_chap_login(const struct ppp_frame *f, struct span *user, struct span *proof)
{
    struct cursor c = cursor_of(f->data);

    if (f->code == CHAP_CHANGE_PASSWORD) {
        *proof = span_sub(f->data, PPP_CHANGE_PASSWORD_NT_AT, PPP_NT_RESPONSE);
        return proof->n == PPP_NT_RESPONSE;
    }
    const struct span value = cursor_take(&c, cursor_u8(&c));
    *user = c.rest;
    *proof =
        value.n == PPP_MSCHAP_VALUE ? span_sub(value, PPP_MSCHAP_NT_AT, PPP_NT_RESPONSE) : value;
    return !c.short_ && value.n > 0;
}
