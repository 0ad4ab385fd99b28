/* password: reads a password, for `sstpgate user`. */
#ifndef SSTPGATE_CLI_PASSWORD_H
#define SSTPGATE_CLI_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "binding/nthash.h"

/* NT_PASSWORD_MAX units take at most three bytes of UTF-8 each. */
enum { PASSWORD_MAX = 3 * NT_PASSWORD_MAX };

struct password {
    uint8_t octets[PASSWORD_MAX];
    size_t n;
};

/* Asks on the terminal, twice and without echo; if standard input is not a terminal, reads its
 * first line. False: the reason was written to standard error. The caller wipes *out in either
 * case. A signal that ends the program meanwhile takes effect after the echo is restored. Call it
 * before any thread is started. */
bool password_get(struct password *out);

#endif
