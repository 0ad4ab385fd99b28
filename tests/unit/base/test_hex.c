#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/hex.h"

static void there_and_back(void **state)
{
    (void)state;
    uint8_t octets[256], back[256];
    char text[512];
    for (size_t i = 0; i < sizeof octets; i++)
        octets[i] = (uint8_t)i;
    hex_write(text, octets, sizeof octets);
    assert_memory_equal(text, "000102", 6);
    assert_memory_equal(text + 506, "fdfeff", 6);
    assert_true(hex_read(span_of(text, sizeof text), back, sizeof back));
    assert_memory_equal(back, octets, sizeof octets);
    assert_true(hex_read(span_str("aBCd"), back, 2));
    assert_memory_equal(back, "\xab\xcd", 2);
    assert_true(hex_read(span_of(NULL, 0), back, 0));
}

static void not_so_many_digits(void **state)
{
    (void)state;
    static const char *const bad[] = {"",     "a",    "ab",   "abc", "abcde",
                                      "abcg", "gbcd", "ab d", "0xab"};
    uint8_t out[2];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(hex_read(span_str(bad[i]), out, 2));
    assert_false(hex_read(span_of("ab\0d", 4), out, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_and_back),
        cmocka_unit_test(not_so_many_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
