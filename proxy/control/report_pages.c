#include "control/report_pages.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"

enum { DIGITS_MAX = 18, LENGTH_DIGITS = 4 };

static const int64_t NUMBER_END = 1000000000000000000; /* DIGITS_MAX digits are below it */

/* ---- writing ---- */

static void put(FILE *out, const char *text)
{
    size_t n = strlen(text);

    if (n > REPORT_CELL_MAX)
        n = REPORT_CELL_MAX;
    fprintf(out, "%zu:%.*s,", n, (int)n, text);
}

static void put_number(FILE *out, uint64_t number)
{
    char text[32];

    snprintf(text, sizeof text, "%" PRIu64, number);
    put(out, text);
}

static void put_real(FILE *out, double real)
{
    char text[32] = "";

    if (real >= 0 && real < 1e12)
        snprintf(text, sizeof text, "%.3f", real);
    put(out, text);
}

static void put_field(FILE *out, const struct report_field *f)
{
    if (f->type == REPORT_STR)
        put(out, f->text);
    else if (f->type == REPORT_INT && f->number >= 0 && f->number < NUMBER_END)
        put_number(out, (uint64_t)f->number);
    else if (f->type == REPORT_REAL)
        put_real(out, f->real);
    else
        put(out, "");
}

static void page_begin(struct report_pages *p)
{
    FILE *out = memo_open(&p->memo);

    put_number(out, p->total);
    put_number(out, p->columns);
}

static void page_end(struct report_pages *p)
{
    p->page[p->count++] = memo_take(&p->memo);
}

void report_pages_begin(struct report_pages *p, uint64_t total, size_t columns)
{
    *p = (struct report_pages){.total = total, .columns = columns};
    p->page = insist_alloc(calloc(REPORT_PAGES_MAX, sizeof *p->page));
    page_begin(p);
}

bool report_pages_add(struct report_pages *p, const struct report_field *row)
{
    if (ftell(p->memo.file) >= REPORT_PAGE_SIZE) {
        if (p->count + 1 == REPORT_PAGES_MAX)
            return false;
        page_end(p);
        page_begin(p);
    }
    for (size_t i = 0; i < p->columns; i++)
        put_field(p->memo.file, &row[i]);
    return true;
}

char **report_pages_end(struct report_pages *p, size_t *count)
{
    page_end(p);
    *count = p->count;
    return p->page;
}

/* ---- reading ---- */

/* Takes digits off the front, at most max. Returns false if there is none. */
static bool take_digits(struct span *text, size_t max, uint64_t *out)
{
    size_t n = 0;

    *out = 0;
    while (n < text->n && n < max && text->p[n] >= '0' && text->p[n] <= '9')
        *out = *out * 10 + (uint64_t)(text->p[n++] - '0');
    *text = span_from(*text, n);
    return n > 0;
}

static bool take_byte(struct span *text, char byte)
{
    if (text->n == 0 || text->p[0] != (uint8_t)byte)
        return false;
    *text = span_from(*text, 1);
    return true;
}

static bool take_field(struct span *text, struct span *out)
{
    uint64_t n;

    if (!take_digits(text, LENGTH_DIGITS, &n) || n > REPORT_CELL_MAX || !take_byte(text, ':') ||
        text->n < n)
        return false;
    *out = span_sub(*text, 0, (size_t)n);
    *text = span_from(*text, (size_t)n);
    return take_byte(text, ',');
}

static bool take_number(struct span *text, uint64_t *out)
{
    struct span field;

    return take_field(text, &field) && take_digits(&field, DIGITS_MAX, out) && field.n == 0;
}

bool report_page_begin(struct report_page *p, struct span text)
{
    uint64_t fields;

    p->rest = text;
    if (!take_number(&p->rest, &p->total) || !take_number(&p->rest, &fields) || fields == 0 ||
        fields > REPORT_CELLS_MAX)
        return false;
    p->fields = (size_t)fields;
    return true;
}

static bool read_real(struct span text, double *out)
{
    uint64_t whole, thousandths;

    if (!take_digits(&text, DIGITS_MAX, &whole) || !take_byte(&text, '.') || text.n != 3 ||
        !take_digits(&text, 3, &thousandths) || text.n != 0)
        return false;
    *out = (double)whole + (double)thousandths / 1000;
    return true;
}

static bool read_field(struct span text, enum report_type type, struct report_field *out,
                       char *bytes)
{
    uint64_t number;

    *out = report_null();
    if (text.n == 0)
        return true;
    if (type == REPORT_REAL) {
        out->type = REPORT_REAL;
        return read_real(text, &out->real);
    }
    if (type == REPORT_INT) {
        if (!take_digits(&text, DIGITS_MAX, &number) || text.n != 0)
            return false;
        *out = report_int(number);
        return true;
    }
    INSIST(type == REPORT_STR);
    if (memchr(text.p, '\0', text.n) != NULL)
        return false;
    memcpy(bytes, text.p, text.n);
    bytes[text.n] = '\0';
    *out = report_str(bytes);
    return true;
}

enum err report_page_next(struct report_page *p, const enum report_type *type, size_t columns,
                          struct report_field *row, char *bytes)
{
    struct span field;

    if (p->rest.n == 0)
        return ERR_MISSING;
    for (size_t i = 0; i < columns; i++)
        row[i] = report_null();
    for (size_t i = 0; i < p->fields; i++) {
        if (!take_field(&p->rest, &field))
            return ERR_SYNTAX;
        if (i < columns && !read_field(field, type[i], &row[i], bytes + i * (REPORT_CELL_MAX + 1)))
            return ERR_SYNTAX;
    }
    return ERR_OK;
}
