/* explain_live: `explain` in the running gate. Main thread. */
#ifndef SSTPGATE_CONTROL_EXPLAIN_LIVE_H
#define SSTPGATE_CONTROL_EXPLAIN_LIVE_H

#include <stddef.h>
#include <stdio.h>

#include "explain/explain_query.h"

struct gate;

/* Answers the question in words (explain/explain_query.h) by the configuration in force, with the
 * limits and servers of this moment. Returns NULL, or the reason of a failure, which may be in
 * error. */
const char *explain_live(struct gate *gate, char *const *words, size_t n, FILE *out,
                         char error[EXPLAIN_ERROR_MAX]);

#endif
