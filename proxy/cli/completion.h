/* completion: completes the command line in bash, from the tables of options, sub-commands and
 * commands of the admin socket. */
#ifndef SSTPGATE_CLI_COMPLETION_H
#define SSTPGATE_CLI_COMPLETION_H

#include <stdio.h>

/* Prints the script. options: the options of the program, with blanks between. */
void completion_bash(const char *options, FILE *out);

#endif
