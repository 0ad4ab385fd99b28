/* cli_dial: `sstpgate dial` logs in to a server, directly or through the gate, as a VPN client
 * does, and reports each step. */
#ifndef SSTPGATE_CLI_CLI_DIAL_H
#define SSTPGATE_CLI_CLI_DIAL_H

/* Runs the command, see cli.h. 0: the tunnel was up; 1: this machine or the configuration, 2: wrong
 * usage; then the codes of client/fault.h. */
int cli_dial(int argc, char **argv, const char *config);

#endif
