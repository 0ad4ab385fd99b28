#include "client/echo.h"

enum {
    IP_HEAD = 20,
    IP_VERSION_4 = 4,
    IP_ICMP = 1,
    IP_TTL = 64,
    IP_FRAGMENT = 0x3fff, /* offset, and the flag of more fragments */
    ICMP_HEAD = 8,
    ICMP_ECHO_REPLY = 0,
    ICMP_ECHO_REQUEST = 8,
};

/* RFC 1071. 0xffff: the sum of a packet that contains its right checksum. */
static uint16_t sum_of(struct span s)
{
    uint32_t sum = 0;

    for (size_t i = 0; i < s.n; i++)
        sum += i % 2 == 0 ? (uint32_t)s.p[i] << 8 : s.p[i];
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)sum;
}

static void set_u16(uint8_t *at, unsigned value)
{
    at[0] = (uint8_t)(value >> 8);
    at[1] = (uint8_t)value;
}

void echo_build(const struct echo *e, uint8_t out[ECHO_LEN])
{
    uint8_t *icmp = out + IP_HEAD;

    memset(out, 0, ECHO_LEN);
    out[0] = IP_VERSION_4 << 4 | IP_HEAD / 4;
    set_u16(out + 2, ECHO_LEN);
    out[8] = IP_TTL;
    out[9] = IP_ICMP;
    memcpy(out + 12, e->source, ECHO_IP);
    memcpy(out + 16, e->target, ECHO_IP);
    set_u16(out + 10, (uint16_t)~sum_of(span_of(out, IP_HEAD)));
    icmp[0] = ICMP_ECHO_REQUEST;
    set_u16(icmp + 4, e->id);
    set_u16(icmp + 6, e->sequence);
    memcpy(icmp + ICMP_HEAD, "sstpgate", 8);
    set_u16(icmp + 2, (uint16_t)~sum_of(span_of(icmp, ECHO_LEN - IP_HEAD)));
}

/* Splits an IPv4 packet, which is no fragment, into its head and its content. */
static bool split(struct span packet, struct span *head, struct span *content)
{
    struct cursor c = cursor_of(packet);
    const uint8_t first = cursor_u8(&c);
    cursor_u8(&c);
    const uint16_t len = cursor_u16(&c);
    cursor_u16(&c);
    const uint16_t fragment = cursor_u16(&c);
    const size_t head_n = (first & 15u) * 4u;

    if (c.short_ || first >> 4 != IP_VERSION_4 || head_n < IP_HEAD || len < head_n ||
        len > packet.n || (fragment & IP_FRAGMENT) != 0)
        return false;
    *head = span_sub(packet, 0, head_n);
    *content = span_sub(packet, head_n, len - head_n);
    return true;
}

bool echo_parse_reply(struct span packet, struct echo *out)
{
    struct span head, icmp;

    if (!split(packet, &head, &icmp) || head.p[9] != IP_ICMP || icmp.n < ICMP_HEAD ||
        icmp.p[0] != ICMP_ECHO_REPLY || sum_of(head) != 0xffff || sum_of(icmp) != 0xffff)
        return false;
    memcpy(out->source, head.p + 12, ECHO_IP);
    memcpy(out->target, head.p + 16, ECHO_IP);
    struct cursor c = cursor_of(span_from(icmp, 4));
    out->id = cursor_u16(&c);
    out->sequence = cursor_u16(&c);
    return true;
}
