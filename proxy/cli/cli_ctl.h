/* cli_ctl: `sstpgate ctl` sends a command to a running gate and prints its answer. */
#ifndef SSTPGATE_CLI_CLI_CTL_H
#define SSTPGATE_CLI_CLI_CTL_H

/* Runs the command, see cli.h. The configuration is read for the key `admin`, unless argv names a
 * socket. 0: done, 1: failure or no running gate, 2: wrong usage. */
int cli_ctl(int argc, char **argv, const char *config);

#endif
