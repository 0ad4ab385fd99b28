/* report_all: the tunnels of all gates that share a store as one list, oldest first. Main thread.
 */
#ifndef SSTPGATE_CONTROL_REPORT_ALL_H
#define SSTPGATE_CONTROL_REPORT_ALL_H

#include <stddef.h>

#include "control/report_query.h"

struct gate;

/* Gets the view: text, n bytes, which is the function's. problem: which gates, if any, are missing
 * in it, and why; NULL: none is. */
typedef void report_all_done(void *arg, char *text, size_t n, const char *problem);

/* Returns why a query with `gates` cannot be answered, a constant; NULL: it can. */
const char *report_all_problem(const char *kind, const struct report_query *q);

/* Writes the view `tunnels` of all gates, in the form of report_write() with one more column,
 * `gate`, and as JSON with one more key, `missing`: a list of {"gate": PROCESS, or null for all
 * others, "cause": TEXT}. Calls done once, later or before it returns. The query and its texts are
 * copied. Returns NULL, or why nothing will be called, a constant. */
const char *report_all_begin(struct gate *gate, const struct report_query *q, enum report_form form,
                             report_all_done *done, void *arg);

#endif
