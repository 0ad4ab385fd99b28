/* cli_ctl: `sstpgate ctl`, which hands a command to a running gate and prints its answer. */
#ifndef SSTPGATE_CLI_CLI_CTL_H
#define SSTPGATE_CLI_CLI_CTL_H

/* argv[0] is "ctl". default_config is read for the key `admin` where neither a file nor a socket is
 * given. Returns the exit code: 0 done, 1 not done or no gate there, 2 wrong usage. */
int cli_ctl(int argc, char **argv, const char *default_config);

#endif
