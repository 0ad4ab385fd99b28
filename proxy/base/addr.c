#include "base/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/ascii.h"

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool is_mapped(const uint8_t ip[16])
{
    return memcmp(ip, mapped_prefix, sizeof mapped_prefix) == 0;
}

static struct addr from_ip4(const void *ip, uint16_t port)
{
    struct addr a = {.family = AF_INET, .port = port};
    memcpy(a.ip, ip, 4);
    return a;
}

static struct addr from_ip6(const uint8_t ip[16], uint16_t port, uint32_t scope)
{
    if (is_mapped(ip))
        return from_ip4(ip + sizeof mapped_prefix, port);
    struct addr a = {.family = AF_INET6, .port = port, .scope = scope};
    memcpy(a.ip, ip, 16);
    return a;
}

/* Parses decimal digits, at least one, and nothing else. */
static enum err parse_decimal(const char *text, uint32_t max, uint32_t *out)
{
    uint32_t n = 0;
    if (*text == '\0')
        return ERR_SYNTAX;
    for (; *text != '\0'; text++) {
        if (!ascii_is_digit(*text))
            return ERR_SYNTAX;
        uint32_t digit = (uint32_t)(*text - '0');
        if (n > (max - digit) / 10)
            return ERR_RANGE;
        n = n * 10 + digit;
    }
    *out = n;
    return ERR_OK;
}

/* Parses the text after the address: an empty text, or a colon and the port. */
static enum err parse_port(const char *text, uint16_t *port)
{
    uint32_t n = 0;
    if (*text == '\0')
        return ERR_OK;
    if (*text != ':')
        return ERR_SYNTAX;
    enum err e = parse_decimal(text + 1, UINT16_MAX, &n);
    if (e == ERR_OK)
        *port = (uint16_t)n;
    return e;
}

/* Parses a zone (RFC 4007 11): the name of an interface or its number. */
static enum err parse_zone(const char *text, uint32_t *scope)
{
    *scope = if_nametoindex(text);
    if (*scope != 0)
        return ERR_OK;
    enum err e = parse_decimal(text, UINT32_MAX, scope);
    if (e != ERR_OK)
        return ERR_RANGE; /* no such interface */
    return *scope == 0 ? ERR_RANGE : ERR_OK;
}

/* Copies text[0..n) as a string, for functions of libc. Returns false when it does not fit. */
static bool copy_part(char *out, size_t size, const char *text, size_t n)
{
    if (n >= size)
        return false;
    memcpy(out, text, n);
    out[n] = '\0';
    return true;
}

static enum err parse_bracketed(const char *text, uint16_t port, struct addr *out)
{
    char part[INET6_ADDRSTRLEN + 1 + IF_NAMESIZE];
    uint8_t ip[16];
    uint32_t scope = 0;
    const char *close = strchr(text, ']');

    if (close == NULL || !copy_part(part, sizeof part, text + 1, (size_t)(close - text - 1)))
        return ERR_SYNTAX;
    char *zone = strchr(part, '%');
    if (zone != NULL)
        *zone++ = '\0';
    if (inet_pton(AF_INET6, part, ip) != 1)
        return ERR_SYNTAX;
    if (zone != NULL) {
        if (is_mapped(ip))
            return ERR_SYNTAX; /* IPv4 has no zones */
        enum err e = parse_zone(zone, &scope);
        if (e != ERR_OK)
            return e;
    }
    enum err e = parse_port(close + 1, &port);
    if (e == ERR_OK)
        *out = from_ip6(ip, port, scope);
    return e;
}

enum err addr_parse(const char *text, uint16_t port, struct addr *out)
{
    if (*text == '[')
        return parse_bracketed(text, port, out);

    char part[INET_ADDRSTRLEN];
    struct in_addr ip = {.s_addr = INADDR_ANY};
    size_t n = strcspn(text, ":");
    if (!copy_part(part, sizeof part, text, n))
        return ERR_SYNTAX;
    if (strcmp(part, "*") != 0 && inet_pton(AF_INET, part, &ip) != 1)
        return ERR_SYNTAX;
    enum err e = parse_port(text + n, &port);
    if (e == ERR_OK)
        *out = from_ip4(&ip, port);
    return e;
}

enum err addr_from_sockaddr(const struct sockaddr *sa, struct addr *out)
{
    /* Copied, not cast: *sa may have the alignment of struct sockaddr only. */
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof in);
        *out = from_ip4(&in.sin_addr, ntohs(in.sin_port));
        return ERR_OK;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof in6);
        *out = from_ip6(in6.sin6_addr.s6_addr, ntohs(in6.sin6_port), in6.sin6_scope_id);
        return ERR_OK;
    }
    return ERR_SYNTAX;
}

socklen_t addr_to_sockaddr(const struct addr *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == AF_INET) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};
        memcpy(&in.sin_addr, a->ip, 4);
        memcpy(out, &in, sizeof in);
        return sizeof in;
    }
    struct sockaddr_in6 in6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(a->port), .sin6_scope_id = a->scope};
    memcpy(&in6.sin6_addr, a->ip, 16);
    memcpy(out, &in6, sizeof in6);
    return sizeof in6;
}

char *addr_format(const struct addr *a, char out[ADDR_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    char zone[1 + IF_NAMESIZE] = "";

    inet_ntop(a->family, a->ip, ip, sizeof ip);
    if (a->family == AF_INET) {
        snprintf(out, ADDR_TEXT_MAX, "%s:%u", ip, (unsigned)a->port);
        return out;
    }
    if (a->scope != 0) {
        zone[0] = '%';
        if (if_indextoname(a->scope, zone + 1) == NULL)
            snprintf(zone + 1, sizeof zone - 1, "%u", (unsigned)a->scope);
    }
    snprintf(out, ADDR_TEXT_MAX, "[%s%s]:%u", ip, zone, (unsigned)a->port);
    return out;
}

static size_t ip_size(sa_family_t family)
{
    return family == AF_INET ? 4 : 16;
}

bool addr_is_any(const struct addr *a)
{
    static const uint8_t zero[16];
    return memcmp(a->ip, zero, ip_size(a->family)) == 0;
}

bool addr_same_host(const struct addr *a, const struct addr *b)
{
    return a->family == b->family && a->scope == b->scope &&
           memcmp(a->ip, b->ip, ip_size(a->family)) == 0;
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
    return a->port == b->port && addr_same_host(a, b);
}

/* Returns whether the first `bits` bits of both are equal. */
static bool prefix_equal(const uint8_t *a, const uint8_t *b, unsigned bits)
{
    unsigned whole = bits / 8;
    uint8_t mask = (uint8_t)(0xff00 >> bits % 8);
    if (memcmp(a, b, whole) != 0)
        return false;
    return mask == 0 || ((a[whole] ^ b[whole]) & mask) == 0;
}

static bool host_bits_set(const struct cidr *net)
{
    for (size_t bit = net->bits; bit < 8 * ip_size(net->family); bit++)
        if (net->ip[bit / 8] & 0x80 >> bit % 8)
            return true;
    return false;
}

enum err cidr_parse(const char *text, struct cidr *out)
{
    char part[INET6_ADDRSTRLEN];
    struct cidr net = {.family = AF_INET};
    size_t n = strcspn(text, "/");

    if (!copy_part(part, sizeof part, text, n))
        return ERR_SYNTAX;
    if (inet_pton(AF_INET, part, net.ip) != 1) {
        net.family = AF_INET6;
        if (inet_pton(AF_INET6, part, net.ip) != 1)
            return ERR_SYNTAX;
    }
    uint32_t bits = 8 * (uint32_t)ip_size(net.family);
    if (text[n] == '/') {
        enum err e = parse_decimal(text + n + 1, bits, &bits);
        if (e != ERR_OK)
            return e;
    }
    net.bits = (uint8_t)bits;
    if (host_bits_set(&net))
        return ERR_RANGE;
    if (net.family == AF_INET6 && bits >= 96 && is_mapped(net.ip)) {
        struct cidr v4 = {.family = AF_INET, .bits = (uint8_t)(bits - 96)};
        memcpy(v4.ip, net.ip + sizeof mapped_prefix, 4);
        net = v4;
    }
    *out = net;
    return ERR_OK;
}

/* Returns the bits of a netmask such as 255.255.255.0; -1: not a netmask. */
static int mask_bits(const char *text)
{
    struct in_addr mask;

    if (inet_pton(AF_INET, text, &mask) != 1)
        return -1;
    const uint32_t clear = ~ntohl(mask.s_addr);
    return (clear & (clear + 1)) != 0 ? -1 : 32 - __builtin_popcount(clear);
}

/* Writes the network that has the address before the '/' and a prefix of this length. Returns false
 * if there is none. */
static bool network_of_prefix(const char *text, uint32_t bits, char out[ADDR_TEXT_MAX])
{
    char part[INET6_ADDRSTRLEN];
    struct cidr net;

    if (!copy_part(part, sizeof part, text, strcspn(text, "/")) || cidr_parse(part, &net) != ERR_OK)
        return false;
    if (net.family == AF_INET && strchr(part, ':') != NULL && bits >= 96) /* mapped */
        bits -= 96;
    if (bits > net.bits)
        return false;
    net.bits = (uint8_t)bits;
    for (size_t bit = bits; bit < 8 * ip_size(net.family); bit++)
        net.ip[bit / 8] &= (uint8_t)(0xff ^ (0x80 >> bit % 8));
    cidr_format(&net, out);
    return true;
}

void cidr_problem(const char *text, char out[CIDR_PROBLEM_MAX])
{
    const char *slash = strchr(text, '/');
    char net[ADDR_TEXT_MAX];
    uint32_t bits;

    if (strpbrk(text, ",;") != NULL)
        snprintf(out, CIDR_PROBLEM_MAX, "more than one network: write each on a line of its own");
    else if (slash != NULL && mask_bits(slash + 1) >= 0 &&
             network_of_prefix(text, (uint32_t)mask_bits(slash + 1), net))
        snprintf(out, CIDR_PROBLEM_MAX, "not a network: write the length of the prefix: %s", net);
    else if (slash != NULL && parse_decimal(slash + 1, 128, &bits) == ERR_OK &&
             network_of_prefix(text, bits, net))
        snprintf(out, CIDR_PROBLEM_MAX,
                 "not a network: bits after the prefix are set; the network is %s", net);
    else if (slash != NULL && network_of_prefix(text, 0, net))
        snprintf(out, CIDR_PROBLEM_MAX, "not a network: the prefix has 0 to %d bits",
                 strchr(text, ':') == NULL ? 32 : 128);
    else
        snprintf(out, CIDR_PROBLEM_MAX, "not an address or a network such as 198.51.100.0/24");
}

bool cidr_has(const struct cidr *net, const struct addr *a)
{
    return net->family == a->family && prefix_equal(net->ip, a->ip, net->bits);
}

bool cidrs_have(const struct cidrs *nets, const struct addr *a)
{
    for (size_t i = 0; i < nets->count; i++)
        if (cidr_has(&nets->item[i], a))
            return true;
    return false;
}

bool cidr_covers(const struct cidr *wide, const struct cidr *net)
{
    struct addr first = {.family = net->family};
    memcpy(first.ip, net->ip, sizeof first.ip);
    return wide->bits <= net->bits && cidr_has(wide, &first);
}

char *cidr_format(const struct cidr *net, char out[ADDR_TEXT_MAX])
{
    char ip[INET6_ADDRSTRLEN] = "?";
    inet_ntop(net->family, net->ip, ip, sizeof ip);
    if (net->bits == 8 * ip_size(net->family))
        snprintf(out, ADDR_TEXT_MAX, "%s", ip);
    else
        snprintf(out, ADDR_TEXT_MAX, "%s/%u", ip, (unsigned)net->bits);
    return out;
}
