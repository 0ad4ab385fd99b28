/* cli_probe: `sstpgate probe` reports what an SSTP server supports and requires, and prints the
 * section of a configuration for it. */
#ifndef SSTPGATE_CLI_CLI_PROBE_H
#define SSTPGATE_CLI_CLI_PROBE_H

/* Runs the command, see cli.h. 0: an SSTP server; 1: this machine, 2: wrong usage; then the codes
 * of client/fault.h. */
int cli_probe(int argc, char **argv, const char *config);

#endif
