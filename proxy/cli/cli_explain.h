/* cli_explain: `sstpgate explain`. */
#ifndef SSTPGATE_CLI_CLI_EXPLAIN_H
#define SSTPGATE_CLI_CLI_EXPLAIN_H

/* Runs the sub-command. config: path of the default configuration. Returns the exit code. */
int cli_explain(int argc, char **argv, const char *config);

#endif
