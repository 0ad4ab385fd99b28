/* explain: what the rules and limits of a configuration would do with a client. Uses the functions
 * that decide about calls (policy/rules.h, call/judgement.h, policy/limits.h, policy/backends.h),
 * and counts nothing. Main thread, or a program without a gate. */
#ifndef SSTPGATE_EXPLAIN_EXPLAIN_H
#define SSTPGATE_EXPLAIN_EXPLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "explain/explain_query.h"
#include "explain/explanation.h"

struct snapshot;

/* Writes the answer to a question about a client as lines "key: value", or as a JSON object. live:
 * NULL: no gate runs. now: seconds since 1970. EXPLAIN_FAILED: nothing was written, and error has
 * the reason. */
enum explain_verdict explain_client(const struct snapshot *snapshot,
                                    const struct explain_state *live, int64_t now,
                                    const struct explain_query *query, FILE *out,
                                    char error[EXPLAIN_ERROR_MAX]);

/* Answers the question of `sstpgate explain` about a configuration file, without a gate. words: the
 * options. Errors are written to problems. Returns the exit code. */
int explain_file(const char *config, char *const *words, size_t n, FILE *out, FILE *problems);

#endif
