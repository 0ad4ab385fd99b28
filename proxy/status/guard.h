/* guard: the rules of the status listener about who may use it: addresses, names of the host,
 * origins, the token. Immutable; a reload makes a new one. Pure, except guard_new and guard_free.
 */
#ifndef SSTPGATE_STATUS_GUARD_H
#define SSTPGATE_STATUS_GUARD_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/span.h"

struct guard;

struct guard_settings {
    const struct cidrs *allow; /* addresses that may connect besides loopback */
    char *const *host;         /* names that a request may give to this host */
    size_t host_count;
    struct span token; /* empty: every action is refused */
};

/* Copies c. */
struct guard *guard_new(const struct guard_settings *c);

/* Wipes the token and frees g. NULL: no-op. */
void guard_free(struct guard *g);

/* Returns whether a client may connect: loopback always. */
bool guard_admits(const struct guard *g, const struct addr *client);

/* Returns whether a request with this field Host is meant for this host: an address, localhost, or
 * a name of the settings. Any other name may be one that an attacker's DNS server has just given
 * the address of this host, so that a page of the attacker reads the answers (DNS rebinding).
 * NULL, no field: true, because every browser sends one. */
bool guard_knows_host(const struct guard *g, const char *host);

/* Returns whether the fields Origin and Sec-Fetch-Site (NULL: the request has none) are those of a
 * page of this listener, or of a client that is no browser. */
bool guard_same_origin(const char *host, const char *origin, const char *fetch_site);

enum guard_token {
    GUARD_READ_ONLY,     /* the settings have no token */
    GUARD_TOKEN_MISSING, /* no `Bearer TOKEN` */
    GUARD_TOKEN_WRONG,
    GUARD_TOKEN_RIGHT,
};

/* Judges the field Authorization, NULL: the request has none. The time depends on the length of
 * the token only. */
enum guard_token guard_token(const struct guard *g, const char *authorization);

#endif
