#include "wire/sstp.h"

enum {
    CONTROL_BIT = 0x01,
    LENGTH_MASK = 0x0fff, /* the upper 4 bits are reserved ([MS-SSTP] 2.2.1, 2.2.4) */
    ATTRIBUTE_HEADER = 4,

    /* bytes of attributes without their headers ([MS-SSTP] 2.2.5 to 2.2.8) */
    PROTOCOL_VALUE = 2,
    BINDING_REQUEST_VALUE = 36,
    BINDING_VALUE = 100,
    STATUS_VALUE = 8,
    SORZ_STATUS_VALUE = 4,

    PROTOCOL_PPP = 1,
    MAC_LEN = 32,
};

enum err sstp_parse(struct span in, struct sstp_packet *out)
{
    struct cursor c = cursor_of(in);
    uint8_t version = cursor_u8(&c);
    uint8_t flags = cursor_u8(&c);
    uint16_t len = cursor_u16(&c) & LENGTH_MASK;
    bool control = flags & CONTROL_BIT;

    if (in.n >= 1 && version != SSTP_VERSION)
        return ERR_VERSION;
    if (c.short_)
        return ERR_MORE;
    if (len < (control ? SSTP_CONTROL_MIN : SSTP_HEADER))
        return ERR_LENGTH;
    if (in.n < len)
        return ERR_MORE;

    *out = (struct sstp_packet){.control = control, .len = len, .type = SSTP_DATA};
    c = cursor_of(span_sub(in, SSTP_HEADER, len - SSTP_HEADER));
    if (control) {
        out->type = cursor_u16(&c);
        out->attributes = cursor_u16(&c);
    }
    out->body = c.rest;
    return ERR_OK;
}

struct span sstp_without_reserved(struct span packet, uint8_t out[SSTP_PACKET_MAX])
{
    if (((packet.p[1] & ~CONTROL_BIT) | (packet.p[2] & ~(LENGTH_MASK >> 8))) == 0)
        return packet;
    memcpy(out, packet.p, packet.n);
    out[1] &= CONTROL_BIT;
    out[2] &= LENGTH_MASK >> 8;
    return span_of(out, packet.n);
}

void sstp_build_data(uint8_t packet[SSTP_DATA_HEAD], size_t n)
{
    const size_t len = n + SSTP_DATA_HEAD;

    packet[0] = SSTP_VERSION;
    packet[1] = 0;
    packet[2] = (uint8_t)(len >> 8);
    packet[3] = (uint8_t)len;
}

/* A position among the attributes of a packet. */
struct sstp_walk {
    struct cursor c;
    unsigned left; /* attributes that the packet claims; accel-ppp's Nak has bytes behind them */
};

struct sstp_raw_attribute {
    uint8_t id;
    struct span value;
};

static struct sstp_walk walk_of(const struct sstp_packet *p)
{
    return (struct sstp_walk){.c = cursor_of(p->body), .left = p->attributes};
}

/* Reads the next attribute. ERR_MISSING: no attribute is left. ERR_LENGTH: it does not end inside
 * the packet. */
static enum err next_attribute(struct sstp_walk *w, struct sstp_raw_attribute *out)
{
    if (w->left == 0 || w->c.rest.n == 0)
        return ERR_MISSING;
    w->left--;
    (void)cursor_u8(&w->c); /* reserved */
    out->id = cursor_u8(&w->c);
    uint16_t len = cursor_u16(&w->c) & LENGTH_MASK;
    if (len < ATTRIBUTE_HEADER)
        return ERR_LENGTH;
    out->value = cursor_take(&w->c, (size_t)len - ATTRIBUTE_HEADER);
    return w->c.short_ ? ERR_LENGTH : ERR_OK;
}

/* Finds the first attribute with this id. ERR_LENGTH: its value does not have n bytes. */
static enum err find_attribute(const struct sstp_packet *p, uint8_t id, size_t n, struct span *out)
{
    struct sstp_walk w = walk_of(p);
    struct sstp_raw_attribute a;
    enum err e;

    do {
        e = next_attribute(&w, &a);
        if (e != ERR_OK)
            return e;
    } while (a.id != id);
    if (a.value.n != n)
        return ERR_LENGTH;
    *out = a.value;
    return ERR_OK;
}

enum err sstp_parse_ack(const struct sstp_packet *p, struct sstp_ack *out)
{
    struct span value;
    enum err e = find_attribute(p, SSTP_ATTR_BINDING_REQUEST, BINDING_REQUEST_VALUE, &value);
    if (e != ERR_OK)
        return e;

    struct cursor c = cursor_of(value);
    (void)cursor_take(&c, 3); /* reserved */
    out->mask = cursor_u8(&c);
    out->nonce = cursor_take(&c, SSTP_NONCE);
    return ERR_OK;
}

enum err sstp_parse_connect_request(const struct sstp_packet *p)
{
    struct span value;
    enum err e = find_attribute(p, SSTP_ATTR_PROTOCOL, PROTOCOL_VALUE, &value);
    if (e != ERR_OK)
        return e;

    struct cursor c = cursor_of(value);
    return cursor_u16(&c) == PROTOCOL_PPP ? ERR_OK : ERR_RANGE;
}

enum err sstp_parse_connected(const struct sstp_packet *p, struct sstp_connected *out)
{
    struct span value;
    enum err e = find_attribute(p, SSTP_ATTR_BINDING, BINDING_VALUE, &value);
    if (e != ERR_OK)
        return e;
    /* The MAC covers the whole message, so no other attribute is allowed. */
    if (p->len != SSTP_CONNECTED_LEN || p->attributes != 1)
        return ERR_LENGTH;

    struct cursor c = cursor_of(value);
    (void)cursor_take(&c, 3); /* reserved */
    out->hash = cursor_u8(&c);
    out->nonce = cursor_take(&c, SSTP_NONCE);
    out->cert_hash = cursor_take(&c, MAC_LEN);
    out->mac = cursor_take(&c, MAC_LEN);
    return ERR_OK;
}

enum err sstp_parse_status(const struct sstp_packet *p, struct sstp_status_info *out)
{
    struct sstp_walk w = walk_of(p);
    struct sstp_raw_attribute a;

    while (next_attribute(&w, &a) == ERR_OK) {
        struct cursor c = cursor_of(a.value);
        if (a.id == SSTP_ATTR_STATUS && a.value.n >= STATUS_VALUE) {
            (void)cursor_take(&c, 3); /* reserved */
            out->attribute = cursor_u8(&c);
            out->status = cursor_u32(&c);
            return ERR_OK;
        }
        /* sorz: the status follows the header, with id 0 in a Disconnect (PROTOCOL.md 3.3) */
        if ((a.id == SSTP_ATTR_STATUS || a.id == SSTP_ATTR_NONE) &&
            a.value.n == SORZ_STATUS_VALUE) {
            out->attribute = SSTP_ATTR_NONE;
            out->status = cursor_u32(&c);
            return ERR_OK;
        }
    }
    return ERR_MISSING;
}

void sstp_build_status(uint8_t out[SSTP_STATUS_LEN], enum sstp_type type,
                       enum sstp_attribute attribute, enum sstp_status status)
{
    const uint8_t message[SSTP_STATUS_LEN] = {
        SSTP_VERSION,
        CONTROL_BIT,
        0,
        SSTP_STATUS_LEN, /* header */
        0,
        (uint8_t)type,
        0,
        1, /* one attribute */
        0,
        SSTP_ATTR_STATUS,
        0,
        ATTRIBUTE_HEADER + STATUS_VALUE, /* its header */
        0,
        0,
        0,
        (uint8_t)attribute, /* the attribute that caused the status */
        0,
        0,
        0,
        (uint8_t)status, /* all are < 256 */
    };
    memcpy(out, message, sizeof message);
}

const char *sstp_type_name(unsigned type)
{
    switch (type) {
    case SSTP_DATA: return "data";
    case SSTP_CONNECT_REQUEST: return "call-connect-request";
    case SSTP_CONNECT_ACK: return "call-connect-ack";
    case SSTP_CONNECT_NAK: return "call-connect-nak";
    case SSTP_CONNECTED: return "call-connected";
    case SSTP_ABORT: return "call-abort";
    case SSTP_DISCONNECT: return "call-disconnect";
    case SSTP_DISCONNECT_ACK: return "call-disconnect-ack";
    case SSTP_ECHO_REQUEST: return "echo-request";
    case SSTP_ECHO_RESPONSE: return "echo-response";
    }
    return "unknown";
}

const char *sstp_status_name(uint32_t status)
{
    switch (status) {
    case SSTP_STATUS_NO_ERROR: return "no-error";
    case SSTP_STATUS_DUPLICATE_ATTRIBUTE: return "duplicate-attribute";
    case SSTP_STATUS_UNRECOGNIZED_ATTRIBUTE: return "unrecognized-attribute";
    case SSTP_STATUS_INVALID_LENGTH: return "invalid-attribute-length";
    case SSTP_STATUS_VALUE_NOT_SUPPORTED: return "value-not-supported";
    case SSTP_STATUS_UNACCEPTED_FRAME: return "unaccepted-frame";
    case SSTP_STATUS_RETRY_EXCEEDED: return "retry-count-exceeded";
    case SSTP_STATUS_INVALID_FRAME: return "invalid-frame";
    case SSTP_STATUS_NEGOTIATION_TIMEOUT: return "negotiation-timeout";
    case SSTP_STATUS_ATTRIBUTE_NOT_SUPPORTED: return "attribute-not-supported";
    case SSTP_STATUS_REQUIRED_MISSING: return "required-attribute-missing";
    case SSTP_STATUS_INFO_NOT_SUPPORTED: return "status-info-not-supported";
    }
    return "unknown";
}
