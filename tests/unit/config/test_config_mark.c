#include "config/config_mark.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static void marks_are_found(void **state)
{
    (void)state;
    static const struct config_key a = {.name = "a"}, b = {.name = "b"};
    struct config c = {.path = NULL};
    assert_null(config_mark_first(&c, 0, &a));
    config_mark_add(&c, &(struct config_mark){.index = 0, .key = &a, .line = 1});
    config_mark_add(&c, &(struct config_mark){.index = 1, .key = &a, .line = 2});
    config_mark_add(&c, &(struct config_mark){.index = 0, .key = &b, .line = 3});
    config_mark_add(&c, &(struct config_mark){.index = 0, .key = &a, .line = 4, .refused = true});
    assert_int_equal(config_mark_first(&c, 0, &a)->line, 1);
    assert_int_equal(config_mark_last(&c, 0, &a)->line, 4);
    assert_true(config_mark_last(&c, 0, &a)->refused);
    assert_int_equal(config_mark_first(&c, 1, &a)->line, 2);
    assert_int_equal(config_mark_last(&c, 1, &a)->line, 2);
    assert_null(config_mark_first(&c, 1, &b));
    assert_null(config_mark_last(&c, 2, &a));
    free(c.mark);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(marks_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
