#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/ppp_frame.h"
#include "wire_octets.h"

/* The canonical form of a frame, in hex; "" for one that is not forwarded. */
static void assert_rebuilt(enum ppp_from from, const char *frame, const char *expected)
{
    struct span in = octets_hex(frame), want = octets_hex(expected);
    struct ppp_frame f;
    uint8_t out[PPP_FRAME_MAX];

    print_message("%s\n", frame);
    const bool read = ppp_frame_read(from, in, &f);
    assert_int_equal(read, want.n > 0);
    if (read) {
        const size_t n = ppp_frame_build(&f, out);
        assert_int_equal(n, want.n);
        assert_memory_equal(out, want.p, n);
        assert_int_equal(ppp_frame_is_canonical(&f, in), span_eq(in, want));
    }
    octets_free(want);
    octets_free(in);
}

static void one_form_for_all(void **state)
{
    static const struct {
        const char *frame, *canonical;
    } all[] = {
        {"ff03 c021 0101 0004", "ff03 c021 0101 0004"},
        {"c021 0101 0004", "ff03 c021 0101 0004"},
        {"ff03 c021 0101 0004 ffff", "ff03 c021 0101 0004"},
        {"c021 0101 0004 00", "ff03 c021 0101 0004"},
        {"ff03 8021 0101 0004 77", "ff03 8021 0101 0004 77"}, /* network control: as it is */
        {"8021", "ff03 8021"},
        {"ff03 0021 45", "ff03 0021 45"},
        {"21 45", "ff03 0021 45"},
        {"ff03 21 45", "ff03 0021 45"},
        {"0021 45", "ff03 0021 45"},
        {"fd 90", "ff03 00fd 90"},
        {"ff03 c025 00", "ff03 c025 00"},
        {"c029 01", "ff03 c029 01"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_rebuilt(PPP_FROM_CLIENT, all[i].frame, all[i].canonical);
        assert_rebuilt(PPP_FROM_SERVER, all[i].frame, all[i].canonical);
    }
}

static void not_forwarded(void **state)
{
    static const char *const all[] = {
        "",
        "ff",
        "ff03",
        "ff02 c223 0201 0004",
        "ff03 ff03 c223 0201 0004",
        "ff03 c2",
        "ff03 c223",
        "ff03 c222 0101 0004", /* an even number is no protocol */
        "ff03 c223 0201",
        "ff03 c223 0201 0000",
        "ff03 c223 0201 0003", /* shorter than its own head */
        "ff03 c223 0201 0005", /* longer than the frame */
        "ff03 c021 0001 0004", /* codes that LCP does not have */
        "ff03 c021 0e01 0004",
        "ff03 c021 ff01 0004",
        "ff03 c021 0101 0005 03", /* options: a type alone */
        "ff03 c021 0101 0006 0300",
        "ff03 c021 0101 0006 0301",
        "ff03 c021 0101 0006 0302",                /* without a protocol */
        "ff03 c021 0101 0008 0305 c223",           /* longer than the packet */
        "ff03 c021 0101 000c 0304 c023 0304 c223", /* two of authentication */
        "ff03 c021 0401 0006 0301",                /* in a Reject, too */
        "ff03 c027 0101 0004", /* SPAP, an authentication that is not read here */
        "ff03 c281 0101 0004",
        "ff03 c481 0101 0004",
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_rebuilt(PPP_FROM_CLIENT, all[i], "");
        assert_rebuilt(PPP_FROM_SERVER, all[i], "");
    }
}

/* The codes that each side may send, bit N: code N. */
static void codes_have_their_side(void **state)
{
    static const struct {
        const char *protocol;
        unsigned client, server;
    } all[] = {
        {"c021", 0x3ffe, 0x3ffe}, /* LCP: 1 to 13 */
        {"c023", 1u << 1, 1u << 2 | 1u << 3},
        {"c223", 1u << 2 | 1u << 7, 1u << 1 | 1u << 3 | 1u << 4},
        {"c227", 1u << 2, 1u << 1 | 1u << 3 | 1u << 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        for (unsigned code = 0; code < 256; code++) {
            char hex[64];
            snprintf(hex, sizeof hex, "ff03 %s %02x01 0004", all[i].protocol, code);
            struct span in = octets_hex(hex);
            struct ppp_frame f;
            for (int from = PPP_FROM_CLIENT; from <= PPP_FROM_SERVER; from++) {
                const unsigned codes = from == PPP_FROM_CLIENT ? all[i].client : all[i].server;
                assert_int_equal(ppp_frame_read((enum ppp_from)from, in, &f),
                                 code < 32 && (codes >> code & 1) != 0);
            }
            octets_free(in);
        }
    }
}

/* Every cut frame is either not forwarded or rebuilt from the octets that remain. */
static void every_cut(void **state)
{
    static const char *const all[] = {
        "ff03 c021 0101 0015 0104 0ffb 0305 c223 81 0506 01020304 aabb",
        "c223 0201 000a 05 'hello' 00",
        "ff03 8021 0101 000a 0306 00000000",
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct span whole = octets_hex(all[i]);
        for (size_t n = 0; n <= whole.n; n++) {
            struct span in = octets_copy(span_sub(whole, 0, n));
            struct ppp_frame f, again;
            uint8_t out[PPP_FRAME_MAX];
            if (ppp_frame_read(PPP_FROM_CLIENT, in, &f)) {
                struct span built = span_of(out, ppp_frame_build(&f, out));
                assert_true(ppp_frame_read(PPP_FROM_CLIENT, built, &again));
                assert_true(ppp_frame_is_canonical(&again, built));
                assert_true(span_eq(f.info, again.info));
                assert_int_equal(f.protocol, again.protocol);
                assert_int_equal(f.code, again.code);
            }
            octets_free(in);
        }
        octets_free(whole);
    }
}

/* A frame with a compressed head that has no room for the whole one. */
static void too_long_to_rebuild(void **state)
{
    static uint8_t octets[PPP_FRAME_MAX] = {0x21};
    uint8_t out[PPP_FRAME_MAX];
    struct ppp_frame f;

    (void)state;
    assert_false(ppp_frame_read(PPP_FROM_CLIENT, span_of(octets, sizeof octets - 2), &f));
    assert_true(ppp_frame_read(PPP_FROM_CLIENT, span_of(octets, sizeof octets - 3), &f));
    assert_int_equal(ppp_frame_build(&f, out), PPP_FRAME_MAX);
}

static void control_and_network(void **state)
{
    static const struct {
        const char *hex;
        bool control, network;
    } all[] = {
        {"ff03 c021 0901 0004", true, false},
        {"ff03 c223 0201 0004", true, false},
        {"ff03 8021 0101 0004", true, true},
        {"ff03 8057", true, true},
        {"ff03 80fd", true, true},
        {"ff03 0021 45", false, true},
        {"57 60", false, true},
        {"ff03 003d c0", false, true},
        {"ff03 7fff 00", false, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct span in = octets_hex(all[i].hex);
        struct ppp_frame f;
        print_message("%s\n", all[i].hex);
        assert_true(ppp_frame_read(PPP_FROM_CLIENT, in, &f));
        assert_int_equal(ppp_frame_is_control(&f), all[i].control);
        assert_int_equal(ppp_frame_is_network(&f), all[i].network);
        octets_free(in);
    }
}

/* The frames that begin another login on a link that is up. */
static void second_logins(void **state)
{
    static const struct {
        const char *hex;
        enum ppp_relogin is;
        const char *request;
    } all[] = {
        {"ff03 c021 0101 0004", PPP_LCP_REQUEST, "0101 0004"},
        {"c021 0101 0004", PPP_LCP_REQUEST, "0101 0004"},
        {"ff03 c021 01", PPP_LCP_REQUEST, "01"}, /* a server may be content with less */
        {"ff03 c021 0101 ffff 00", PPP_LCP_REQUEST, "0101 ffff 00"},
        {"ff03 c021 0201 0004", PPP_NO_LOGIN, ""},
        {"ff03 c021 0901 0008 00000000", PPP_NO_LOGIN, ""},
        {"ff03 c021", PPP_NO_LOGIN, ""},
        {"ff03 c023 0101 0004", PPP_LOGIN, ""},
        {"c223 00", PPP_LOGIN, ""},
        {"ff03 c223", PPP_LOGIN, ""},
        {"c227 02", PPP_LOGIN, ""},
        {"ff03 c025 00", PPP_NO_LOGIN, ""},
        {"ff03 c0", PPP_NO_LOGIN, ""},
        {"ff03 0021 45", PPP_NO_LOGIN, ""},
        {"21 c2", PPP_NO_LOGIN, ""},
        {"ff03 8021 0101 0004", PPP_NO_LOGIN, ""},
        {"ff03", PPP_NO_LOGIN, ""},
        {"", PPP_NO_LOGIN, ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct span in = octets_hex(all[i].hex), request = {0};
        print_message("%s\n", all[i].hex);
        assert_int_equal(ppp_frame_relogin(in, &request), all[i].is);
        assert_octets(request, all[i].request);
        assert_true(all[i].is == PPP_NO_LOGIN || ppp_frame_may_be_link(in));
        octets_free(in);
    }
}

/* The address of a Configure-Ack, in any form of the frame; every cut of it assigns none. */
static void assigned_addresses(void **state)
{
    static const struct {
        const char *hex, *ip; /* ip "": none */
    } all[] = {
        {"ff03 8021 0201 000a 0306 c0000207", "c0000207"},
        {"8021 0201 000a 0306 c0000207", "c0000207"},
        {"ff03 8021 0201 0010 8106 08080808 0306 0a000001", "0a000001"},
        {"ff03 8021 0201 000a 0306 c0000207 ffff", "c0000207"}, /* padding */
        {"ff03 8021 0201 000a 0206 c0000207", ""},              /* another option */
        {"ff03 8021 0201 0008 0304 c000", ""},                  /* no address */
        {"ff03 8021 0101 000a 0306 c0000207", ""},              /* Configure-Request */
        {"ff03 8021 0301 000a 0306 c0000207", ""},              /* Configure-Nak */
        {"ff03 8021 0201 0010 0306 c0000207 0100 0000", ""},    /* a broken option behind it */
        {"ff03 8057 0201 000a 0306 c0000207", ""},              /* IPv6CP */
        {"ff03 0021 0201 000a 0306 c0000207", ""},
        {"ff03 c021 0201 000a 0306 c0000207", ""},
        {"80", ""},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const struct span in = octets_hex(all[i].hex);
        uint8_t ip[4] = {0};
        print_message("%s\n", all[i].hex);
        const bool found = ppp_frame_assigned(in, ip);
        assert_int_equal(found, *all[i].ip != '\0');
        assert_octets(span_of(ip, found ? 4 : 0), all[i].ip);
        assert_true(!found || ppp_frame_may_be_ipcp(in));
        for (size_t n = 0; n + (i == 3 ? 2 : 0) < in.n; n++) {
            struct span cut = octets_hex(all[i].hex);
            cut.n = n;
            assert_false(ppp_frame_assigned(cut, ip));
            octets_free(cut);
        }
        octets_free(in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_form_for_all),      cmocka_unit_test(not_forwarded),
        cmocka_unit_test(codes_have_their_side), cmocka_unit_test(every_cut),
        cmocka_unit_test(too_long_to_rebuild),   cmocka_unit_test(control_and_network),
        cmocka_unit_test(second_logins),         cmocka_unit_test(assigned_addresses),
    };
    return cmocka_run_group_tests_name("ppp_frame", tests, NULL, NULL);
}
