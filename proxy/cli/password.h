/* password: reads a password, for `sstpgate user`, `setup` and `dial`, and hashes it. */
#ifndef SSTPGATE_CLI_PASSWORD_H
#define SSTPGATE_CLI_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "binding/nthash.h"

/* NT_PASSWORD_MAX units take at most three bytes of UTF-8 each. */
enum { PASSWORD_MAX = 3 * NT_PASSWORD_MAX };

struct password {
    uint8_t octets[PASSWORD_MAX + 4]; /* a byte order mark and a CR may be around it */
    size_t n;
};

/* Asks on the terminal without echo, and if `twice`, a second time; if standard input is not a
 * terminal, reads its first line, without a byte order mark and a CR. False: the reason was written
 * to problems: also if a hidden character (base/hidden.h) begins or ends the password. The
 * caller wipes *out in either case. A signal that ends the program meanwhile takes effect after the
 * echo is restored. command: the sub-command, for messages. Call it before any thread is started.
 */
bool password_get(struct password *out, const char *command, bool twice, FILE *problems);

/* Reads the first line of a file in the same way. False also if every user of this machine may read
 * the file. */
bool password_from_file(struct password *out, const char *command, const char *path,
                        FILE *problems);

/* Hashes a password for the line of a users file. False: the reason was written to standard error.
 * The caller wipes hash_hash. */
bool password_hash(const struct password *p, const char *command, uint8_t hash_hash[NT_HASH]);

/* Opens MD4, as nthash_new. NULL: the reason was written to standard error. */
struct nthash *password_md4(const char *command);

#endif
