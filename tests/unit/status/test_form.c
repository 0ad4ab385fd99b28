#include "status/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

/* Returns "name=value;name=value;" of a form, in static memory. */
static const char *shown(const struct form *f)
{
    static char out[FORM_PARAMS_MAX * (FORM_NAME_SIZE + FORM_VALUE_SIZE + 2) + 1];
    size_t n = 0;

    out[0] = '\0';
    for (size_t i = 0; i < f->count; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s=%s;", f->param[i].name,
                              f->param[i].value);
    return out;
}

/* Parses a copy of the exact length, so that a sanitizer sees a read behind it. */
static const char *parse(struct form *f, const char *text, size_t n)
{
    char *copy = malloc(n + (n == 0));
    assert_non_null(copy);
    memcpy(copy, text, n);
    const char *problem = form_parse(f, span_of(copy, n));
    free(copy);
    return problem;
}

static const struct {
    const char *text, *shown;
} good[] = {
    {"", ""},
    {"&&", ""},
    {"id=0-12", "id=0-12;"},
    {"id=0-12&time=10m", "id=0-12;time=10m;"},
    {"&user=a&", "user=a;"},
    {"user=", "user=;"},
    {"user", "user=;"},
    {"user=a=b", "user=a=b;"},
    {"user=a+b%20c", "user=a b c;"},
    {"user=%3Cscript%3e%26%3D", "user=<script>&=;"},
    {"us%65r=b%C3%A4r", "user=b\xc3\xa4r;"},
    {"user=\xff\x01%0a", "user=\xff\x01\n;"},
    {"address=2001:db8::/32", "address=2001:db8::/32;"},
    {"a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8", "a=1;b=2;c=3;d=4;e=5;f=6;g=7;h=8;"},
};

static const struct {
    const char *text, *problem;
} bad[] = {
    {"user=%", "a % without two hexadecimal digits"},
    {"user=%4", "a % without two hexadecimal digits"},
    {"user=%4g", "a % without two hexadecimal digits"},
    {"us%er=1", "a % without two hexadecimal digits"},
    {"user=a%00b", "a NUL in a parameter"},
    {"=a", "a value without a name"},
    {"user=a&user=b", "a parameter appears twice"},
    {"user=a&%75ser=a", "a parameter appears twice"},
    {"a=1&b=2&c=3&d=4&e=5&f=6&g=7&h=8&i=9", "too many parameters"},
    {"abcdefghijklmnopqrstuvwxyz123456=1", "a parameter is too long"},
};

static void good_forms_are_decoded(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct form f = {.count = 0};
        assert_null(parse(&f, good[i].text, strlen(good[i].text)));
        assert_string_equal(shown(&f), good[i].shown);
    }
}

static void mistakes_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct form f = {.count = 0};
        const char *problem = parse(&f, bad[i].text, strlen(bad[i].text));
        assert_non_null(problem);
        assert_string_equal(problem, bad[i].problem);
    }
}

static void a_literal_nul_is_a_mistake(void **state)
{
    struct form f = {.count = 0};

    (void)state;
    assert_string_equal(parse(&f, "user=a\0b", 8), "a NUL in a parameter");
}

/* Each part of a form is parsed without reading behind its end. */
static void every_cut_is_parsed(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        for (size_t n = 0; n < strlen(good[i].text); n++) {
            struct form f = {.count = 0};
            const char *problem = parse(&f, good[i].text, n);
            if (problem != NULL)
                assert_string_equal(problem, "a % without two hexadecimal digits");
        }
}

static void the_longest_parameters_fit(void **state)
{
    char text[FORM_NAME_SIZE + FORM_VALUE_SIZE + 2];
    const size_t n = FORM_NAME_SIZE - 1, v = FORM_VALUE_SIZE - 1;
    struct form f = {.count = 0};

    (void)state;
    memset(text, 'a', sizeof text);
    text[n] = '=';
    assert_null(parse(&f, text, n + 1 + v));
    assert_int_equal(strlen(f.param[0].name), n);
    assert_int_equal(strlen(f.param[0].value), v);
    f.count = 0;
    assert_string_equal(parse(&f, text, n + 2 + v), "a parameter is too long");
}

static void two_texts_make_one_form(void **state)
{
    struct form f = {.count = 0};

    (void)state;
    assert_null(parse(&f, "id=1", 4));
    assert_null(parse(&f, "time=2", 6));
    assert_string_equal(shown(&f), "id=1;time=2;");
    assert_string_equal(form_value(&f, "time"), "2");
    assert_null(form_value(&f, "tim"));
    assert_string_equal(parse(&f, "id=2", 4), "a parameter appears twice");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_forms_are_decoded),     cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(a_literal_nul_is_a_mistake), cmocka_unit_test(every_cut_is_parsed),
        cmocka_unit_test(the_longest_parameters_fit), cmocka_unit_test(two_texts_make_one_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
