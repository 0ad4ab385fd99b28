#include "config/config_type_net.h"

#include <grp.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/ascii.h"
#include "base/hostname.h"
#include "base/value.h"
#include "config/config_sections.h"

static const char unix_prefix[] = "unix:";

static bool has_unix_prefix(const char *text)
{
    return strncmp(text, unix_prefix, strlen(unix_prefix)) == 0;
}

/* Reads unix:PATH; the field contains only the path. */
static bool parse_socket(struct config_input *in, const struct config_key *k, void *at,
                         const char *text)
{
    const size_t max = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    char **path = at;

    if (!has_unix_prefix(text) || text[strlen(unix_prefix)] == '\0') {
        config_problem(in, in->line,
                       "%s: '%s' is not a socket such as unix:/run/sstpgate/admin.sock", k->name,
                       text);
        return false;
    }
    if (!config_type_parse_path(in, k, at, text + strlen(unix_prefix)))
        return false;
    if (strlen(*path) > max) {
        config_problem(in, in->line,
                       "%s: '%s' is longer than %zu bytes, the limit for the path of a socket",
                       k->name, *path, max);
        free(*path);
        *path = NULL;
        return false;
    }
    return true;
}

static bool print_socket(FILE *out, const struct config_key *k, const void *at)
{
    char *const *path = at;
    if (*path != NULL)
        fprintf(out, "%s = %s%s\n", k->name, unix_prefix, *path);
    return *path != NULL;
}

const struct config_type config_type_socket = {.syntax = "unix:PATH",
                                               .parse = parse_socket,
                                               .print = print_socket,
                                               .fini = config_type_fini_text};

/* Reports a name with letters beyond ASCII, and its form in ASCII. Returns false if it has no such
 * form. */
static bool report_non_ascii(struct config_input *in, const struct config_key *k, const char *text)
{
    char ascii[HOSTNAME_ASCII_SIZE];
    const bool has_form = hostname_ascii(text, ascii);

    if (has_form)
        config_problem(in, in->line, "%s: '%s' has letters beyond ASCII; in its ASCII form: '%s'",
                       k->name, text, ascii);
    return has_form;
}

/* Reads a name or an address into host. Returns false after reporting a problem. */
static bool read_host(struct config_input *in, const struct config_key *k, const char *text,
                      char host[VALUE_HOST_SIZE], bool *is_address)
{
    if (value_host(text, host, is_address) == ERR_OK)
        return true;
    if (report_non_ascii(in, k, text))
        return false;
    if (strchr(text, '*') != NULL)
        config_problem(in, in->line, "%s: '%s': wildcards are not allowed here; write each name",
                       k->name, text);
    else
        config_problem(in, in->line,
                       "%s: '%s' is neither a host name nor an address (without a port)", k->name,
                       text);
    return false;
}

static bool parse_host(struct config_input *in, const struct config_key *k, void *at,
                       const char *text)
{
    char host[VALUE_HOST_SIZE];
    bool is_address;
    if (!read_host(in, k, text, host, &is_address))
        return false;
    config_type_put_text(at, host);
    return true;
}

const struct config_type config_type_host = {.syntax = "HOST",
                                             .parse = parse_host,
                                             .print = config_type_print_text,
                                             .fini = config_type_fini_text};

static bool parse_server_name(struct config_input *in, const struct config_key *k, void *at,
                              const char *text)
{
    char host[VALUE_HOST_SIZE];
    bool is_address;
    if (!read_host(in, k, text, host, &is_address))
        return false;
    if (is_address) { /* RFC 6066 3: literal addresses are not permitted in HostName */
        config_problem(in, in->line, "%s: '%s' is an address, but TLS has only server names",
                       k->name, text);
        return false;
    }
    config_type_put_text(at, host);
    return true;
}

const struct config_type config_type_server_name = {.syntax = "NAME",
                                                    .parse = parse_server_name,
                                                    .print = config_type_print_text,
                                                    .fini = config_type_fini_text};

static bool parse_interface(struct config_input *in, const struct config_key *k, void *at,
                            const char *text)
{
    size_t n = strlen(text);
    /* the rules of the kernel: IFNAMSIZ, no '/', no blank */
    if (n == 0 || n >= IFNAMSIZ || strpbrk(text, "/ \t:") != NULL) {
        config_problem(in, in->line, "%s: '%s' is not the name of an interface", k->name, text);
        return false;
    }
    config_type_put_text(at, text);
    return true;
}

/* Reads the name of a group that exists on this machine. */
static bool parse_group(struct config_input *in, const struct config_key *k, void *at,
                        const char *text)
{
    if (getgrnam(text) == NULL) {
        config_problem(in, in->line, "%s: there is no group '%s'", k->name, text);
        return false;
    }
    config_type_put_text(at, text);
    return true;
}

const struct config_type config_type_group = {.syntax = "GROUP",
                                              .parse = parse_group,
                                              .print = config_type_print_text,
                                              .fini = config_type_fini_text};

const struct config_type config_type_interface = {.syntax = "NAME",
                                                  .parse = parse_interface,
                                                  .print = config_type_print_text,
                                                  .fini = config_type_fini_text};

/* Reads a path of HTTP as it is sent: it is compared byte by byte, so no query and no blank. */
static bool parse_url_path(struct config_input *in, const struct config_key *k, void *at,
                           const char *text)
{
    for (size_t i = 0; text[i] != '\0'; i++)
        if (text[0] != '/' || !ascii_is_visible((uint8_t)text[i]) ||
            strchr("?#", text[i]) != NULL) {
            config_problem(in, in->line,
                           "%s: '%s' is not a path such as /healthz (ASCII, without ? and #)",
                           k->name, text);
            return false;
        }
    config_type_put_text(at, text);
    return true;
}

const struct config_type config_type_url_path = {.syntax = "/PATH",
                                                 .parse = parse_url_path,
                                                 .print = config_type_print_text,
                                                 .fini = config_type_fini_text};

bool config_type_read_host_port(struct config_input *in, const struct config_key *k,
                                const char *text, char host[VALUE_HOST_SIZE], uint16_t *port)
{
    enum err e = value_host_port(text, host, port);

    if (e == ERR_RANGE)
        config_problem(in, in->line, "%s: '%s': a port must be a number from 1 to 65535", k->name,
                       text);
    else if (e != ERR_OK && !report_non_ascii(in, k, text))
        config_problem(in, in->line, "%s: '%s' is not HOST, HOST:PORT or [IPv6]:PORT", k->name,
                       text);
    return e == ERR_OK;
}

/* Reads the value of a Host field, and keeps it as written, with brackets. */
static bool parse_authority(struct config_input *in, const struct config_key *k, void *at,
                            const char *text)
{
    char host[VALUE_HOST_SIZE];
    uint16_t port;
    if (!config_type_read_host_port(in, k, text, host, &port))
        return false;
    config_type_put_text(at, text);
    return true;
}

const struct config_type config_type_authority = {.syntax = "HOST[:PORT]",
                                                  .parse = parse_authority,
                                                  .print = config_type_print_text,
                                                  .fini = config_type_fini_text};

static bool parse_hosts(struct config_input *in, const struct config_key *k, void *at,
                        const char *text)
{
    struct config_strings *list = at;
    char host[VALUE_HOST_SIZE];
    bool is_address;
    if (!read_host(in, k, text, host, &is_address))
        return false;
    list->item = config_grow(list->item, list->count, sizeof *list->item);
    list->item[list->count++] = config_type_copy(host);
    return true;
}

static bool print_hosts(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_strings *list = at;
    for (size_t i = 0; i < list->count; i++)
        config_type_print_line(out, k, list->item[i]);
    return list->count > 0;
}

static void fini_hosts(void *at)
{
    struct config_strings *list = at;
    for (size_t i = 0; i < list->count; i++)
        free(list->item[i]);
    free(list->item);
}

const struct config_type config_type_hosts = {
    .syntax = "HOST", .parse = parse_hosts, .print = print_hosts, .fini = fini_hosts};

static bool has_port(const char *text)
{
    return strchr(*text == '[' ? text + strcspn(text, "]") : text, ':') != NULL;
}

/* Reads a local address. Returns false after reporting a problem. */
static bool read_place(struct config_input *in, const struct config_key *k, const char *text,
                       uint16_t port, struct addr *out)
{
    const enum err e = addr_parse(text, port, out);

    if (e != ERR_OK) {
        config_problem(in, in->line,
                       "%s: '%s' is not a local address: write 192.0.2.1:%u or "
                       "[2001:db8::1]:%u%s",
                       k->name, text, port, port,
                       e == ERR_RANGE ? " (the largest port is 65535, and a zone must exist)" : "");
        return false;
    }
    if (addr_is_any(out) && !has_port(text)) {
        config_problem(in, in->line,
                       "%s: '%s' means every address; if you want that, write the port too: "
                       "%s:%u",
                       k->name, text, text, port);
        return false;
    }
    return true;
}

static bool parse_places(struct config_input *in, const struct config_key *k, void *at,
                         const char *text)
{
    struct config_places *list = at;
    struct addr a;
    if (!read_place(in, k, text, (uint16_t)k->min, &a))
        return false;
    list->item = config_grow(list->item, list->count, sizeof *list->item);
    list->item[list->count++] = a;
    return true;
}

static bool print_places(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_places *list = at;
    char text[ADDR_TEXT_MAX];
    for (size_t i = 0; i < list->count; i++)
        config_type_print_line(out, k, addr_format(&list->item[i], text));
    return list->count > 0;
}

static void fini_places(void *at)
{
    struct config_places *list = at;
    free(list->item);
}

const struct config_type config_type_places = {
    .syntax = "ADDRESS[:PORT]", .parse = parse_places, .print = print_places, .fini = fini_places};

/* Reads the address of another program. No port is known for it, so it has no default. */
static bool parse_address(struct config_input *in, const struct config_key *k, void *at,
                          const char *text)
{
    struct addr *a = at;

    if (has_port(text) && addr_parse(text, 0, a) == ERR_OK && a->port != 0 && !addr_is_any(a))
        return true;
    *a = (struct addr){0};
    config_problem(in, in->line, "%s: '%s' is not an address with its port, such as 127.0.0.1:%u",
                   k->name, text, (unsigned)k->min);
    return false;
}

static bool print_address(FILE *out, const struct config_key *k, const void *at)
{
    const struct addr *a = at;
    char text[ADDR_TEXT_MAX];

    if (a->family != 0)
        config_type_print_line(out, k, addr_format(a, text));
    return a->family != 0;
}

const struct config_type config_type_address = {
    .syntax = "ADDRESS:PORT", .parse = parse_address, .print = print_address};

/* Reads an address to listen on. A wildcard must be written with its port, because it is rarely
 * intended: to share the port with other servers of the machine is the purpose of the gate
 * (KB 947028). */
static bool listen_add(struct config_input *in, const struct config_key *k,
                       struct config_listener *l, const char *text, bool plain)
{
    struct addr a;
    if (!read_place(in, k, text, plain ? 80 : 443, &a))
        return false;
    l->listen = config_grow(l->listen, l->listen_count, sizeof *l->listen);
    l->listen_line = config_grow(l->listen_line, l->listen_count, sizeof *l->listen_line);
    l->listen_plain = config_grow(l->listen_plain, l->listen_count, sizeof *l->listen_plain);
    l->listen_plain[l->listen_count] = plain;
    l->listen[l->listen_count] = a;
    l->listen_line[l->listen_count++] = in->line;
    return true;
}

static bool parse_listen(struct config_input *in, const struct config_key *k, void *at,
                         const char *text)
{
    return listen_add(in, k, at, text, false);
}

static bool parse_listen_http(struct config_input *in, const struct config_key *k, void *at,
                              const char *text)
{
    return listen_add(in, k, at, text, true);
}

static bool listen_print(FILE *out, const struct config_key *k, const struct config_listener *l,
                         bool plain)
{
    char text[ADDR_TEXT_MAX];
    bool any = false;
    for (size_t i = 0; i < l->listen_count; i++) {
        if (l->listen_plain[i] != plain)
            continue;
        config_type_print_line(out, k, addr_format(&l->listen[i], text));
        any = true;
    }
    return any;
}

static bool print_listen(FILE *out, const struct config_key *k, const void *at)
{
    return listen_print(out, k, at, false);
}

static bool print_listen_http(FILE *out, const struct config_key *k, const void *at)
{
    return listen_print(out, k, at, true);
}

static void fini_listen(void *at)
{
    struct config_listener *l = at;
    free(l->listen);
    free(l->listen_line);
    free(l->listen_plain);
}

const struct config_type config_type_listen = {
    .syntax = "ADDRESS[:PORT]", .parse = parse_listen, .print = print_listen, .fini = fini_listen};

/* Its addresses are in the same arrays. */
const struct config_type config_type_listen_http = {
    .syntax = "ADDRESS[:PORT]", .parse = parse_listen_http, .print = print_listen_http};

/* Reads ADDRESS:PORT or unix:PATH. The port has no default, because no port is known for it. */
static bool parse_sockets(struct config_input *in, const struct config_key *k, void *at,
                          const char *text)
{
    struct config_sockets *list = at;
    struct config_socket s = {.line = in->line};

#ifndef HAVE_MICROHTTPD
    config_problem(in, in->line, "%s: this program was built without libmicrohttpd", k->name);
    return false;
#endif
    if (list->count == CONFIG_SOCKETS_MAX) {
        config_problem(in, in->line, "%s: at most %d are possible", k->name, CONFIG_SOCKETS_MAX);
        return false;
    }
    if (has_unix_prefix(text)) {
        if (!parse_socket(in, k, &s.path, text))
            return false;
    } else if (!has_port(text) || addr_parse(text, 0, &s.addr) != ERR_OK) {
        config_problem(
            in, in->line,
            "%s: '%s' is neither ADDRESS:PORT, such as 127.0.0.1:9143 or [::1]:9143, nor "
            "unix:PATH",
            k->name, text);
        return false;
    }
    list->item = config_grow(list->item, list->count, sizeof *list->item);
    list->item[list->count++] = s;
    return true;
}

static bool print_sockets(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_sockets *list = at;
    char text[ADDR_TEXT_MAX];

    for (size_t i = 0; i < list->count; i++) {
        const struct config_socket *s = &list->item[i];
        if (s->path != NULL)
            fprintf(out, "%s = %s%s\n", k->name, unix_prefix, s->path);
        else
            config_type_print_line(out, k, addr_format(&s->addr, text));
    }
    return list->count > 0;
}

static void fini_sockets(void *at)
{
    struct config_sockets *list = at;

    for (size_t i = 0; i < list->count; i++)
        free(list->item[i].path);
    free(list->item);
}

const struct config_type config_type_sockets = {.syntax = "ADDRESS:PORT|unix:PATH",
                                                .parse = parse_sockets,
                                                .print = print_sockets,
                                                .fini = fini_sockets};

static bool read_cidr(struct config_input *in, const struct config_key *k, const char *text,
                      struct cidr *net)
{
    char why[CIDR_PROBLEM_MAX];

    if (cidr_parse(text, net) == ERR_OK)
        return true;
    cidr_problem(text, why);
    config_problem(in, in->line, "%s: '%s' is %s", k->name, text, why);
    return false;
}

static bool parse_cidrs(struct config_input *in, const struct config_key *k, void *at,
                        const char *text)
{
    struct cidrs *list = at;
    struct cidr net;
    if (!read_cidr(in, k, text, &net))
        return false;
    list->item = config_grow(list->item, list->count, sizeof *list->item);
    list->item[list->count++] = net;
    return true;
}

static bool print_cidrs(FILE *out, const struct config_key *k, const void *at)
{
    const struct cidrs *list = at;
    char text[ADDR_TEXT_MAX];
    for (size_t i = 0; i < list->count; i++)
        config_type_print_line(out, k, cidr_format(&list->item[i], text));
    return list->count > 0;
}

static void fini_cidrs(void *at)
{
    struct cidrs *list = at;
    free(list->item);
}

const struct config_type config_type_cidrs = {
    .syntax = "NETWORK", .parse = parse_cidrs, .print = print_cidrs, .fini = fini_cidrs};

static void print_host_port(FILE *out, const struct config_key *k, const char *host, uint16_t port)
{
    const bool ip6 = strchr(host, ':') != NULL;
    fprintf(out, "%s = %s%s%s:%u\n", k->name, ip6 ? "[" : "", host, ip6 ? "]" : "", (unsigned)port);
}

static bool parse_hosts_and_ports(struct config_input *in, const struct config_key *k, void *at,
                                  const char *text)
{
    struct config_hosts *list = at;
    char host[VALUE_HOST_SIZE];
    uint16_t port;
    if (!config_type_read_host_port(in, k, text, host, &port))
        return false;
    list->item = config_grow(list->item, list->count, sizeof *list->item);
    list->item[list->count++] = (struct config_host){.host = config_type_copy(host),
                                                     .port = port == 0 ? (uint16_t)k->min : port};
    return true;
}

static bool print_hosts_and_ports(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_hosts *list = at;
    for (size_t i = 0; i < list->count; i++)
        print_host_port(out, k, list->item[i].host, list->item[i].port);
    return list->count > 0;
}

static void fini_hosts_and_ports(void *at)
{
    struct config_hosts *list = at;
    for (size_t i = 0; i < list->count; i++)
        free(list->item[i].host);
    free(list->item);
}

const struct config_type config_type_hosts_and_ports = {.syntax = "HOST[:PORT]",
                                                        .parse = parse_hosts_and_ports,
                                                        .print = print_hosts_and_ports,
                                                        .fini = fini_hosts_and_ports};
