#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/proxyproto.h"
#include "wire_octets.h"

#define SIGNATURE "0d0a0d0a000d0a515549540a"
#define ENDS4 "c0000201 c6336407 dca4 01bb" /* 192.0.2.1:56484 to 198.51.100.7:443 */
#define SOURCE6 "20010db8000000000000000000000001"
#define ENDS6 SOURCE6 "20010db80000000000000000000000ff dca4 01bb"
#define MAPPED "00000000000000000000ffff"

/* Sent by haproxy 2.6.12 (Debian): send-proxy, send-proxy-v2, a health check, and
 * `proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,crc32c,unique-id`. */
#define HAPROXY_V1 "'PROXY TCP4 127.0.0.1 127.0.0.1 33096 57319' 0d0a"
#define HAPROXY_V1_IP6 "'PROXY TCP6 ::1 ::1 33996 41553' 0d0a"
#define HAPROXY_V1_MAPPED "'PROXY TCP6 ::ffff:127.0.0.1 ::ffff:127.0.0.1 39520 59729' 0d0a"
#define HAPROXY_V2 SIGNATURE "21 11 000c 7f000001 7f000001 a01a acd9"
#define HAPROXY_V2_IP6                                                                             \
    SIGNATURE "21 21 0024 00000000000000000000000000000001 00000000000000000000000000000001"       \
              "8384 e3af"
#define HAPROXY_CHECK SIGNATURE "20 00 0000"
#define HAPROXY_TLS                                                                                \
    SIGNATURE "21 11 0090 7f000001 7f000001 c340 a3bf 030004 4761b273 010008 'http/1.1'"           \
              "02000f 'vpn.example.com' 050016 '7F000001:C340_6B033C7C'"                           \
              "200044 01 00000000 210007 'TLSv1.3' 250005 'EC256' 240011 'ecdsa-with-SHA256'"      \
              "230016 'TLS_AES_256_GCM_SHA384'"
#define HAPROXY_TLS_CERT                                                                           \
    SIGNATURE "21 21 00c8 00000000000000000000000000000001 00000000000000000000000000000001"       \
              "81e8 b18b 030004 ddc0e165 010008 'http/1.1' 02000f 'vpn.example.com'"               \
              "05002e '00000000000000000000000000000001:81E8_6B033C7C'"                            \
              "20004c 07 00000000 210007 'TLSv1.3' 220005 'alice' 250005 'EC256'"                  \
              "240011 'ecdsa-with-SHA256' 230016 'TLS_AES_256_GCM_SHA384'"

struct good {
    const char *name, *hex;
    unsigned len; /* 0: all of it */
    unsigned version, family;
    const char *source, *destination; /* octets and port */
    bool local, crc32c;
    const char *authority;
};

static const struct good good[] = {
    {"haproxy, version 1", HAPROXY_V1, 0, 1, 4, "7f000001 8148", "7f000001 dfe7", 0, 0, ""},
    {"haproxy, version 1, IPv6", HAPROXY_V1_IP6, 0, 1, 6, "00000000000000000000000000000001 84cc",
     "00000000000000000000000000000001 a251", 0, 0, ""},
    {"haproxy, version 1, v4-mapped", HAPROXY_V1_MAPPED, 0, 1, 4, "7f000001 9a60", "7f000001 e951",
     0, 0, ""},
    {"haproxy, version 2", HAPROXY_V2, 0, 2, 4, "7f000001 a01a", "7f000001 acd9", 0, 0, ""},
    {"haproxy, version 2, IPv6", HAPROXY_V2_IP6, 0, 2, 6, "00000000000000000000000000000001 8384",
     "00000000000000000000000000000001 e3af", 0, 0, ""},
    {"haproxy, check", HAPROXY_CHECK, 0, 2, 0, "", "", true, 0, ""},
    {"haproxy, TLS", HAPROXY_TLS, 0, 2, 4, "7f000001 c340", "7f000001 a3bf", 0, true,
     "'vpn.example.com'"},
    {"haproxy, TLS with a client's certificate", HAPROXY_TLS_CERT, 0, 2, 6,
     "00000000000000000000000000000001 81e8", "00000000000000000000000000000001 b18b", 0, true,
     "'vpn.example.com'"},

    {"the specification's example", "'PROXY TCP4 192.168.0.1 192.168.0.11 56324 443' 0d0a 'GET /'",
     47, 1, 4, "c0a80001 dc04", "c0a8000b 01bb", 0, 0, ""},
    {"largest and smallest", "'PROXY TCP4 255.255.255.255 0.0.0.0 65535 0' 0d0a", 0, 1, 4,
     "ffffffff ffff", "00000000 0000", 0, 0, ""},
    {"unknown", "'PROXY UNKNOWN' 0d0a", 0, 1, 0, "", "", 0, 0, ""},
    {"unknown, of the greatest length",
     "'PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535' 0d0a 0d0a",
     107, 1, 0, "", "", 0, 0, ""},
    {"unknown, and anything", "'PROXY UNKNOWN  x' 00ff 0d0a", 0, 1, 0, "", "", 0, 0, ""},
    {"IPv6 in full",
     "'PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
     "FFFF:fFfF:0:00:000:0000:abcd:0012 65535 65535' 0d0a",
     0, 1, 6, "ffffffffffffffffffffffffffffffff ffff", "ffffffff0000000000000000abcd0012 ffff", 0,
     0, ""},
    {"IPv6, ends with ::", "'PROXY TCP6 :: 2001:db8:: 1 2' 0d0a", 0, 1, 6,
     "00000000000000000000000000000000 0001", "20010db8000000000000000000000000 0002", 0, 0, ""},
    {"IPv6, :: for one group", "'PROXY TCP6 1:2:3::5:6:7:8 ::2:3:4:5:6:7:8 1 2' 0d0a", 0, 1, 6,
     "00010002000300000005000600070008 0001", "00000002000300040005000600070008 0002", 0, 0, ""},
    {"IPv6 with dots", "'PROXY TCP6 1:2:3:4:5:6:7.8.9.10 64:ff9b::192.0.2.33 1 2' 0d0a", 0, 1, 6,
     "0001000200030004000500060708090a 0001", "0064ff9b0000000000000000c0000221 0002", 0, 0, ""},

    {"version 2, octets behind it", SIGNATURE "21 11 000c" ENDS4 "160301", 28, 2, 4,
     "c0000201 dca4", "c6336407 01bb", 0, 0, ""},
    {"v4-mapped", SIGNATURE "21 21 0024" MAPPED "c0000201" SOURCE6 "dca4 01bb", 0, 2, 4,
     "c0000201 dca4", NULL, 0, 0, ""},
    {"local, with addresses of a family that does not exist", SIGNATURE "20 f7 0004 01020304", 0, 2,
     0, "", "", true, 0, ""},
    {"unspecified", SIGNATURE "21 00 0000", 0, 2, 0, "", "", 0, 0, ""},
    {"unspecified, with something", SIGNATURE "21 00 0002 ffff", 0, 2, 0, "", "", 0, 0, ""},
    {"IPv4 of no transport", SIGNATURE "21 10 0000", 0, 2, 0, "", "", 0, 0, ""},
    {"UDP", SIGNATURE "21 12 0012" ENDS4 "020003 'abc'", 0, 2, 0, "", "", 0, 0, "'abc'"},
    {"UDP over IPv6", SIGNATURE "21 22 0024" ENDS6, 0, 2, 0, "", "", 0, 0, ""},
    {"empty TLVs", SIGNATURE "21 11 0015" ENDS4 "010000 050000 020000", 0, 2, 4, "c0000201 dca4",
     "c6336407 01bb", 0, 0, ""},
    {"TLVs that nobody knows, twice",
     SIGNATURE "21 11 001c" ENDS4 "e00001ff e00001fe 040002 0000"
               "040000",
     0, 2, 4, "c0000201 dca4", "c6336407 01bb", 0, 0, ""},
    {"a checksum", SIGNATURE "21 11 0013" ENDS4 "030004 @", 0, 2, 4, "c0000201 dca4",
     "c6336407 01bb", 0, true, ""},
};

/* Computes RFC 4960 appendix B from a table, as in the RFC and unlike the code under test. */
static uint32_t crc32c_by_table(struct span s)
{
    static uint32_t table[256];
    uint32_t crc = UINT32_MAX;

    for (uint32_t i = 0; table[255] == 0 && i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] & 1 ? table[i] >> 1 ^ 0x82f63b78 : table[i] >> 1;
    }
    for (size_t i = 0; i < s.n; i++)
        crc = crc >> 8 ^ table[(crc ^ s.p[i]) & 0xff];
    return ~crc;
}

/* As octets_hex(); a final "@" becomes the four octets of the correct checksum. */
static struct span header(const char *hex)
{
    char text[4000];
    const char *at = strchr(hex, '@');

    if (at == NULL)
        return octets_hex(hex);
    snprintf(text, sizeof text, "%.*s00000000", (int)(at - hex), hex);
    struct span all = octets_hex(text);
    const uint32_t crc = crc32c_by_table(all);
    uint8_t *sum = (uint8_t *)(uintptr_t)all.p + all.n - 4;
    for (int i = 0; i < 4; i++)
        sum[i] = (uint8_t)(crc >> (24 - 8 * i));
    return all;
}

static void assert_end(const struct proxyproto_end *end, unsigned family, const char *hex)
{
    uint8_t octets[18];
    const size_t n = family == 0 ? 0 : family == 4 ? 4 : 16;

    assert_int_equal(end->family, family);
    memcpy(octets, end->ip, n);
    octets[n] = (uint8_t)(end->port >> 8);
    octets[n + 1] = (uint8_t)end->port;
    assert_octets(span_of(octets, family == 0 ? 0 : n + 2), hex);
    for (size_t i = n; i < sizeof end->ip; i++)
        assert_int_equal(end->ip[i], 0);
}

static void good_headers_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const struct good *g = &good[i];
        struct span all = header(g->hex);
        const size_t len = g->len != 0 ? g->len : all.n;

        print_message("%s\n", g->name);
        for (size_t cut = 0; cut <= all.n; cut++) {
            struct span in = octets_copy(span_sub(all, 0, cut));
            struct proxyproto p;
            assert_int_equal(proxyproto_parse(in, &p), cut < len ? ERR_MORE : ERR_OK);
            if (cut >= len) {
                assert_int_equal(p.len, len);
                assert_int_equal(p.version, g->version);
                assert_int_equal(p.local, g->local);
                assert_int_equal(p.crc32c, g->crc32c);
                assert_end(&p.source, g->family, g->source);
                if (g->destination != NULL)
                    assert_end(&p.destination, g->family, g->destination);
                else
                    assert_int_equal(p.destination.family, 6);
                assert_octets(p.authority, g->authority);
            }
            octets_free(in);
        }
        octets_free(all);
    }
}

static void every_tlv(void **state)
{
    struct span all = octets_hex(HAPROXY_TLS_CERT);
    struct proxyproto p;

    (void)state;
    assert_int_equal(proxyproto_parse(all, &p), ERR_OK);
    assert_octets(p.alpn, "'http/1.1'");
    assert_octets(p.authority, "'vpn.example.com'");
    assert_octets(p.unique_id, "'00000000000000000000000000000001:81E8_6B033C7C'");
    assert_true(p.tls.present);
    assert_int_equal(p.tls.client, PROXYPROTO_CLIENT_TLS | PROXYPROTO_CLIENT_CERT_CONN |
                                       PROXYPROTO_CLIENT_CERT_SESS);
    assert_int_equal(p.tls.verify, 0);
    assert_octets(p.tls.version, "'TLSv1.3'");
    assert_octets(p.tls.cipher, "'TLS_AES_256_GCM_SHA384'");
    assert_octets(p.tls.name, "'alice'");
    assert_octets(p.tls.signature, "'ecdsa-with-SHA256'");
    assert_octets(p.tls.key, "'EC256'");
    octets_free(all);

    all = octets_hex(SIGNATURE "21 11 0014" ENDS4 "200005 01 80000001");
    assert_int_equal(proxyproto_parse(all, &p), ERR_OK);
    assert_true(p.tls.present);
    assert_int_equal(p.tls.verify, 0x80000001);
    assert_int_equal(p.tls.version.n, 0);
    octets_free(all);
}

struct bad {
    const char *name;
    enum err err;
    unsigned refused_at; /* octets that show the error: with fewer the result is ERR_MORE; 0: all */
    const char *hex;
};

#define LINE(text) "'PROXY " text "' 0d0a"

static const struct bad bad[] = {
    {"TLS", ERR_SYNTAX, 1, "160301"},
    {"HTTP", ERR_SYNTAX, 2, "'POST / HTTP/1.1' 0d0a"},
    {"a blank first", ERR_SYNTAX, 1, "' PROXY UNKNOWN' 0d0a"},
    {"lower case", ERR_SYNTAX, 1, "'proxy UNKNOWN' 0d0a"},
    {"no space", ERR_SYNTAX, 6, "'PROXYUNKNOWN' 0d0a"},
    {"a tab", ERR_SYNTAX, 6, "'PROXY'09'UNKNOWN' 0d0a"},
    {"bare LF", ERR_SYNTAX, 14, "'PROXY UNKNOWN' 0a"},
    {"bare CR", ERR_SYNTAX, 15, "'PROXY UNKNOWN' 0d20 0d0a"},
    {"two CR", ERR_SYNTAX, 15, "'PROXY UNKNOWN' 0d0d0a"},
    {"LF in UNKNOWN", ERR_SYNTAX, 16, "'PROXY UNKNOWN x' 0a 0d0a"},
    {"no end", ERR_TOO_LARGE, 107,
     "'PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 655350' 0d0a"},
    {"nothing", ERR_SYNTAX, 0, LINE("")},
    {"UNKNOWNX", ERR_SYNTAX, 0, LINE("UNKNOWNX")},
    {"unknown in lower case", ERR_SYNTAX, 0, LINE("unknown")},
    {"TCP5", ERR_SYNTAX, 0, LINE("TCP5 1.2.3.4 1.2.3.4 1 2")},
    {"UDP4", ERR_SYNTAX, 0, LINE("UDP4 1.2.3.4 1.2.3.4 1 2")},
    {"no addresses", ERR_SYNTAX, 0, LINE("TCP4")},
    {"one address", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.4")},
    {"no ports", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.4 1.2.3.4")},
    {"one port", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.4 1.2.3.4 1")},
    {"three ports", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.4 1.2.3.4 1 2 3")},
    {"a space at the end", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.4 1.2.3.4 1 2 ")},
    {"two spaces", ERR_SYNTAX, 0, LINE("TCP4  1.2.3.4 1.2.3.4 1 2")},
    {"two spaces before a port", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.4 1.2.3.4 1  2")},
    {"port too large", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.4 1.2.3.4 65536 2")},
    {"port far too large", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.4 1.2.3.4 4294967297 2")},
    {"port with a zero", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.4 1.2.3.4 01 2")},
    {"port of zeros", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.4 1.2.3.4 1 00")},
    {"port with a sign", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.4 1.2.3.4 +1 2")},
    {"port in hex", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.4 1.2.3.4 0x1 2")},
    {"IPv4 of three", ERR_SYNTAX, 0, LINE("TCP4 1.2.3 1.2.3.4 1 2")},
    {"IPv4 of five", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.4.5 1.2.3.4 1 2")},
    {"IPv4 with 256", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.256 1.2.3.4 1 2")},
    {"IPv4 with a zero", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.04 1.2.3.4 1 2")},
    {"IPv4 with an empty part", ERR_SYNTAX, 0, LINE("TCP4 1..3.4 1.2.3.4 1 2")},
    {"IPv4 with a dot behind", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.4. 1.2.3.4 1 2")},
    {"IPv4, second", ERR_SYNTAX, 0, LINE("TCP4 1.2.3.4 1.2.3.4x 1 2")},
    {"IPv6 as IPv4", ERR_SYNTAX, 0, LINE("TCP4 ::1 ::1 1 2")},
    {"IPv4 as IPv6", ERR_SYNTAX, 0, LINE("TCP6 1.2.3.4 1.2.3.4 1 2")},
    {"IPv6 of seven", ERR_SYNTAX, 0, LINE("TCP6 1:2:3:4:5:6:7 ::1 1 2")},
    {"IPv6 of nine", ERR_SYNTAX, 0, LINE("TCP6 1:2:3:4:5:6:7:8:9 ::1 1 2")},
    {"IPv6, :: for nothing", ERR_SYNTAX, 0, LINE("TCP6 1:2:3:4::5:6:7:8 ::1 1 2")},
    {"IPv6, two ::", ERR_SYNTAX, 0, LINE("TCP6 1::2::3 ::1 1 2")},
    {"IPv6, :::", ERR_SYNTAX, 0, LINE("TCP6 1:::2 ::1 1 2")},
    {"IPv6, only :::", ERR_SYNTAX, 0, LINE("TCP6 ::: ::1 1 2")},
    {"IPv6, : first", ERR_SYNTAX, 0, LINE("TCP6 :1:2:3:4:5:6:7 ::1 1 2")},
    {"IPv6, : last", ERR_SYNTAX, 0, LINE("TCP6 1:2:3:4:5:6:7: ::1 1 2")},
    {"IPv6, only :", ERR_SYNTAX, 0, LINE("TCP6 : ::1 1 2")},
    {"IPv6, five digits", ERR_SYNTAX, 0, LINE("TCP6 00001::1 ::1 1 2")},
    {"IPv6, no digit", ERR_SYNTAX, 0, LINE("TCP6 1::g ::1 1 2")},
    {"IPv6, zone", ERR_SYNTAX, 0, LINE("TCP6 fe80::1%1 ::1 1 2")},
    {"IPv6, brackets", ERR_SYNTAX, 0, LINE("TCP6 [::1] ::1 1 2")},
    {"IPv6, prefix", ERR_SYNTAX, 0, LINE("TCP6 ::1/64 ::1 1 2")},
    {"IPv6, dots too late", ERR_SYNTAX, 0, LINE("TCP6 1:2:3:4:5:6:7:1.2.3.4 ::1 1 2")},
    {"IPv6, dots too early", ERR_SYNTAX, 0, LINE("TCP6 1:2:3:4:5:1.2.3.4 ::1 1 2")},
    {"IPv6, dots in the middle", ERR_SYNTAX, 0, LINE("TCP6 ::1.2.3.4:1 ::1 1 2")},
    {"IPv6, dots of three", ERR_SYNTAX, 0, LINE("TCP6 ::1.2.3 ::1 1 2")},
    {"IPv6, dots with a zero", ERR_SYNTAX, 0, LINE("TCP6 ::1.2.3.04 ::1 1 2")},
    {"IPv6, :: for nothing before dots", ERR_SYNTAX, 0, LINE("TCP6 1:2:3:4:5:6::1.2.3.4 ::1 1 2")},
    {"a NUL", ERR_SYNTAX, 0, "'PROXY TCP4 1.2.3.4'00' 1.2.3.4 1 2' 0d0a"},

    {"another signature", ERR_SYNTAX, 12, "0d0a0d0a000d0a515549540b 21 11 000c" ENDS4},
    {"CR CR", ERR_SYNTAX, 2, "0d0d"},
    {"version 1 with version 2's signature", ERR_VERSION, 13, SIGNATURE "11 11 000c" ENDS4},
    {"version 3", ERR_VERSION, 13, SIGNATURE "31 11 000c" ENDS4},
    {"command 2", ERR_RANGE, 13, SIGNATURE "22 11 000c" ENDS4},
    {"family 4", ERR_RANGE, 14, SIGNATURE "21 41 000c" ENDS4},
    {"transport 3", ERR_RANGE, 14, SIGNATURE "21 13 000c" ENDS4},
    {"too long", ERR_TOO_LARGE, 16, SIGNATURE "21 11 0ff1" ENDS4},
    {"far too long, LOCAL", ERR_TOO_LARGE, 16, SIGNATURE "20 00 ffff"},
    {"too short for IPv4", ERR_LENGTH, 16, SIGNATURE "21 11 000b" ENDS4},
    {"too short for IPv6", ERR_LENGTH, 16, SIGNATURE "21 21 0023" ENDS6},
    {"too short for UDP", ERR_LENGTH, 16, SIGNATURE "21 12 0000"},
    {"too short for a UNIX socket", ERR_LENGTH, 16, SIGNATURE "21 31 00d7"},
    {"one octet of a TLV", ERR_LENGTH, 0, SIGNATURE "21 11 000d" ENDS4 "04"},
    {"two octets of a TLV", ERR_LENGTH, 0, SIGNATURE "21 11 000e" ENDS4 "0400"},
    {"a TLV over the end", ERR_LENGTH, 29 + 3, SIGNATURE "21 11 0010" ENDS4 "040002 00 00"},
    {"the same for UDP", ERR_LENGTH, 0, SIGNATURE "21 12 0010" ENDS4 "040002 00"},
    {"ALPN twice", ERR_DUPLICATE, 0, SIGNATURE "21 11 0014" ENDS4 "010001 61 010001 61"},
    {"authority twice, once empty", ERR_DUPLICATE, 0,
     SIGNATURE "21 11 0013" ENDS4 "020000 020001 61"},
    {"unique id twice", ERR_DUPLICATE, 0, SIGNATURE "21 11 0012" ENDS4 "050000 050000"},
    {"TLS twice", ERR_DUPLICATE, 0,
     SIGNATURE "21 11 001c" ENDS4 "200005 0000000000"
               "200005 0000000000"},
    {"checksum twice", ERR_DUPLICATE, 0, SIGNATURE "21 11 001a" ENDS4 "030004 00000000 030004 @"},
    {"a wrong checksum", ERR_RANGE, 0, SIGNATURE "21 11 0013" ENDS4 "030004 12345678"},
    {"a checksum of zeros", ERR_RANGE, 0, SIGNATURE "21 11 0013" ENDS4 "030004 00000000"},
    {"a checksum of three octets", ERR_LENGTH, 0, SIGNATURE "21 11 0012" ENDS4 "030003 000000"},
    {"an empty checksum", ERR_LENGTH, 0, SIGNATURE "21 11 000f" ENDS4 "030000"},
    {"an octet of the source was changed", ERR_RANGE, 0,
     SIGNATURE "21 11 0090 7f000002 7f000001 c340 a3bf 030004 4761b273 010008 'http/1.1'"
               "02000f 'vpn.example.com' 050016 '7F000001:C340_6B033C7C'"
               "200044 01 00000000 210007 'TLSv1.3' 250005 'EC256' 240011 'ecdsa-with-SHA256'"
               "230016 'TLS_AES_256_GCM_SHA384'"},
    {"TLS of four octets", ERR_LENGTH, 0, SIGNATURE "21 11 0013" ENDS4 "200004 01000000"},
    {"a TLV in TLS over its end", ERR_LENGTH, 0,
     SIGNATURE "21 11 001c" ENDS4 "200009 0100000000 21000200 040001 00"},
    {"a version twice", ERR_DUPLICATE, 0,
     SIGNATURE "21 11 001c" ENDS4 "20000d 0100000000 21000133 21000133"},
};

static void bad_headers_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct bad *b = &bad[i];
        struct span all = header(b->hex);
        size_t refused_at = b->refused_at != 0 ? b->refused_at : all.n;

        print_message("%s\n", b->name);
        for (size_t cut = 0; cut <= all.n; cut++) {
            struct span in = octets_copy(span_sub(all, 0, cut));
            struct proxyproto p;
            assert_int_equal(proxyproto_parse(in, &p), cut < refused_at ? ERR_MORE : b->err);
            octets_free(in);
        }
        octets_free(all);
    }
}

static void unique_id_of_its_length(void **state)
{
    uint8_t octets[16 + 12 + 3 + 129] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51,
                                         0x55, 0x49, 0x54, 0x0a, 0x21, 0x11, 0x00, 12 + 3 + 128};
    struct proxyproto p;

    (void)state;
    octets[16 + 12] = 5;
    octets[16 + 12 + 2] = 128;
    assert_int_equal(proxyproto_parse(span_of(octets, sizeof octets), &p), ERR_OK);
    assert_int_equal(p.unique_id.n, 128);
    octets[15]++;
    octets[16 + 12 + 2]++;
    assert_int_equal(proxyproto_parse(span_of(octets, sizeof octets), &p), ERR_LENGTH);
}

/* The longest valid header has PROXYPROTO_MAX octets. */
static void greatest_length(void **state)
{
    uint8_t *octets = calloc(1, PROXYPROTO_MAX);
    struct span all = span_of(octets, PROXYPROTO_MAX),
                start = octets_hex(SIGNATURE "21 11 0ff0" ENDS4);
    struct proxyproto p;

    (void)state;
    assert_non_null(octets);
    memcpy(octets, start.p, start.n);
    octets[28] = 4;
    octets[29] = (PROXYPROTO_MAX - 31) >> 8;
    octets[30] = (PROXYPROTO_MAX - 31) & 0xff;
    assert_int_equal(proxyproto_parse(all, &p), ERR_OK);
    assert_int_equal(p.len, PROXYPROTO_MAX);
    assert_int_equal(proxyproto_parse(span_sub(all, 0, PROXYPROTO_MAX - 1), &p), ERR_MORE);
    octets_free(start);
    free(octets);
}

/* ---- building ------------------------------------------------------------------------------- */

static const struct proxyproto_end ip4_end = {.family = 4, .ip = {192, 0, 2, 1}, .port = 56484};
static const struct proxyproto_end ip4_other = {.family = 4, .ip = {198, 51, 100, 7}, .port = 443};
static const struct proxyproto_end ip6_end = {
    .family = 6, .ip = {0x20, 0x01, 0x0d, 0xb8, [14] = 0x0a, 0xff}, .port = 65535};
static const struct proxyproto_end no_end;

static void build_v1(void **state)
{
    static const struct {
        const struct proxyproto_end *source, *destination;
        const char *want;
    } v[] = {
        {&ip4_end, &ip4_other, "'PROXY TCP4 192.0.2.1 198.51.100.7 56484 443' 0d0a"},
        {&ip6_end, &ip6_end,
         "'PROXY TCP6 2001:db8:0:0:0:0:0:aff 2001:db8:0:0:0:0:0:aff 65535 65535' 0d0a"},
        {&ip4_end, &ip6_end,
         "'PROXY TCP6 0:0:0:0:0:ffff:c000:201 2001:db8:0:0:0:0:0:aff 56484 65535' 0d0a"},
        {&ip6_end, &ip4_other,
         "'PROXY TCP6 2001:db8:0:0:0:0:0:aff 0:0:0:0:0:ffff:c633:6407 65535 443' 0d0a"},
        {&no_end, &ip4_other, "'PROXY UNKNOWN' 0d0a"},
        {&ip6_end, &no_end, "'PROXY UNKNOWN' 0d0a"},
    };
    uint8_t out[PROXYPROTO_V1_MAX];
    struct proxyproto p;

    (void)state;
    for (size_t i = 0; i < sizeof v / sizeof *v; i++) {
        const size_t n = proxyproto_build_v1(out, v[i].source, v[i].destination);
        assert_octets(span_of(out, n), v[i].want);
        assert_int_equal(proxyproto_parse(span_of(out, n), &p), ERR_OK);
        if (v[i].source->family == 0 || v[i].destination->family == 0)
            continue;
        assert_memory_equal(&p.source, v[i].source, sizeof p.source);
        assert_memory_equal(&p.destination, v[i].destination, sizeof p.destination);
    }
    struct proxyproto_end wide = {.family = 6, .port = 65535};
    memset(wide.ip, 0xff, sizeof wide.ip);
    assert_int_equal(proxyproto_build_v1(out, &wide, &wide), 104);
}

static size_t build(uint8_t out[PROXYPROTO_MAX], const struct proxyproto *p)
{
    return proxyproto_build_v2(out, PROXYPROTO_MAX, p);
}

static void build_v2(void **state)
{
    struct proxyproto p = {.source = ip4_end, .destination = ip4_other};
    uint8_t out[PROXYPROTO_MAX];

    (void)state;
    assert_octets(span_of(out, build(out, &p)), SIGNATURE "21 11 000c" ENDS4);
    p.authority = span_str("vpn.example.com");
    p.tls = (struct proxyproto_tls){.present = true,
                                    .client = PROXYPROTO_CLIENT_TLS,
                                    .verify = 1,
                                    .version = span_str("TLSv1.3"),
                                    .cipher = span_str("TLS_AES_256_GCM_SHA384")};
    assert_octets(span_of(out, build(out, &p)),
                  SIGNATURE "21 11 0049" ENDS4 "02000f 'vpn.example.com'"
                            "200028 01 00000001 210007 'TLSv1.3' 230016 'TLS_AES_256_GCM_SHA384'");
    p.destination = ip6_end;
    p.authority.n = 0;
    p.tls = (struct proxyproto_tls){.present = true};
    assert_octets(span_of(out, build(out, &p)), SIGNATURE
                  "21 21 002c" MAPPED "c0000201 20010db8000000000000000000000aff dca4 ffff"
                  "200005 00 00000000");
    p.source = no_end; /* no ends, no TLVs */
    assert_octets(span_of(out, build(out, &p)), SIGNATURE "21 00 0000");
    p.source = ip6_end;
    p.local = true;
    assert_octets(span_of(out, build(out, &p)), SIGNATURE "20 00 0000");
}

/* haproxy's headers are parsed, built and parsed again, with the same result. */
static void there_and_back(void **state)
{
    static const char *const headers[] = {HAPROXY_V2, HAPROXY_V2_IP6, HAPROXY_CHECK, HAPROXY_TLS,
                                          HAPROXY_TLS_CERT};
    uint8_t out[PROXYPROTO_MAX];
    struct proxyproto p, again;

    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        struct span all = octets_hex(headers[i]);
        assert_int_equal(proxyproto_parse(all, &p), ERR_OK);
        const size_t n = build(out, &p);
        assert_int_equal(n, all.n);
        assert_int_equal(proxyproto_parse(span_of(out, n), &again), ERR_OK);
        assert_int_equal(again.crc32c, p.crc32c);
        assert_int_equal(again.local, p.local);
        assert_true(span_eq(again.alpn, p.alpn));
        assert_true(span_eq(again.unique_id, p.unique_id));
        assert_true(span_eq(again.tls.name, p.tls.name));
        assert_true(span_eq(again.tls.key, p.tls.key));
        assert_true(span_eq(again.tls.signature, p.tls.signature));
        octets_free(all);
    }
}

static void no_room(void **state)
{
    struct span all = octets_hex(HAPROXY_TLS_CERT);
    static uint8_t large[70000], room[70000];
    struct proxyproto p;
    uint8_t out[PROXYPROTO_MAX];

    (void)state;
    assert_int_equal(proxyproto_parse(all, &p), ERR_OK);
    for (size_t cap = 0; cap <= all.n; cap++) {
        uint8_t *exact = malloc(cap > 0 ? cap : 1);
        assert_non_null(exact);
        assert_int_equal(proxyproto_build_v2(exact, cap, &p), cap < all.n ? 0 : all.n);
        free(exact);
    }
    const size_t rest = all.n - p.authority.n;
    p.authority = span_of(large, PROXYPROTO_MAX - rest);
    assert_int_equal(proxyproto_build_v2(room, sizeof room, &p), PROXYPROTO_MAX);
    p.authority.n++;
    assert_int_equal(proxyproto_build_v2(room, sizeof room, &p), 0);
    p.authority = span_of(large, 65536); /* a multiple of 65536: its length field would be 0 */
    assert_int_equal(build(out, &p), 0);
    p.authority.n = 0;
    p.tls.cipher = span_of(large, 65535);
    assert_int_equal(build(out, &p), 0);
    p.tls.cipher.n = 0;
    p.unique_id = span_of(large, 129);
    assert_int_equal(build(out, &p), 0);
    octets_free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_headers_split),
        cmocka_unit_test(every_tlv),
        cmocka_unit_test(bad_headers_split),
        cmocka_unit_test(unique_id_of_its_length),
        cmocka_unit_test(greatest_length),
        cmocka_unit_test(build_v1),
        cmocka_unit_test(build_v2),
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(no_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
