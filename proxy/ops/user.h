/* user: `sstpgate user NAME`, which turns a password into a line for a users file. */
#ifndef SSTPGATE_OPS_USER_H
#define SSTPGATE_OPS_USER_H

/* argv[0] is "user". Asks for the password on the terminal, twice and without echo, or reads one
 * line from standard input where that is no terminal; writes "name:hash-hash" to standard output
 * and everything else to standard error. The password and what is made of it are wiped. Returns the
 * exit code: 0, 1 it failed, 2 wrong usage. A signal that ends the program while it asks does so
 * after the echo is back. Call it before any thread is started. */
int user_command(int argc, char **argv);

#endif
