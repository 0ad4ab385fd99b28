#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <ctype.h>
#include <string.h>

#include "base/ascii.h"

/* The C locale, in which this test runs, has the same classes. */
static void classes(void **state)
{
    (void)state;
    for (int c = 0; c < 128; c++) {
        assert_int_equal(ascii_is_digit(c), isdigit(c) != 0);
        assert_int_equal(ascii_is_letter(c), isalpha(c) != 0);
        assert_int_equal(ascii_is_blank(c), isblank(c) != 0);
        assert_int_equal(ascii_is_space(c), isspace(c) != 0);
        assert_int_equal(ascii_is_visible(c), isgraph(c) != 0);
        assert_int_equal(ascii_hex_digit(c) >= 0, isxdigit(c) != 0);
        assert_int_equal(ascii_lower((uint8_t)c), tolower(c));
    }
}

static void other_values_are_in_no_class(void **state)
{
    (void)state;
    for (int c = -256; c < 512; c++) {
        if (c >= 0 && c < 128)
            continue;
        assert_false(ascii_is_digit(c) || ascii_is_letter(c) || ascii_is_blank(c));
        assert_false(ascii_is_space(c) || ascii_is_visible(c));
        assert_int_equal(ascii_hex_digit(c), -1);
    }
    for (int c = 128; c < 256; c++)
        assert_int_equal(ascii_lower((uint8_t)c), c);
}

static void values_of_hexadecimal_digits(void **state)
{
    (void)state;
    static const char lower[] = "0123456789abcdef", upper[] = "0123456789ABCDEF";
    for (int i = 0; i < 16; i++) {
        assert_int_equal(ascii_hex_digit(lower[i]), i);
        assert_int_equal(ascii_hex_digit(upper[i]), i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes),
        cmocka_unit_test(other_values_are_in_no_class),
        cmocka_unit_test(values_of_hexadecimal_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
