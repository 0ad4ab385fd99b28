/* report_pages: rows of fields as pages of text, which other gates read: the tunnels of one gate on
 * their way through the store (shared/shared.h). A field is `LENGTH:BYTES,`. A page begins with two
 * fields, the number of rows that match at the gate and the number of fields in each row; the rows
 * follow. An unknown value is an empty field. A later version adds columns at the end: a reader
 * ignores fields that it does not know, and fields that are missing are unknown. Pure. */
#ifndef SSTPGATE_CONTROL_REPORT_PAGES_H
#define SSTPGATE_CONTROL_REPORT_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/memo.h"
#include "base/span.h"
#include "control/report_rows.h"

enum {
    REPORT_PAGE_SIZE = 60000, /* bytes of a page that gets no further row */
    REPORT_PAGES_MAX = 200,
    REPORT_CELL_MAX = 1024, /* bytes of a field; the rest of a longer text is cut off */
    REPORT_CELLS_MAX = 64,  /* fields of a row that are read */
};

/* ---- writing ---- */

struct report_pages {
    char **page; /* complete ones */
    size_t count;
    struct memo memo; /* the last one */
    uint64_t total;
    size_t columns;
};

/* Begins the first page. total: all rows that match, including rows that are not added. */
void report_pages_begin(struct report_pages *p, uint64_t total, size_t columns);

/* Adds a row of texts, numbers and unknown values. Returns false, and adds nothing, if all pages
 * are full. */
bool report_pages_add(struct report_pages *p, const struct report_field *row);

/* Returns the pages, at least one, and their number. The caller frees them and the array. */
char **report_pages_end(struct report_pages *p, size_t *count);

/* ---- reading ---- */

struct report_page {
    struct span rest;
    uint64_t total;
    size_t fields; /* of each row */
};

/* Reads the two fields at the start. Returns false if text is no page. */
bool report_page_begin(struct report_page *p, struct span text);

/* Reads the next row. type: REPORT_STR, _INT or _REAL of each column; a field of another form is a
 * mistake. bytes: columns * (REPORT_CELL_MAX + 1), for the texts of the row. ERR_MISSING: the page
 * has no more rows. ERR_SYNTAX: it is damaged, for good. */
enum err report_page_next(struct report_page *p, const enum report_type *type, size_t columns,
                          struct report_field *row, char *bytes) MUST_CHECK;

#endif
