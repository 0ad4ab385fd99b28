/* rules_read: turns text into rules. rules.h has the syntax. */
#ifndef SSTPGATE_POLICY_RULES_READ_H
#define SSTPGATE_POLICY_RULES_READ_H

#include <stdbool.h>

#include "base/value.h"
#include "policy/rules.h"

enum { RULES_PROBLEM_MAX = VALUE_TEXT_MAX + 512 };

/* Appends the rule text, the value of an `allow` or `deny` line. dir: start of relative paths.
 * Returns false with the reason in problem, and appends nothing, if text is not a rule. Opens no
 * file. */
bool rules_add(struct rules *r, bool allow, const char *text, const char *dir, unsigned line,
               char problem[RULES_PROBLEM_MAX]);

/* Appends the rule `file PATH` without other conditions, whose PATH may contain blanks. path:
 * absolute. */
void rules_add_file(struct rules *r, bool allow, const char *path, unsigned line);

#endif
