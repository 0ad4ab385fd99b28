/* addr: an IPv4 or IPv6 address with a port, and networks to compare it with. libc only.
 *
 * Every function that builds a struct addr turns a v4-mapped IPv6 address (::ffff:a.b.c.d) into
 * the IPv4 address, so rules never see the mapped form. */
#ifndef SSTPGATE_BASE_ADDR_H
#define SSTPGATE_BASE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/span.h"

struct addr {
    sa_family_t family; /* AF_INET or AF_INET6 */
    uint16_t port;      /* host byte order */
    uint32_t scope;     /* IPv6 zone, 0 when none */
    uint8_t ip[16];     /* network order; AF_INET uses the first 4 */
};

struct cidr {
    sa_family_t family;
    uint8_t bits;   /* 0..32 or 0..128 */
    uint8_t ip[16]; /* host bits are zero */
};

struct cidrs { /* a list of networks */
    struct cidr *item;
    size_t count;
};

enum { ADDR_TEXT_MAX = 80 }; /* "[addr%zone]:port" and the NUL always fit */

/* Parses "192.0.2.1:443", "[2001:db8::1]:443", "*:443" (every IPv4 address) or "[::]:443" (every
 * IPv6 address). port: the port if the text has none. Host names are an ERR_SYNTAX: nothing is
 * resolved. "::1" without brackets is an ERR_SYNTAX, too, because its port would be a guess. */
enum err addr_parse(const char *text, uint16_t port, struct addr *out) MUST_CHECK;

/* Converts a socket address. ERR_SYNTAX: the family is neither IPv4 nor IPv6. */
enum err addr_from_sockaddr(const struct sockaddr *sa, struct addr *out) MUST_CHECK;

/* Converts to a socket address. Returns its length, for bind() or connect(). */
socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out);

/* Writes "192.0.2.1:443" or "[2001:db8::1]:443". Returns out. */
char *addr_format(const struct addr *a, char out[ADDR_TEXT_MAX]);

bool addr_is_any(const struct addr *a);
bool addr_equal(const struct addr *a, const struct addr *b);     /* port included */
bool addr_same_host(const struct addr *a, const struct addr *b); /* ports do not count */

/* Parses "198.51.100.0/24", "2001:db8::/32", or one address. Host bits that are set are an
 * ERR_RANGE, because "10.0.0.1/8" is more likely a mistake than intended. A v4-mapped network of
 * /96 or longer becomes the IPv4 network. */
enum err cidr_parse(const char *text, struct cidr *out) MUST_CHECK;

/* Writes why cidr_parse() has refused text, without text itself, as the rest of a sentence: "not a
 * network: ...". */
enum { CIDR_PROBLEM_MAX = 160 };
void cidr_problem(const char *text, char out[CIDR_PROBLEM_MAX]);

bool cidr_has(const struct cidr *net, const struct addr *a);
bool cidr_covers(const struct cidr *wide, const struct cidr *net); /* wide contains all of net */
bool cidrs_have(const struct cidrs *nets, const struct addr *a);   /* one of nets contains a */
char *cidr_format(const struct cidr *net, char out[ADDR_TEXT_MAX]);

#endif
