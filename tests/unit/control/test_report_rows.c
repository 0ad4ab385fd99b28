#include "control/report_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/memo.h"

static const char *const columns[] = {"text", "number", "real", "yes", "list", NULL};

static char *list_of(enum report_form form, size_t limit, size_t offset)
{
    static char first[] = "a b", second[] = "x\ty";
    static char *const items[] = {first, second};
    const struct report_query q = {.limit = limit, .offset = offset};
    struct report_rows rows;
    struct memo m;

    report_rows_begin(&rows, columns, &q, form, memo_open(&m));
    const struct report_field row1[] = {report_str("CORP\\al ice"), report_int(7), report_ms(1500),
                                        report_bool(true), report_strs(items, 2)};
    const struct report_field row2[] = {report_str("-"), report_null(), report_real(0.25),
                                        report_bool(false), report_strs(items, 0)};
    const struct report_field row3[] = {report_str("\x1b[2J\"\n\xff"), report_int((uint64_t)-3),
                                        report_null(), report_null(), report_null()};
    report_rows_add(&rows, row1);
    report_rows_add(&rows, row2);
    report_rows_add(&rows, row3);
    report_rows_skip(&rows);
    report_rows_end(&rows);
    return memo_take(&m);
}

static void expect(enum report_form form, size_t limit, size_t offset, const char *expected)
{
    char *text = list_of(form, limit, offset);
    assert_string_equal(text, expected);
    free(text);
}

#define HEAD "text\tnumber\treal\tyes\tlist\n"
#define ROW1 "CORP\\al ice\t7\t1.500\tyes\ta b \"x\\u0009y\"\n"
#define ROW2 "\"-\"\t-\t0.250\tno\t-\n"
#define ROW3 "\"\\u001b[2J\\\"\\u000a\\udcff\"\t-3\t-\t-\t-\n"

static void text_has_a_line_for_each_row(void **state)
{
    (void)state;
    expect(REPORT_TEXT, 100, 0, HEAD ROW1 ROW2 ROW3);
    expect(REPORT_TEXT, 1, 1, HEAD ROW2);
    expect(REPORT_TEXT, 100, 9, HEAD);
}

static void json_has_names_and_a_total(void **state)
{
    (void)state;
    expect(REPORT_JSON, 1, 0,
           "{\"items\":[{\"text\":\"CORP\\\\al ice\",\"number\":7,\"real\":1.5,\"yes\":true,"
           "\"list\":[\"a b\",\"x\\u0009y\"]}],\"total\":4,\"offset\":0,\"limit\":1}");
    expect(REPORT_JSON, 1, 1,
           "{\"items\":[{\"text\":\"-\",\"number\":null,\"real\":0.25,\"yes\":false,\"list\":[]}],"
           "\"total\":4,\"offset\":1,\"limit\":1}");
    expect(REPORT_JSON, 5, 9, "{\"items\":[],\"total\":4,\"offset\":9,\"limit\":5}");
}

static void times_are_rfc_3339(void **state)
{
    (void)state;
    char text[REPORT_TIME_SIZE];
    assert_string_equal(report_time(1800000000123, text), "2027-01-15T08:00:00.123Z");
    assert_string_equal(report_time(0, text), "1970-01-01T00:00:00.000Z");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_has_a_line_for_each_row),
        cmocka_unit_test(json_has_names_and_a_total),
        cmocka_unit_test(times_are_rfc_3339),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
