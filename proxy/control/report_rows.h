/* report_rows: the form of a list. A kind yields rows of typed fields in the order of its columns;
 * this module counts them, skips those outside of the page, and writes the others as JSON or
 * text. */
#ifndef SSTPGATE_CONTROL_REPORT_ROWS_H
#define SSTPGATE_CONTROL_REPORT_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#include "base/json.h"
#include "control/report_query.h"

struct gate;

enum { REPORT_TIME_SIZE = 32 };

struct report_field {
    enum report_type {
        REPORT_NULL,
        REPORT_STR,
        REPORT_INT,
        REPORT_REAL,
        REPORT_BOOL,
        REPORT_STRS
    } type;
    union {
        const char *text;
        int64_t number;
        double real; /* written with three decimals */
        bool yes;
        struct {
            char *const *item;
            size_t count;
        } list;
    };
};

static inline struct report_field report_null(void)
{
    return (struct report_field){.type = REPORT_NULL};
}

/* NULL or "": unknown. */
static inline struct report_field report_str(const char *text)
{
    return text == NULL || *text == '\0' ? report_null()
                                         : (struct report_field){.type = REPORT_STR, .text = text};
}

static inline struct report_field report_int(uint64_t number)
{
    return (struct report_field){.type = REPORT_INT, .number = (int64_t)number};
}

static inline struct report_field report_real(double real)
{
    return (struct report_field){.type = REPORT_REAL, .real = real};
}

static inline struct report_field report_ms(uint64_t ms)
{
    return report_real((double)ms / 1000);
}

static inline struct report_field report_bool(bool yes)
{
    return (struct report_field){.type = REPORT_BOOL, .yes = yes};
}

static inline struct report_field report_strs(char *const *item, size_t count)
{
    return (struct report_field){.type = REPORT_STRS, .list = {item, count}};
}

/* Writes the report of a kind. */
typedef void report_write_kind(struct gate *gate, const struct report_query *q,
                               enum report_form form, FILE *out);

/* A list that is being written. */
struct report_rows {
    const char *const *column; /* names */
    size_t columns;
    const struct report_query *query;
    enum report_form form;
    FILE *out;
    struct json json;
    size_t total; /* rows so far, those outside of the page included */
    /* Writes more keys behind the list, as JSON; NULL: there are none. */
    void (*more)(void *arg, struct json *j);
    void *more_arg;
};

/* Begins a list. column: names, with NULL at the end; they must outlive the list. */
void report_rows_begin(struct report_rows *r, const char *const *column,
                       const struct report_query *q, enum report_form form, FILE *out);

/* Returns whether the next row is on the page. If not, report_rows_skip is enough. */
bool report_rows_wanted(const struct report_rows *r);
void report_rows_skip(struct report_rows *r);

/* Adds a row: a field for each column. */
void report_rows_add(struct report_rows *r, const struct report_field *field);

void report_rows_end(struct report_rows *r);

/* Writes a text without anything that a terminal could obey, or that looks like two fields: as it
 * is or, if need be, in quotes with the escapes of log_text.h. */
void report_print(FILE *out, const char *text);

/* Writes one field as JSON. */
void report_field_json(struct json *j, const struct report_field *f);

/* Formats a time as RFC 3339 in UTC. ms: milliseconds since 1970. Returns out. */
const char *report_time(int64_t ms, char out[REPORT_TIME_SIZE]);

/* Returns the wall clock in milliseconds since 1970. */
int64_t report_now(void);

#endif
