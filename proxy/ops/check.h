/* check: what -t does beyond reading the file: opens every file it names, as a start would. */
#ifndef SSTPGATE_OPS_CHECK_H
#define SSTPGATE_OPS_CHECK_H

#include <stdbool.h>
#include <stdio.h>

/* Every error goes to problems as "file:line: reason\n", and what there is to say about
 * certificates that end soon as "file:line: warning: ...\n". True when there was no error; then,
 * and if print is not NULL, the configuration in force is written there. */
bool check_config(const char *path, FILE *problems, FILE *print);

#endif
