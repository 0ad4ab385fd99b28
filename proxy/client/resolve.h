/* resolve: looks up the addresses of a name, with a deadline, which getaddrinfo does not have. */
#ifndef SSTPGATE_CLIENT_RESOLVE_H
#define SSTPGATE_CLIENT_RESOLVE_H

#include "base/addr.h"

enum { RESOLVE_MAX = 8 };

/* Writes up to RESOLVE_MAX addresses of a name or address, with this port, and returns their
 * number. 0: *why is the reason, valid until the end of the program. A look-up that takes longer
 * than wait_ms continues in its own thread, detached. */
size_t resolve(const char *host, uint16_t port, uint64_t wait_ms, struct addr out[RESOLVE_MAX],
               const char **why);

#endif
