/* cli_binding: `sstpgate binding LISTENER|FILE` prints the hashes of a certificate as the
 * crypto-binding contains them, and ready-made commands that configure SSTP servers with
 * them. */
#ifndef SSTPGATE_CLI_CLI_BINDING_H
#define SSTPGATE_CLI_CLI_BINDING_H

/* Runs the command, see cli.h. 0: done, 1: failure, 2: wrong usage. */
int cli_binding(int argc, char **argv, const char *config);

#endif
