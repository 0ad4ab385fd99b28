/* user_view: `sstpgate user --list` and `--check`: lists a users file, and compares a password with
 * it. */
#ifndef SSTPGATE_CLI_USER_VIEW_H
#define SSTPGATE_CLI_USER_VIEW_H

#include <stdbool.h>
#include <stdint.h>

#include "binding/nthash.h"
#include "users/users.h"

/* The exit code of --check for the right password of a line that has ended; above those of
 * usage.h. */
enum { USER_EXPIRED = 4 };

/* Prints the users of a file, one on each line, or one JSON object. now: seconds since 1970.
 * Returns the exit code: not 0 if a gate would refuse the file. */
int user_list(const char *path, bool json, int64_t now);

/* Reports to standard error whether a password is that of a user. md4, hash_hash: of the password.
 * Returns the exit code. */
int user_compare(const struct users *u, const char *name, const struct nthash *md4,
                 const uint8_t hash_hash[NT_HASH], int64_t now);

#endif
