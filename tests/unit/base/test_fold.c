#include "base/fold.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

enum { TEXT_MAX = 64 };

static void check_fold(const char *text, const char *want)
{
    uint8_t out[FOLD_ROOM(TEXT_MAX)];
    const size_t n = fold_case(span_str(text), out);

    assert_true(n <= FOLD_ROOM(strlen(text)));
    if (!span_eq(span_of(out, n), span_str(want)))
        fail_msg("%s becomes %.*s", text, (int)n, (const char *)out);
}

/* Simple folding: a character becomes one character. */
static void letters_lose_their_case(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"", ""},
        {"CORP\\Alice@EXAMPLE.com", "corp\\alice@example.com"},
        {"J\u00dcRGEN", "j\u00fcrgen"},
        {"\u0391\u0393\u0393\u0395\u039b\u03a3", "\u03b1\u03b3\u03b3\u03b5\u03bb\u03c3"},
        {"\u03c2", "\u03c3"}, /* the sigma at the end of a word */
        {"\u0418\u0412\u0410\u041d", "\u0438\u0432\u0430\u043d"},
        {"\u1e9e", "\u00df"},
        {"\u00df", "\u00df"},             /* not ss: that would be full folding */
        {"\u0130\u0131", "\u0130\u0131"}, /* Turkish letters have no case of their own there */
        {"\u0138\u0139\u013a\u013b", "\u0138\u013a\u013a\u013c"},
        {"\u212a\u017f\u00b5", "ks\u03bc"},
        {"\u023a", "\u2c65"}, /* grows */
        {"\u2c62", "\u026b"}, /* shrinks */
        {"\u1f88", "\u1f80"},
        {"\uff21", "\uff41"},
        {"\U00010400\U0001E900", "\U00010428\U0001E922"},
        {"\u00e9 e\u0301", "\u00e9 e\u0301"}, /* composed forms stay */
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        check_fold(pairs[i][0], pairs[i][1]);
        check_fold(pairs[i][1], pairs[i][1]);
        assert_true(fold_equal(span_str(pairs[i][0]), span_str(pairs[i][1])));
    }
}

/* Bytes that are not UTF-8 stay, and the ASCII letters between them fold. */
static void other_bytes_stay(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"J\xdcRGEN", "j\xdcrgen"},
        {"\xc3", "\xc3"},
        {"\xc3"
         "A",
         "\xc3"
         "a"},
        {"\xc0\x80", "\xc0\x80"},
        {"\xe0\x80\x9c", "\xe0\x80\x9c"},
        {"\xed\xa0\x80", "\xed\xa0\x80"},
        {"\xf4\x90\x80\x80", "\xf4\x90\x80\x80"},
        {"\xff\xfe", "\xff\xfe"},
        {"\xc3\x9c\x9c", "\xc3\xbc\x9c"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        check_fold(pairs[i][0], pairs[i][1]);
}

static void different_names_differ(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"alice", "alic"},     {"", "a"},        {"\u00fc", "u"}, {"\u00fc", "\xfc"},
        {"\u00e9", "e\u0301"}, {"\xc3", "\xc2"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_false(fold_equal(span_str(pairs[i][0]), span_str(pairs[i][1])));
        assert_false(fold_equal(span_str(pairs[i][1]), span_str(pairs[i][0])));
    }
}

/* Every character folds to one that stays, within the promised room. */
static void each_character(void **state)
{
    (void)state;
    for (uint32_t c = 1; c <= 0x10ffff; c++) {
        uint8_t text[4], out[6], again[9];
        size_t n = 0, len;

        if (c >= 0xd800 && c <= 0xdfff)
            continue;
        if (c < 0x80)
            text[n++] = (uint8_t)c;
        else if (c < 0x800)
            text[n++] = (uint8_t)(0xc0 | c >> 6);
        else if (c < 0x10000)
            text[n++] = (uint8_t)(0xe0 | c >> 12);
        else
            text[n++] = (uint8_t)(0xf0 | c >> 18);
        for (int shift = c < 0x80      ? -1
                         : c < 0x800   ? 0
                         : c < 0x10000 ? 6
                                       : 12;
             shift >= 0; shift -= 6)
            text[n++] = (uint8_t)(0x80 | (c >> shift & 0x3f));
        assert_int_equal(fold_decode(span_of(text, n), &len), c);
        assert_int_equal(len, n);
        const size_t m = fold_case(span_of(text, n), out);
        assert_true(m <= FOLD_ROOM(n));
        assert_true(fold_decode(span_of(out, m), &len) >= 0 && len == m);
        assert_true(span_eq(span_of(out, m), span_of(again, fold_case(span_of(out, m), again))));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(letters_lose_their_case),
        cmocka_unit_test(other_bytes_stay),
        cmocka_unit_test(different_names_differ),
        cmocka_unit_test(each_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
