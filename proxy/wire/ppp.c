#include "wire/ppp.h"

enum {
    LCP_CONFIGURE_REQUEST = 1,
    LCP_CONFIGURE_ACK = 2,
    LCP_TERMINATE_REQUEST = 5,

    CHAP_ALGORITHM_MD5 = 0x05,
    CHAP_ALGORITHM_MSCHAPV1 = 0x80,
    CHAP_ALGORITHM_MSCHAPV2 = 0x81,

    PAP_REQUEST = 1,
    PAP_ACK = 2,
    PAP_NAK = 3,

    CHAP_CHALLENGE = 1,
    CHAP_RESPONSE = 2,
    CHAP_SUCCESS = 3,
    CHAP_FAILURE = 4,
    MSCHAP_CHANGE_PASSWORD = 7, /* RFC 2759 7 */

    MSCHAPV1_CHALLENGE_LEN = 8,
    MSCHAPV2_CHALLENGE_LEN = 16,
    MSCHAP_RESPONSE_LEN =
        49, /* v1: LM 24, NT 24, flag; v2: challenge 16, reserved 8, NT 24, flags */
    MSCHAP_NT_AT = 24,
    MD5_RESPONSE_LEN = 16,
    NEW_PASSWORD_LEN = 516 + 16, /* encrypted password and hash */
    CHANGE_PASSWORD_LEN = NEW_PASSWORD_LEN + 16 + 8 + PPP_NT_RESPONSE + 2,

    EAP_REQUEST = 1,
    EAP_RESPONSE = 2,
    EAP_SUCCESS = 3,
    EAP_FAILURE = 4,

    EAP_TYPE_IDENTITY = 1,
    EAP_TYPE_NOTIFICATION = 2,
    EAP_TYPE_NAK = 3,
    EAP_TYPE_MD5 = 4,
    EAP_TYPE_TLS = 13,
    EAP_TYPE_PEAP = 25,
    EAP_TYPE_MSCHAPV2 = 26,
    EAP_MSCHAPV2_HEAD = 4,
};

/* ---- names, questions and answers ---- */

static size_t find_last(struct span s, uint8_t octet)
{
    for (size_t i = s.n; i-- > 0;)
        if (s.p[i] == octet)
            return i;
    return s.n;
}

/* Returns whether an '@' precedes the '\': FreeRADIUS reads a@b\c as a (realm `suffix`), Windows as
 * c. */
static bool realm_holds_domain(struct span name)
{
    const size_t slash = find_last(name, '\\');
    const struct span domain = span_sub(name, 0, slash);
    return slash < name.n && find_last(domain, '@') < domain.n;
}

static bool name_is_clear(struct span name)
{
    for (size_t i = 0; i < name.n; i++)
        if (name.p[i] < ' ' || name.p[i] == 0x7f)
            return false;
    return name.n > 0 && name.n <= PPP_USER_MAX && name.p[0] != ' ' && name.p[name.n - 1] != ' ' &&
           !realm_holds_domain(name);
}

/* Returns the name without its domain and realm, as rules about users compare it. */
static struct span bare_name(struct span name)
{
    const size_t slash = find_last(name, '\\');
    if (slash < name.n)
        name = span_from(name, slash + 1);
    return span_sub(name, 0, find_last(name, '@'));
}

/* Decides on a name. A client must send the same name in all answers to a question, and the same
 * user in all names of a login, because some servers that ask again before they have refused a
 * login keep the first name for the session and check the second (PROTOCOL.md 5.4). The Identity of
 * EAP and the name in the method may differ in domain and realm. A frame with another name is
 * dropped. */
static enum ppp_verdict judge_name(const struct ppp_observer *o, struct span name)
{
    const struct span known = span_of(o->user, o->user_len);

    if (!name_is_clear(name))
        return PPP_BAD_NAME;
    if (o->user_named && !span_eq(name, known))
        return PPP_DROP;
    return o->login_named && !span_eq_nocase(bare_name(name), bare_name(known)) ? PPP_DROP
                                                                                : PPP_FORWARD;
}

static void take_name(struct ppp_observer *o, struct span name)
{
    memcpy(o->user, name.p, name.n);
    o->user_len = (uint16_t)name.n;
    o->user_named = o->login_named = true;
}

/* Forgets the names of a login that the server has refused, because the next login may have another
 * name. */
static void forget_login(struct ppp_observer *o)
{
    o->user_named = o->login_named = o->proof_given = false;
}

/* Notes that the client has sent a proof of its identity, right or wrong. */
static void begin_login(struct ppp_observer *o)
{
    o->undecided = o->proof_given = true;
    o->refusal = 0;
}

static void forget_answer(struct ppp_observer *o)
{
    o->answer_given = false;
    o->answer_len = o->proof_from = o->proof_len = 0;
}

static bool is_repeated(const struct ppp_observer *o, const struct ppp_frame *f)
{
    return o->answer_given && f->info.n > 0 && span_eq(f->info, span_of(o->answer, o->answer_len));
}

/* Keeps the client's answer. proof: a part of f->info. An answer that is too long to be kept has no
 * proof, and a repetition of it is dropped. */
static void take_answer(struct ppp_observer *o, const struct ppp_frame *f, struct span proof)
{
    forget_answer(o);
    o->answer_given = true;
    if (f->info.n > sizeof o->answer)
        return;
    memcpy(o->answer, f->info.p, f->info.n);
    o->answer_len = (uint16_t)f->info.n;
    o->proof_from = (uint16_t)(proof.p - f->info.p);
    o->proof_len = (uint16_t)proof.n;
}

static void count_failure(struct ppp_observer *o)
{
    if (o->undecided)
        o->failures++;
    o->undecided = false;
}

/* number: of MS-CHAP; 0: none. A number stays, because EAP's own Failure follows it without one. */
static void take_refusal(struct ppp_observer *o, unsigned number)
{
    if (number != 0 || o->refusal == 0)
        o->refusal = number != 0 ? number : PPP_REFUSED;
    if (number == PPP_REFUSED_UNJUDGED)
        o->undecided = false;
    count_failure(o);
}

static void let_in(struct ppp_observer *o)
{
    o->refusal = 0;
    o->result = PPP_RESULT_SUCCESS;
    o->undecided = o->proof_given = false;
}

/* ---- LCP ---- */

enum ppp_method ppp_method_of(uint16_t protocol, uint8_t algorithm)
{
    if (protocol == PPP_PAP)
        return PPP_METHOD_PAP;
    if (protocol == PPP_EAP)
        return PPP_METHOD_EAP;
    if (protocol == PPP_CHAP && algorithm == CHAP_ALGORITHM_MD5)
        return PPP_METHOD_CHAP_MD5;
    if (protocol == PPP_CHAP && algorithm == CHAP_ALGORITHM_MSCHAPV1)
        return PPP_METHOD_MSCHAPV1;
    if (protocol == PPP_CHAP && algorithm == CHAP_ALGORITHM_MSCHAPV2)
        return PPP_METHOD_MSCHAPV2;
    return PPP_METHOD_NONE;
}

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
    const enum ppp_verdict v = judge_name(o, user);
    if (v == PPP_FORWARD) {
        take_name(o, user);
        begin_login(o);
    }
    return v;
}

static void observe_pap_answer(struct ppp_observer *o, const struct ppp_frame *f)
{
    if (f->code == PAP_ACK) {
        if (o->asked == PPP_PAP && o->user_named)
            let_in(o);
        return;
    }
    take_refusal(o, 0);
    if (o->asked == PPP_PAP)
        o->result = PPP_RESULT_FAILURE;
    forget_login(o);
}

/* ---- CHAP, in frames of its own and inside EAP-MSCHAPv2 ---- */

/* Takes a challenge. Keeps the response that was taken, because the Success for it may still arrive
 * after a retransmitted challenge. For the same reason a retransmission does not reset the name. */
static void take_challenge(struct ppp_observer *o, const struct ppp_frame *f, bool eap)
{
    struct cursor c = cursor_of(f->data);
    struct span value = cursor_take(&c, cursor_u8(&c));

    if (c.short_)
        return;
    if (value.n != MSCHAPV2_CHALLENGE_LEN && (value.n != MSCHAPV1_CHALLENGE_LEN || eap))
        value.n = 0;
    if (o->challenge_seen && !o->retry && f->id == o->challenge_id &&
        span_eq(value, span_of(o->challenge, o->challenge_len)))
        return;
    o->challenge_seen = true;
    o->retry = o->expired = false;
    if (!eap)
        forget_answer(o);
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
    if (value.n != MSCHAP_RESPONSE_LEN || o->challenge_len == 0)
        return PPP_METHOD_NONE;
    if (eap)
        return PPP_METHOD_EAP_MSCHAPV2;
    return o->challenge_len == MSCHAPV2_CHALLENGE_LEN ? PPP_METHOD_MSCHAPV2 : PPP_METHOD_MSCHAPV1;
}

/* Keeps a response. Without the flag "use NT" (RFC 2433 4) it has only an LM response, which gives
 * no key here. */
static void keep_response(struct ppp_observer *o, const struct ppp_frame *f, struct span value)
{
    const struct span nt = span_sub(value, MSCHAP_NT_AT, PPP_NT_RESPONSE);

    switch (o->method) {
    case PPP_METHOD_CHAP_MD5: /* RFC 1994 4.1 */
        o->response_seen = true;
        o->response_id = f->id;
        o->last.seen = false;
        break;
    case PPP_METHOD_MSCHAPV1:
        keep_mschap(o, f->id, nt, span_of(NULL, 0));
        o->last.seen = value.p[MSCHAP_RESPONSE_LEN - 1] == 1;
        break;
    default: keep_mschap(o, f->id, nt, span_sub(value, 0, 16)); /* RFC 2759 4 */
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
        return is_repeated(o, f) ? PPP_FORWARD : PPP_DROP;
    /* inside EAP a response without a name has that of the Identity */
    const enum ppp_verdict v = eap && c.rest.n == 0 ? PPP_FORWARD : judge_name(o, c.rest);
    if (v != PPP_FORWARD)
        return v;
    o->method = method;
    begin_login(o);
    if (c.rest.n > 0)
        take_name(o, c.rest);
    if (!eap)
        take_answer(o, f,
                    method == PPP_METHOD_CHAP_MD5 ? value
                                                  : span_sub(value, MSCHAP_NT_AT, PPP_NT_RESPONSE));
    keep_response(o, f, value);
    return PPP_FORWARD;
}

/* Takes a change of password (RFC 2759 7): a response made with the new password, to the challenge
 * of the Failure that asked for the change. It has no name: the user is that of the previous
 * response. */
static enum ppp_verdict take_change_password(struct ppp_observer *o, const struct ppp_frame *f,
                                             bool eap)
{
    const struct span peer = span_sub(f->data, NEW_PASSWORD_LEN, 16);
    const struct span nt = span_sub(f->data, NEW_PASSWORD_LEN + 16 + 8, PPP_NT_RESPONSE);

    if (f->data.n != CHANGE_PASSWORD_LEN)
        return PPP_MALFORMED;
    if (!o->challenge_seen || !o->expired || o->challenge_len != MSCHAPV2_CHALLENGE_LEN)
        return PPP_DROP;
    if (!eap && o->answer_given)
        return is_repeated(o, f) ? PPP_FORWARD : PPP_DROP;
    if (!eap)
        take_answer(o, f, nt);
    begin_login(o);
    keep_mschap(o, f->id, nt, peer);
    return PPP_FORWARD;
}

static bool starts_with(struct span s, const char *text)
{
    return span_eq(span_sub(s, 0, strlen(text)), span_str(text));
}

static bool hex_octet(const uint8_t *digits, uint8_t *out)
{
    unsigned octet = 0;

    for (int i = 0; i < 2; i++) {
        uint8_t c = ascii_lower(digits[i]);
        if (c >= '0' && c <= '9')
            octet = octet << 4 | (c - (unsigned)'0');
        else if (c >= 'a' && c <= 'f')
            octet = octet << 4 | (c - (unsigned)'a' + 10);
        else
            return false;
    }
    *out = (uint8_t)octet;
    return true;
}

static bool hex_octets(struct span hex, uint8_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!hex_octet(hex.p + 2 * i, &out[i]))
            return false;
    return true;
}

/* Reads "S=<40 hex digits> M=<any text>" (RFC 2759 5). */
static void take_server_answer(struct ppp_mschap *m, struct span text)
{
    struct span hex = span_sub(text, 2, 2 * PPP_SERVER_ANSWER);
    m->answered = starts_with(text, "S=") && hex.n == 2 * PPP_SERVER_ANSWER &&
                  hex_octets(hex, m->server_answer, PPP_SERVER_ANSWER);
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
        let_in(o);
}

/* Takes the new challenge of a Failure if it is as long as the old one; ignores it otherwise. */
static void take_new_challenge(struct ppp_observer *o, struct span hex)
{
    uint8_t octets[sizeof o->challenge];

    if (hex.n == 2u * o->challenge_len && hex_octets(hex, octets, o->challenge_len))
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

    take_refusal(o, t.number);
    if (!o->response_seen || f->id != o->response_id)
        return;
    t.again = t.again && o->method != PPP_METHOD_CHAP_MD5;
    if (t.again)
        take_new_challenge(o, t.challenge);
    if (!eap)
        forget_answer(o);
    o->challenge_seen = t.again;
    o->retry = t.again;
    o->expired = t.again && t.expired;
    if (!t.expired) /* a change of password must be that of the same user */
        forget_login(o);
    if (!eap)
        o->result = t.again ? PPP_RESULT_PENDING : PPP_RESULT_FAILURE;
}

static void observe_chap_server(struct ppp_observer *o, const struct ppp_frame *f, bool eap)
{
    switch (f->code) {
    case CHAP_CHALLENGE: take_challenge(o, f, eap); break;
    case CHAP_SUCCESS: take_success(o, f, eap); break;
    case CHAP_FAILURE: take_failure(o, f, eap); break;
    }
}

static enum ppp_verdict take_chap(struct ppp_observer *o, const struct ppp_frame *f, bool eap)
{
    return f->code == CHAP_RESPONSE ? take_response(o, f, eap) : take_change_password(o, f, eap);
}

/* ---- EAP, RFC 3748 4 ---- */

static enum ppp_method eap_method(uint8_t type)
{
    switch (type) {
    case EAP_TYPE_MD5: return PPP_METHOD_EAP_MD5;
    case EAP_TYPE_TLS: return PPP_METHOD_EAP_TLS;
    case EAP_TYPE_PEAP: return PPP_METHOD_EAP_PEAP;
    case EAP_TYPE_MSCHAPV2: return PPP_METHOD_EAP_MSCHAPV2;
    }
    return PPP_METHOD_EAP;
}

/* Reads the data of EAP-MSCHAPv2 as a CHAP packet: its opcode, id, MS-Length and value are the
 * code, id, length and value of CHAP ([MS-CHAP] 2.2). */
static bool read_eap_mschapv2(struct span data, struct ppp_frame *inner)
{
    struct cursor c = cursor_of(data);

    *inner = (struct ppp_frame){.protocol = PPP_CHAP};
    inner->code = cursor_u8(&c);
    inner->id = cursor_u8(&c);
    const uint16_t len = cursor_u16(&c);
    if (c.short_ || len < EAP_MSCHAPV2_HEAD || len > data.n)
        return false;
    inner->info = span_sub(data, 0, len);
    inner->data = span_from(inner->info, EAP_MSCHAPV2_HEAD);
    return true;
}

static void take_eap_request(struct ppp_observer *o, uint8_t id, uint8_t type, struct span data)
{
    const bool again = id == o->eap_id && type == o->eap_type;
    struct ppp_frame inner;

    if (!again) {
        forget_answer(o);
        o->user_named = false;
    }
    o->eap_id = id;
    o->eap_type = type;
    if (type == EAP_TYPE_IDENTITY && !again) {
        o->result = PPP_RESULT_PENDING;
        o->challenge_seen = false;
    } else if (type == EAP_TYPE_MSCHAPV2 && read_eap_mschapv2(data, &inner)) {
        observe_chap_server(o, &inner, true);
    }
}

static void observe_eap_server(struct ppp_observer *o, const struct ppp_frame *f)
{
    struct cursor c = cursor_of(f->data);
    const uint8_t type = cursor_u8(&c);

    switch (f->code) {
    case EAP_REQUEST: take_eap_request(o, f->id, type, c.rest); return;
    /* 4.2 requires the identifier of the response, but peers accept any */
    case EAP_SUCCESS:
        if (o->asked == PPP_EAP)
            let_in(o);
        return;
    case EAP_FAILURE:
        take_refusal(o, 0);
        forget_login(o);
        o->result = PPP_RESULT_FAILURE;
        return;
    }
}

/* Returns whether the packet acknowledges the server's Success or Failure: it has only the opcode,
 * or, from some clients, the whole head of a packet. While a challenge is open no packet is such an
 * acknowledgement. */
static bool is_eap_mschapv2_ack(const struct ppp_observer *o, struct span data)
{
    const bool open = o->challenge_seen && !o->retry;

    if (data.n != 1 && data.n != EAP_MSCHAPV2_HEAD)
        return false;
    return (data.p[0] == CHAP_SUCCESS && !o->challenge_seen) ||
           (data.p[0] == CHAP_FAILURE && !open);
}

/* Takes a packet of EAP-MSCHAPv2. MS-Length must match the length of the EAP packet, because some
 * servers read only the first and some only the second. */
static enum ppp_verdict take_eap_mschapv2(struct ppp_observer *o, struct span data)
{
    struct ppp_frame inner;

    if (is_eap_mschapv2_ack(o, data))
        return PPP_FORWARD;
    if (!read_eap_mschapv2(data, &inner) || inner.info.n != data.n)
        return PPP_MALFORMED;
    if (inner.code != CHAP_RESPONSE && inner.code != MSCHAP_CHANGE_PASSWORD)
        return PPP_DROP;
    const enum ppp_verdict v = take_chap(o, &inner, true);
    if (v == PPP_FORWARD)
        begin_login(o);
    return v;
}

static enum ppp_verdict take_eap_identity(struct ppp_observer *o, struct span name)
{
    /* 5.1: a client with an unknown identity sends an empty one */
    const enum ppp_verdict v = name.n == 0 ? PPP_FORWARD : judge_name(o, name);

    if (v != PPP_FORWARD)
        return v;
    if (name.n > 0)
        take_name(o, name);
    o->method = PPP_METHOD_EAP;
    o->undecided = true;
    return PPP_FORWARD;
}

/* Takes a response of EAP-MD5, a value and a name (RFC 1994 4.1). pppd uses the secret of this
 * name, not of the Identity (PROTOCOL.md 5.4), so both names must be of the same user. */
static enum ppp_verdict take_eap_md5(struct ppp_observer *o, struct span data)
{
    struct cursor c = cursor_of(data);

    (void)cursor_take(&c, cursor_u8(&c));
    if (c.short_)
        return PPP_MALFORMED;
    const enum ppp_verdict v = c.rest.n == 0 ? PPP_FORWARD : judge_name(o, c.rest);
    if (v != PPP_FORWARD)
        return v;
    if (c.rest.n > 0)
        take_name(o, c.rest);
    begin_login(o);
    return PPP_FORWARD;
}

/* Takes the method from the client's response, because the client may answer the server's offer
 * with a Nak. */
static enum ppp_verdict take_eap_type(struct ppp_observer *o, uint8_t type, struct span data)
{
    enum ppp_verdict v = PPP_FORWARD;

    switch (type) {
    case EAP_TYPE_IDENTITY: return take_eap_identity(o, data);
    case EAP_TYPE_NOTIFICATION: return PPP_FORWARD;
    case EAP_TYPE_NAK: o->challenge_seen = false; break;
    case EAP_TYPE_MD5: v = take_eap_md5(o, data); break;
    case EAP_TYPE_MSCHAPV2: v = take_eap_mschapv2(o, data); break;
    default: begin_login(o);
    }
    if (v == PPP_FORWARD)
        o->method = eap_method(type);
    return v;
}

/* Returns whether a response answers the server's request: it has the identifier and the type of
 * the request, or is a Nak (4.1). After the Success no request is open. */
static bool answers_eap(const struct ppp_observer *o, const struct ppp_frame *f, uint8_t type)
{
    return o->asked == PPP_EAP && o->result != PPP_RESULT_SUCCESS && f->id == o->eap_id &&
           (type == o->eap_type || type == EAP_TYPE_NAK);
}

static enum ppp_verdict take_eap_response(struct ppp_observer *o, const struct ppp_frame *f)
{
    struct cursor c = cursor_of(f->data);
    const uint8_t type = cursor_u8(&c);

    if (c.short_)
        return PPP_MALFORMED;
    if (!answers_eap(o, f, type))
        return PPP_DROP;
    if (o->answer_given)
        return is_repeated(o, f) ? PPP_FORWARD : PPP_DROP;
    const enum ppp_verdict v = take_eap_type(o, type, c.rest);
    if (v == PPP_FORWARD)
        take_answer(o, f, f->info);
    return v;
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
    case PPP_CHAP: observe_chap_server(o, f, false); break;
    case PPP_EAP: observe_eap_server(o, f); break;
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
    case PPP_CHAP: v = take_chap(o, f, false); break;
    case PPP_EAP: v = take_eap_response(o, f); break;
    }
    o->auth_seen = o->auth_seen || v == PPP_FORWARD;
    return v;
}

void ppp_observer_init(struct ppp_observer *o)
{
    memset(o, 0, sizeof *o);
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
        take_refusal(o, 0);
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

/* Finds the user and the proof in a CHAP packet, whose layouts are those of take_response and
 * take_change_password. */
static bool chap_login(const struct ppp_frame *f, struct span *user, struct span *proof)
{
    struct cursor c = cursor_of(f->data);

    if (f->code == MSCHAP_CHANGE_PASSWORD) {
        *proof = span_sub(f->data, NEW_PASSWORD_LEN + 16 + 8, PPP_NT_RESPONSE);
        return proof->n == PPP_NT_RESPONSE;
    }
    const struct span value = cursor_take(&c, cursor_u8(&c));
    *user = c.rest;
    *proof =
        value.n == MSCHAP_RESPONSE_LEN ? span_sub(value, MSCHAP_NT_AT, PPP_NT_RESPONSE) : value;
    return !c.short_ && value.n > 0;
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
    case PPP_CHAP: return chap_login(&f, user, proof);
    case PPP_EAP:
        *proof = f.info;
        if (cursor_u8(&c) == EAP_TYPE_IDENTITY)
            *user = c.rest;
        return !c.short_;
    default: return false;
    }
}

const char *ppp_method_name(enum ppp_method m)
{
    switch (m) {
    case PPP_METHOD_NONE: return "none";
    case PPP_METHOD_PAP: return "pap";
    case PPP_METHOD_CHAP_MD5: return "chap-md5";
    case PPP_METHOD_MSCHAPV1: return "ms-chapv1";
    case PPP_METHOD_MSCHAPV2: return "ms-chapv2";
    case PPP_METHOD_EAP: return "eap";
    case PPP_METHOD_EAP_MD5: return "eap-md5";
    case PPP_METHOD_EAP_TLS: return "eap-tls";
    case PPP_METHOD_EAP_PEAP: return "eap-peap";
    case PPP_METHOD_EAP_MSCHAPV2: return "eap-mschapv2";
    }
    return "unknown";
}

bool ppp_method_has_keys(enum ppp_method m)
{
    switch (m) {
    case PPP_METHOD_MSCHAPV1:
    case PPP_METHOD_MSCHAPV2:
    case PPP_METHOD_EAP_TLS:
    case PPP_METHOD_EAP_PEAP:
    case PPP_METHOD_EAP_MSCHAPV2: return true;
    case PPP_METHOD_NONE:
    case PPP_METHOD_PAP:
    case PPP_METHOD_CHAP_MD5:
    case PPP_METHOD_EAP: /* no key is known for these, so no warning is due */
    case PPP_METHOD_EAP_MD5: break;
    }
    return false;
}
