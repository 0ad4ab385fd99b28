#include "wire/eap.h"

#include "wire/ppp_codes.h"

/* Returns the NT-Response in value. A Response has a byte with the value's length in front of it;
 * a Change-Password has not. */
static struct span nt_response_of(uint8_t opcode, struct span value)
{
    if (opcode == CHAP_RESPONSE && value.n > PPP_MSCHAP_VALUE && value.p[0] == PPP_MSCHAP_VALUE)
        return span_sub(value, 1 + PPP_MSCHAP_NT_AT, PPP_NT_RESPONSE);
    if (opcode == CHAP_CHANGE_PASSWORD && value.n >= PPP_CHANGE_PASSWORD)
        return span_sub(value, PPP_CHANGE_PASSWORD_NT_AT, PPP_NT_RESPONSE);
    return span_of(NULL, 0);
}

static void read_mschapv2(struct span packet, struct eap_packet *out)
{
    struct cursor c = cursor_of(packet);
    const uint8_t opcode = cursor_u8(&c);
    (void)cursor_u8(&c); /* identifier */
    const size_t len = cursor_u16(&c);

    if (c.short_ || len < PPP_PACKET_HEAD || len > packet.n)
        return;
    if (out->request)
        out->accepted = opcode == CHAP_SUCCESS;
    else
        out->nt_response =
            nt_response_of(opcode, span_sub(packet, PPP_PACKET_HEAD, len - PPP_PACKET_HEAD));
}

bool eap_parse(struct span octets, struct eap_packet *out)
{
    struct cursor c = cursor_of(octets);
    const uint8_t code = cursor_u8(&c);
    (void)cursor_u8(&c); /* identifier */
    const size_t len = cursor_u16(&c);

    if (c.short_ || (code != EAP_REQUEST && code != EAP_RESPONSE) || len <= PPP_PACKET_HEAD ||
        len > octets.n)
        return false;
    *out = (struct eap_packet){.request = code == EAP_REQUEST,
                               .whole = span_sub(octets, 0, len),
                               .data = span_sub(octets, PPP_PACKET_HEAD, len - PPP_PACKET_HEAD)};
    out->identity = out->data.p[0] == EAP_TYPE_IDENTITY;
    if (out->data.p[0] == EAP_TYPE_MSCHAPV2)
        read_mschapv2(span_from(out->data, 1), out);
    return true;
}

bool eap_of_frame(struct span frame, struct span *packet)
{
    static const uint8_t head[] = {0xff, 0x03}, protocol[] = {0xc2, 0x27}; /* RFC 1661 2, 6.6 */

    if (span_eq(span_sub(frame, 0, 2), span_of(head, sizeof head)))
        frame = span_from(frame, sizeof head);
    *packet = span_from(frame, sizeof protocol);
    return span_eq(span_sub(frame, 0, 2), span_of(protocol, sizeof protocol));
}
