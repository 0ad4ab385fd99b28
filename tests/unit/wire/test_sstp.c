#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/sstp.h"
#include "wire_octets.h"

#define NONCE_SHA256 "412b489aebd7ecc7d08966f26be7cd72b231a0e9210d7c91b308862b0344c435"
#define CERT_SHA256 "7993ef314c493dace9f02d60e7e61c84b6690aafe9d7aeea92cbbe8ad599422d"
#define MAC_SHA256 "52a68efd8cffbf52770b8f0fe8ec73716583af6d611eb6d179b3b20840985449"
#define NONCE_SHA1 "0f1a2d58d4a3e3000fad3ce4906e07b707aa9e441cceac5cbd7b2cc1c9d86cdf"
#define CERT_SHA1 "5826b629bda59b8e6fd8dcd2622fd34c534805a5000000000000000000000000"
#define MAC_SHA1 "69915dd583d8062fef16f61db2f03290ec27cb6c000000000000000000000000"

/* [MS-SSTP] 4.7 */
#define ACK_SHA256 "10010030 00020001 00040028 00000002" NONCE_SHA256
#define ACK_SHA1 "10010030 00020001 00040028 00000001" NONCE_SHA1
#define CONNECTED_SHA256 "10010070 00040001 00030068 00000002" NONCE_SHA256 CERT_SHA256 MAC_SHA256
#define CONNECTED_SHA1 "10010070 00040001 00030068 00000001" NONCE_SHA1 CERT_SHA1 MAC_SHA1

#define REQUEST "1001000e 00010001 00010006 0001"
#define NAK "10010016 00030001 0002000e 00000001 00000004 0001"
#define NAK_ACCEL_PPP "10010016 00030001 0002000c 00000001 00000004 0001"
#define ABORT "10010014 00050001 0002000c 00000003 00000004"
#define ABORT_ACCEL_PPP "10010014 00050001 0002000c 00000002 00000007"
#define ABORT_SOFTETHER "10010008 00050000"
#define ABORT_SORZ "10010010 00050001 00020008 00000007"
#define DISCONNECT "10010014 00060001 0002000c 00000000 00000000"
#define DISCONNECT_SORZ "10010010 00060001 00000008 00000000"
#define DISCONNECT_ACK "10010008 00070000"
#define ECHO_REQUEST "10010008 00080000"
#define ECHO_RESPONSE "10010008 00090000"

struct good {
    const char *name, *hex;
    bool control;
    unsigned len, type, attributes;
    const char *body;
};

static const struct good good[] = {
    {"request", REQUEST, true, 14, SSTP_CONNECT_REQUEST, 1, "000100060001"},
    {"ack", ACK_SHA256, true, 48, SSTP_CONNECT_ACK, 1, "0004002800000002" NONCE_SHA256},
    {"nak", NAK, true, 22, SSTP_CONNECT_NAK, 1, "0002000e 00000001 00000004 0001"},
    {"connected", CONNECTED_SHA1, true, 112, SSTP_CONNECTED, 1,
     "00030068 00000001" NONCE_SHA1 CERT_SHA1 MAC_SHA1},
    {"abort", ABORT, true, 20, SSTP_ABORT, 1, "0002000c 00000003 00000004"},
    {"abort without attributes", ABORT_SOFTETHER, true, 8, SSTP_ABORT, 0, ""},
    {"abort by sorz", ABORT_SORZ, true, 16, SSTP_ABORT, 1, "00020008 00000007"},
    {"disconnect", DISCONNECT, true, 20, SSTP_DISCONNECT, 1, "0002000c 00000000 00000000"},
    {"disconnect ack", DISCONNECT_ACK, true, 8, SSTP_DISCONNECT_ACK, 0, ""},
    {"echo request", ECHO_REQUEST, true, 8, SSTP_ECHO_REQUEST, 0, ""},
    {"echo response", ECHO_RESPONSE, true, 8, SSTP_ECHO_RESPONSE, 0, ""},
    {"another packet behind it", ECHO_REQUEST ECHO_RESPONSE, true, 8, SSTP_ECHO_REQUEST, 0, ""},
    {"reserved bits set", "10fff008 00080000", true, 8, SSTP_ECHO_REQUEST, 0, ""},
    {"a type that nobody knows", "1001000a 12340007 abcd", true, 10, 0x1234, 7, "abcd"},
    {"type 0 is still control", "10010008 00000000", true, 8, 0, 0, ""},
    {"data", "1000000c ff03c021 0109 0004", false, 12, SSTP_DATA, 0, "ff03c02101090004"},
    {"data, reserved bits set", "10fe8006 0021", false, 6, SSTP_DATA, 0, "0021"},
    {"data without a frame", "10000004", false, 4, SSTP_DATA, 0, ""},
    {"data of one octet", "10000005 ff", false, 5, SSTP_DATA, 0, "ff"},
};

static void good_packets_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const struct good *g = &good[i];
        struct span all = octets_hex(g->hex);

        print_message("%s\n", g->name);
        for (size_t cut = 0; cut <= all.n; cut++) {
            struct span in = octets_copy(span_sub(all, 0, cut));
            struct sstp_packet p;
            assert_int_equal(sstp_parse(in, &p), cut < g->len ? ERR_MORE : ERR_OK);
            if (cut >= g->len) {
                assert_int_equal(p.control, g->control);
                assert_int_equal(p.len, g->len);
                assert_int_equal(p.type, g->type);
                assert_int_equal(p.attributes, g->attributes);
                assert_octets(p.body, g->body);
            }
            octets_free(in);
        }
        octets_free(all);
    }
}

struct bad {
    const char *name;
    enum err err;
    unsigned refused_at; /* octets that show the error: with fewer the result is ERR_MORE */
    const char *hex;
};

static const struct bad bad[] = {
    {"version 0", ERR_VERSION, 1, "00010008 00080000"},
    {"version 1.1", ERR_VERSION, 1, "11010008 00080000"},
    {"version 2.0", ERR_VERSION, 1, "20010008 00080000"},
    {"HTTP", ERR_VERSION, 1, "48545450 2f312e31"},
    {"data of 0", ERR_LENGTH, 4, "10000000 00000000"},
    {"data of 3", ERR_LENGTH, 4, "10000003 00000000"},
    {"data of 3, reserved bits set", ERR_LENGTH, 4, "1000f003 00000000"},
    {"control of 0", ERR_LENGTH, 4, "10010000 00080000"},
    {"control of 7", ERR_LENGTH, 4, "10010007 00080000"},
    {"control of 4, all reserved bits set", ERR_LENGTH, 4, "10fff004 00080000"},
};

static void bad_packets_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct bad *b = &bad[i];
        struct span all = octets_hex(b->hex);

        print_message("%s\n", b->name);
        for (size_t cut = 0; cut <= all.n; cut++) {
            struct span in = octets_copy(span_sub(all, 0, cut));
            struct sstp_packet p;
            assert_int_equal(sstp_parse(in, &p), cut < b->refused_at ? ERR_MORE : b->err);
            octets_free(in);
        }
        octets_free(all);
    }
}

static void longest_packet(void **state)
{
    uint8_t octets[SSTP_PACKET_MAX + 1] = {0x10, 0x00, 0xff, 0xff};
    struct sstp_packet p;

    (void)state;
    assert_int_equal(sstp_parse(span_of(octets, SSTP_PACKET_MAX - 1), &p), ERR_MORE);
    assert_int_equal(sstp_parse(span_of(octets, sizeof octets), &p), ERR_OK);
    assert_int_equal(p.len, SSTP_PACKET_MAX);
    assert_int_equal(p.body.n, SSTP_PACKET_MAX - SSTP_HEADER);
    assert_ptr_equal(p.body.p, octets + SSTP_HEADER);
}

static void reserved_bits(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"10fff008 00080000", ECHO_REQUEST},
        {"10017008 00080000", ECHO_REQUEST},
        {"10fe100c ff03c021 0109f0f4", "1000000c ff03c021 0109f0f4"},
        {"1080 0004", "1000 0004"},
    };
    uint8_t copy[SSTP_PACKET_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct span in = octets_hex(rows[i].in), plain = octets_hex(rows[i].out);
        assert_octets(sstp_without_reserved(in, copy), rows[i].out);
        assert_ptr_equal(sstp_without_reserved(plain, copy).p, plain.p);
        octets_free(in);
        octets_free(plain);
    }
}

/* Parses hex as one packet, in a block of its own, *owner, which the caller frees. */
static struct sstp_packet packet_of(const char *hex, struct span *owner)
{
    struct sstp_packet p;

    *owner = octets_hex(hex);
    assert_int_equal(sstp_parse(*owner, &p), ERR_OK);
    assert_int_equal(p.len, owner->n);
    return p;
}

struct ack {
    const char *name;
    enum err err;
    const char *hex;
    unsigned mask;
    const char *nonce;
};

static const struct ack acks[] = {
    {"SHA256", ERR_OK, ACK_SHA256, SSTP_HASH_SHA256, NONCE_SHA256},
    {"SHA1", ERR_OK, ACK_SHA1, SSTP_HASH_SHA1, NONCE_SHA1},
    {"both, reserved bits set", ERR_OK, "10018030 00020001 ff04f028 ffffff03" NONCE_SHA1, 3,
     NONCE_SHA1},
    {"no hash (sorz)", ERR_OK, "10010030 00020001 00040028 00000000" NONCE_SHA1, 0, NONCE_SHA1},
    {"behind an unknown attribute", ERR_OK,
     "10010036 00020002 00630006 abcd 00040028 00000002" NONCE_SHA1, 2, NONCE_SHA1},
    {"octets behind the last one", ERR_OK, "10010032 00020001 00040028 00000002" NONCE_SHA1 "ffff",
     2, NONCE_SHA1},
    {"no attributes", ERR_MISSING, "10010008 00020000", 0, ""},
    {"claimed, not there", ERR_MISSING, "10010008 00020001", 0, ""},
    {"there, not claimed", ERR_MISSING, "10010030 00020000 00040028 00000002" NONCE_SHA1, 0, ""},
    {"another one", ERR_MISSING, "1001000e 00020001 00010006 0001", 0, ""},
    {"another one and fewer than claimed", ERR_MISSING, "1001000e 00020002 00010006 0001", 0, ""},
    {"too short", ERR_LENGTH, "1001002f 00020001 00040027 00000002" NONCE_SHA1, 0, ""},
    {"too long", ERR_LENGTH, "10010031 00020001 00040029 00000002" NONCE_SHA1 "00", 0, ""},
    {"longer than the packet", ERR_LENGTH, "1001002c 00020001 00040028 00000002" NONCE_SHA1, 0, ""},
    {"header cut", ERR_LENGTH, "1001000b 00020001 000400", 0, ""},
    {"length below the header", ERR_LENGTH,
     "10010034 00020002 00630003 00040028 00000002" NONCE_SHA1, 0, ""},
};

static void ack_messages(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof acks / sizeof *acks; i++) {
        const struct ack *a = &acks[i];
        struct span all = octets_hex(a->hex), cut = octets_copy(span_sub(all, 0, all.p[3]));
        struct sstp_packet p;
        struct sstp_ack out;

        print_message("%s\n", a->name);
        assert_int_equal(sstp_parse(cut, &p), ERR_OK);
        assert_int_equal(sstp_parse_ack(&p, &out), a->err);
        if (a->err == ERR_OK) {
            assert_int_equal(out.mask, a->mask);
            assert_octets(out.nonce, a->nonce);
        }
        octets_free(cut);
        octets_free(all);
    }
}

struct verdict {
    const char *name;
    enum err err;
    const char *hex;
};

static const struct verdict requests[] = {
    {"PPP", ERR_OK, REQUEST},
    {"PPP behind another attribute", ERR_OK, "10010014 00010002 00630006 abcd 00010006 0001"},
    {"another protocol", ERR_RANGE, "1001000e 00010001 00010006 0002"},
    {"protocol 0", ERR_RANGE, "1001000e 00010001 00010006 0000"},
    {"the other order of octets", ERR_RANGE, "1001000e 00010001 00010006 0100"},
    {"no attribute", ERR_MISSING, "10010008 00010000"},
    {"another attribute", ERR_MISSING, "1001000e 00010001 00020006 0001"},
    {"one octet short", ERR_LENGTH, "1001000d 00010001 00010005 00"},
    {"one octet long", ERR_LENGTH, "1001000f 00010001 00010007 000100"},
};

static void connect_requests(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct span owner;
        struct sstp_packet p = packet_of(requests[i].hex, &owner);

        print_message("%s\n", requests[i].name);
        assert_int_equal(sstp_parse_connect_request(&p), requests[i].err);
        octets_free(owner);
    }
}

#define BINDING NONCE_SHA1 CERT_SHA1 MAC_SHA1

static const struct verdict connecteds[] = {
    {"a hash nobody knows is for the reader", ERR_OK,
     "10010070 00040001 00030068 000000ff" BINDING},
    {"reserved bits set", ERR_OK, "10ff8070 00040001 ff03f068 ffffff01" BINDING},
    {"no attribute", ERR_MISSING, "10010008 00040000"},
    {"there, not claimed", ERR_MISSING, "10010070 00040000 00030068 00000001" BINDING},
    {"another attribute", ERR_MISSING, "10010070 00040001 00040068 00000001" BINDING},
    {"attribute one octet short", ERR_LENGTH, "10010070 00040001 00030067 00000001" BINDING},
    {"attribute one octet long", ERR_LENGTH, "10010071 00040001 00030069 00000001" BINDING "00"},
    {"attribute longer than the packet", ERR_LENGTH, "10010070 00040001 00030069 00000001" BINDING},
    {"octets behind the attribute", ERR_LENGTH, "10010071 00040001 00030068 00000001" BINDING "00"},
    {"another attribute behind it", ERR_LENGTH,
     "10010074 00040002 00030068 00000001" BINDING "00630004"},
    {"another attribute before it", ERR_LENGTH,
     "10010074 00040002 00630004 00030068 00000001" BINDING},
    {"another one claimed", ERR_LENGTH, "10010070 00040002 00030068 00000001" BINDING},
};

static void connected_messages(void **state)
{
    struct span owner;
    struct sstp_connected out;

    (void)state;
    struct sstp_packet p = packet_of(CONNECTED_SHA256, &owner);
    assert_int_equal(sstp_parse_connected(&p, &out), ERR_OK);
    assert_int_equal(out.hash, SSTP_HASH_SHA256);
    assert_octets(out.nonce, NONCE_SHA256);
    assert_octets(out.cert_hash, CERT_SHA256);
    assert_octets(out.mac, MAC_SHA256);
    octets_free(owner);

    p = packet_of(CONNECTED_SHA1, &owner);
    assert_int_equal(sstp_parse_connected(&p, &out), ERR_OK);
    assert_int_equal(out.hash, SSTP_HASH_SHA1);
    assert_octets(out.nonce, NONCE_SHA1);
    assert_octets(out.cert_hash, CERT_SHA1);
    assert_octets(out.mac, MAC_SHA1);
    /* the public offsets are the parser's */
    assert_int_equal(owner.p[SSTP_CONNECTED_HASH], out.hash);
    assert_ptr_equal(owner.p + SSTP_CONNECTED_NONCE, out.nonce.p);
    assert_ptr_equal(owner.p + SSTP_CONNECTED_CERT, out.cert_hash.p);
    assert_ptr_equal(owner.p + SSTP_CONNECTED_MAC, out.mac.p);
    octets_free(owner);

    for (size_t i = 0; i < sizeof connecteds / sizeof *connecteds; i++) {
        print_message("%s\n", connecteds[i].name);
        p = packet_of(connecteds[i].hex, &owner);
        assert_int_equal(sstp_parse_connected(&p, &out), connecteds[i].err);
        octets_free(owner);
    }
}

struct status {
    const char *name;
    enum err err;
    const char *hex;
    unsigned attribute, status;
};

static const struct status statuses[] = {
    {"abort", ERR_OK, ABORT, SSTP_ATTR_BINDING, SSTP_STATUS_VALUE_NOT_SUPPORTED},
    {"abort by accel-ppp", ERR_OK, ABORT_ACCEL_PPP, SSTP_ATTR_STATUS, SSTP_STATUS_INVALID_FRAME},
    {"abort by sorz", ERR_OK, ABORT_SORZ, SSTP_ATTR_NONE, SSTP_STATUS_INVALID_FRAME},
    {"abort by SoftEther", ERR_MISSING, ABORT_SOFTETHER, 0, 0},
    {"disconnect", ERR_OK, DISCONNECT, SSTP_ATTR_NONE, SSTP_STATUS_NO_ERROR},
    {"disconnect by sorz", ERR_OK, DISCONNECT_SORZ, SSTP_ATTR_NONE, SSTP_STATUS_NO_ERROR},
    {"nak with the value", ERR_OK, NAK, SSTP_ATTR_PROTOCOL, SSTP_STATUS_VALUE_NOT_SUPPORTED},
    {"nak by accel-ppp", ERR_OK, NAK_ACCEL_PPP, SSTP_ATTR_PROTOCOL,
     SSTP_STATUS_VALUE_NOT_SUPPORTED},
    {"the first of two", ERR_OK,
     "10010020 00030002 0002000c 00000001 00000004 0002000c 00000004 00000002", 1, 4},
    {"behind an unknown one", ERR_OK, "10010018 00050002 00630004 0002000c 00000003 00000004", 3,
     4},
    {"four octets of status", ERR_OK, "10010014 00050001 0002000c ffffff03 80000004", 3,
     0x80000004},
    {"none claimed", ERR_MISSING, "10010014 00050000 0002000c 00000003 00000004", 0, 0},
    {"three octets of value", ERR_MISSING, "1001000f 00050001 00020007 000000", 0, 0},
    {"five octets of value", ERR_MISSING, "10010011 00050001 00020009 0000000700", 0, 0},
    {"seven octets of value", ERR_MISSING, "10010013 00050001 0002000b 00000003000000", 0, 0},
    {"longer than the packet", ERR_MISSING, "10010014 00050001 0002000d 00000003 00000004", 0, 0},
    {"length 0", ERR_MISSING, "10010014 00050001 00020000 00000003 00000004", 0, 0},
    {"id 0 in the long form", ERR_MISSING, "10010014 00050001 0000000c 00000003 00000004", 0, 0},
};

static void status_infos(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        const struct status *s = &statuses[i];
        struct span owner;
        struct sstp_packet p = packet_of(s->hex, &owner);
        struct sstp_status_info out;

        print_message("%s\n", s->name);
        assert_int_equal(sstp_parse_status(&p, &out), s->err);
        if (s->err == ERR_OK) {
            assert_int_equal(out.attribute, s->attribute);
            assert_int_equal(out.status, s->status);
        }
        octets_free(owner);
    }
}

static void build_status(void **state)
{
    uint8_t out[SSTP_STATUS_LEN];

    (void)state;
    sstp_build_status(out, SSTP_ABORT, SSTP_ATTR_BINDING, SSTP_STATUS_VALUE_NOT_SUPPORTED);
    assert_octets(span_of(out, sizeof out), ABORT);
    sstp_build_status(out, SSTP_ABORT, SSTP_ATTR_STATUS, SSTP_STATUS_INVALID_FRAME);
    assert_octets(span_of(out, sizeof out), ABORT_ACCEL_PPP);
    sstp_build_status(out, SSTP_DISCONNECT, SSTP_ATTR_NONE, SSTP_STATUS_NO_ERROR);
    assert_octets(span_of(out, sizeof out), DISCONNECT);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(sstp_type_name(SSTP_CONNECT_REQUEST), "call-connect-request");
    assert_string_equal(sstp_type_name(SSTP_ABORT), "call-abort");
    assert_string_equal(sstp_type_name(10), "unknown");
    assert_string_equal(sstp_status_name(SSTP_STATUS_VALUE_NOT_SUPPORTED), "value-not-supported");
    assert_string_equal(sstp_status_name(12), "unknown");

    /* each number up to the last one has a name of its own */
    for (unsigned a = 0; a <= SSTP_ECHO_RESPONSE; a++)
        for (unsigned b = a + 1; b <= SSTP_ECHO_RESPONSE + 1; b++)
            assert_string_not_equal(sstp_type_name(a), sstp_type_name(b));
    for (unsigned a = 0; a <= SSTP_STATUS_INFO_NOT_SUPPORTED; a++)
        for (unsigned b = a + 1; b <= SSTP_STATUS_INFO_NOT_SUPPORTED + 1; b++)
            assert_string_not_equal(sstp_status_name(a), sstp_status_name(b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_packets_split), cmocka_unit_test(bad_packets_split),
        cmocka_unit_test(longest_packet),     cmocka_unit_test(reserved_bits),
        cmocka_unit_test(ack_messages),       cmocka_unit_test(connect_requests),
        cmocka_unit_test(connected_messages), cmocka_unit_test(status_infos),
        cmocka_unit_test(build_status),       cmocka_unit_test(names),
    };
    return cmocka_run_group_tests_name("sstp", tests, NULL, NULL);
}
