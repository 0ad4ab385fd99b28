/* report: the views of the running program as rows of typed fields, for `sstpgate ctl`, the HTTP
 * API and the status page. A kind has one table of columns and one function that yields its rows;
 * both forms come from these. Main thread. */
#ifndef SSTPGATE_CONTROL_REPORT_H
#define SSTPGATE_CONTROL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "control/report_query.h"

struct gate;

/* Writes a view: "status", "tunnels", "failures", "listeners", "servers", "certificates", "bans" or
 * "limits". Returns false, and writes nothing, if kind is none of these. */
bool report_write(struct gate *gate, const char *kind, const struct report_query *q,
                  enum report_form form, FILE *out);

/* Returns the name of the kind with this number, for lists of kinds; NULL: there are fewer. */
const char *report_kind(size_t index);

#endif
