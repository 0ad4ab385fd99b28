#include "control/report_pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/insist.h"

static const enum report_type types[] = {REPORT_STR, REPORT_INT, REPORT_REAL};
enum { COLUMNS = 3 };
static char bytes[COLUMNS * (REPORT_CELL_MAX + 1)];

static char *one_page(const struct report_field *row, size_t rows)
{
    struct report_pages p;
    size_t count;

    report_pages_begin(&p, 12, COLUMNS);
    for (size_t i = 0; i < rows; i++)
        assert_true(report_pages_add(&p, row + i * COLUMNS));
    char **page = report_pages_end(&p, &count);
    assert_int_equal(count, 1);
    char *text = page[0];
    free(page);
    return text;
}

static void a_page_is_made_of_lengths_and_bytes(void **state)
{
    (void)state;
    const struct report_field rows[] = {report_str("al,ice:"), report_int(7), report_ms(1500),
                                        report_null(),         report_int(0), report_real(-1)};
    char *text = one_page(rows, 2);

    assert_string_equal(text, "2:12,1:3,7:al,ice:,1:7,5:1.500,0:,1:0,0:,");
    free(text);
}

static void rows_are_read_as_they_were_written(void **state)
{
    const struct report_field rows[] = {report_str("<script>\x1b\xff"),
                                        report_int(999999999999999999),
                                        report_ms(86400001),
                                        report_null(),
                                        report_null(),
                                        report_null()};
    char *text = one_page(rows, 2);
    struct report_page p;
    struct report_field row[COLUMNS];

    (void)state;
    assert_true(report_page_begin(&p, span_str(text)));
    assert_int_equal(p.total, 12);
    assert_int_equal(report_page_next(&p, types, COLUMNS, row, bytes), ERR_OK);
    assert_string_equal(row[0].text, "<script>\x1b\xff");
    assert_int_equal(row[1].number, 999999999999999999);
    assert_int_equal(row[2].type, REPORT_REAL);
    assert_true(row[2].real > 86400.0005 && row[2].real < 86400.0015);
    assert_int_equal(report_page_next(&p, types, COLUMNS, row, bytes), ERR_OK);
    for (size_t i = 0; i < COLUMNS; i++)
        assert_int_equal(row[i].type, REPORT_NULL);
    assert_int_equal(report_page_next(&p, types, COLUMNS, row, bytes), ERR_MISSING);
    free(text);
}

/* Reads a page to its end. Returns the number of its rows; -1: it is damaged. */
static int rows_of(struct span text)
{
    struct report_page p;
    struct report_field row[COLUMNS];
    int rows = 0;
    enum err e;

    if (!report_page_begin(&p, text))
        return -1;
    while ((e = report_page_next(&p, types, COLUMNS, row, bytes)) == ERR_OK)
        rows++;
    return e == ERR_MISSING ? rows : -1;
}

static void every_cut_of_a_page_is_noticed_unless_it_is_between_rows(void **state)
{
    static const char page[] = "2:12,1:3,5:alice,1:7,5:1.500,3:bob,0:,5:0.250,";
    const size_t head = strlen("2:12,1:3,"), first = strlen("5:alice,1:7,5:1.500,");

    (void)state;
    for (size_t n = 0; n < sizeof page; n++) {
        /* in memory of its own, so that a sanitizer sees a read behind the end */
        char *copy = insist_alloc(malloc(n + 1));
        memcpy(copy, page, n);
        copy = insist_alloc(realloc(copy, n == 0 ? 1 : n));
        const int expected = n == head ? 0 : n == head + first ? 1 : n == sizeof page - 1 ? 2 : -1;
        assert_int_equal(rows_of(span_of(copy, n)), expected);
        free(copy);
    }
}

static void a_damaged_page_is_refused(void **state)
{
    static const char *const pages[] = {
        "",
        "2:12,",
        "0:,1:3,",                        /* no total */
        "2:12,1:0,",                      /* no fields: rows would never end */
        "2:12,2:65,",                     /* more fields than a row may have */
        "2:12,1:x,",                      /* no number */
        "2:-1,1:3,",                      /* a sign */
        "19:1234567890123456789,1:3,",    /* too many digits */
        "2:12,1:3,5:alice,1:7,5:1.500",   /* the last comma is missing */
        "2:12,1:3,5:alice,1:7,4:1.50,",   /* two decimals */
        "2:12,1:3,5:alice,1:7,6:1.5000,", /* four */
        "2:12,1:3,5:alice,1:7,3:nan,",    /* no number */
        "2:12,1:3,5:alice,2:7 ,5:1.500,", /* a blank */
        "2:12,1:3,5:alice,20:12345678901234567890,5:1.500,",
        "2:12,1:3,05000:alice,1:7,5:1.500,", /* five digits */
        "2:12,1:3,9999:alice,1:7,5:1.500,",  /* longer than the page */
        "2:12,1:3,5;alice,1:7,5:1.500,",     /* another separator */
        "2:12,1:3,:alice,1:7,5:1.500,",      /* no length */
    };

    (void)state;
    for (size_t i = 0; i < sizeof pages / sizeof *pages; i++)
        assert_int_equal(rows_of(span_str(pages[i])), -1);
    assert_int_equal(rows_of(span_of("2:12,1:3,2:a\0,1:7,5:1.500,", 25)), -1); /* a NUL */
    assert_int_equal(rows_of(span_str("2:12,1:3,4:a\nb,,1:7,5:1.500,")), 1);
}

static void a_field_may_have_1024_bytes(void **state)
{
    char page[2 * REPORT_CELL_MAX];

    (void)state;
    (void)snprintf(page, sizeof page, "2:12,1:3,1024:%01024d,0:,0:,", 0);
    assert_int_equal(rows_of(span_str(page)), 1);
    (void)snprintf(page, sizeof page, "2:12,1:3,1025:%01025d,0:,0:,", 0);
    assert_int_equal(rows_of(span_str(page)), -1);
}

static void a_longer_text_is_cut(void **state)
{
    char name[REPORT_CELL_MAX + 100] = "";
    struct report_page p;
    struct report_field row[COLUMNS];

    (void)state;
    memset(name, 'x', sizeof name - 1);
    const struct report_field long_row[] = {report_str(name), report_null(), report_null()};
    char *text = one_page(long_row, 1);
    assert_true(report_page_begin(&p, span_str(text)));
    assert_int_equal(report_page_next(&p, types, COLUMNS, row, bytes), ERR_OK);
    assert_int_equal(strlen(row[0].text), REPORT_CELL_MAX);
    free(text);
}

static void other_versions_have_more_fields_or_fewer(void **state)
{
    struct report_page p;
    struct report_field row[COLUMNS];

    (void)state;
    assert_true(report_page_begin(&p, span_str("1:1,1:4,5:alice,1:7,5:1.500,3:new,")));
    assert_int_equal(report_page_next(&p, types, COLUMNS, row, bytes), ERR_OK);
    assert_string_equal(row[0].text, "alice");
    assert_int_equal(report_page_next(&p, types, COLUMNS, row, bytes), ERR_MISSING);
    assert_true(report_page_begin(&p, span_str("1:1,1:1,5:alice,3:bob,")));
    assert_int_equal(report_page_next(&p, types, COLUMNS, row, bytes), ERR_OK);
    assert_int_equal(row[1].type, REPORT_NULL);
    assert_int_equal(row[2].type, REPORT_NULL);
    assert_int_equal(report_page_next(&p, types, COLUMNS, row, bytes), ERR_OK);
    assert_string_equal(row[0].text, "bob");
}

static void many_rows_become_several_pages_and_not_more_than_200(void **state)
{
    char name[1000] = "";
    struct report_pages p;
    size_t count, added = 0, read = 0;

    (void)state;
    memset(name, 'x', sizeof name - 1);
    const struct report_field row[] = {report_str(name), report_int(1), report_null()};
    report_pages_begin(&p, 1000000, COLUMNS);
    while (report_pages_add(&p, row))
        added++;
    char **page = report_pages_end(&p, &count);
    assert_int_equal(count, REPORT_PAGES_MAX);
    for (size_t i = 0; i < count; i++) {
        assert_in_range(strlen(page[i]), REPORT_PAGE_SIZE, REPORT_PAGE_SIZE + 2000);
        read += (size_t)rows_of(span_str(page[i]));
        free(page[i]);
    }
    assert_int_equal(read, added);
    free(page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_page_is_made_of_lengths_and_bytes),
        cmocka_unit_test(rows_are_read_as_they_were_written),
        cmocka_unit_test(every_cut_of_a_page_is_noticed_unless_it_is_between_rows),
        cmocka_unit_test(a_damaged_page_is_refused),
        cmocka_unit_test(a_field_may_have_1024_bytes),
        cmocka_unit_test(a_longer_text_is_cut),
        cmocka_unit_test(other_versions_have_more_fields_or_fewer),
        cmocka_unit_test(many_rows_become_several_pages_and_not_more_than_200),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
