#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ppp_fixture.h"

/* A packet of a protocol that LCP did not agree on does not change the method of the current login,
 * before its Success or after it. */
static void other_methods(void **state)
{
    static const struct {
        const char *agreed, *protocol;
        unsigned id;
        const char *data;
    } all[] = {
        {"0305 c223 81", EAP, 0, "03 0d"},
        {"0305 c223 81", CHAP, 1, MD5_VALUE "'User'"},
        {"0305 c223 81", PAP, 1, "03 'ann' 01 'x'"},
        {"0305 c223 80", EAP, 0, "03 0d"},
        {"0305 c223 80", CHAP, 1, MD5_VALUE "'User'"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        const bool v1 = all[i].agreed[10] == '8' && all[i].agreed[11] == '0';
        const enum ppp_method method = v1 ? PPP_METHOD_MSCHAPV1 : PPP_METHOD_MSCHAPV2;
        const unsigned code = strcmp(all[i].protocol, PAP) == 0 ? 1 : 2;
        struct ppp_observer o = fresh(), other;

        packet(&o, SERVER, LCP, 1, 1, all[i].agreed);
        packet(&o, CLIENT, LCP, 2, 1, all[i].agreed);
        packet(&o, SERVER, CHAP, 1, 1, v1 ? "08" CHALLENGE_V1 : "10" CHALLENGE);
        packet(&o, CLIENT, CHAP, 2, 1, v1 ? V1(NT, "01", "'User'") : V2(PEER, NT, "'User'"));
        other = o;
        packet(&other, CLIENT, all[i].protocol, code, all[i].id, all[i].data);
        assert_memory_equal(&other, &o, sizeof o);
        packet(&o, SERVER, CHAP, 3, 1, SUCCESS_TEXT);
        assert_int_equal(o.method, method);
        assert_true(o.confirmed.seen);
        other = o;
        packet(&other, CLIENT, all[i].protocol, code, all[i].id, all[i].data);
        assert_memory_equal(&other, &o, sizeof o);
    }
}

static void names(void **state)
{
    (void)state;
    assert_string_equal(ppp_method_name(PPP_METHOD_NONE), "none");
    assert_string_equal(ppp_method_name(PPP_METHOD_PAP), "pap");
    assert_string_equal(ppp_method_name(PPP_METHOD_MSCHAPV2), "ms-chapv2");
    assert_string_equal(ppp_method_name(PPP_METHOD_EAP_MSCHAPV2), "eap-mschapv2");
    for (enum ppp_method a = 0; a <= PPP_METHOD_EAP_MSCHAPV2; a++)
        for (enum ppp_method b = a + 1; b <= PPP_METHOD_EAP_MSCHAPV2 + 1; b++)
            assert_string_not_equal(ppp_method_name(a), ppp_method_name(b));

    assert_true(ppp_method_has_keys(PPP_METHOD_MSCHAPV1));
    assert_true(ppp_method_has_keys(PPP_METHOD_MSCHAPV2));
    assert_true(ppp_method_has_keys(PPP_METHOD_EAP_MSCHAPV2));
    assert_true(ppp_method_has_keys(PPP_METHOD_EAP_TLS));
    assert_true(ppp_method_has_keys(PPP_METHOD_EAP_PEAP));
    assert_false(ppp_method_has_keys(PPP_METHOD_NONE));
    assert_false(ppp_method_has_keys(PPP_METHOD_PAP));
    assert_false(ppp_method_has_keys(PPP_METHOD_CHAP_MD5));
    assert_false(ppp_method_has_keys(PPP_METHOD_EAP));
    assert_false(ppp_method_has_keys(PPP_METHOD_EAP_MD5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(other_methods),
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests_name("ppp_method", tests, NULL, NULL);
}
