/* usage: the help texts of the sub-commands, and their exit codes. */
#ifndef SSTPGATE_CLI_USAGE_H
#define SSTPGATE_CLI_USAGE_H

#include <stdbool.h>
#include <stdio.h>

struct memo;

/* EXIT_PARTLY: its meaning is in the help text of the command. */
enum { EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_PARTLY };

struct usage {
    const char *synopsis; /* "usage: sstpgate ...", one line for each form */
    const char *help;
    void (*more)(FILE *out); /* prints the text after the help; NULL: there is none */
};

/* Prints synopsis and help to standard output. Returns the exit code. */
int usage_help(const struct usage *u);

/* Prints the synopsis to standard error. Returns EXIT_USAGE. */
int usage_wrong(const struct usage *u);

/* Prints why a command has no result: the text of problems, or the synopsis if it is empty, to
 * standard error, and if json, also to standard output, as {"error": ..., "exit": code}. Frees
 * problems. Returns code. */
int usage_failed(const struct usage *u, struct memo *problems, bool json, int code);

/* Returns the exit code of a command: EXIT_FAILED if it was not ok, or if standard output could
 * not be written. */
int usage_exit(bool ok);

#endif
