#include "wire/ppp_eap.h"

#include "wire/ppp_chap.h"
#include "wire/ppp_codes.h"

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
    if (c.short_ || len < PPP_PACKET_HEAD || len > data.n)
        return false;
    inner->info = span_sub(data, 0, len);
    inner->data = span_from(inner->info, PPP_PACKET_HEAD);
    return true;
}

static void take_eap_request(struct ppp_observer *o, uint8_t id, uint8_t type, struct span data)
{
    const bool again = id == o->eap_id && type == o->eap_type;
    struct ppp_frame inner;

    if (!again) {
        ppp_observer_forget_answer(o);
        o->user_named = false;
    }
    o->eap_id = id;
    o->eap_type = type;
    if (type == EAP_TYPE_IDENTITY && !again) {
        o->result = PPP_RESULT_PENDING;
        o->challenge_seen = false;
    } else if (type == EAP_TYPE_MSCHAPV2 && read_eap_mschapv2(data, &inner)) {
        ppp_chap_server(o, &inner, true);
    }
}

void ppp_eap_server(struct ppp_observer *o, const struct ppp_frame *f)
{
    struct cursor c = cursor_of(f->data);
    const uint8_t type = cursor_u8(&c);

    switch (f->code) {
    case EAP_REQUEST: take_eap_request(o, f->id, type, c.rest); return;
    /* 4.2 requires the identifier of the response, but peers accept any */
    case EAP_SUCCESS:
        if (o->asked == PPP_EAP)
            ppp_observer_let_in(o);
        return;
    case EAP_FAILURE:
        ppp_observer_take_refusal(o, 0);
        ppp_observer_forget_login(o);
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

    if (data.n != 1 && data.n != PPP_PACKET_HEAD)
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
    if (inner.code != CHAP_RESPONSE && inner.code != CHAP_CHANGE_PASSWORD)
        return PPP_DROP;
    const enum ppp_verdict v = ppp_chap_client(o, &inner, true);
    if (v == PPP_FORWARD)
        ppp_observer_begin_login(o);
    return v;
}

static enum ppp_verdict take_eap_identity(struct ppp_observer *o, struct span name)
{
    /* 5.1: a client with an unknown identity sends an empty one */
    const enum ppp_verdict v = name.n == 0 ? PPP_FORWARD : ppp_observer_judge_name(o, name);

    if (v != PPP_FORWARD)
        return v;
    if (name.n > 0)
        ppp_observer_take_name(o, name);
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
    const enum ppp_verdict v = c.rest.n == 0 ? PPP_FORWARD : ppp_observer_judge_name(o, c.rest);
    if (v != PPP_FORWARD)
        return v;
    if (c.rest.n > 0)
        ppp_observer_take_name(o, c.rest);
    ppp_observer_begin_login(o);
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
    default: ppp_observer_begin_login(o);
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

enum ppp_verdict ppp_eap_client(struct ppp_observer *o, const struct ppp_frame *f)
{
    struct cursor c = cursor_of(f->data);
    const uint8_t type = cursor_u8(&c);

    if (c.short_)
        return PPP_MALFORMED;
    if (!answers_eap(o, f, type))
        return PPP_DROP;
    if (o->answer_given)
        return ppp_observer_is_repeated(o, f) ? PPP_FORWARD : PPP_DROP;
    const enum ppp_verdict v = take_eap_type(o, type, c.rest);
    if (v == PPP_FORWARD)
        ppp_observer_take_answer(o, f, f->info);
    return v;
}
