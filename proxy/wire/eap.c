#include "wire/eap.h"

enum {
    EAP_REQUEST = 1,
    EAP_RESPONSE = 2,
    EAP_HEADER = 4,
    TYPE_IDENTITY = 1,
    TYPE_MSCHAPV2 = 26,

    /* Opcodes of EAP-MSCHAPv2; its packets have the form of CHAP's after the type ([MS-CHAP] 2.2),
     * with the opcode for the code. */
    MSCHAPV2_RESPONSE = 2,
    MSCHAPV2_SUCCESS = 3,
    MSCHAPV2_CHANGE_PASSWORD = 7,

    RESPONSE_VALUE = 49,     /* RFC 2759 4: challenge 16, reserved 8, NT-Response 24, flags */
    PEER_CHALLENGE = 16 + 8, /* with the reserved bytes after it */
    NEW_PASSWORD = 516 + 16, /* RFC 2759 7: encrypted password and hash */
    CHANGE_PASSWORD_VALUE = NEW_PASSWORD + PEER_CHALLENGE + EAP_NT_RESPONSE + 2,
};

/* Returns the NT-Response in value. A Response has an byte with the value's length in front of it;
 * a Change-Password has not. */
static struct span nt_response_of(uint8_t opcode, struct span value)
{
    if (opcode == MSCHAPV2_RESPONSE && value.n > RESPONSE_VALUE && value.p[0] == RESPONSE_VALUE)
        return span_sub(value, 1 + PEER_CHALLENGE, EAP_NT_RESPONSE);
    if (opcode == MSCHAPV2_CHANGE_PASSWORD && value.n >= CHANGE_PASSWORD_VALUE)
        return span_sub(value, NEW_PASSWORD + PEER_CHALLENGE, EAP_NT_RESPONSE);
    return span_of(NULL, 0);
}

static void read_mschapv2(struct span packet, struct eap_packet *out)
{
    struct cursor c = cursor_of(packet);
    const uint8_t opcode = cursor_u8(&c);
    (void)cursor_u8(&c); /* identifier */
    const size_t len = cursor_u16(&c);

    if (c.short_ || len < EAP_HEADER || len > packet.n)
        return;
    if (out->request)
        out->accepted = opcode == MSCHAPV2_SUCCESS;
    else
        out->nt_response = nt_response_of(opcode, span_sub(packet, EAP_HEADER, len - EAP_HEADER));
}

bool eap_parse(struct span octets, struct eap_packet *out)
{
    struct cursor c = cursor_of(octets);
    const uint8_t code = cursor_u8(&c);
    (void)cursor_u8(&c); /* identifier */
    const size_t len = cursor_u16(&c);

    if (c.short_ || (code != EAP_REQUEST && code != EAP_RESPONSE) || len <= EAP_HEADER ||
        len > octets.n)
        return false;
    *out = (struct eap_packet){.request = code == EAP_REQUEST,
                               .whole = span_sub(octets, 0, len),
                               .data = span_sub(octets, EAP_HEADER, len - EAP_HEADER)};
    out->identity = out->data.p[0] == TYPE_IDENTITY;
    if (out->data.p[0] == TYPE_MSCHAPV2)
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
