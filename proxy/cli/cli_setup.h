/* cli_setup: `sstpgate setup`, from questions to a checked configuration. */
#ifndef SSTPGATE_CLI_CLI_SETUP_H
#define SSTPGATE_CLI_CLI_SETUP_H

/* Runs the command, see cli.h. config: the file that is written without --out. Blocks signals while
 * it writes. Exit codes are in the help text. */
int cli_setup(int argc, char **argv, const char *config);

#endif
