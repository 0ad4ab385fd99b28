#include "base/span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static void parts_are_cut_to_what_is_there(void **state)
{
    (void)state;
    static const struct {
        size_t from, n;
        const char *want;
    } cases[] = {
        {0, 5, "abcde"},      {0, 0, ""},
        {1, 3, "bcd"},        {4, 1, "e"},
        {4, 9, "e"},          {5, 1, ""},
        {9, 1, ""},           {0, SIZE_MAX, "abcde"},
        {2, SIZE_MAX, "cde"}, {SIZE_MAX, SIZE_MAX, ""},
    };
    const struct span s = span_str("abcde");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct span part = span_sub(s, cases[i].from, cases[i].n);
        assert_true(span_eq(part, span_str(cases[i].want)));
        assert_true(part.p >= s.p && part.p + part.n <= s.p + s.n);
    }
    assert_true(span_eq(span_from(s, 3), span_str("de")));
    assert_int_equal(span_from(s, 6).n, 0);
}

static void nothing_is_a_span_too(void **state)
{
    (void)state;
    const struct span none = span_of(NULL, 0);
    assert_int_equal(span_sub(none, 3, 3).n, 0);
    assert_null(span_sub(none, 0, 0).p);
    assert_true(span_eq(none, span_str("")));
    assert_true(span_eq_nocase(none, span_str("")));
    assert_false(span_eq(none, span_str("a")));
}

static void comparing(void **state)
{
    (void)state;
    assert_true(span_eq(span_str("Sstp"), span_str("Sstp")));
    assert_false(span_eq(span_str("Sstp"), span_str("sstp")));
    assert_false(span_eq(span_str("Sstp"), span_str("Sst")));
    assert_true(span_eq_nocase(span_str("Sstp-9Z"), span_str("sSTP-9z")));
    assert_false(span_eq_nocase(span_str("sstp"), span_str("sst")));
    /* the neighbours of the letters differ in the same bit: '@' and '`', '[' and '{' */
    assert_false(span_eq_nocase(span_str("@["), span_str("`{")));
    assert_false(span_eq_nocase(span_of("\xc4", 1), span_of("\xe4", 1)));
    /* a NUL is a byte like any other */
    assert_false(span_eq(span_of("a\0b", 3), span_of("a\0c", 3)));
}

static void cursor_reads_in_network_order(void **state)
{
    (void)state;
    static const uint8_t octets[] = {0x01, 0xff, 0xfe, 0x80, 0x00, 0x00, 0x01, 'x', 'y'};
    struct cursor c = cursor_of(span_of(octets, sizeof octets));
    assert_int_equal(cursor_u8(&c), 0x01);
    assert_int_equal(cursor_u16(&c), 0xfffe);
    assert_int_equal(cursor_u32(&c), 0x80000001);
    assert_true(span_eq(cursor_take(&c, 2), span_str("xy")));
    assert_int_equal(c.rest.n, 0);
    assert_false(c.short_);
    assert_int_equal(cursor_take(&c, 0).n, 0);
    assert_false(c.short_);
}

/* The bytes fill their heap block exactly: a sanitizer finds a read past the end. */
static void a_read_past_the_end_stays_an_error(void **state)
{
    (void)state;
    for (size_t n = 0; n < 4; n++) {
        uint8_t *octets = malloc(n + (n == 0));
        assert_non_null(octets);
        memset(octets, 0xaa, n + (n == 0));
        struct cursor c = cursor_of(span_of(octets, n));
        uint32_t got = cursor_u32(&c);
        assert_true(c.short_);
        assert_int_equal(got, n < 2 ? 0 : 0xaaaa0000);
        (void)cursor_take(&c, 0);
        assert_true(c.short_);
        free(octets);
    }
    struct cursor c = cursor_of(span_str("abc"));
    assert_int_equal(cursor_take(&c, SIZE_MAX).n, 0);
    assert_true(c.short_);
    assert_int_equal(c.rest.n, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_cut_to_what_is_there),
        cmocka_unit_test(nothing_is_a_span_too),
        cmocka_unit_test(comparing),
        cmocka_unit_test(cursor_reads_in_network_order),
        cmocka_unit_test(a_read_past_the_end_stays_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
