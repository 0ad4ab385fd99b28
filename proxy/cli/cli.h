/* cli: the table of sub-commands. */
#ifndef SSTPGATE_CLI_CLI_H
#define SSTPGATE_CLI_CLI_H

#include <stdio.h>

struct cli_command {
    const char *word;
    /* Runs the command. argv[0] is the word; config: the file that is read if argv has no -c.
     * Returns the exit code. Call it before any thread is started. */
    int (*run)(int argc, char **argv, const char *config);
    const char *arguments; /* as the usage shows them */
    const char *help;
};

/* Returns the sub-command with this name; NULL: none. */
const struct cli_command *cli_find(const char *word);

/* Writes the names of the sub-commands, with blanks between. */
void cli_words(FILE *out);

/* Writes a line of usage for each sub-command. column: where the explanations begin. */
void cli_print(FILE *out, int column);

#endif
