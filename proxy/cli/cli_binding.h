/* cli_binding: `sstpgate binding LISTENER|FILE`, which prints the hashes of a certificate, as
 * the crypto-binding has them, and ready-made commands for servers that are to be told them. */
#ifndef SSTPGATE_CLI_CLI_BINDING_H
#define SSTPGATE_CLI_CLI_BINDING_H

/* argv[0] is "binding". config: the file that is read when no -c stands in argv. Returns the exit
 * code: 0, 1 something could not be read, 2 wrong usage. */
int cli_binding(int argc, char **argv, const char *config);

#endif
