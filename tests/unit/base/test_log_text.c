/* Values in log lines: values that are written unchanged, and the escapes of the others. */
#include "base/log_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static const char *shown(struct span value)
{
    static char text[1024];
    size_t n = 0;

    if (log_text_is_plain(value)) {
        snprintf(text, sizeof text, "%.*s", (int)value.n, (const char *)value.p);
        return text;
    }
    text[n++] = '"';
    while (value.n > 0)
        n += log_text_take(&value, text + n);
    snprintf(text + n, sizeof text - n, "\"");
    return text;
}

struct text_case {
    const char *value, *want;
};

static void check(const struct text_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++)
        assert_string_equal(shown(span_str(cases[i].value)), cases[i].want);
}

static void visible_values_are_unchanged(void **state)
{
    (void)state;
    static const char *const names[] = {"alice",
                                        "CORP\\alice",
                                        "jürgen",
                                        "Ελένη",
                                        "Ольга",
                                        "李雷",
                                        "a'b",
                                        "a\\u0041",
                                        "--",
                                        "x-",
                                        "\xf0\x9f\x98\x80",
                                        "\xf0\x90\x80\x80",
                                        "\xef\xbf\xa1",
                                        "[2001:db8::1%eth0]:443"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_string_equal(shown(span_str(names[i])), names[i]);
}

static void other_values_are_quoted(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"-", "\"-\""}, /* the mark of an unknown value */
        {"", "\"\""},
        {"two words", "\"two words\""},
        {"a=b", "\"a=b\""},
        {"a\"b", "\"a\\\"b\""},
        {"CORP\\al ice", "\"CORP\\\\al ice\""},
        {"a\r\nb\t", "\"a\\u000d\\u000ab\\u0009\""},
        {"\x1b[2J\x7f", "\"\\u001b[2J\\u007f\""},
    };
    check(cases, sizeof cases / sizeof *cases);
    assert_string_equal(shown(span_of("a\0b", 3)), "\"a\\u0000b\"");
}

static void hidden_characters_are_escaped(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"a\xc2\x85"
         "b",
         "\"a\\u0085b\""}, /* NEL ends a line in some readers */
        {"a\xe2\x80\xa8"
         "b",
         "\"a\\u2028b\""},                 /* LINE SEPARATOR */
        {"a\xe2\x80\xa9", "\"a\\u2029\""}, /* PARAGRAPH SEPARATOR */
        {"a\xc2\xa0"
         "b",
         "\"a\\u00a0b\""},               /* NO-BREAK SPACE */
        {"\xe3\x80\x80", "\"\\u3000\""}, /* IDEOGRAPHIC SPACE */
        {"a\xe2\x80\xae"
         "b",
         "\"a\\u202eb\""}, /* RIGHT-TO-LEFT OVERRIDE */
        {"\xe2\x81\xa6\xe2\x81\xa9", "\"\\u2066\\u2069\""},
        {"\xd8\x9c\xe2\x80\x8e", "\"\\u061c\\u200e\""},
        {"a\xe2\x80\x8b", "\"a\\u200b\""}, /* ZERO WIDTH SPACE */
        {"\xef\xbb\xbf"
         "a",
         "\"\\ufeffa\""}, /* BOM */
        {"\xef\xbf\xbd", "\"\\ufffd\""},
        {"\xf0\x9f\xbf\xbf", "\"\\ud83f\\udfff\""}, /* noncharacters of two planes */
        {"\xf4\x8f\xbf\xbe", "\"\\udbff\\udffe\""},
        {"\xf3\xa0\x81\x81", "\"\\udb40\\udc41\""}, /* a tag character */
    };
    check(cases, sizeof cases / sizeof *cases);
}

/* Bytes that are not UTF-8 are half surrogates, each value another one. */
static void other_bytes_are_escaped(void **state)
{
    (void)state;
    static const struct text_case cases[] = {
        {"\xff", "\"\\udcff\""},
        {"\x80", "\"\\udc80\""},
        {"j\xfcrgen", "\"j\\udcfcrgen\""},
        {"\xc3", "\"\\udcc3\""},
        {"\xc3(", "\"\\udcc3(\""},
        {"\xc0\xaf", "\"\\udcc0\\udcaf\""}, /* not the shortest form */
        {"\xe0\x80\xaf", "\"\\udce0\\udc80\\udcaf\""},
        {"\xed\xa0\x80", "\"\\udced\\udca0\\udc80\""},            /* a surrogate */
        {"\xf4\x90\x80\x80", "\"\\udcf4\\udc90\\udc80\\udc80\""}, /* above U+10FFFF */
        {"\xf8\x88\x80\x80\x80", "\"\\udcf8\\udc88\\udc80\\udc80\\udc80\""},
        {"\xc3\xbc\xc3", "\"ü\\udcc3\""},
    };
    check(cases, sizeof cases / sizeof *cases);
}

/* Every single byte, and every character of the first plane: no form has a byte that could end a
 * line or the quotes, and a plain one has no blank. */
static void nothing_ends_a_value(void **state)
{
    (void)state;
    for (uint32_t c = 1; c < 0x10000; c++) {
        const uint8_t two[] = {(uint8_t)(0xc0 | c >> 6), (uint8_t)(0x80 | (c & 0x3f))};
        const uint8_t three[] = {(uint8_t)(0xe0 | c >> 12), (uint8_t)(0x80 | (c >> 6 & 0x3f)),
                                 (uint8_t)(0x80 | (c & 0x3f))};
        const uint8_t one = (uint8_t)c;
        struct span value = c < 0x80    ? span_of(&one, 1)
                            : c < 0x800 ? span_of(two, sizeof two)
                                        : span_of(three, sizeof three);
        const bool plain = log_text_is_plain(value);
        char out[LOG_TEXT_MAX];
        const size_t n = log_text_take(&value, out);
        for (size_t i = 0; i < n; i++)
            assert_true((uint8_t)out[i] >= ' ' && out[i] != 0x7f && (out[i] != '"' || i == 1));
        if (plain)
            assert_true(c > ' ' && c != '"' && c != '=');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(visible_values_are_unchanged),  cmocka_unit_test(other_values_are_quoted),
        cmocka_unit_test(hidden_characters_are_escaped), cmocka_unit_test(other_bytes_are_escaped),
        cmocka_unit_test(nothing_ends_a_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
