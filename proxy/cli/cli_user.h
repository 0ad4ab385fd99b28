/* cli_user: `sstpgate user`, which makes the lines of a users file: of a password, or of the users
 * of another program. */
#ifndef SSTPGATE_CLI_CLI_USER_H
#define SSTPGATE_CLI_CLI_USER_H

/* argv[0] is "user". Writes "name:hash-hash" to standard output or into the file of -f, and
 * everything else to standard error. Passwords, hashes and what is made of them are wiped. Returns
 * the exit code: 0, 1 it failed, 2 wrong usage. Call it before any thread is started. */
int cli_user(int argc, char **argv);

#endif
