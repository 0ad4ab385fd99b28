/* check: what -t does beyond reading the file: opens every file it names, as a start would. */
#ifndef SSTPGATE_OPS_CHECK_H
#define SSTPGATE_OPS_CHECK_H

#include <stdbool.h>
#include <stdio.h>

struct config;

/* Every error goes to problems as "file:line: reason\n". True when there was none. */
bool check_config(const struct config *c, FILE *problems);

#endif
