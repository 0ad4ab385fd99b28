#include "base/hidden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

/* NULL: nothing is hidden. */
static const struct vector {
    const char *text;
    const char *name;
    size_t at;
    const char *ends; /* the name of what begins or ends the text */
} vectors[] = {
    {"", NULL, 0, NULL},
    {"alice", NULL, 0, NULL},
    {"J\xc3\xbcrgen \xd0\x96 \xe4\xb8\xad \xf0\x9f\x94\x91 \t-_", NULL, 0, NULL},
    {"\001\033\177\r\n", NULL, 0, NULL}, /* control characters of ASCII, which the parsers report */
    {"alice\xc2\xa0", "U+00A0 NO-BREAK SPACE", 5, "U+00A0 NO-BREAK SPACE"},
    {"\xe2\x80\x8e"
     "8f",
     "U+200E LEFT-TO-RIGHT MARK", 0, "U+200E LEFT-TO-RIGHT MARK"},
    {"a\xe2\x80\x8b"
     "b",
     "U+200B ZERO WIDTH SPACE", 1, NULL},
    {"a\xef\xbb\xbf"
     "b",
     "U+FEFF ZERO WIDTH NO-BREAK SPACE (a byte order mark)", 1, NULL},
    {"\xc2\xad", "U+00AD SOFT HYPHEN", 0, "U+00AD SOFT HYPHEN"},
    {"a\xe2\x80\xae"
     "b",
     "U+202E RIGHT-TO-LEFT OVERRIDE", 1, NULL},
    {"a\xe2\x81\xa6"
     "b\xe2\x81\xa9",
     "U+2066 LEFT-TO-RIGHT ISOLATE", 1, "U+2069 POP DIRECTIONAL ISOLATE"},
    {"a\xe2\x80\x8d"
     "b",
     "U+200D ZERO WIDTH JOINER", 1, NULL},
    {"a\xe2\x81\xa0"
     "b",
     "U+2060 WORD JOINER", 1, NULL},
    {"a\xe3\x80\x80"
     "b",
     "U+3000 IDEOGRAPHIC SPACE", 1, NULL},
    {"a\xe2\x80\xaf"
     "b",
     "U+202F NARROW NO-BREAK SPACE", 1, NULL},
    {"a\xe3\x85\xa4", "U+3164 HANGUL FILLER", 1, "U+3164 HANGUL FILLER"},
    {"a\xe2\x80\xa8", "U+2028 LINE SEPARATOR", 1, "U+2028 LINE SEPARATOR"},
    {"a\xc2\x85", "U+0085 (a control character)", 1, "U+0085 (a control character)"},
    {"\xe2\x9d\xa4\xef\xb8\x8f", "U+FE0F VARIATION SELECTOR-16", 3, "U+FE0F VARIATION SELECTOR-16"},
    {"a\xf3\xa0\x81\x81", "U+E0041 (a TAG character)", 1, "U+E0041 (a TAG character)"},
    {"a\xf3\xa0\x84\x80", "U+E0100 VARIATION SELECTOR-17", 1, "U+E0100 VARIATION SELECTOR-17"},
    {"\xd8\x80", NULL, 0, NULL}, /* U+0600, a visible format character */
    /* not UTF-8 */
    {"alice\xa0", "byte A0 (NO-BREAK SPACE in Windows-1252)", 5,
     "byte A0 (NO-BREAK SPACE in Windows-1252)"},
    {"\xa0 b", "byte A0 (NO-BREAK SPACE in Windows-1252)", 0,
     "byte A0 (NO-BREAK SPACE in Windows-1252)"},
    {"\xe0\xa0 \xe0\xa0\xe0", NULL, 0, NULL},
    {"J\xfcrgen", NULL, 0, NULL},
    {"\xe0\x82\xa0\xc0\xa0", NULL, 0, NULL}, /* overlong */
    {"a\xe2\x80", NULL, 0, NULL},            /* cut */
    {"\x8e\x8e\x8e\x8e\x8e", NULL, 0, NULL},
    {"\xf5\x80\x80\x80\xff", NULL, 0, NULL},
};

static void hidden_characters_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const struct vector *v = &vectors[i];
        struct hidden h = {0};
        const bool found = hidden_find(span_str(v->text), &h);
        assert_int_equal(found, v->name != NULL);
        if (found) {
            assert_string_equal(h.name, v->name);
            assert_int_equal(h.at, v->at);
        }
        assert_int_equal(hidden_find_at_ends(span_str(v->text), &h), v->ends != NULL);
        if (v->ends != NULL)
            assert_string_equal(h.name, v->ends);
    }
}

/* Each text, copied to the end of its memory, is cut at each position: a sanitizer finds a read
 * past it. A character that is found whole is found in every longer text, too. */
static void texts_may_be_cut_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const struct vector *v = &vectors[i];
        for (size_t n = 0; n <= strlen(v->text); n++) {
            struct hidden h;
            char *copy = malloc(n + 1);
            assert_non_null(copy);
            memcpy(copy + 1, v->text, n);
            const bool found = hidden_find(span_of(copy + 1, n), &h);
            hidden_find_at_ends(span_of(copy + 1, n), &h);
            assert_true(!found || v->name != NULL);
            free(copy);
        }
    }
    struct hidden h;
    assert_false(hidden_find(span_of(NULL, 0), &h));
    assert_false(hidden_find_at_ends(span_of(NULL, 0), &h));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hidden_characters_are_named),
        cmocka_unit_test(texts_may_be_cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
