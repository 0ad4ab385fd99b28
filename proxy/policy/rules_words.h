/* rules_words: the result of one rule in words, for an administrator. */
#ifndef SSTPGATE_POLICY_RULES_WORDS_H
#define SSTPGATE_POLICY_RULES_WORDS_H

#include <stdio.h>

#include "policy/rules.h"

/* Writes why the rule of a step matches, does not match, or cannot be decided: "10.0.0.1 is not in
 * 192.0.2.0/24". r, facts and step: those of rules_trace(). Without a line end and control
 * characters. */
void rules_words(const struct rules *r, const struct rules_facts *facts,
                 const struct rules_step *step, FILE *out);

/* Writes the names of facts: "host", "sni and tenant", "host, sni and user". mask: of enum
 * rules_fact. */
void rules_words_facts(unsigned mask, FILE *out);

#endif
