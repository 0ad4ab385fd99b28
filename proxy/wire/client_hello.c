#include "wire/client_hello.h"

enum {
    RECORD_HANDSHAKE = 22,
    RECORD_MAX = 16384, /* RFC 8446 5.1 */
    MESSAGE_CLIENT_HELLO = 1,
    EXTENSION_NAME = 0,
    EXTENSION_PROTOCOLS = 16,
    NAME_IS_HOST = 0,
    RANDOM_LEN = 32,
    SESSION_MAX = 32,
};

/* The bytes of the message, read across the borders of its records. err becomes, and remains, the
 * first error; every read after it returns zeros. */
struct hello {
    struct span rest; /* of the stream */
    size_t record;    /* bytes of the current record that are left */
    enum err err;
};

static void fail(struct hello *h, enum err e)
{
    if (h->err == ERR_OK)
        h->err = e;
}

static uint8_t take_raw(struct hello *h)
{
    if (h->rest.n == 0)
        fail(h, ERR_MORE);
    if (h->err != ERR_OK)
        return 0;
    const uint8_t byte = h->rest.p[0];
    h->rest = span_from(h->rest, 1);
    return byte;
}

/* Fails unless `good`; but bytes that are missing remain the first error. */
static void require(struct hello *h, bool good)
{
    if (!good)
        fail(h, ERR_SYNTAX);
}

/* Reads the head of a record. An empty record of a handshake is not allowed (RFC 8446 5.1). */
static void next_record(struct hello *h)
{
    require(h, take_raw(h) == RECORD_HANDSHAKE);
    require(h, take_raw(h) == 3);
    (void)take_raw(h);
    const unsigned high = take_raw(h), low = take_raw(h);
    h->record = high << 8 | low;
    require(h, h->record > 0 && h->record <= RECORD_MAX);
}

static uint8_t take_u8(struct hello *h)
{
    if (h->record == 0)
        next_record(h);
    const uint8_t byte = take_raw(h);
    if (h->err == ERR_OK)
        h->record--;
    return byte;
}

/* Takes a byte of a part of the message. left: bytes of the part. */
static unsigned part_u8(struct hello *h, size_t *left)
{
    require(h, *left > 0);
    if (h->err != ERR_OK)
        return 0;
    --*left;
    return take_u8(h);
}

static unsigned part_u16(struct hello *h, size_t *left)
{
    const unsigned high = part_u8(h, left);
    return high << 8 | part_u8(h, left);
}

static void part_skip(struct hello *h, size_t *left, size_t n)
{
    require(h, n <= *left);
    while (h->err == ERR_OK && n > 0) {
        (void)part_u8(h, left);
        n--;
    }
}

/* Takes n bytes of a part as a part of their own. Returns its length. */
static size_t part_begin(struct hello *h, size_t *left, size_t n)
{
    require(h, n <= *left);
    if (h->err != ERR_OK)
        return 0;
    *left -= n;
    return n;
}

/* Reads the first host name of a ServerNameList, and skips the rest. */
static void read_name(struct hello *h, size_t left, struct client_hello *out)
{
    size_t list = part_u16(h, &left);

    require(h, list == left && out->name_len == 0);
    require(h, part_u8(h, &list) == NAME_IS_HOST);
    const size_t n = part_u16(h, &list);
    require(h, n > 0 && n <= CLIENT_HELLO_NAME_MAX && n <= list);
    for (size_t i = 0; i < n && h->err == ERR_OK; i++)
        out->name[i] = (uint8_t)part_u8(h, &list);
    out->name_len = n;
    part_skip(h, &list, list);
}

/* Reads a ProtocolNameList. */
static void read_protocols(struct hello *h, size_t left, bool *acme)
{
    static const char wanted[] = "acme-tls/1";
    size_t list = part_u16(h, &left);

    require(h, list == left && list > 0);
    size_t n = part_u8(h, &list);
    require(h, n > 0);
    bool same = n == sizeof wanted - 1 && n == list;
    for (size_t i = 0; i < n && h->err == ERR_OK; i++)
        same = part_u8(h, &list) == (uint8_t)wanted[same ? i : 0] && same;
    *acme = same;
    part_skip(h, &list, list);
}

static void read_extensions(struct hello *h, size_t left, struct client_hello *out)
{
    bool protocols = false;

    while (h->err == ERR_OK && left > 0) {
        const unsigned type = part_u16(h, &left);
        const size_t n = part_u16(h, &left);
        size_t part = part_begin(h, &left, n);
        if (type == EXTENSION_NAME) {
            read_name(h, part, out);
        } else if (type == EXTENSION_PROTOCOLS) {
            require(h, !protocols);
            protocols = true;
            read_protocols(h, part, &out->acme);
        } else {
            part_skip(h, &part, n);
        }
    }
}

/* Reads the fields before the extensions, which a client of TLS 1.2 may omit. */
static void read_message(struct hello *h, size_t left, struct client_hello *out)
{
    require(h, part_u8(h, &left) == 3);
    part_skip(h, &left, 1 + RANDOM_LEN);
    const size_t session = part_u8(h, &left);
    require(h, session <= SESSION_MAX);
    part_skip(h, &left, session);
    part_skip(h, &left, part_u16(h, &left)); /* cipher suites */
    part_skip(h, &left, part_u8(h, &left));  /* compression methods */
    if (left == 0)
        return;
    const size_t extensions = part_u16(h, &left);
    require(h, extensions == left);
    read_extensions(h, extensions, out);
}

enum err client_hello_parse(struct span in, struct client_hello *out)
{
    struct hello h = {.rest = span_sub(in, 0, CLIENT_HELLO_MAX)};
    const size_t most = h.rest.n;

    *out = (struct client_hello){0};
    require(&h, take_u8(&h) == MESSAGE_CLIENT_HELLO);
    const unsigned high = take_u8(&h), middle = take_u8(&h), low = take_u8(&h);
    const size_t len = (size_t)high << 16 | middle << 8 | low;
    if (h.err == ERR_OK && len > CLIENT_HELLO_MAX)
        return ERR_TOO_LARGE;
    read_message(&h, len, out);
    out->len = most - h.rest.n;
    return h.err == ERR_MORE && most == CLIENT_HELLO_MAX ? ERR_TOO_LARGE : h.err;
}
