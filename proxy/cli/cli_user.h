/* cli_user: `sstpgate user` makes the lines of a users file, from a password or from the users of
 * another program. */
#ifndef SSTPGATE_CLI_CLI_USER_H
#define SSTPGATE_CLI_CLI_USER_H

/* Runs the command, see cli.h, without a configuration. Writes "name:hash-hash" to standard output
 * or to the file of -f, messages to standard error. Wipes passwords, hashes and all values derived
 * from them. 0: done, 1: failure, 2: wrong usage, 3: a wrong password, or an import of some lines
 * only. */
int cli_user(int argc, char **argv, const char *config);

#endif
