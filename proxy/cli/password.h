/* password: asks for one, for `sstpgate user`. */
#ifndef SSTPGATE_CLI_PASSWORD_H
#define SSTPGATE_CLI_PASSWORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "binding/nthash.h"

/* NT_PASSWORD_MAX units take at most three octets of UTF-8 each. */
enum { PASSWORD_MAX = 3 * NT_PASSWORD_MAX };

struct password {
    uint8_t octets[PASSWORD_MAX];
    size_t n;
};

/* On the terminal, twice and without echo, or one line of standard input where that is no terminal.
 * False: what is wrong was said. The caller wipes *out in either case. A signal that ends the
 * program while it asks does so after the echo is back. Call it before any thread is started. */
bool password_get(struct password *out);

#endif
