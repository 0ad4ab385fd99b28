#include "base/suggest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static void distances(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        size_t distance;
    } table[] = {
        {"", "", 0},
        {"abc", "", 3},
        {"abc", "abc", 0},
        {"abc", "ABC", 0},
        {"abc", "abd", 1},
        {"abc", "ab", 1},
        {"abc", "xabc", 1},
        {"abc", "acb", 1},
        {"listen", "silent", 4},
        {"ca", "abc", 3},
        {"workers", "wrokesr", 2},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_int_equal(suggest_distance(table[i].a, table[i].b), table[i].distance);
        assert_int_equal(suggest_distance(table[i].b, table[i].a), table[i].distance);
    }
    assert_true(suggest_distance(X50 X50, "a") == SIZE_MAX);
}

static void the_nearest_word_is_suggested(void **state)
{
    (void)state;
    struct suggest s = suggest_init("wrokers");
    suggest_offer(&s, "log");
    assert_null(s.best);
    suggest_offer(&s, "worker");
    assert_string_equal(s.best, "worker");
    suggest_offer(&s, "workers");
    assert_string_equal(s.best, "workers");
    suggest_offer(&s, "worker");
    assert_string_equal(s.best, "workers");
}

static void text_of_a_suggestion(void **state)
{
    char text[SUGGEST_TEXT];
    struct suggest s = suggest_init("frnot");

    (void)state;
    suggest_text(&s, text);
    assert_string_equal(text, "");
    suggest_offer(&s, "front");
    suggest_text(&s, text);
    assert_string_equal(text, "; did you mean 'front'?");
    s = suggest_init(X50);
    suggest_offer(&s, X50 "xxxxxxxxxxxxxx"); /* more than the limit of letters apart */
    suggest_text(&s, text);
    assert_string_equal(text, "");
    s = suggest_init(X50 "xxxxxxxxx");
    suggest_offer(&s, X50 "xxxxxxxxxxxxxx"); /* the longest name */
    suggest_text(&s, text);
    assert_string_equal(text, "; did you mean '" X50 "xxxxxxxxxxxxxx'?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances),
        cmocka_unit_test(the_nearest_word_is_suggested),
        cmocka_unit_test(text_of_a_suggestion),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
