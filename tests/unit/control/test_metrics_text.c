#include "control/metrics_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static char *text;
static size_t size;
static FILE *out;

static int open_text(void **state)
{
    (void)state;
    text = NULL;
    out = open_memstream(&text, &size);
    return out == NULL ? -1 : 0;
}

/* Asserts what was written, and begins again. */
static void expect(const char *what)
{
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, what);
    free(text);
    text = NULL;
    out = open_memstream(&text, &size);
    assert_non_null(out);
}

static int close_text(void **state)
{
    (void)state;
    fclose(out);
    free(text);
    return 0;
}

static void samples_with_and_without_labels(void **state)
{
    (void)state;
    metrics_head(out, "m_total", "counter", "What it counts.");
    expect("# HELP m_total What it counts.\n# TYPE m_total counter\n");
    metrics_count(out, "m_total", NULL, UINT64_MAX);
    expect("m_total 18446744073709551615\n");
    metrics_count(out, "m", LABELS({"a", "x"}), 0);
    expect("m{a=\"x\"} 0\n");
    metrics_count(out, "m", LABELS({"a", "x"}, {"b", ""}), 1);
    expect("m{a=\"x\",b=\"\"} 1\n");
    metrics_seconds(out, "m_seconds", NULL, 12000345);
    expect("m_seconds 12.000345\n");
}

/* The values of labels, for which the format has three escapes, and which must be UTF-8. */
static void values_are_escaped(void **state)
{
    static const struct {
        const char *value, *written;
    } table[] = {
        {"back\\slash", "back\\\\slash"},
        {"\"quoted\"", "\\\"quoted\\\""},
        {"two\nlines", "two\\nlines"},
        {"tab\tand {a=b}", "tab\tand {a=b}"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"},
        {"a\xff", "a\xef\xbf\xbd"},               /* no byte of UTF-8 */
        {"\xc3", "\xef\xbf\xbd"},                 /* cut */
        {"\xc3\"", "\xef\xbf\xbd\\\""},           /* the quote is not swallowed */
        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"}, /* overlong */
        {"\xe0\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
        {"\xf0\x80\x80\xaf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
    };
    char want[64];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        metrics_count(out, "m", LABELS({"a", table[i].value}), 1);
        snprintf(want, sizeof want, "m{a=\"%s\"} 1\n", table[i].written);
        expect(want);
    }
}

static void buckets_add_up(void **state)
{
    static const uint32_t bounds[] = {5, 250, 1000, 30000};
    static const uint64_t buckets[] = {1, 0, 2, 0, 4};

    (void)state;
    metrics_histogram(out, "m_seconds", bounds, buckets, 4, 61005);
    expect("m_seconds_bucket{le=\"0.005\"} 1\n"
           "m_seconds_bucket{le=\"0.25\"} 1\n"
           "m_seconds_bucket{le=\"1\"} 3\n"
           "m_seconds_bucket{le=\"30\"} 3\n"
           "m_seconds_bucket{le=\"+Inf\"} 7\n"
           "m_seconds_sum 61.005000\n"
           "m_seconds_count 7\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(samples_with_and_without_labels, open_text, close_text),
        cmocka_unit_test_setup_teardown(values_are_escaped, open_text, close_text),
        cmocka_unit_test_setup_teardown(buckets_add_up, open_text, close_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
