/* explain_print: writes an explanation as lines "key: value", or as a JSON object. */
#ifndef SSTPGATE_EXPLAIN_EXPLAIN_PRINT_H
#define SSTPGATE_EXPLAIN_EXPLAIN_PRINT_H

#include <stdio.h>

#include "explain/explanation.h"

/* Writes the explanation; e->query->json decides the form. */
void explain_print(const struct explanation *e, FILE *out);

#endif
