#include "cli/table.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "base/log_text.h"
#include "base/span.h"
#include "base/text.h"

enum { GAP = 2, NAME_MAX = 24, SHORT_MAX = 40, LEAST_CUT = 12 };

/* ---- characters ---- */

/* Takes a character and writes its visible form. Returns the number of columns. */
static size_t take_char(struct span *text, char form[LOG_TEXT_MAX], size_t *n)
{
    const struct span rest = *text;

    *n = log_text_take(text, form);
    if (rest.p[0] == '"' || rest.p[0] == '\\') { /* visible: not escaped here */
        form[0] = (char)rest.p[0];
        *n = 1;
        return 1;
    }
    const size_t taken = rest.n - text->n;
    return *n == taken ? 1 : *n; /* an escape is ASCII; a character has one column */
}

void table_print_plain(const char *text, size_t n, FILE *out)
{
    struct span rest = span_of(text, n);
    char form[LOG_TEXT_MAX];
    size_t size;

    while (rest.n > 0) {
        if (rest.p[0] == '\n' || rest.p[0] == '\t') {
            fputc(rest.p[0], out);
            rest = span_from(rest, 1);
            continue;
        }
        (void)take_char(&rest, form, &size);
        (void)fwrite(form, 1, size, out);
    }
}

static size_t width_of(const char *text)
{
    struct span rest = span_str(text);
    char form[LOG_TEXT_MAX];
    size_t n, width = 0;

    while (rest.n > 0)
        width += take_char(&rest, form, &n);
    return width;
}

/* Prints at most `width` columns of a cell, and fills it with blanks. */
static void print_cell(const char *text, size_t width, bool right, bool last, FILE *out)
{
    const size_t whole = width_of(text);
    const bool cut = whole > width;
    const size_t room = cut ? width - 1 : width;
    struct span rest = span_str(text);
    char form[LOG_TEXT_MAX];
    size_t n, used = 0;

    if (right && !cut)
        fprintf(out, "%*s", (int)(width - whole), "");
    while (rest.n > 0) {
        const size_t columns = take_char(&rest, form, &n);
        if (used + columns > room)
            break;
        (void)fwrite(form, 1, n, out);
        used += columns;
    }
    if (cut)
        fputs("…", out);
    if (!last && !(right && !cut))
        fprintf(out, "%*s", (int)(room - used), "");
}

/* ---- cells ---- */

struct column {
    const char *name;
    size_t width;
    bool right; /* numbers */
};

struct table {
    struct column *column;
    size_t columns;
    char **cell; /* rows * columns */
    size_t rows;
    size_t *shown; /* indices of columns in the order of printing */
    size_t shown_count;
};

static bool ends_with(const char *text, const char *end)
{
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

static bool is_word(const char *name, const char *const *words)
{
    while (*words != NULL && strcmp(*words, name) != 0)
        words++;
    return *words != NULL;
}

static char *bytes_text(double n)
{
    static const char units[] = " KMGTPE";
    char text[32];
    size_t i = 0;

    while (n >= 999.5 && units[i + 1] != '\0') {
        n /= 1000;
        i++;
    }
    (void)snprintf(text, sizeof text, i > 0 && n < 9.95 ? "%.1f%c" : "%.0f%c", n, units[i]);
    if (i == 0)
        text[strlen(text) - 1] = '\0';
    return insist_alloc(strdup(text));
}

static char *duration_text(double seconds)
{
    const unsigned long s = (unsigned long)seconds;
    char text[48];

    if (s < 60)
        (void)snprintf(text, sizeof text, "%lus", s);
    else if (s < 3600)
        (void)snprintf(text, sizeof text, "%lum%02lus", s / 60, s % 60);
    else if (s < 86400)
        (void)snprintf(text, sizeof text, "%luh%02lum", s / 3600, s / 60 % 60);
    else
        (void)snprintf(text, sizeof text, "%lud%02luh", s / 86400, s / 3600 % 24);
    return insist_alloc(strdup(text));
}

/* Returns a time without its fraction and its zone. */
static char *time_text(const char *text)
{
    char *copy = insist_alloc(strdup(text));
    char *t = strchr(copy, 'T'), *dot = strchr(copy, '.');

    if (t != NULL)
        *t = ' ';
    if (dot != NULL)
        *dot = '\0';
    return copy;
}

/* Returns a readable copy of a cell, by the name of its column. */
static char *readable(const char *name, const char *cell)
{
    static const char *const durations[] = {"duration", "since", "left", NULL};
    static const char *const times[] = {"start",      "time",      "certificate_expires",
                                        "not_before", "not_after", NULL};
    char *end;
    const double number = strtod(cell, &end);
    const bool is_number = *cell != '\0' && *end == '\0';

    if (is_number && (ends_with(name, "_bytes") || ends_with(name, "_rate")))
        return bytes_text(number);
    if (is_number && is_word(name, durations))
        return duration_text(number);
    return is_word(name, times) ? time_text(cell) : insist_alloc(strdup(cell));
}

static char *take_line(char **rest)
{
    char *line = *rest;
    if (*line == '\0')
        return NULL;
    char *end = strchr(line, '\n');
    *rest = end == NULL ? line + strlen(line) : end + 1;
    if (end != NULL)
        *end = '\0';
    return line;
}

static size_t count_char(const char *text, char c)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += *text == c;
    return n;
}

static void table_names(struct table *t, char *line)
{
    t->columns = count_char(line, '\t') + 1;
    t->column = insist_alloc(calloc(t->columns, sizeof *t->column));
    t->shown = insist_alloc(calloc(t->columns, sizeof *t->shown));
    for (size_t i = 0; i < t->columns; i++) {
        t->column[i].name = strsep(&line, "\t");
        t->column[i].width = width_of(t->column[i].name);
        t->column[i].right = true;
    }
}

static bool is_numeric(const char *cell)
{
    return strcmp(cell, "-") == 0 || cell[strspn(cell, "0123456789.KMGTPEsmhd-")] == '\0';
}

static void table_row(struct table *t, char *line, bool nice)
{
    for (size_t i = 0; i < t->columns; i++) {
        struct column *c = &t->column[i];
        const char *cell = line == NULL ? "" : strsep(&line, "\t");
        char *text = nice ? readable(c->name, cell) : insist_alloc(strdup(cell));
        const size_t width = width_of(text);
        if (width > c->width)
            c->width = width;
        c->right = c->right && is_numeric(text);
        t->cell[t->rows * t->columns + i] = text;
    }
    t->rows++;
}

static void table_read(struct table *t, char *text, bool nice)
{
    char *names = take_line(&text);
    const size_t rows = count_char(text, '\n') + 1;
    char *line;

    *t = (struct table){0};
    table_names(t, names == NULL ? text : names);
    t->cell = insist_alloc(calloc(rows * t->columns, sizeof *t->cell));
    while ((line = take_line(&text)) != NULL)
        table_row(t, line, nice);
}

static void table_free(struct table *t)
{
    for (size_t i = 0; i < t->rows * t->columns; i++)
        free(t->cell[i]);
    free(t->cell);
    free(t->column);
    free(t->shown);
}

/* ---- choosing columns ---- */

static bool is_shown(const struct table *t, size_t column)
{
    for (size_t i = 0; i < t->shown_count; i++)
        if (t->shown[i] == column)
            return true;
    return false;
}

/* Shows a column if it fits into what is left of the width, shortened if need be. */
static void show(struct table *t, size_t column, size_t width, size_t *used)
{
    struct column *c = &t->column[column];
    const size_t gap = t->shown_count == 0 ? 0 : GAP;

    if (is_shown(t, column))
        return;
    if (width > 0) {
        const size_t left = width > *used + gap ? width - *used - gap : 0;
        const size_t least = c->right || c->width < LEAST_CUT ? c->width : LEAST_CUT;
        if (left < least && t->shown_count > 0)
            return;
        if (c->width > SHORT_MAX)
            c->width = SHORT_MAX;
        if (c->width > left && left > 0)
            c->width = left;
    }
    *used += gap + c->width;
    t->shown[t->shown_count++] = column;
}

static void choose(struct table *t, const char *first, size_t width)
{
    size_t used = 0;

    while (width > 0 && *first != '\0') {
        const size_t n = strcspn(first, " ");
        for (size_t i = 0; i < t->columns; i++)
            if (strlen(t->column[i].name) == n && strncmp(t->column[i].name, first, n) == 0)
                show(t, i, width, &used);
        first += n + (first[n] == ' ');
    }
    for (size_t i = 0; i < t->columns; i++)
        show(t, i, width, &used);
}

/* ---- printing ---- */

static void print_row(const struct table *t, size_t row, FILE *out)
{
    for (size_t i = 0; i < t->shown_count; i++) {
        const struct column *c = &t->column[t->shown[i]];
        const char *cell = row == SIZE_MAX ? c->name : t->cell[row * t->columns + t->shown[i]];
        if (i > 0)
            fputs("  ", out);
        print_cell(cell, c->width, c->right, i + 1 == t->shown_count, out);
    }
    fputc('\n', out);
}

void table_print(char *text, const char *first, size_t width, size_t lines, FILE *out)
{
    struct table t;

    table_read(&t, text, width > 0);
    choose(&t, first, width);
    print_row(&t, SIZE_MAX, out);
    for (size_t i = 0; i < t.rows && (lines == 0 || i < lines); i++)
        print_row(&t, i, out);
    table_free(&t);
}
