/* hostname: host names and addresses as peers send them and administrators write them, in one form
 * in which they are compared: for SNI, Host, certificates, rules and configuration alike. libc
 * only. */
#ifndef SSTPGATE_BASE_HOSTNAME_H
#define SSTPGATE_BASE_HOSTNAME_H

#include <stdbool.h>

#include "base/span.h"

enum {
    HOSTNAME_SIZE = 256,
    HOSTNAME_ASCII_SIZE = 256,
};

/* Writes the form in which names are compared: lower case, without a port and without a dot at the
 * end; an IPv6 address in its shortest form, without brackets and without a zone, which has a
 * meaning on the client's machine only; a v4-mapped one as IPv4. False: not a name: empty, too long
 * for DNS, or with other characters than visible ASCII. */
bool hostname_normal(struct span name, char out[HOSTNAME_SIZE]);

/* Returns whether both are names and have the same normal form. */
bool hostname_equal(struct span a, struct span b);

/* Returns whether name matches the pattern: *.example.com matches each name below example.com;
 * other patterns match as hostname_equal does. */
bool hostname_matches(const char *pattern, struct span name);

/* Returns whether text, without brackets, is an IPv4 address or an IPv6 address, perhaps with a
 * zone. */
bool hostname_is_address(const char *text);

/* Writes a name with letters beyond ASCII, with its *. and its port, in the form that DNS, TLS and
 * HTTP use: vpn.xn--mller-kva.example (RFC 5890 2.3.2.1). False: the text has no such letter, or no
 * such form. For messages: whether a registry admits the name is not checked. */
bool hostname_ascii(const char *text, char out[HOSTNAME_ASCII_SIZE]);

#endif
