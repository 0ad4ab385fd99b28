#include "wire/radius.h"

enum { ATTRIBUTE_HEADER = 2 };

enum err radius_parse(struct span datagram, struct radius_packet *out)
{
    struct cursor c = cursor_of(datagram);
    struct radius_packet p = {.code = cursor_u8(&c), .id = cursor_u8(&c)};
    const size_t len = cursor_u16(&c);
    struct radius_attribute a;

    /* RFC 2865 3: bytes after Length are padding; a datagram that is shorter is discarded. */
    if (c.short_ || len < RADIUS_HEADER || len > RADIUS_MAX || len > datagram.n)
        return ERR_LENGTH;
    p.whole = span_sub(datagram, 0, len);
    p.authenticator = span_sub(p.whole, RADIUS_AUTHENTICATOR_AT, RADIUS_AUTHENTICATOR);
    p.attributes = span_from(p.whole, RADIUS_HEADER);
    c = cursor_of(p.attributes);
    while (radius_next(&c, &a))
        ;
    if (c.rest.n > 0) /* RFC 2865 5: an invalid Length ends the packet */
        return ERR_LENGTH;
    *out = p;
    return ERR_OK;
}

/* Attributes inside a Vendor-Specific have the same form (RFC 2865 5.26). */
bool radius_next(struct cursor *c, struct radius_attribute *out)
{
    if (c->rest.n < ATTRIBUTE_HEADER)
        return false;
    const size_t len = c->rest.p[1];
    if (len < ATTRIBUTE_HEADER || len > c->rest.n)
        return false;
    out->type = cursor_u8(c);
    (void)cursor_u8(c);
    out->value = cursor_take(c, len - ATTRIBUTE_HEADER);
    return true;
}

bool radius_find(const struct radius_packet *p, uint8_t type, struct span *value)
{
    struct cursor c = cursor_of(p->attributes);
    struct radius_attribute a;

    while (radius_next(&c, &a)) {
        if (a.type == type) {
            *value = a.value;
            return true;
        }
    }
    return false;
}

struct radius_ms_walk radius_ms_walk_of(const struct radius_packet *p)
{
    return (struct radius_ms_walk){.attributes = cursor_of(p->attributes)};
}

/* Opens a Vendor-Specific. False: it is not Microsoft's, or its attributes are malformed. */
static bool open_microsoft(struct span value, struct cursor *inside)
{
    struct cursor c = cursor_of(value);
    struct radius_attribute a;

    if (cursor_u32(&c) != RADIUS_MICROSOFT || c.short_)
        return false;
    *inside = c;
    while (radius_next(&c, &a))
        ;
    return c.rest.n == 0;
}

bool radius_ms_next(struct radius_ms_walk *w, struct radius_attribute *out)
{
    struct radius_attribute a;

    while (!radius_next(&w->inside, out)) {
        do {
            if (!radius_next(&w->attributes, &a))
                return false;
        } while (a.type != RADIUS_VENDOR_SPECIFIC || !open_microsoft(a.value, &w->inside));
    }
    return true;
}

bool radius_ms_find(const struct radius_packet *p, uint8_t type, struct span *value)
{
    struct radius_ms_walk w = radius_ms_walk_of(p);
    struct radius_attribute a;

    while (radius_ms_next(&w, &a)) {
        if (a.type == type) {
            *value = a.value;
            return true;
        }
    }
    return false;
}

struct span radius_eap(const struct radius_packet *p, uint8_t out[RADIUS_MAX])
{
    struct cursor c = cursor_of(p->attributes);
    struct radius_attribute a;
    size_t n = 0;

    while (radius_next(&c, &a)) {
        if (a.type != RADIUS_EAP_MESSAGE || a.value.n == 0)
            continue;
        memcpy(out + n, a.value.p, a.value.n); /* together they are shorter than the packet */
        n += a.value.n;
    }
    return span_of(out, n);
}

void radius_begin(struct radius_out *o, uint8_t code, uint8_t id)
{
    memset(o->octets, 0, RADIUS_HEADER);
    o->octets[0] = code;
    o->octets[1] = id;
    o->len = RADIUS_HEADER;
    o->full = false;
}

void radius_add(struct radius_out *o, uint8_t type, struct span value)
{
    const size_t n = ATTRIBUTE_HEADER + value.n;

    if (value.n > RADIUS_VALUE_MAX || n > RADIUS_MAX - o->len) {
        o->full = true;
        return;
    }
    o->octets[o->len] = type;
    o->octets[o->len + 1] = (uint8_t)n;
    if (value.n > 0)
        memcpy(o->octets + o->len + ATTRIBUTE_HEADER, value.p, value.n);
    o->len += n;
}

bool radius_end(struct radius_out *o)
{
    o->octets[2] = (uint8_t)(o->len >> 8);
    o->octets[3] = (uint8_t)(o->len & 0xff);
    return !o->full;
}

const char *radius_code_name(uint8_t code)
{
    switch ((enum radius_code)code) {
    case RADIUS_ACCESS_REQUEST: return "access-request";
    case RADIUS_ACCESS_ACCEPT: return "access-accept";
    case RADIUS_ACCESS_REJECT: return "access-reject";
    case RADIUS_ACCOUNTING_REQUEST: return "accounting-request";
    case RADIUS_ACCOUNTING_RESPONSE: return "accounting-response";
    case RADIUS_ACCESS_CHALLENGE: return "access-challenge";
    case RADIUS_STATUS_SERVER: return "status-server";
    }
    return "unknown";
}
