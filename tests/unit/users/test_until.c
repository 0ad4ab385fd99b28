#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "users/until.h"

/* A copy of exactly the text's size, so that a sanitizer sees a read past the end. */
static bool read_exactly(const char *text, size_t n, int64_t *out)
{
    char *copy = malloc(n == 0 ? 1 : n);
    assert_non_null(copy);
    memcpy(copy, text, n);
    const bool good = until_read(span_of(copy, n), out);
    free(copy);
    return good;
}

static void times(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printed;
        int64_t until; /* by `date -u -d TEXT +%s` */
    } table[] = {
        {"1970-01-01", "1970-01-02T00:00:00Z", 86400},
        {"2027-01-31", "2027-02-01T00:00:00Z", 1801440000},
        {"2027-01-31T00:00Z", "2027-01-31T00:00:00Z", 1801353600},
        {"2027-01-31T18:30Z", "2027-01-31T18:30:00Z", 1801420200},
        {"2027-01-31T18:30:15Z", "2027-01-31T18:30:15Z", 1801420215},
        {"2028-02-29", "2028-03-01T00:00:00Z", 1835481600},
        {"2026-12-31", "2027-01-01T00:00:00Z", 1798761600},
        {"2100-01-01T00:00:00Z", "2100-01-01T00:00:00Z", 4102444800},
        {"9999-12-31T23:59:59Z", "9999-12-31T23:59:59Z", 253402300799},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[UNTIL_TEXT_MAX];
        int64_t until = -1;
        assert_true(read_exactly(table[i].text, strlen(table[i].text), &until));
        assert_int_equal(until, table[i].until);
        assert_string_equal(until_print(until, text), table[i].printed);
    }
}

static void other_texts(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "never",
        "0",
        "1801353600",
        "2027",
        "2027-1-31",
        "2027-01-31 ",
        " 2027-01-31",
        "2027-01-32",
        "2027-00-10",
        "2027-13-01",
        "2027-01-00",
        "2027-02-29",
        "2100-02-29",
        "1969-12-31",
        "0000-01-01",
        "+027-01-31",
        "20270131",
        "2027/01/31",
        "31.01.2027",
        "2027-01-31Z",
        "2027-01-31T",
        "2027-01-31T18Z",
        "2027-01-31T18:30",
        "2027-01-31T18:30:15",
        "2027-01-31T18:30:15.5Z",
        "2027-01-31T18:30+01:00",
        "2027-01-31T18:30:00+00:00",
        "2027-01-31t18:30z",
        "2027-01-31 18:30Z",
        "2027-01-31T24:00Z",
        "2027-01-31T23:60Z",
        "2027-01-31T23:59:60Z",
        "2027-01-31T18:30ZZ",
        "2027-01-31:",
        "12027-01-31",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        int64_t until;
        if (read_exactly(texts[i], strlen(texts[i]), &until))
            fail_msg("'%s' was read", texts[i]);
    }
}

/* No part of a time is a time, except those that end with a field. */
static void every_part(void **state)
{
    (void)state;
    static const char text[] = "2027-01-31T18:30:15Z";
    int64_t until;
    for (size_t n = 0; n < sizeof text; n++)
        assert_int_equal(read_exactly(text, n, &until), n == 10 || n == 20);
    assert_false(until_read(span_of(NULL, 0), &until));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times),
        cmocka_unit_test(other_texts),
        cmocka_unit_test(every_part),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
