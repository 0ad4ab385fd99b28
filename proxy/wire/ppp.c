#include "wire/ppp.h"

enum {
    PROTOCOL_LCP = 0xc021,
    PROTOCOL_PAP = 0xc023,
    PROTOCOL_CHAP = 0xc223,
    PROTOCOL_EAP = 0xc227,
    PROTOCOL_LINK_MIN = 0xc000,    /* LCP, authentication and the like */
    PROTOCOL_CONTROL_MIN = 0x8000, /* RFC 1661 2: network data has numbers below */

    LCP_CONFIGURE_REQUEST = 1,
    LCP_CONFIGURE_ACK = 2,
    LCP_OPTION_AUTH = 3,

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
    MSCHAP_CHANGE_PASSWORD = 7, /* RFC 2759 7; its 5 and 6 belong to v1 and LM hashes */

    MSCHAPV1_CHALLENGE_LEN = 8,
    MSCHAPV2_CHALLENGE_LEN = 16,
    MSCHAP_RESPONSE_LEN =
        49, /* v1: LM 24, NT 24, flag; v2: challenge 16, reserved 8, NT 24, flags */
    MD5_RESPONSE_LEN = 16,
    NEW_PASSWORD_LEN = 516 + 16, /* encrypted password and hash */

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
};

/* Cuts a frame into protocol and information; false: there is no protocol field in it. */
static bool read_frame(struct span frame, uint16_t *protocol, struct span *info)
{
    /* RFC 1662 3.1; left out after ACFC (RFC 1661 6.6). FF is no protocol, not even compressed. */
    if (frame.n >= 2 && frame.p[0] == 0xff && frame.p[1] == 0x03)
        frame = span_from(frame, 2);

    struct cursor c = cursor_of(frame);
    *protocol = cursor_u8(&c);
    if ((*protocol & 1) == 0) /* two octets: the first is even, the second odd (RFC 1661 2) */
        *protocol = (uint16_t)(*protocol << 8 | cursor_u8(&c));
    *info = c.rest;
    return !c.short_ && (*protocol & 1) == 1;
}

/* What LCP, PAP, CHAP and EAP have in common. */
struct packet {
    uint8_t code;
    uint8_t id;
    struct span data; /* as the length says; octets behind are padding (RFC 1661 5) */
    struct span whole;
};

static bool read_packet(struct span s, struct packet *out)
{
    struct cursor c = cursor_of(s);

    out->code = cursor_u8(&c);
    out->id = cursor_u8(&c);
    uint16_t len = cursor_u16(&c);
    if (c.short_ || len < 4 || len > s.n)
        return false;
    out->data = span_sub(s, 4, len - 4u);
    out->whole = span_sub(s, 0, len);
    return true;
}

/* The client says who it is. It may do so once for each time it is asked: servers drop frames that
 * we would read (SoftEther those without FF 03, all of them those of a protocol that LCP did not
 * agree on), so of two names one may be for us and the other for the server. Then we know none.
 * Once the server is content there is nothing to answer: what is said then is said to us alone. */
static void take_user(struct ppp_observer *o, struct span name)
{
    name = span_sub(name, 0, PPP_USER_MAX);
    if (name.n == 0 || o->result == PPP_RESULT_SUCCESS)
        return;
    if (o->user_named && !span_eq(name, span_of(o->user, o->user_len))) {
        o->user_len = 0;
        return;
    }
    memcpy(o->user, name.p, name.n);
    o->user_len = (uint16_t)name.n;
    o->user_named = true;
}

/* As with names: of two answers to one question the server may have taken either. */
static void take_proof(struct ppp_observer *o, struct span proof)
{
    if (o->result == PPP_RESULT_SUCCESS)
        return;
    if (proof.n > sizeof o->proof ||
        (o->proof_given && !span_eq(proof, span_of(o->proof, o->proof_len))))
        proof.n = 0;
    o->proof_given = true;
    o->proof_len = (uint16_t)proof.n;
    if (proof.n > 0)
        memcpy(o->proof, proof.p, proof.n);
}

/* The server asks another question. */
static void forget_proof(struct ppp_observer *o)
{
    o->proof_given = false;
    o->proof_len = 0;
}

/* The authentication protocol among LCP's options; 0 when there is none. False: broken options. */
static bool read_auth_option(struct span options, uint16_t *protocol, uint8_t *algorithm)
{
    struct cursor c = cursor_of(options);

    *protocol = 0;
    *algorithm = 0;
    while (c.rest.n > 0) {
        uint8_t type = cursor_u8(&c);
        uint8_t len = cursor_u8(&c);
        if (len < 2)
            return false;
        struct cursor value = cursor_of(cursor_take(&c, len - 2u));
        if (c.short_)
            return false;
        if (type == LCP_OPTION_AUTH) {
            *protocol = cursor_u16(&value);
            *algorithm = cursor_u8(&value);
        }
    }
    return true;
}

static enum ppp_method agreed_method(uint16_t protocol, uint8_t algorithm)
{
    if (protocol == PROTOCOL_PAP)
        return PPP_METHOD_PAP;
    if (protocol == PROTOCOL_EAP)
        return PPP_METHOD_EAP;
    if (protocol == PROTOCOL_CHAP && algorithm == CHAP_ALGORITHM_MD5)
        return PPP_METHOD_CHAP_MD5;
    if (protocol == PROTOCOL_CHAP && algorithm == CHAP_ALGORITHM_MSCHAPV1)
        return PPP_METHOD_MSCHAPV1;
    if (protocol == PROTOCOL_CHAP && algorithm == CHAP_ALGORITHM_MSCHAPV2)
        return PPP_METHOD_MSCHAPV2;
    return PPP_METHOD_NONE;
}

/* A server that goes on has what it asked for, whatever we could read of the client's Ack: not all
 * are strict about lengths. */
static void settle_lcp(struct ppp_observer *o)
{
    if (!o->lcp_pending)
        return;
    o->lcp_pending = false;
    o->method = o->lcp_method = agreed_method(o->lcp_auth, o->lcp_algorithm);
}

/* What the server asks for and the client agrees to. The client asking the server to authenticate
 * is nothing that keys or bindings depend on. */
static void observe_lcp(struct ppp_observer *o, enum ppp_from from, const struct packet *p)
{
    uint16_t protocol;
    uint8_t algorithm;

    if (p->code == LCP_CONFIGURE_REQUEST && from == PPP_FROM_SERVER) {
        /* The link is negotiated anew. Where the client begins it the server sends a request as
         * well (RFC 1661 4.1), and the client's word alone must not make us forget. */
        if (o->auth_seen)
            ppp_observer_init(o);
        if (!read_auth_option(p->data, &protocol, &algorithm))
            return;
        o->lcp_pending = true;
        o->lcp_id = p->id;
        o->lcp_auth = protocol;
        o->lcp_algorithm = algorithm;
    } else if (p->code == LCP_CONFIGURE_ACK && from == PPP_FROM_CLIENT) {
        if (!o->lcp_pending || p->id != o->lcp_id ||
            !read_auth_option(p->data, &protocol, &algorithm) || protocol != o->lcp_auth ||
            algorithm != o->lcp_algorithm)
            return;
        settle_lcp(o);
    }
}

/* RFC 1661 3.5: what LCP did not agree on is discarded. Who could talk us into another method than
 * the server's could bind with that one's key, and those without keys have zeros. */
static bool agreed_on(const struct ppp_observer *o, uint16_t protocol)
{
    switch (o->lcp_method) {
    case PPP_METHOD_NONE: return true;
    case PPP_METHOD_PAP: return protocol == PROTOCOL_PAP;
    case PPP_METHOD_EAP: return protocol == PROTOCOL_EAP;
    default: return protocol == PROTOCOL_CHAP;
    }
}

/* A PAP request answers no question, so it counts where the server must be waiting for one. RFC
 * 1334 2.2.1: once it is acknowledged it gets the same reply, whatever is in it. */
static bool pap_may_come(const struct ppp_observer *o)
{
    return o->result != PPP_RESULT_SUCCESS &&
           (o->method == PPP_METHOD_NONE || o->method == PPP_METHOD_PAP);
}

/* RFC 1334 2.2 */
static void observe_pap(struct ppp_observer *o, enum ppp_from from, const struct packet *p)
{
    struct cursor c = cursor_of(p->data);

    if (p->code == PAP_REQUEST && from == PPP_FROM_CLIENT) {
        struct span user = cursor_take(&c, cursor_u8(&c));
        (void)cursor_take(&c, cursor_u8(&c)); /* the password: none of our business */
        if (c.short_ || !pap_may_come(o))
            return;
        o->method = PPP_METHOD_PAP;
        take_user(o, user);
    } else if (from == PPP_FROM_SERVER && o->method == PPP_METHOD_PAP) {
        if (p->code == PAP_ACK) {
            o->result = PPP_RESULT_SUCCESS;
        } else if (p->code == PAP_NAK) {
            o->result = PPP_RESULT_FAILURE;
            o->failures++;
            o->user_named = false;
        }
    }
}

/* A response that has come stays as it is: the Success for it may still be on its way behind a
 * retransmitted challenge. For the same reason a retransmission does not ask for a name again. */
static void take_challenge(struct ppp_observer *o, const struct packet *p, bool eap)
{
    struct cursor c = cursor_of(p->data);
    struct span value = cursor_take(&c, cursor_u8(&c));

    if (c.short_)
        return;
    if (value.n != MSCHAPV2_CHALLENGE_LEN && (value.n != MSCHAPV1_CHALLENGE_LEN || eap))
        value.n = 0;
    if (o->challenge_seen && !o->retry && p->id == o->challenge_id &&
        span_eq(value, span_of(o->challenge, o->challenge_len)))
        return;
    o->challenge_seen = true;
    o->retry = o->expired = false;
    if (!eap)
        forget_proof(o);
    o->user_named = false;
    o->result = PPP_RESULT_PENDING;
    o->challenge_id = p->id;
    o->challenge_len = (uint8_t)value.n;
    if (value.n > 0)
        memcpy(o->challenge, value.p, value.n);
}

/* nt: 24 octets. peer: 16 octets, or none for v1. The user is whom we know by now: of the name in
 * this response and an earlier one, none if they differ. */
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

/* The lengths of challenge and response tell the methods of the family apart (PROTOCOL.md 5.2). */
static void take_response(struct ppp_observer *o, const struct packet *p, bool eap)
{
    struct cursor c = cursor_of(p->data);
    struct span value = cursor_take(&c, cursor_u8(&c));

    if (c.short_ || !o->challenge_seen || (p->id != o->challenge_id && !o->retry))
        return;
    const bool mschap = value.n == MSCHAP_RESPONSE_LEN && o->challenge_len > 0;
    if (!mschap && (value.n != MD5_RESPONSE_LEN || eap))
        return;
    const enum ppp_method method = !mschap ? PPP_METHOD_CHAP_MD5
                                   : o->challenge_len != MSCHAPV2_CHALLENGE_LEN
                                       ? PPP_METHOD_MSCHAPV1
                                   : eap ? PPP_METHOD_EAP_MSCHAPV2
                                         : PPP_METHOD_MSCHAPV2;
    if (!eap && o->lcp_method != PPP_METHOD_NONE && o->lcp_method != method)
        return; /* as in agreed_on: LCP names the member of the family, too */
    take_user(o, c.rest);
    if (!eap)
        take_proof(o, method == PPP_METHOD_CHAP_MD5 ? value : span_sub(value, 24, PPP_NT_RESPONSE));
    o->method = method;
    if (method == PPP_METHOD_CHAP_MD5) {
        /* RFC 1994 4.1 */
        o->response_seen = true;
        o->response_id = p->id;
        o->last.seen = false;
    } else if (method == PPP_METHOD_MSCHAPV1) {
        /* RFC 2433 4; without the flag "use NT" there is only an LM response, which gives us no key
         */
        keep_mschap(o, p->id, span_sub(value, 24, PPP_NT_RESPONSE), span_of(NULL, 0));
        o->last.seen = value.p[48] == 1;
    } else {
        /* RFC 2759 4 */
        keep_mschap(o, p->id, span_sub(value, 24, PPP_NT_RESPONSE), span_sub(value, 0, 16));
    }
}

/* RFC 2759 7: a response made with the new password, to the challenge of the Failure that asked for
 * the change. It bears no name: the user is that of the response before. */
static void take_change_password(struct ppp_observer *o, const struct packet *p, bool eap)
{
    struct cursor c = cursor_of(p->data);
    (void)cursor_take(&c, NEW_PASSWORD_LEN);
    struct span peer = cursor_take(&c, 16);
    (void)cursor_take(&c, 8); /* reserved */
    struct span nt = cursor_take(&c, PPP_NT_RESPONSE);
    (void)cursor_take(&c, 2); /* flags */

    if (c.short_ || !o->challenge_seen || !o->expired || o->challenge_len != MSCHAPV2_CHALLENGE_LEN)
        return;
    if (!eap)
        take_proof(o, nt);
    keep_mschap(o, p->id, nt, peer);
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

/* "S=<40 hex digits> M=<any text>" (RFC 2759 5) */
static void take_server_answer(struct ppp_mschap *m, struct span text)
{
    struct span hex = span_sub(text, 2, 2 * PPP_SERVER_ANSWER);
    m->answered = starts_with(text, "S=") && hex.n == 2 * PPP_SERVER_ANSWER &&
                  hex_octets(hex, m->server_answer, PPP_SERVER_ANSWER);
}

static void take_success(struct ppp_observer *o, const struct packet *p, bool eap)
{
    if (!o->response_seen || p->id != o->response_id)
        return;
    o->challenge_seen = false;
    if (o->last.seen) {
        o->confirmed = o->last;
        if (!o->last.v1)
            take_server_answer(&o->confirmed, p->data);
    }
    if (!eap)
        o->result = PPP_RESULT_SUCCESS;
}

/* The new challenge in a Failure: as many octets as the old one had, or the word is passed over. */
static void take_new_challenge(struct ppp_observer *o, struct span hex)
{
    uint8_t octets[sizeof o->challenge];

    if (hex.n == 2u * o->challenge_len && hex_octets(hex, octets, o->challenge_len))
        memcpy(o->challenge, octets, o->challenge_len);
}

/* "E=691 R=1 C=<hex> V=3 M=<any text>" (RFC 2759 6, RFC 2433 6). R=1 allows another response, E=648
 * (password expired) a change of password whatever R says; both answer the challenge in C= and
 * bear an identifier of their own. MD5 has no such words and so no second try. */
static void take_failure(struct ppp_observer *o, const struct packet *p, bool eap)
{
    struct span text = p->data;
    struct span challenge = {0};
    bool again = false, expired = false;

    if (!o->response_seen || p->id != o->response_id)
        return;
    while (text.n > 0 && !starts_with(text, "M=")) {
        size_t n = 0;
        while (n < text.n && text.p[n] != ' ')
            n++;
        struct span word = span_sub(text, 0, n);
        text = span_from(text, n + 1);
        if (span_eq(word, span_str("R=1")))
            again = true;
        else if (span_eq(word, span_str("E=648")))
            again = expired = true;
        else if (starts_with(word, "C="))
            challenge = span_from(word, 2);
    }
    again = again && o->method != PPP_METHOD_CHAP_MD5;
    if (again)
        take_new_challenge(o, challenge);
    if (!eap)
        forget_proof(o);
    o->failures++;
    o->challenge_seen = again;
    o->retry = again;
    o->expired = again && expired;
    if (!expired) /* what comes for a new password is of the same user */
        o->user_named = false;
    if (!eap)
        o->result = again ? PPP_RESULT_PENDING : PPP_RESULT_FAILURE;
}

/* eap: the packet is an EAP-MSCHAPv2 one. There, acknowledgements of the client are a lone opcode:
 * no packet, and nothing that we miss. */
static void observe_chap(struct ppp_observer *o, enum ppp_from from, const struct packet *p,
                         bool eap)
{
    if (from == PPP_FROM_SERVER) {
        switch (p->code) {
        case CHAP_CHALLENGE: take_challenge(o, p, eap); break;
        case CHAP_SUCCESS: take_success(o, p, eap); break;
        case CHAP_FAILURE: take_failure(o, p, eap); break;
        }
    } else {
        switch (p->code) {
        case CHAP_RESPONSE: take_response(o, p, eap); break;
        case MSCHAP_CHANGE_PASSWORD: take_change_password(o, p, eap); break;
        }
    }
}

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

/* From the type on, EAP-MSCHAPv2 is a CHAP packet: opcode, id, MS-Length and value stand as code,
 * id, length and value ([MS-CHAP] 2.2). */
static void observe_eap_mschapv2(struct ppp_observer *o, enum ppp_from from, struct span data)
{
    struct packet inner;

    if (read_packet(data, &inner))
        observe_chap(o, from, &inner, true);
}

static void take_eap_request(struct ppp_observer *o, uint8_t id, uint8_t type, struct span data)
{
    bool again = id == o->eap_id && type == o->eap_type;

    if (!again)
        forget_proof(o);
    o->eap_id = id;
    o->eap_type = type;
    if (type == EAP_TYPE_IDENTITY && !again) {
        o->result = PPP_RESULT_PENDING;
        o->challenge_seen = false;
        o->user_named = false;
    } else if (type == EAP_TYPE_MSCHAPV2) {
        observe_eap_mschapv2(o, PPP_FROM_SERVER, data);
    }
}

/* The client decides by what it responds to: a method it was offered may get a Nak. */
static void take_eap_response(struct ppp_observer *o, uint8_t type, struct span data)
{
    switch (type) {
    case EAP_TYPE_IDENTITY:
        o->method = PPP_METHOD_EAP;
        take_user(o, data);
        return;
    case EAP_TYPE_NOTIFICATION: return;
    case EAP_TYPE_NAK:
        o->method = PPP_METHOD_EAP;
        o->challenge_seen = false;
        return;
    }
    o->method = eap_method(type);
    if (type == EAP_TYPE_MSCHAPV2)
        observe_eap_mschapv2(o, PPP_FROM_CLIENT, data);
}

/* RFC 3748 4 */
static void observe_eap(struct ppp_observer *o, enum ppp_from from, const struct packet *p)
{
    struct cursor c = cursor_of(p->data);
    uint8_t type = cursor_u8(&c);

    if (from == PPP_FROM_CLIENT) {
        /* 4.1: the identifier is that of the request, the type too, or a Nak. Behind the Success
         * nothing is asked. */
        if (p->code == EAP_RESPONSE && p->id == o->eap_id && !c.short_ &&
            o->result != PPP_RESULT_SUCCESS && (type == o->eap_type || type == EAP_TYPE_NAK)) {
            take_proof(o, p->whole);
            take_eap_response(o, type, c.rest);
        }
        return;
    }
    switch (p->code) {
    case EAP_REQUEST: take_eap_request(o, p->id, type, c.rest); return;
    /* 4.2 wants the identifier of the response here; peers take others as well, so we do */
    case EAP_SUCCESS: o->result = PPP_RESULT_SUCCESS; return;
    case EAP_FAILURE:
        /* inside EAP-MSCHAPv2 there was a Failure for it already */
        if (o->result != PPP_RESULT_FAILURE && o->method != PPP_METHOD_EAP_MSCHAPV2)
            o->failures++;
        o->result = PPP_RESULT_FAILURE;
        return;
    }
}

void ppp_observer_init(struct ppp_observer *o)
{
    memset(o, 0, sizeof *o);
}

void ppp_observe(struct ppp_observer *o, enum ppp_from from, struct span frame)
{
    uint16_t protocol;
    struct span info;
    struct packet p;

    if (!read_frame(frame, &protocol, &info) || protocol < PROTOCOL_CONTROL_MIN ||
        !read_packet(info, &p))
        return;
    if (protocol != PROTOCOL_LCP && from == PPP_FROM_SERVER)
        settle_lcp(o);
    if (protocol != PROTOCOL_LCP && !agreed_on(o, protocol))
        return;
    switch (protocol) {
    case PROTOCOL_LCP: observe_lcp(o, from, &p); return;
    case PROTOCOL_PAP: observe_pap(o, from, &p); break;
    case PROTOCOL_CHAP: observe_chap(o, from, &p, false); break;
    case PROTOCOL_EAP: observe_eap(o, from, &p); break;
    default: return;
    }
    o->auth_seen = true;
}

/* The layouts are those of take_response and take_change_password. */
static bool chap_login(const struct packet *p, struct span *user, struct span *proof)
{
    struct cursor c = cursor_of(p->data);

    if (p->code == MSCHAP_CHANGE_PASSWORD) {
        *proof = span_sub(p->data, NEW_PASSWORD_LEN + 16 + 8, PPP_NT_RESPONSE);
        return proof->n == PPP_NT_RESPONSE;
    }
    struct span value = cursor_take(&c, cursor_u8(&c));
    *user = c.rest;
    *proof = value.n == MSCHAP_RESPONSE_LEN ? span_sub(value, 24, PPP_NT_RESPONSE) : value;
    return p->code == CHAP_RESPONSE && !c.short_ && value.n > 0;
}

bool ppp_login(struct span frame, struct span *user, struct span *proof)
{
    uint16_t protocol;
    struct span info;
    struct packet p;

    *user = *proof = span_of(NULL, 0);
    if (!read_frame(frame, &protocol, &info) || !read_packet(info, &p))
        return false;
    struct cursor c = cursor_of(p.data);
    switch (protocol) {
    case PROTOCOL_PAP:
        *user = cursor_take(&c, cursor_u8(&c));
        return p.code == PAP_REQUEST && !c.short_;
    case PROTOCOL_CHAP: return chap_login(&p, user, proof);
    case PROTOCOL_EAP:
        *proof = p.whole;
        if (cursor_u8(&c) == EAP_TYPE_IDENTITY)
            *user = c.rest;
        return p.code == EAP_RESPONSE && !c.short_;
    default: return false;
    }
}

bool ppp_is_control(struct span frame)
{
    uint16_t protocol;
    struct span info;

    return read_frame(frame, &protocol, &info) && protocol >= PROTOCOL_CONTROL_MIN;
}

bool ppp_is_network(struct span frame)
{
    uint16_t protocol;
    struct span info;

    return read_frame(frame, &protocol, &info) && protocol < PROTOCOL_LINK_MIN;
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
    case PPP_METHOD_EAP: /* nobody knows; no reason to complain */
    case PPP_METHOD_EAP_MD5: break;
    }
    return false;
}
