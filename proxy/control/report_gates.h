/* report_gates: the gates that share a store with this one, and the state of the store. */
#ifndef SSTPGATE_CONTROL_REPORT_GATES_H
#define SSTPGATE_CONTROL_REPORT_GATES_H

#include <stdio.h>

#include "base/json.h"
#include "control/report_rows.h"

/* Writes a row for each gate in the last answer of the store; none without a store. */
report_write_kind report_gates;

/* Returns why the list is empty, a constant or why; NULL: it is not. */
const char *report_gates_problem(struct gate *gate, char why[REPORT_WHY_MAX]);

/* Finds a gate by the name of its process or, if no other process has it, by its name: n bytes.
 * Returns the name of its process, which the caller frees; NULL: none, see *problem, a constant or
 * why. *mine: it is this gate. */
char *report_gates_find(struct gate *gate, const char *name, size_t n, bool *mine,
                        const char **problem, char why[REPORT_WHY_MAX]);

/* Write the state of the store, for `status`: a line, and the value of a key. */
void report_gates_line(struct gate *gate, FILE *out);
void report_gates_json(struct gate *gate, struct json *j);

#endif
