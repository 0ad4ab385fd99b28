#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/memo.h"

#define BYTES(text) (text), sizeof(text) - 1
#define UTF16 "UTF-16, as PowerShell and some editors of Windows write it: save it as UTF-8"
#define UTF32 "UTF-32: save it as UTF-8"

static const struct vector {
    const char *bytes;
    size_t n;
    size_t mark; /* bytes that are removed */
    const char *problem;
} vectors[] = {
    {BYTES(""), 0, NULL},
    {BYTES("x"), 0, NULL},
    {BYTES("[gate]\n"), 0, NULL},
    {BYTES("\xef\xbb\xbf[gate]\n"), 3, NULL},
    {BYTES("\xef\xbb\xbf"), 3, NULL},
    {BYTES("\xef\xbb\xbf\xef\xbb\xbf"), 3, NULL}, /* one mark; the other is a hidden character */
    {BYTES("\xef\xbb"), 0, NULL},
    {BYTES("\xff\xfe[\0g\0"), 2, UTF16},
    {BYTES("\xfe\xff\0[\0g"), 2, UTF16},
    {BYTES("\xff\xfe"), 2, UTF16},
    {BYTES("\xff\xfe\x16\x04"), 2, UTF16},
    {BYTES("[\0g\0a\0"), 0, UTF16},
    {BYTES("\0[\0g\0a"), 0, UTF16},
    {BYTES("x\0"), 0, UTF16},
    {BYTES("\0x"), 0, UTF16},
    {BYTES("\xff\xfe\0\0[\0\0\0"), 4, UTF32},
    {BYTES("\0\0\xfe\xff\0\0\0["), 4, UTF32},
    {BYTES("[\0\0\0g\0\0\0"), 0, UTF32},
    {BYTES("\0\0\0[\0\0\0g"), 0, UTF32},
    {BYTES("\0\0"), 0, NULL},
    {BYTES("\0\0\0\0"), 0, NULL},
    {BYTES("ab\0\0"), 0, NULL},
    {BYTES("abc\0def"), 0, NULL},
    {BYTES("a\0bc"), 0, NULL},
    {BYTES("J\xfcrgen"), 0, NULL},
};

static void the_beginning_of_a_text_is_recognized(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        const struct vector *v = &vectors[i];
        struct span text = span_of(v->bytes, v->n);
        const char *problem = text_begin(&text);
        if (v->problem == NULL)
            assert_null(problem);
        else
            assert_string_equal(problem, v->problem);
        assert_int_equal(text.n, v->n - v->mark);
        assert_ptr_equal(text.p, v->bytes + v->mark);
    }
    struct span none = span_of(NULL, 0);
    assert_null(text_begin(&none));
}

/* RFC 3629 4, at the limits of each form. */
static void bytes_that_are_not_utf8_are_found(void **state)
{
    (void)state;
    static const char *const good[] = {
        "",
        "alice \x7f",
        "J\xc3\xbcrgen",
        "\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
        "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf",
    };
    static const struct {
        const char *line;
        unsigned at, byte;
    } bad[] = {
        {"J\xfcrgen", 2, 0xfc},
        {"\xc3\xbc\xc3", 3, 0xc3}, /* cut */
        {"\xc3(", 1, 0xc3},
        {"a\xbf", 2, 0xbf},
        {"\xc1\xbf", 1, 0xc1}, /* longer than necessary */
        {"\xe0\x9f\xbf", 1, 0xe0},
        {"\xf0\x8f\xbf\xbf", 1, 0xf0},
        {"\xed\xa0\x80", 1, 0xed}, /* surrogates */
        {"\xed\xbf\xbf", 1, 0xed},
        {"\xf4\x90\x80\x80", 1, 0xf4}, /* above U+10FFFF */
        {"\xf5\x80\x80\x80", 1, 0xf5},
    };
    char reason[TEXT_REASON_SIZE], want[TEXT_REASON_SIZE];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_false(text_not_utf8(span_str(good[i]), reason));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_true(text_not_utf8(span_str(bad[i].line), reason));
        snprintf(want, sizeof want,
                 "byte %u of this line (0x%02X) is not UTF-8: save the file as UTF-8", bad[i].at,
                 bad[i].byte);
        assert_string_equal(reason, want);
    }
}

static void lines_end_with_lf_or_crlf(void **state)
{
    (void)state;
    static const char *const want[] = {"a", "", "b\rc", "", "d\r", "e"};
    struct span rest = span_str("a\n\nb\rc\r\n\r\nd\r\r\ne"), line;
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_true(text_take_line(&rest, &line));
        assert_true(span_eq(line, span_str(want[i])));
    }
    assert_false(text_take_line(&rest, &line));
    rest = span_str("a\r\n");
    assert_true(text_take_line(&rest, &line) && span_eq(line, span_str("a")));
    assert_false(text_take_line(&rest, &line));
    rest = span_of(NULL, 0);
    assert_false(text_take_line(&rest, &line));
}

/* Loads a file with these bytes; want: its problem, without the path. */
static void check_file(const char *bytes, size_t n, const char *text, const char *want)
{
    char path[] = "/tmp/test-text-XXXXXX";
    struct memo problems;
    struct text t;
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
    close(fd);
    const bool good = text_load(path, &t, memo_open(&problems));
    assert_int_equal(good, want == NULL);
    if (good)
        assert_true(span_eq(t.bytes, span_str(text)));
    else
        assert_string_equal(memo_text(&problems) + strlen(path), want);
    assert_int_equal(unlink(path), 0);
    text_free(&t);
    text_free(&t);
    memo_free(&problems);
}

static void files_are_loaded_without_their_mark(void **state)
{
    (void)state;
    check_file(BYTES(""), "", NULL);
    check_file(BYTES("\xef\xbb\xbf"), "", NULL);
    check_file(BYTES("\xef\xbb\xbfx\r\n"), "x\r\n", NULL);
    check_file(BYTES("\xff\xfex\0"), NULL, ": " UTF16 "\n");
    struct memo problems;
    struct text t;
    assert_false(text_load("/nowhere/list", &t, memo_open(&problems)));
    assert_string_equal(memo_text(&problems),
                        "/nowhere/list: cannot be opened: No such file or directory\n");
    memo_free(&problems);
    assert_false(text_load("/dev/null", &t, memo_open(&problems)));
    assert_string_equal(memo_text(&problems), "/dev/null: cannot be opened: not a regular file\n");
    memo_free(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_beginning_of_a_text_is_recognized),
        cmocka_unit_test(bytes_that_are_not_utf8_are_found),
        cmocka_unit_test(lines_end_with_lf_or_crlf),
        cmocka_unit_test(files_are_loaded_without_their_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
