#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/eap.h"
#include "wire_octets.h"

#define PEER "'peer challenge..' 0000000000000000"
#define NT "'NT-Response, of 24 octet'"
#define NEW_BLOCK "'0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef'"
#define NEW_PASSWORD /* 516 and 16 octets */                                                       \
    NEW_BLOCK NEW_BLOCK NEW_BLOCK NEW_BLOCK NEW_BLOCK NEW_BLOCK NEW_BLOCK NEW_BLOCK                \
        "'20 octets, the rest.'"

static const struct {
    const char *name, *hex;
    bool ok, request, identity, accepted;
    const char *nt_response;
} cases[] = {
    {"nothing", "", false, false, false, false, ""},
    {"no type", "01010004", false, false, false, false, ""},
    {"a length that is none", "01010003 01", false, false, false, false, ""},
    {"longer than there is", "02010006 01", false, false, false, false, ""},
    {"a Success", "03010004", false, false, false, false, ""},
    {"a code behind it", "05010005 01", false, false, false, false, ""},
    {"who are you", "01010005 01", true, true, true, false, ""},
    {"a name", "02010009 01 'User'", true, false, true, false, ""},
    {"a start of TLS", "01020006 0d20", true, true, false, false, ""},
    {"padding", "01020006 0d20 0000", true, true, false, false, ""},
    {"a response", "0202003f 1a 0207003a 31" PEER NT "00 'User'", true, false, false, false, NT},
    {"one without a name", "0202003b 1a 02070036 31" PEER NT "00", true, false, false, false, NT},
    {"octets behind it", "02020041 1a 0207003a 31" PEER NT "00 'User' 0000", true, false, false,
     false, NT},
    {"longer than its packet", "0202003f 1a 0207003b 31" PEER NT "00 'User'", true, false, false,
     false, ""},
    {"another size of the value", "0202003f 1a 0207003a 30" PEER NT "00 'User'", true, false, false,
     false, ""},
    {"cut off", "0202003a 1a 02070035 31" PEER NT, true, false, false, false, ""},
    {"a response that the server says", "0102003f 1a 0207003a 31" PEER NT "00 'User'", true, true,
     false, false, ""},
    {"a response of another type", "0202003f 1b 0207003a 31" PEER NT "00 'User'", true, false,
     false, false, ""},
    {"a new password", "0202024f 1a 0707024a" NEW_PASSWORD PEER NT "0000", true, false, false,
     false, NT},
    {"a new password, cut off", "0202024e 1a 07070249" NEW_PASSWORD PEER NT "00", true, false,
     false, false, ""},
    {"accepted", "0103000a 1a 03070005 'S'", true, true, false, true, ""},
    {"refused", "0103000a 1a 04070005 'E'", true, true, false, false, ""},
    {"an acknowledgement", "02030006 1a 03", true, false, false, false, ""},
    {"an acknowledgement that looks like a Success", "0203000a 1a 03070005 'S'", true, false, false,
     false, ""},
};

static void packets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct span s = octets_hex(cases[i].hex);
        struct eap_packet p;

        print_message("# %s\n", cases[i].name);
        assert_int_equal(eap_parse(s, &p), cases[i].ok);
        if (cases[i].ok) {
            assert_int_equal(p.request, cases[i].request);
            assert_int_equal(p.identity, cases[i].identity);
            assert_int_equal(p.accepted, cases[i].accepted);
            assert_int_equal(p.whole.n, s.p[2] << 8 | s.p[3]);
            assert_int_equal(p.data.n + 4, p.whole.n);
            assert_octets(p.nt_response, cases[i].nt_response);
        }
        octets_free(s);
    }
}

/* A packet that is cut anywhere before its end is none. */
static void cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct span s = octets_hex(cases[i].hex);
        struct eap_packet p;

        for (size_t n = 0; cases[i].ok && n < (size_t)(s.p[2] << 8 | s.p[3]); n++) {
            const struct span part = octets_copy(span_sub(s, 0, n));
            assert_false(eap_parse(part, &p));
            octets_free(part);
        }
        octets_free(s);
    }
}

static void frames(void **state)
{
    (void)state;
    static const struct {
        const char *frame, *packet;
        bool ok;
    } all[] = {
        {"ff03c227 01010005 01", "01010005 01", true},
        {"c227 01010005 01", "01010005 01", true},
        {"ff03c227", "", true},
        {"ff03c223 01010005 01", "", false},
        {"ff03ff03c227 01", "", false},
        {"ff03c2", "", false},
        {"c2", "", false},
        {"", "", false},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const struct span s = octets_hex(all[i].frame);
        struct span packet;

        assert_int_equal(eap_of_frame(s, &packet), all[i].ok);
        if (all[i].ok)
            assert_octets(packet, all[i].packet);
        octets_free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packets),
        cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(frames),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
