#include "base/value.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static void durations_print_as_short_as_they_can(void **state)
{
    (void)state;
    static const struct {
        uint32_t ms;
        const char *text;
    } table[] = {{0, "0ms"},
                 {1, "1ms"},
                 {1000, "1s"},
                 {1001, "1001ms"},
                 {60000, "1m"},
                 {61000, "61s"},
                 {3600000, "1h"},
                 {86400000, "1d"},
                 {90000000, "25h"},
                 {2592000000, "30d"},
                 {4294967295, "4294967295ms"}};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[VALUE_DURATION_SIZE];
        value_duration_format(table[i].ms, text);
        assert_string_equal(text, table[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_print_as_short_as_they_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
