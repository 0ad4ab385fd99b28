/* The input is a stream of SSTP packets; each is read as every kind of message. */
#include <stdlib.h>

#include "base/insist.h"
#include "wire/sstp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies to a block of exactly this size, so that a sanitizer detects a read past its end. */
static struct span copy_of(struct span s)
{
    uint8_t *p = insist_alloc(malloc(s.n > 0 ? s.n : 1));

    if (s.n > 0)
        memcpy(p, s.p, s.n);
    return span_of(p, s.n);
}

static void free_copy(struct span s)
{
    free((void *)(uintptr_t)s.p);
}

static bool inside(struct span part, struct span whole)
{
    return part.p >= whole.p && part.p + part.n <= whole.p + whole.n;
}

static void check_status(const struct sstp_packet *p)
{
    struct sstp_status_info info, again;
    struct sstp_packet built;
    uint8_t out[SSTP_STATUS_LEN];

    enum err e = sstp_parse_status(p, &info);
    INSIST(e == ERR_OK || e == ERR_MISSING);
    if (e != ERR_OK || info.status > 255)
        return;
    sstp_build_status(out, SSTP_ABORT, (enum sstp_attribute)info.attribute,
                      (enum sstp_status)info.status);
    INSIST(sstp_parse(span_of(out, sizeof out), &built) == ERR_OK);
    INSIST(built.len == sizeof out && built.type == SSTP_ABORT && built.attributes == 1);
    INSIST(sstp_parse_status(&built, &again) == ERR_OK);
    INSIST(again.attribute == info.attribute && again.status == info.status);
}

static void check_messages(const struct sstp_packet *p, struct span whole)
{
    struct sstp_ack ack;
    struct sstp_connected connected;

    enum err e = sstp_parse_ack(p, &ack);
    INSIST(e == ERR_OK || e == ERR_MISSING || e == ERR_LENGTH);
    INSIST(e != ERR_OK || (ack.nonce.n == SSTP_NONCE && inside(ack.nonce, p->body)));
    e = sstp_parse_connect_request(p);
    INSIST(e == ERR_OK || e == ERR_MISSING || e == ERR_LENGTH || e == ERR_RANGE);
    e = sstp_parse_connected(p, &connected);
    INSIST(e == ERR_OK || e == ERR_MISSING || e == ERR_LENGTH);
    if (e == ERR_OK) {
        INSIST(p->len == SSTP_CONNECTED_LEN && p->attributes == 1);
        INSIST(connected.hash == whole.p[SSTP_CONNECTED_HASH]);
        INSIST(connected.nonce.p == whole.p + SSTP_CONNECTED_NONCE);
        INSIST(connected.cert_hash.p == whole.p + SSTP_CONNECTED_CERT);
        INSIST(connected.mac.p == whole.p + SSTP_CONNECTED_MAC);
        INSIST(connected.nonce.n == 32 && connected.cert_hash.n == 32 && connected.mac.n == 32);
    }
    check_status(p);
}

/* Returns the number of octets of the packet at the start of in; 0: incomplete or malformed. */
static size_t check_packet(struct span in)
{
    struct sstp_packet p, again;
    enum err e = sstp_parse(in, &p);
    size_t wanted = e == ERR_OK ? p.len : in.n;

    INSIST(e == ERR_OK || e == ERR_MORE || e == ERR_VERSION || e == ERR_LENGTH);
    for (size_t cut = 0; cut < wanted; cut += cut < 128 ? 1 : 97) {
        struct span begin = copy_of(span_sub(in, 0, cut));
        enum err early = sstp_parse(begin, &again);
        INSIST(early == ERR_MORE || (early == e && e != ERR_OK));
        INSIST(e != ERR_VERSION || cut == 0 || early == e);
        INSIST(e != ERR_LENGTH || cut < 4 || early == e);
        free_copy(begin);
    }
    if (e != ERR_OK)
        return 0;
    INSIST(p.len >= SSTP_HEADER && p.len <= SSTP_PACKET_MAX && p.len <= in.n);
    INSIST(p.body.p + p.body.n == in.p + p.len);
    INSIST(p.body.n == p.len - (size_t)(p.control ? SSTP_CONTROL_MIN : SSTP_HEADER));

    struct span whole = copy_of(span_sub(in, 0, p.len));
    INSIST(sstp_parse(whole, &again) == ERR_OK);
    INSIST(again.len == p.len && again.control == p.control && again.type == p.type &&
           again.attributes == p.attributes && span_eq(again.body, p.body));
    if (again.control)
        check_messages(&again, whole);
    free_copy(whole);
    return p.len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = span_of(data, size);

    for (size_t n; rest.n > 0 && (n = check_packet(rest)) > 0;)
        rest = span_from(rest, n);
    return 0;
}
