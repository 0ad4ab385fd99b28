/* report_query: which rows of a view are wanted, and in which form. Pure. */
#ifndef SSTPGATE_CONTROL_REPORT_QUERY_H
#define SSTPGATE_CONTROL_REPORT_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "call/filter.h"

enum {
    REPORT_LIMIT = 100,       /* rows of a list, unless the query sets a limit */
    REPORT_LIMIT_MAX = 10000, /* rows of a list */
    REPORT_WHY_MAX = 256,     /* bytes of a message about a query or an action, with its NUL */
};

/* A kind that has no field for a part of the filter ignores that part. */
struct report_query {
    struct call_filter filter;
    size_t limit, offset;
    bool all;      /* of all gates that share a store */
    bool writable; /* the field of `status`: the caller may also carry out actions */
};

/* JSON: one object, without a line end; a list is {"items": [...], "total": N, "offset": N,
 * "limit": N}, where total is the number of rows that match. TEXT: for people and shells: a line
 * with the names of the columns, then a line for each row, with a tab between fields and the
 * escapes of log_text.h, `-` for an unknown value; `status` has lines `name: value` instead. */
enum report_form { REPORT_TEXT, REPORT_JSON };

/* Returns a query that matches everything, with REPORT_LIMIT. */
struct report_query report_query_init(void);

/* Sets a parameter of a query: limit, offset, gates, id, user, address, listener, server. value
 * must outlive the query. Returns NULL, or why the parameter is refused, which may be in why. */
const char *report_query_set(struct report_query *q, const char *key, const char *value,
                             char why[REPORT_WHY_MAX]);

#endif
