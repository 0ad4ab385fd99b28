#include "wire/ppp_frame.h"

#include "wire/ppp_codes.h"

enum {
    PROTOCOL_BACP = 0xc02b,
    PROTOCOL_BAP = 0xc02d,
    PROTOCOL_CBCP = 0xc029,
    PROTOCOL_LQR = 0xc025,
    PROTOCOL_LINK_MIN = 0xc000,    /* LCP, authentication and the like */
    PROTOCOL_CONTROL_MIN = 0x8000, /* RFC 1661 2: network data has numbers below */
};

#define CODE(n) (1u << (n))
#define ANY_CODE 0u

/* The link protocols that pass, and the codes that each side may send. LCP: 1 to 11 of RFC 1661,
 * Identification and Time-Remaining of RFC 1570, which Windows sends. CHAP: the client's 7 is the
 * change of password of RFC 2759; its 5 and 6 belong to MS-CHAPv1 and carry nothing that gives a
 * key. */
static const struct link_protocol {
    uint16_t protocol;
    unsigned
        codes[2]; /* by enum ppp_from; ANY_CODE: the content is not a packet or does not matter */
} link_protocols[] = {
    {PPP_LCP, {0x3ffe, 0x3ffe}},
    {PPP_PAP, {CODE(1), CODE(2) | CODE(3)}},
    {PPP_CHAP, {CODE(2) | CODE(7), CODE(1) | CODE(3) | CODE(4)}},
    {PPP_EAP, {CODE(2), CODE(1) | CODE(3) | CODE(4)}},
    {PROTOCOL_LQR, {ANY_CODE, ANY_CODE}},
    {PROTOCOL_CBCP, {ANY_CODE, ANY_CODE}},
    {PROTOCOL_BACP, {ANY_CODE, ANY_CODE}},
    {PROTOCOL_BAP, {ANY_CODE, ANY_CODE}},
};

static const struct link_protocol *link_protocol_of(uint16_t protocol)
{
    for (size_t i = 0; i < sizeof link_protocols / sizeof *link_protocols; i++)
        if (link_protocols[i].protocol == protocol)
            return &link_protocols[i];
    return NULL;
}

/* Splits a frame into protocol and information. False: the frame has no protocol field. */
static bool read_head(struct span octets, uint16_t *protocol, struct span *info)
{
    /* RFC 1662 3.1; left out after ACFC (RFC 1661 6.6), which is why FF begins no protocol. */
    if (octets.n >= 2 && octets.p[0] == 0xff && octets.p[1] == 0x03)
        octets = span_from(octets, 2);
    if (octets.n > 0 && octets.p[0] == 0xff)
        return false;

    struct cursor c = cursor_of(octets);
    *protocol = cursor_u8(&c);
    if ((*protocol & 1) == 0) /* two bytes: the first is even, the second odd (RFC 1661 2) */
        *protocol = (uint16_t)(*protocol << 8 | cursor_u8(&c));
    *info = c.rest;
    return !c.short_ && (*protocol & 1) == 1;
}

/* Reads the packet format that LCP, PAP, CHAP and EAP share. */
static bool read_packet(struct ppp_frame *f)
{
    struct cursor c = cursor_of(f->info);

    f->code = cursor_u8(&c);
    f->id = cursor_u8(&c);
    const uint16_t len = cursor_u16(&c);
    if (c.short_ || len < PPP_PACKET_HEAD || len > f->info.n)
        return false;
    f->info = span_sub(f->info, 0, len);
    f->data = span_from(f->info, PPP_PACKET_HEAD);
    return true;
}

static bool is_configure(const struct ppp_frame *f)
{
    return f->protocol == PPP_LCP && f->code >= LCP_CONFIGURE_REQUEST &&
           f->code <= LCP_CONFIGURE_REJECT;
}

/* Reads one option of LCP from c. False: the option is broken. */
static bool next_option(struct cursor *c, uint8_t *type, struct span *value)
{
    *type = cursor_u8(c);
    const uint8_t len = cursor_u8(c);
    if (len < 2)
        return false;
    *value = cursor_take(c, len - 2u);
    return !c->short_;
}

/* Returns whether the options are well formed and every server reads the same authentication: of
 * two such options some servers take the first, some the last, and an option without a protocol is
 * ambiguous. */
static bool options_are_clear(struct span options)
{
    struct cursor c = cursor_of(options);
    struct span value;
    uint8_t type;
    unsigned auth = 0;

    while (c.rest.n > 0) {
        if (!next_option(&c, &type, &value))
            return false;
        if (type == LCP_OPTION_AUTH && (value.n < 2 || auth++ > 0))
            return false;
    }
    return true;
}

bool ppp_frame_read(enum ppp_from from, struct span octets, struct ppp_frame *out)
{
    *out = (struct ppp_frame){0};
    if (!read_head(octets, &out->protocol, &out->info) ||
        out->info.n > PPP_FRAME_MAX - PPP_FRAME_HEAD)
        return false;
    if (out->protocol < PROTOCOL_LINK_MIN)
        return true;
    const struct link_protocol *p = link_protocol_of(out->protocol);
    if (p == NULL)
        return false;
    if (p->codes[from] == ANY_CODE)
        return true;
    return read_packet(out) && out->code <= PPP_CODE_MAX &&
           (p->codes[from] & CODE(out->code)) != 0 &&
           (!is_configure(out) || options_are_clear(out->data));
}

static void build_head(const struct ppp_frame *f, uint8_t head[PPP_FRAME_HEAD])
{
    head[0] = 0xff;
    head[1] = 0x03;
    head[2] = (uint8_t)(f->protocol >> 8);
    head[3] = (uint8_t)f->protocol;
}

bool ppp_frame_is_canonical(const struct ppp_frame *f, struct span octets)
{
    uint8_t head[PPP_FRAME_HEAD];

    build_head(f, head);
    return octets.n == PPP_FRAME_HEAD + f->info.n &&
           span_eq(span_sub(octets, 0, PPP_FRAME_HEAD), span_of(head, sizeof head));
}

size_t ppp_frame_build(const struct ppp_frame *f, uint8_t out[PPP_FRAME_MAX])
{
    build_head(f, out);
    if (f->info.n > 0)
        memcpy(out + PPP_FRAME_HEAD, f->info.p, f->info.n);
    return PPP_FRAME_HEAD + f->info.n;
}

bool ppp_frame_is_control(const struct ppp_frame *f)
{
    return f->protocol >= PROTOCOL_CONTROL_MIN;
}

bool ppp_frame_is_network(const struct ppp_frame *f)
{
    return f->protocol < PROTOCOL_LINK_MIN;
}

bool ppp_frame_auth_option(const struct ppp_frame *f, uint16_t *protocol, uint8_t *algorithm)
{
    struct cursor c = cursor_of(f->data);
    struct span value;
    uint8_t type;

    *protocol = 0;
    *algorithm = 0;
    while (c.rest.n > 0 && next_option(&c, &type, &value)) {
        if (type != LCP_OPTION_AUTH)
            continue;
        struct cursor v = cursor_of(value);
        *protocol = cursor_u16(&v);
        *algorithm = cursor_u8(&v);
        return true;
    }
    return false;
}

bool ppp_frame_assigned(struct span octets, uint8_t ip[4])
{
    struct ppp_frame f = {0};
    struct span value, address = {0};
    uint8_t type;

    if (!read_head(octets, &f.protocol, &f.info) || f.protocol != PPP_IPCP || !read_packet(&f) ||
        f.code != LCP_CONFIGURE_ACK)
        return false;
    struct cursor c = cursor_of(f.data);
    while (c.rest.n > 0) {
        if (!next_option(&c, &type, &value))
            return false;
        if (type == IPCP_OPTION_ADDRESS)
            address = value;
    }
    if (address.n != 4)
        return false;
    memcpy(ip, address.p, 4);
    return true;
}

enum ppp_relogin ppp_frame_relogin(struct span octets, struct span *request)
{
    uint16_t protocol;
    struct span info;

    if (!read_head(octets, &protocol, &info))
        return PPP_NO_LOGIN;
    if (protocol == PPP_PAP || protocol == PPP_CHAP || protocol == PPP_EAP)
        return PPP_LOGIN;
    if (protocol != PPP_LCP || info.n == 0 || info.p[0] != LCP_CONFIGURE_REQUEST)
        return PPP_NO_LOGIN;
    *request = info;
    return PPP_LCP_REQUEST;
}
