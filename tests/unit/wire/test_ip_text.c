#include "wire/ip_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static void numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool good;
        unsigned value;
        size_t left;
    } cases[] = {{"0", true, 0, 0},   {"255x", true, 255, 1},      {"256", false, 0, 0},
                 {"00", false, 0, 0}, {"01", false, 0, 0},         {"", false, 0, 0},
                 {"x", false, 0, 0},  {"99999999999", false, 0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span text = span_str(cases[i].text);
        unsigned value;
        assert_int_equal(ip_text_number(&text, 255, &value), cases[i].good);
        if (cases[i].good) {
            assert_int_equal(value, cases[i].value);
            assert_int_equal(text.n, cases[i].left);
        }
    }
}

static void ip4(void **state)
{
    (void)state;
    static const char *const bad[] = {"",          "1",         "1.2.3",    "1.2.3.4.",
                                      "1.2.3.4.5", "1.2.3.256", "1.2.3.04", "a.b.c.d"};
    uint8_t ip[4];

    assert_true(ip_text_parse4(span_str("192.0.2.255"), ip));
    assert_memory_equal(ip, "\xc0\0\2\xff", 4);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ip_text_parse4(span_str(bad[i]), ip));
}

static void ip6(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      ":",
                                      ":::",
                                      "1",
                                      "1:2",
                                      "1::2::3",
                                      "12345::",
                                      "::g",
                                      "1:2:3:4:5:6:7:8:9",
                                      "1:2:3:4:5:6:7:8::",
                                      "[::1]",
                                      "::1%eth0",
                                      "::1:",
                                      "::1.2.3",
                                      "::1.2.3.4:5"};
    uint8_t ip[16];

    assert_true(ip_text_parse6(span_str("2001:DB8::1"), ip));
    assert_memory_equal(ip, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1", 16);
    assert_true(ip_text_parse6(span_str("::"), ip));
    assert_true(ip_text_parse6(span_str("1:2:3:4:5:6:7:8"), ip));
    assert_true(ip_text_parse6(span_str("::ffff:192.0.2.1"), ip));
    assert_memory_equal(ip + 10, "\xff\xff\xc0\0\2\1", 6);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(ip_text_parse6(span_str(bad[i]), ip));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(numbers), cmocka_unit_test(ip4),
                                       cmocka_unit_test(ip6)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
