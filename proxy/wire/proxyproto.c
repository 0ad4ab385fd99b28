#include "wire/proxyproto.h"

#include "base/ascii.h"
#include "wire/ip_text.h"

/* Section numbers are those of haproxy's doc/proxy-protocol.txt. */

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

enum { HEAD = 16, VERSION_2 = 0x20, COMMAND_LOCAL = 0, COMMAND_PROXY = 1 };
enum { FAMILY_UNSPEC = 0, FAMILY_INET = 1, FAMILY_INET6 = 2, FAMILY_UNIX = 3 };
enum { TRANSPORT_UNSPEC = 0, TRANSPORT_STREAM = 1, TRANSPORT_DGRAM = 2 };
enum { INET_LEN = 12, INET6_LEN = 36, UNIX_LEN = 216 };

/* Types of TLVs (2.2). */
enum proxyproto_tlv {
    TLV_ALPN = 0x01,
    TLV_AUTHORITY = 0x02,
    TLV_CRC32C = 0x03,
    TLV_UNIQUE_ID = 0x05,
    TLV_SSL = 0x20,
    TLV_SSL_VERSION = 0x21,
    TLV_SSL_CN = 0x22,
    TLV_SSL_CIPHER = 0x23,
    TLV_SSL_SIG_ALG = 0x24,
    TLV_SSL_KEY_ALG = 0x25,
};

enum { TLV_HEAD = 3, CRC_LEN = 4, SSL_LEN = 5 };

/* RFC 4291 2.5.5.2 */
static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static void end_set(struct proxyproto_end *end, uint8_t family, const uint8_t *ip, uint16_t port)
{
    *end = (struct proxyproto_end){.family = family, .port = port};
    if (family == 6 && memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0) {
        end->family = 4;
        ip += sizeof mapped_prefix;
    }
    memcpy(end->ip, ip, end->family == 4 ? 4 : 16);
}

/* ---- version 1 ------------------------------------------------------------------------------ */

/* Takes the bytes up to the next space, or all of them, and the space. */
static struct span take_word(struct span *rest)
{
    size_t n = 0;

    while (n < rest->n && rest->p[n] != ' ')
        n++;
    const struct span word = span_sub(*rest, 0, n);
    *rest = span_from(*rest, n + 1);
    return word;
}

static bool parse_port(struct span text, uint16_t *port)
{
    unsigned number;

    if (!ip_text_number(&text, UINT16_MAX, &number) || text.n > 0)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* Parses the text between "PROXY " and CR LF. */
static enum err parse_line(struct span line, struct proxyproto *out)
{
    uint8_t from[16], to[16];
    uint16_t from_port, to_port;
    const struct span family = take_word(&line);

    if (span_eq(family, span_str("UNKNOWN")))
        return ERR_OK; /* 2.1: ignore anything presented before the CRLF */
    const bool ip4 = span_eq(family, span_str("TCP4"));
    if (!ip4 && !span_eq(family, span_str("TCP6")))
        return ERR_SYNTAX;
    bool (*const parse_ip)(struct span, uint8_t *) = ip4 ? ip_text_parse4 : ip_text_parse6;
    if (!parse_ip(take_word(&line), from) || !parse_ip(take_word(&line), to))
        return ERR_SYNTAX;
    /* The last port is the rest of the line, because no space may follow it. */
    if (!parse_port(take_word(&line), &from_port) || !parse_port(line, &to_port))
        return ERR_SYNTAX;
    end_set(&out->source, ip4 ? 4 : 6, from, from_port);
    end_set(&out->destination, ip4 ? 4 : 6, to, to_port);
    return ERR_OK;
}

/* Parses the addresses only once the CR LF has arrived (2.1), but refuses bytes that cannot become
 * a header at once. */
static enum err parse_v1(struct span in, struct proxyproto *out)
{
    static const char begin[] = "PROXY ";
    const size_t begin_len = sizeof begin - 1;

    for (size_t i = 0; i < in.n; i++) {
        if (i == PROXYPROTO_V1_MAX)
            return ERR_TOO_LARGE;
        if (i < begin_len) {
            if (in.p[i] != (uint8_t)begin[i])
                return ERR_SYNTAX;
            continue;
        }
        const bool after_cr = in.p[i - 1] == '\r';
        if (after_cr != (in.p[i] == '\n'))
            return ERR_SYNTAX;
        if (after_cr) {
            out->version = 1;
            out->len = i + 1;
            return parse_line(span_sub(in, begin_len, i - 1 - begin_len), out);
        }
    }
    return in.n < PROXYPROTO_V1_MAX ? ERR_MORE : ERR_TOO_LARGE;
}

/* ---- version 2 ------------------------------------------------------------------------------ */

/* Continues a CRC-32C (RFC 4960 appendix B: reflected; the caller inverts it before and after). It
 * is computed bit by bit, because a connection has only one header, which is short. */
static uint32_t crc32c(uint32_t crc, struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        crc ^= s.p[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0x82f63b78u & (0u - (crc & 1)));
    }
    return crc;
}

/* Returns the checksum of a header; the bytes of its checksum field, from `at`, count as zeros
 * (2.2.3). */
static uint32_t header_crc32c(struct span header, size_t at)
{
    static const uint8_t zeros[CRC_LEN];
    uint32_t crc = crc32c(UINT32_MAX, span_sub(header, 0, at));

    crc = crc32c(crc, span_of(zeros, sizeof zeros));
    return ~crc32c(crc, span_from(header, at + CRC_LEN));
}

/* Takes one TLV off the front of *c, which is not empty. */
static enum err take_tlv(struct cursor *c, uint8_t *type, struct span *value)
{
    *type = cursor_u8(c);
    *value = cursor_take(c, cursor_u16(c));
    return c->short_ ? ERR_LENGTH : ERR_OK;
}

/* Sets a field that a header may have once. seen: a bit for each field that is set. */
static enum err put_once(unsigned *seen, unsigned bit, struct span value, struct span *field)
{
    if (*seen & 1u << bit)
        return ERR_DUPLICATE;
    *seen |= 1u << bit;
    *field = value;
    return ERR_OK;
}

static enum err parse_ssl(struct span value, struct proxyproto_tls *out)
{
    struct cursor c = cursor_of(value);
    struct span ignored;
    unsigned seen = 0;
    uint8_t type;

    out->present = true;
    out->client = cursor_u8(&c);
    out->verify = cursor_u32(&c);
    if (c.short_)
        return ERR_LENGTH;
    while (c.rest.n > 0) {
        struct span *field = &ignored;
        enum err e = take_tlv(&c, &type, &value);
        if (e != ERR_OK)
            return e;
        switch (type) {
        case TLV_SSL_VERSION: field = &out->version; break;
        case TLV_SSL_CN: field = &out->name; break;
        case TLV_SSL_CIPHER: field = &out->cipher; break;
        case TLV_SSL_SIG_ALG: field = &out->signature; break;
        case TLV_SSL_KEY_ALG: field = &out->key; break;
        default: continue;
        }
        e = put_once(&seen, type - (unsigned)TLV_SSL, value, field);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

/* Parses the TLVs, and checks the checksum of header. tlvs: the last part of header. */
static enum err parse_tlvs(struct span header, struct span tlvs, struct proxyproto *out)
{
    enum { SEEN_SSL = 31 };
    struct cursor c = cursor_of(tlvs);
    struct span value, checksum = span_of(NULL, 0), ssl;
    unsigned seen = 0;
    uint8_t type;

    while (c.rest.n > 0) {
        enum err e = take_tlv(&c, &type, &value);
        if (e != ERR_OK)
            return e;
        switch (type) {
        case TLV_ALPN: e = put_once(&seen, type, value, &out->alpn); break;
        case TLV_AUTHORITY: e = put_once(&seen, type, value, &out->authority); break;
        case TLV_UNIQUE_ID:
            e = put_once(&seen, type, value, &out->unique_id);
            if (e == ERR_OK && value.n > PROXYPROTO_UNIQUE_ID_MAX)
                e = ERR_LENGTH;
            break;
        case TLV_CRC32C:
            e = put_once(&seen, type, value, &checksum);
            if (e == ERR_OK && value.n != CRC_LEN)
                e = ERR_LENGTH;
            break;
        case TLV_SSL:
            e = put_once(&seen, SEEN_SSL, value, &ssl);
            if (e == ERR_OK)
                e = parse_ssl(ssl, &out->tls);
            break;
        default: break;
        }
        if (e != ERR_OK)
            return e;
    }
    if (checksum.n == 0)
        return ERR_OK;
    c = cursor_of(checksum);
    out->crc32c = header_crc32c(header, (size_t)(checksum.p - header.p)) == cursor_u32(&c);
    return out->crc32c ? ERR_OK : ERR_RANGE;
}

static void parse_ends(struct cursor *c, size_t ip_len, struct proxyproto *out)
{
    const uint8_t family = ip_len == 4 ? 4 : 6;
    const struct span from = cursor_take(c, ip_len), to = cursor_take(c, ip_len);
    const uint16_t from_port = cursor_u16(c), to_port = cursor_u16(c);

    end_set(&out->source, family, from.p, from_port);
    end_set(&out->destination, family, to.p, to_port);
}

/* Parses the part behind the first 16 bytes. kind: byte 14, family and transport. */
static enum err parse_block(struct span header, uint8_t kind, struct proxyproto *out)
{
    struct cursor c = cursor_of(span_from(header, HEAD));

    switch (kind) {
    case FAMILY_INET << 4 | TRANSPORT_STREAM: parse_ends(&c, 4, out); break;
    case FAMILY_INET6 << 4 | TRANSPORT_STREAM: parse_ends(&c, 16, out); break;
    /* Not TCP over IP, so read as UNSPEC (2.2), but the position of their TLVs is known. */
    case FAMILY_INET << 4 | TRANSPORT_DGRAM: cursor_take(&c, INET_LEN); break;
    case FAMILY_INET6 << 4 | TRANSPORT_DGRAM: cursor_take(&c, INET6_LEN); break;
    case FAMILY_UNIX << 4 | TRANSPORT_STREAM:
    case FAMILY_UNIX << 4 | TRANSPORT_DGRAM: cursor_take(&c, UNIX_LEN); break;
    default: return ERR_OK;
    }
    return parse_tlvs(header, c.rest, out);
}

/* Returns the number of bytes of the addresses. */
static size_t block_min(uint8_t kind)
{
    if ((kind & 0x0f) == TRANSPORT_UNSPEC)
        return 0;
    switch (kind >> 4) {
    case FAMILY_INET: return INET_LEN;
    case FAMILY_INET6: return INET6_LEN;
    case FAMILY_UNIX: return UNIX_LEN;
    default: return 0;
    }
}

static enum err parse_v2(struct span in, struct proxyproto *out)
{
    for (size_t i = 0; i < in.n && i < sizeof signature; i++)
        if (in.p[i] != signature[i])
            return ERR_SYNTAX;
    struct cursor c = cursor_of(span_from(in, sizeof signature));
    const uint8_t command = cursor_u8(&c);
    if (c.short_)
        return ERR_MORE;
    if ((command & 0xf0) != VERSION_2)
        return ERR_VERSION;
    if ((command & 0x0f) > COMMAND_PROXY)
        return ERR_RANGE;
    out->version = 2;
    out->local = (command & 0x0f) == COMMAND_LOCAL;

    const uint8_t kind = cursor_u8(&c);
    if (c.short_)
        return ERR_MORE;
    /* LOCAL: its family is ignored (2.2) */
    if (!out->local && (kind >> 4 > FAMILY_UNIX || (kind & 0x0f) > TRANSPORT_DGRAM))
        return ERR_RANGE;

    out->len = HEAD + (size_t)cursor_u16(&c);
    if (c.short_)
        return ERR_MORE;
    if (out->len > PROXYPROTO_MAX)
        return ERR_TOO_LARGE;
    if (!out->local && out->len < HEAD + block_min(kind))
        return ERR_LENGTH;
    if (in.n < out->len)
        return ERR_MORE;
    return out->local ? ERR_OK : parse_block(span_sub(in, 0, out->len), kind, out);
}

enum err proxyproto_parse(struct span in, struct proxyproto *out)
{
    memset(out, 0, sizeof *out);
    if (in.n == 0)
        return ERR_MORE;
    return in.p[0] == signature[0] ? parse_v2(in, out) : parse_v1(in, out);
}

/* ---- building ------------------------------------------------------------------------------- */

/* A header that is being written; n also counts bytes that did not fit. */
struct proxyproto_writer {
    uint8_t *out;
    size_t cap, n;
};

static void put_span(struct proxyproto_writer *w, struct span s)
{
    if (s.n > 0 && w->n <= w->cap && s.n <= w->cap - w->n)
        memcpy(w->out + w->n, s.p, s.n);
    w->n += s.n;
}

static void put_u8(struct proxyproto_writer *w, uint8_t value)
{
    put_span(w, span_of(&value, 1));
}

static void put_u16(struct proxyproto_writer *w, uint16_t value)
{
    put_u8(w, (uint8_t)(value >> 8));
    put_u8(w, (uint8_t)value);
}

static void put_u32(struct proxyproto_writer *w, uint32_t value)
{
    put_u16(w, (uint16_t)(value >> 16));
    put_u16(w, (uint16_t)value);
}

static void put_text(struct proxyproto_writer *w, const char *text)
{
    put_span(w, span_str(text));
}

static void put_number(struct proxyproto_writer *w, unsigned number, unsigned base)
{
    if (number >= base)
        put_number(w, number / base, base);
    put_u8(w, (uint8_t)("0123456789abcdef"[number % base]));
}

/* Writes the address of an end as IPv6; IPv4 becomes v4-mapped. */
static void end_as_ip6(const struct proxyproto_end *end, uint8_t ip[16])
{
    if (end->family == 6) {
        memcpy(ip, end->ip, 16);
        return;
    }
    memcpy(ip, mapped_prefix, sizeof mapped_prefix);
    memcpy(ip + sizeof mapped_prefix, end->ip, 4);
}

/* Returns 4 or 6; 0: an end is unknown. */
static unsigned common_family(const struct proxyproto_end *a, const struct proxyproto_end *b)
{
    if (a->family == 0 || b->family == 0)
        return 0;
    return a->family == 4 && b->family == 4 ? 4 : 6;
}

/* Writes an address as text. For IPv6 it writes every group, never "::", which is one of the forms
 * of 2.1. */
static void put_ip_text(struct proxyproto_writer *w, const struct proxyproto_end *end,
                        unsigned family)
{
    uint8_t ip[16];

    if (family == 4) {
        for (size_t i = 0; i < 4; i++) {
            put_text(w, i > 0 ? "." : "");
            put_number(w, end->ip[i], 10);
        }
        return;
    }
    end_as_ip6(end, ip);
    for (size_t i = 0; i < 16; i += 2) {
        put_text(w, i > 0 ? ":" : "");
        put_number(w, (unsigned)ip[i] << 8 | ip[i + 1], 16);
    }
}

size_t proxyproto_build_v1(uint8_t out[PROXYPROTO_V1_MAX], const struct proxyproto_end *source,
                           const struct proxyproto_end *destination)
{
    struct proxyproto_writer w = {.out = out, .cap = PROXYPROTO_V1_MAX};
    const unsigned family = common_family(source, destination);

    if (family == 0) {
        put_text(&w, "PROXY UNKNOWN\r\n");
        return w.n;
    }
    put_text(&w, family == 4 ? "PROXY TCP4 " : "PROXY TCP6 ");
    put_ip_text(&w, source, family);
    put_text(&w, " ");
    put_ip_text(&w, destination, family);
    put_text(&w, " ");
    put_number(&w, source->port, 10);
    put_text(&w, " ");
    put_number(&w, destination->port, 10);
    put_text(&w, "\r\n");
    return w.n;
}

static void put_ip(struct proxyproto_writer *w, const struct proxyproto_end *end, unsigned family)
{
    uint8_t ip[16];

    if (family == 4) {
        put_span(w, span_of(end->ip, 4));
        return;
    }
    end_as_ip6(end, ip);
    put_span(w, span_of(ip, sizeof ip));
}

/* Writes a TLV; nothing for an empty value. A value that is too long for its length field makes the
 * header too long, too. */
static void put_tlv(struct proxyproto_writer *w, enum proxyproto_tlv type, struct span value)
{
    if (value.n == 0)
        return;
    put_u8(w, (uint8_t)type);
    put_u16(w, (uint16_t)value.n);
    put_span(w, value);
}

static size_t tlv_size(struct span value)
{
    return value.n == 0 ? 0 : TLV_HEAD + value.n;
}

static void put_ssl(struct proxyproto_writer *w, const struct proxyproto_tls *tls)
{
    const size_t size = SSL_LEN + tlv_size(tls->version) + tlv_size(tls->name) +
                        tlv_size(tls->cipher) + tlv_size(tls->signature) + tlv_size(tls->key);

    put_u8(w, TLV_SSL);
    put_u16(w, (uint16_t)size);
    put_u8(w, tls->client);
    put_u32(w, tls->verify);
    put_tlv(w, TLV_SSL_VERSION, tls->version);
    put_tlv(w, TLV_SSL_CN, tls->name);
    put_tlv(w, TLV_SSL_CIPHER, tls->cipher);
    put_tlv(w, TLV_SSL_SIG_ALG, tls->signature);
    put_tlv(w, TLV_SSL_KEY_ALG, tls->key);
}

/* Writes everything behind the first 16 bytes. Returns the position of the checksum; 0: none. */
static size_t put_block(struct proxyproto_writer *w, const struct proxyproto *p, unsigned family)
{
    size_t checksum = 0;

    put_ip(w, &p->source, family);
    put_ip(w, &p->destination, family);
    put_u16(w, p->source.port);
    put_u16(w, p->destination.port);
    put_tlv(w, TLV_ALPN, p->alpn);
    put_tlv(w, TLV_AUTHORITY, p->authority);
    if (p->crc32c) {
        put_u8(w, TLV_CRC32C);
        put_u16(w, CRC_LEN);
        checksum = w->n;
        put_u32(w, 0);
    }
    put_tlv(w, TLV_UNIQUE_ID, p->unique_id);
    if (p->tls.present)
        put_ssl(w, &p->tls);
    return checksum;
}

size_t proxyproto_build_v2(uint8_t *out, size_t cap, const struct proxyproto *p)
{
    struct proxyproto_writer w = {.out = out, .cap = cap < PROXYPROTO_MAX ? cap : PROXYPROTO_MAX};
    const unsigned family = p->local ? 0 : common_family(&p->source, &p->destination);
    size_t checksum = 0;

    if (p->unique_id.n > PROXYPROTO_UNIQUE_ID_MAX)
        return 0;
    put_span(&w, span_of(signature, sizeof signature));
    put_u8(&w, VERSION_2 | (p->local ? COMMAND_LOCAL : COMMAND_PROXY));
    if (family == 0)
        put_u8(&w, FAMILY_UNSPEC << 4 | TRANSPORT_UNSPEC);
    else
        put_u8(&w, (uint8_t)((family == 4 ? FAMILY_INET : FAMILY_INET6) << 4 | TRANSPORT_STREAM));
    put_u16(&w, 0);
    if (family != 0)
        checksum = put_block(&w, p, family);
    if (w.n > w.cap)
        return 0;

    struct proxyproto_writer length = {.out = out, .cap = w.n, .n = HEAD - 2};
    put_u16(&length, (uint16_t)(w.n - HEAD));
    if (checksum != 0) {
        struct proxyproto_writer sum = {.out = out, .cap = w.n, .n = checksum};
        put_u32(&sum, header_crc32c(span_of(out, w.n), checksum));
    }
    return w.n;
}
