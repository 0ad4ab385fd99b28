/* The input is a page of a store. Rows that are understood are written, and read as the same. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "control/report_pages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const enum report_type types[] = {REPORT_STR, REPORT_INT, REPORT_REAL, REPORT_STR};
enum { COLUMNS = 4 };

static char bytes[COLUMNS * (REPORT_CELL_MAX + 1)], again[COLUMNS * (REPORT_CELL_MAX + 1)];

static bool is_same(const struct report_field *a, const struct report_field *b)
{
    if (a->type != b->type)
        return a->type == REPORT_REAL && a->real >= 1e12; /* not written */
    if (a->type == REPORT_STR)
        return strcmp(a->text, b->text) == 0;
    if (a->type == REPORT_INT)
        return a->number == b->number;
    return a->type == REPORT_NULL || a->real - b->real < 0.0006;
}

static void check(uint64_t total, const struct report_field *row)
{
    struct report_pages pages;
    struct report_page p;
    struct report_field copy[COLUMNS];
    size_t count;

    report_pages_begin(&pages, total, COLUMNS);
    INSIST(report_pages_add(&pages, row));
    char **page = report_pages_end(&pages, &count);
    INSIST(count == 1 && report_page_begin(&p, span_str(page[0])) && p.total == total);
    INSIST(report_page_next(&p, types, COLUMNS, copy, again) == ERR_OK);
    for (size_t i = 0; i < COLUMNS; i++)
        INSIST(is_same(&row[i], &copy[i]));
    INSIST(report_page_next(&p, types, COLUMNS, copy, again) == ERR_MISSING);
    free(page[0]);
    free(page);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct report_page p;
    struct report_field row[COLUMNS];

    if (!report_page_begin(&p, span_of(data, size)))
        return 0;
    while (report_page_next(&p, types, COLUMNS, row, bytes) == ERR_OK)
        check(p.total, row);
    return 0;
}
