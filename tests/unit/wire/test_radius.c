#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/radius.h"
#include "wire_octets.h"

#define AUTHENTICATOR "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
#define HEAD "0107"
#define EMPTY HEAD "0014" AUTHENTICATOR
#define USER "0107'alice'"

struct good {
    const char *name, *hex;
    unsigned len;
    const char *attributes;
};

static const struct good good[] = {
    {"no attributes", EMPTY, 20, ""},
    {"one", HEAD "001b" AUTHENTICATOR USER, 27, USER},
    {"two", HEAD "0021" AUTHENTICATOR USER "0406c0000201", 33, USER "0406c0000201"},
    {"an empty value", HEAD "0016" AUTHENTICATOR "1802", 22, "1802"},
    {"padding", EMPTY "00000000", 20, ""},
    {"padding that looks like an attribute", HEAD "001b" AUTHENTICATOR USER "0102", 27, USER},
};

static const char *const bad[] = {
    HEAD "0013" AUTHENTICATOR, /* less than a header */
    HEAD "0000" AUTHENTICATOR,
    HEAD "0015" AUTHENTICATOR "18",   /* half a header of an attribute */
    HEAD "0016" AUTHENTICATOR "1800", /* attributes that are shorter than their header */
    HEAD "0016" AUTHENTICATOR "1801",
    HEAD "0016" AUTHENTICATOR "1803",       /* or end after the packet */
    HEAD "001a" AUTHENTICATOR "0107'alic'", /* even if the datagram has more octets */
    HEAD "001a" AUTHENTICATOR USER,
    HEAD "0015" AUTHENTICATOR, /* longer than the datagram */
    HEAD "ffff" AUTHENTICATOR,
};

static void parse(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct span s = octets_hex(good[i].hex);
        struct radius_packet p;
        print_message("# %s\n", good[i].name);
        assert_int_equal(radius_parse(s, &p), ERR_OK);
        assert_int_equal(p.code, RADIUS_ACCESS_REQUEST);
        assert_int_equal(p.id, 7);
        assert_int_equal(p.whole.n, good[i].len);
        assert_octets(p.authenticator, AUTHENTICATOR);
        assert_octets(p.attributes, good[i].attributes);
        /* A datagram cut at any octet is an error. */
        for (size_t cut = 0; cut < good[i].len; cut++) {
            struct span begin = octets_copy(span_sub(s, 0, cut));
            assert_int_equal(radius_parse(begin, &p), ERR_LENGTH);
            octets_free(begin);
        }
        octets_free(s);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct span s = octets_hex(bad[i]);
        struct radius_packet p;
        print_message("# %s\n", bad[i]);
        assert_int_equal(radius_parse(s, &p), ERR_LENGTH);
        octets_free(s);
    }
}

/* A Length of 4096 is accepted, more is not, whatever the size of the datagram. */
static void longest(void **state)
{
    (void)state;
    static uint8_t octets[RADIUS_MAX + 4] = {1, 7, 0x10, 0x00};
    struct radius_packet p;
    size_t at = RADIUS_HEADER;

    for (; at < RADIUS_MAX; at += octets[at + 1]) {
        octets[at] = RADIUS_PROXY_STATE;
        octets[at + 1] = (uint8_t)(RADIUS_MAX - at < 255 ? RADIUS_MAX - at : 251);
    }
    assert_int_equal(at, RADIUS_MAX);
    assert_int_equal(radius_parse(span_of(octets, RADIUS_MAX), &p), ERR_OK);
    assert_int_equal(p.whole.n, RADIUS_MAX);
    octets[3] = 2;
    octets[RADIUS_MAX] = RADIUS_PROXY_STATE;
    octets[RADIUS_MAX + 1] = 2;
    assert_int_equal(radius_parse(span_of(octets, sizeof octets), &p), ERR_LENGTH);
}

/* Returns a packet with these attributes; the caller frees. */
static struct span packet_of(const char *hex, struct radius_packet *p)
{
    struct span a = octets_hex(hex), s;
    uint8_t *octets = calloc(1, RADIUS_HEADER + a.n);
    assert_non_null(octets);
    octets[0] = RADIUS_ACCESS_REQUEST;
    octets[2] = (uint8_t)((RADIUS_HEADER + a.n) >> 8);
    octets[3] = (uint8_t)(RADIUS_HEADER + a.n);
    memcpy(octets + RADIUS_HEADER, a.p, a.n);
    s = span_of(octets, RADIUS_HEADER + a.n);
    octets_free(a);
    assert_int_equal(radius_parse(s, p), ERR_OK);
    return s;
}

static void walk(void **state)
{
    (void)state;
    struct radius_packet p;
    struct radius_attribute a;
    struct span value, s = packet_of(USER "2103'a'"
                                          "1802"
                                          "2103'b'",
                                     &p);
    struct cursor c = cursor_of(p.attributes);

    assert_true(radius_next(&c, &a));
    assert_int_equal(a.type, RADIUS_USER_NAME);
    assert_octets(a.value, "'alice'");
    assert_true(radius_next(&c, &a) && a.type == RADIUS_PROXY_STATE);
    assert_true(radius_next(&c, &a) && a.type == RADIUS_STATE && a.value.n == 0);
    assert_true(radius_next(&c, &a) && a.type == RADIUS_PROXY_STATE);
    assert_octets(a.value, "'b'");
    assert_false(radius_next(&c, &a));
    assert_true(radius_find(&p, RADIUS_PROXY_STATE, &value));
    assert_octets(value, "'a'");
    assert_true(radius_find(&p, RADIUS_STATE, &value));
    assert_int_equal(value.n, 0);
    assert_false(radius_find(&p, RADIUS_CALLING_STATION_ID, &value));
    octets_free(s);
}

#define MS "00000137"

/* Returns the types and values of all attributes of Microsoft, one after the other. */
static const struct {
    const char *name, *hex, *found;
} vendors[] = {
    {"none", USER, ""},
    {"one", "1a0b" MS "0b05 010203", "0b 010203"},
    {"two in one attribute", "1a0f" MS "1005 aabbcc 1104 ddee", "10 aabbcc 11 ddee"},
    {"two attributes", "1a08" MS "1002" USER "1a09" MS "1103 dd", "10 11 dd"},
    {"another vendor",
     "1a0b 00000009 0105 010203"
     "1a08" MS "1002",
     "10"},
    {"nothing in it", "1a06" MS "1a08" MS "1102", "11"},
    {"shorter than a vendor's number",
     "1a05 000001"
     "1a08" MS "1102",
     "11"},
    {"one that cannot be told apart",
     "1a0a" MS "1005 aabb"
     "1a08" MS "1102",
     "11"},
    {"the second cannot",
     "1a0b" MS "1003 aa 1105"
     "1a08" MS "1102",
     "11"},
    {"a length of zero",
     "1a08" MS "1000"
     "1a08" MS "1102",
     "11"},
};

static void microsoft(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vendors / sizeof *vendors; i++) {
        struct radius_packet p;
        struct span value, s = packet_of(vendors[i].hex, &p);
        struct radius_ms_walk w = radius_ms_walk_of(&p);
        struct radius_attribute a;
        uint8_t found[256];
        size_t n = 0;

        print_message("# %s\n", vendors[i].name);
        while (radius_ms_next(&w, &a)) {
            found[n++] = a.type;
            memcpy(found + n, a.value.p, a.value.n);
            n += a.value.n;
            assert_true(radius_ms_find(&p, a.type, &value));
            assert_ptr_equal(value.p, a.value.p);
        }
        assert_octets(span_of(found, n), vendors[i].found);
        assert_false(radius_ms_next(&w, &a));
        assert_false(radius_ms_find(&p, 0x7f, &value));
        octets_free(s);
    }
}

static void eap(void **state)
{
    (void)state;
    uint8_t out[RADIUS_MAX];
    struct radius_packet p;
    struct span s = packet_of("4f05 010203"
                              "4f02" USER "4f03 04",
                              &p);

    assert_octets(radius_eap(&p, out), "01020304");
    octets_free(s);
    s = packet_of(USER, &p);
    assert_int_equal(radius_eap(&p, out).n, 0);
    octets_free(s);
}

static void build(void **state)
{
    (void)state;
    static const uint8_t long_value[RADIUS_VALUE_MAX + 1];
    struct radius_out *o = malloc(sizeof *o);
    struct radius_packet p;
    struct span value;

    assert_non_null(o);
    radius_begin(o, RADIUS_ACCESS_ACCEPT, 9);
    radius_add(o, RADIUS_USER_NAME, span_str("alice"));
    radius_add(o, RADIUS_STATE, span_of(NULL, 0));
    assert_true(radius_end(o));
    assert_octets(span_of(o->octets, o->len),
                  "0209001d 00000000000000000000000000000000" USER "1802");
    radius_add(o, RADIUS_STATE, span_of(long_value, sizeof long_value));
    assert_false(radius_end(o));

    radius_begin(o, RADIUS_ACCESS_ACCEPT, 9);
    while (!o->full)
        radius_add(o, RADIUS_STATE, span_of(long_value, RADIUS_VALUE_MAX - 1));
    assert_false(radius_end(o));
    o->full =
        false; /* the packet is still well formed, and its rest can be filled to the last octet */
    radius_add(o, RADIUS_CHAP_PASSWORD, span_of(long_value, RADIUS_MAX - o->len - 2));
    assert_true(radius_end(o));
    assert_int_equal(o->len, RADIUS_MAX);
    assert_int_equal(radius_parse(span_of(o->octets, o->len), &p), ERR_OK);
    assert_true(radius_find(&p, RADIUS_CHAP_PASSWORD, &value));
    free(o);
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(radius_code_name(RADIUS_ACCESS_REQUEST), "access-request");
    assert_string_equal(radius_code_name(RADIUS_ACCESS_ACCEPT), "access-accept");
    assert_string_equal(radius_code_name(RADIUS_ACCESS_REJECT), "access-reject");
    assert_string_equal(radius_code_name(RADIUS_ACCOUNTING_REQUEST), "accounting-request");
    assert_string_equal(radius_code_name(RADIUS_ACCOUNTING_RESPONSE), "accounting-response");
    assert_string_equal(radius_code_name(RADIUS_ACCESS_CHALLENGE), "access-challenge");
    assert_string_equal(radius_code_name(RADIUS_STATUS_SERVER), "status-server");
    assert_string_equal(radius_code_name(43), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parse),     cmocka_unit_test(longest), cmocka_unit_test(walk),
        cmocka_unit_test(microsoft), cmocka_unit_test(eap),     cmocka_unit_test(build),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
