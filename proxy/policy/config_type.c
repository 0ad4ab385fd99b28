#include "policy/config_type.h"

#include <net/if.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "base/check.h"
#include "policy/config.h"
#include "policy/config_read.h"
#include "policy/config_value.h"
#include "policy/suggest.h"

void config_problem(struct config_input *in, unsigned line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(in->problems, "%s:%u: ", in->path, line);
    vfprintf(in->problems, format, args);
    fputc('\n', in->problems);
    va_end(args);
    in->failed = true;
}

void *config_grow(void *items, size_t count, size_t size)
{
    return check_alloc(reallocarray(items, count + 1, size));
}

static char *copy(const char *text)
{
    return check_alloc(strdup(text));
}

static void print_line(FILE *out, const struct config_key *k, const char *value)
{
    fprintf(out, "%s = %s\n", k->name, value);
}

static const struct config_choice *find_choice(const struct config_key *k, const char *text)
{
    for (const struct config_choice *c = k->choices; c != NULL && c->word != NULL; c++)
        if (strcmp(c->word, text) == 0)
            return c;
    return NULL;
}

const struct config_choice *config_choice_of(const struct config_key *k, int value)
{
    for (const struct config_choice *c = k->choices; c != NULL && c->word != NULL; c++)
        if (c->value == value)
            return c;
    return NULL;
}

/* "a, b or c", each value once. */
static void list_choices(const struct config_key *k, char *out, size_t size)
{
    size_t n = 0;
    out[0] = '\0';
    for (const struct config_choice *c = k->choices; c != NULL && c->word != NULL; c++) {
        if (config_choice_of(k, c->value) != c)
            continue;
        const struct config_choice *next = c + 1;
        while (next->word != NULL && config_choice_of(k, next->value) != next)
            next++;
        const char *between = n == 0 ? "" : next->word == NULL ? " or " : ", ";
        int added = snprintf(out + n, size - n, "%s%s", between, c->word);
        CHECK(added >= 0 && (size_t)added < size - n);
        n += (size_t)added;
    }
}

static void unknown_choice(struct config_input *in, const struct config_key *k, const char *text)
{
    char all[128];
    struct suggest s = suggest_init(text);
    list_choices(k, all, sizeof all);
    /* Between words as short as "on" and "no" a guess would be worth nothing. */
    for (const struct config_choice *c = k->choices; strlen(text) > 3 && c->word != NULL; c++)
        suggest_offer(&s, c->word);
    if (s.best != NULL)
        config_problem(in, in->line, "%s: unknown value '%s'; did you mean '%s'?", k->name, text,
                       s.best);
    else
        config_problem(in, in->line, "%s: unknown value '%s': write %s", k->name, text, all);
}

/* The enums of config.h and its numbers are of the size of int, whatever their signs: copied, so
 * that one function serves them all. */
_Static_assert(sizeof(enum config_tls) == sizeof(int), "stored by put_int");
_Static_assert(sizeof(enum config_log_level) == sizeof(int), "stored by put_int");
_Static_assert(sizeof(enum config_verify) == sizeof(int), "stored by put_int");
_Static_assert(sizeof(enum config_binding) == sizeof(int), "stored by put_int");
_Static_assert(sizeof(enum config_balance) == sizeof(int), "stored by put_int");
_Static_assert(sizeof(enum config_check) == sizeof(int), "stored by put_int");
_Static_assert(sizeof(enum rules_action) == sizeof(int), "stored by put_int");

static void put_int(void *at, int value)
{
    memcpy(at, &value, sizeof value);
}

static int get_int(const void *at)
{
    int value;
    memcpy(&value, at, sizeof value);
    return value;
}

static bool parse_choice(struct config_input *in, const struct config_key *k, void *at,
                         const char *text)
{
    const struct config_choice *c = find_choice(k, text);
    if (c == NULL)
        unknown_choice(in, k, text);
    else
        put_int(at, c->value);
    return c != NULL;
}

static bool print_choice(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_choice *c = config_choice_of(k, get_int(at));
    CHECK(c != NULL);
    print_line(out, k, c->word);
    return true;
}

const struct config_type config_type_choice = {.parse = parse_choice, .print = print_choice};

/* As a choice, kept in a bool. */
static bool parse_flag(struct config_input *in, const struct config_key *k, void *at,
                       const char *text)
{
    bool *flag = at;
    const struct config_choice *c = find_choice(k, text);
    if (c == NULL)
        unknown_choice(in, k, text);
    else
        *flag = c->value != 0;
    return c != NULL;
}

static bool print_flag(FILE *out, const struct config_key *k, const void *at)
{
    const bool *flag = at;
    print_line(out, k, config_choice_of(k, *flag)->word);
    return true;
}

const struct config_type config_type_flag = {.parse = parse_flag, .print = print_flag};

/* A number in the key's range, or one of its words. */
static bool parse_number(struct config_input *in, const struct config_key *k, void *at,
                         const char *text)
{
    char words[128];
    uint32_t n;
    const struct config_choice *c = find_choice(k, text);
    if (c != NULL) {
        put_int(at, c->value);
        return true;
    }
    if (value_number(text, k->min, k->max, &n) != ERR_OK) {
        list_choices(k, words, sizeof words);
        config_problem(in, in->line, "%s: '%s' is not a number from %u to %u%s%s", k->name, text,
                       (unsigned)k->min, (unsigned)k->max, *words == '\0' ? "" : " or ", words);
        return false;
    }
    put_int(at, (int)n);
    return true;
}

static bool print_number(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_choice *c = config_choice_of(k, get_int(at));
    if (c != NULL)
        print_line(out, k, c->word);
    else
        fprintf(out, "%s = %d\n", k->name, get_int(at));
    return true;
}

const struct config_type config_type_number = {.parse = parse_number, .print = print_number};

static bool parse_duration(struct config_input *in, const struct config_key *k, void *at,
                           const char *text)
{
    uint32_t *ms = at, n = 0;
    bool none = strcmp(text, "none") == 0;
    enum err e = none ? ERR_OK : value_duration(text, &n);

    if (e == ERR_MISSING)
        config_problem(in, in->line,
                       "%s: '%s' lacks its unit: %ss for seconds, or one of ms, m, h, d", k->name,
                       text, text);
    else if (e == ERR_RANGE)
        config_problem(in, in->line, "%s: '%s' is more than 30d", k->name, text);
    else if (e != ERR_OK)
        config_problem(in, in->line, "%s: '%s' is not a duration such as 1500ms, 90s, 5m, 2h or 1d",
                       k->name, text);
    else if (n == 0 && !(k->flags & KEY_NONE))
        config_problem(in, in->line, "%s: '%s': this deadline cannot be left out", k->name, text);
    else {
        *ms = n;
        return true;
    }
    return false;
}

static bool print_duration(FILE *out, const struct config_key *k, const void *at)
{
    const uint32_t *ms = at;
    char text[VALUE_DURATION_SIZE];
    if (*ms == 0)
        print_line(out, k, "none");
    else {
        value_duration_format(*ms, text);
        print_line(out, k, text);
    }
    return true;
}

const struct config_type config_type_duration = {
    .syntax = "DURATION", .parse = parse_duration, .print = print_duration};

/* So many in so long, or the key's word for no limit. */
static bool parse_rate(struct config_input *in, const struct config_key *k, void *at,
                       const char *text)
{
    struct config_rate *rate = at, read = {0, 0};
    enum err e =
        find_choice(k, text) != NULL ? ERR_OK : value_rate(text, &read.count, &read.per_ms);

    if (e == ERR_OK)
        *rate = read;
    else if (e == ERR_MISSING)
        config_problem(in, in->line,
                       "%s: '%s' lacks its unit: %s/s for each second, or one of /m, /h", k->name,
                       text, text);
    else if (e == ERR_RANGE)
        config_problem(in, in->line, "%s: '%s': the number is one from 1 to %d", k->name, text,
                       (int)VALUE_RATE_MAX);
    else
        config_problem(in, in->line, "%s: '%s' is not a rate such as 20/s, 100/m or 500/h", k->name,
                       text);
    return e == ERR_OK;
}

static bool print_rate(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_rate *rate = at;
    char text[VALUE_RATE_SIZE];
    if (rate->count == 0) {
        print_line(out, k, k->choices->word);
        return true;
    }
    value_rate_format(rate->count, rate->per_ms, text);
    print_line(out, k, text);
    return true;
}

const struct config_type config_type_rate = {
    .syntax = "RATE", .parse = parse_rate, .print = print_rate};

static void fini_text(void *at)
{
    char **text = at;
    free(*text);
}

static bool print_text(FILE *out, const struct config_key *k, const void *at)
{
    char *const *text = at;
    if (*text != NULL)
        print_line(out, k, *text);
    return *text != NULL;
}

static void put_text(void *at, const char *text)
{
    char **field = at;
    free(*field);
    *field = copy(text);
}

/* A file as an absolute path: the process may change its folder. NULL when it is none, the problem
 * reported. */
static char *read_path(struct config_input *in, const struct config_key *k, const char *text)
{
    char *path = NULL;
    if (*text == '/')
        return copy(text);
    if (asprintf(&path, "%s/%s", in->dir, text) < 0)
        path = NULL;
    check_alloc(path);
    /* The effective value must be one that can be written, or -T would print what no file holds. */
    if (config_read_fits(path))
        return path;
    config_problem(in, in->line,
                   "%s: '%s' cannot be written in one value (at most %d octets, no "
                   "comment in it): use an absolute path",
                   k->name, path, (int)CONFIG_VALUE_MAX);
    free(path);
    return NULL;
}

/* A file, or one of the key's words. */
static bool parse_path(struct config_input *in, const struct config_key *k, void *at,
                       const char *text)
{
    char **field = at;
    char *path = find_choice(k, text) != NULL ? copy(text) : read_path(in, k, text);
    if (path == NULL)
        return false;
    free(*field);
    *field = path;
    return true;
}

const struct config_type config_type_path = {
    .syntax = "PATH", .parse = parse_path, .print = print_text, .fini = fini_text};

static const char unix_prefix[] = "unix:";

/* Kept as the path alone. */
static bool parse_socket(struct config_input *in, const struct config_key *k, void *at,
                         const char *text)
{
    const size_t max = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    char **path = at;

    if (strncmp(text, unix_prefix, strlen(unix_prefix)) != 0 || text[strlen(unix_prefix)] == '\0') {
        config_problem(in, in->line,
                       "%s: '%s' is not a socket such as unix:/run/sstpgate/admin.sock", k->name,
                       text);
        return false;
    }
    if (!parse_path(in, k, at, text + strlen(unix_prefix)))
        return false;
    if (strlen(*path) > max) {
        config_problem(in, in->line, "%s: '%s' is longer than the %zu octets of a socket's path",
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

const struct config_type config_type_socket = {
    .syntax = "unix:PATH", .parse = parse_socket, .print = print_socket, .fini = fini_text};

/* A list for OpenSSL, one name in each line or joined by ':' as OpenSSL writes it. It is judged
 * where the SSL_CTX is made. */
static bool parse_ciphers(struct config_input *in, const struct config_key *k, void *at,
                          const char *text)
{
    static const char name_octets[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                      "0123456789_-.+!@=";
    char **list = at, *joined = NULL;
    for (const char *p = text;; p++) {
        size_t n = strspn(p, name_octets);
        p += n;
        if (n == 0 || (*p != ':' && *p != '\0')) {
            config_problem(in, in->line, "%s: '%s' is not a list of names joined by ':'", k->name,
                           text);
            return false;
        }
        if (*p == '\0')
            break;
    }
    if (*list == NULL) {
        *list = copy(text);
        return true;
    }
    if (asprintf(&joined, "%s:%s", *list, text) < 0)
        joined = NULL;
    check_alloc(joined);
    free(*list);
    *list = joined;
    return true;
}

/* One in each line: all of them together may be longer than a line can be. */
static bool print_ciphers(FILE *out, const struct config_key *k, const void *at)
{
    char *const *list = at;
    const char *p = *list;
    if (p == NULL)
        return false;
    for (;;) {
        size_t n = strcspn(p, ":");
        fprintf(out, "%s = %.*s\n", k->name, (int)n, p);
        if (p[n] == '\0')
            return true;
        p += n + 1;
    }
}

const struct config_type config_type_ciphers = {
    .syntax = "LIST", .parse = parse_ciphers, .print = print_ciphers, .fini = fini_text};

/* A name or an address in host; false when it is neither, the problem reported. */
static bool read_host(struct config_input *in, const struct config_key *k, const char *text,
                      char host[VALUE_HOST_SIZE], bool *is_address)
{
    if (value_host(text, host, is_address) == ERR_OK)
        return true;
    if (strchr(text, '*') != NULL)
        config_problem(in, in->line, "%s: '%s': wildcards are not taken here; write each name",
                       k->name, text);
    else
        config_problem(in, in->line,
                       "%s: '%s' is neither a host name nor an address (no port here)", k->name,
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
    put_text(at, host);
    return true;
}

const struct config_type config_type_host = {
    .syntax = "HOST", .parse = parse_host, .print = print_text, .fini = fini_text};

static bool parse_server_name(struct config_input *in, const struct config_key *k, void *at,
                              const char *text)
{
    char host[VALUE_HOST_SIZE];
    bool is_address;
    if (!read_host(in, k, text, host, &is_address))
        return false;
    if (is_address) { /* RFC 6066 3: literal addresses are not permitted in HostName */
        config_problem(in, in->line, "%s: '%s' is an address: TLS carries names only", k->name,
                       text);
        return false;
    }
    put_text(at, host);
    return true;
}

const struct config_type config_type_server_name = {
    .syntax = "NAME", .parse = parse_server_name, .print = print_text, .fini = fini_text};

static bool parse_interface(struct config_input *in, const struct config_key *k, void *at,
                            const char *text)
{
    size_t n = strlen(text);
    /* as the kernel judges names: IFNAMSIZ, no '/', no blank */
    if (n == 0 || n >= IFNAMSIZ || strpbrk(text, "/ \t:") != NULL) {
        config_problem(in, in->line, "%s: '%s' is not the name of an interface", k->name, text);
        return false;
    }
    put_text(at, text);
    return true;
}

const struct config_type config_type_interface = {
    .syntax = "NAME", .parse = parse_interface, .print = print_text, .fini = fini_text};

/* What a Host field may hold: kept as written, brackets included. */
static bool parse_authority(struct config_input *in, const struct config_key *k, void *at,
                            const char *text)
{
    char host[VALUE_HOST_SIZE];
    uint16_t port;
    if (value_host_port(text, host, &port) != ERR_OK) {
        config_problem(in, in->line, "%s: '%s' is not HOST, HOST:PORT or [IPv6]:PORT", k->name,
                       text);
        return false;
    }
    put_text(at, text);
    return true;
}

const struct config_type config_type_authority = {
    .syntax = "HOST[:PORT]", .parse = parse_authority, .print = print_text, .fini = fini_text};

static bool parse_hosts(struct config_input *in, const struct config_key *k, void *at,
                        const char *text)
{
    struct config_strings *list = at;
    char host[VALUE_HOST_SIZE];
    bool is_address;
    if (!read_host(in, k, text, host, &is_address))
        return false;
    list->item = config_grow(list->item, list->count, sizeof *list->item);
    list->item[list->count++] = copy(host);
    return true;
}

static bool print_hosts(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_strings *list = at;
    for (size_t i = 0; i < list->count; i++)
        print_line(out, k, list->item[i]);
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

/* The name of a section; config_finish looks for it. */
static bool parse_reference(struct config_input *in, const struct config_key *k, void *at,
                            const char *text)
{
    if (!value_is_name(text)) {
        config_problem(in, in->line, "%s: '%s' cannot be the name of a section", k->name, text);
        return false;
    }
    put_text(at, text);
    return true;
}

const struct config_type config_type_reference = {
    .syntax = "NAME", .parse = parse_reference, .print = print_text, .fini = fini_text};

/* Text as an address of this machine; false when it is none, the problem reported. */
static bool read_place(struct config_input *in, const struct config_key *k, const char *text,
                       uint16_t port, struct addr *out)
{
    const bool has_port = strchr(*text == '[' ? text + strcspn(text, "]") : text, ':') != NULL;
    const enum err e = addr_parse(text, port, out);

    if (e != ERR_OK) {
        config_problem(in, in->line,
                       "%s: '%s' is not an address of this machine: write 192.0.2.1:%u or "
                       "[2001:db8::1]:%u%s",
                       k->name, text, port, port,
                       e == ERR_RANGE ? " (ports end at 65535, and a zone must be there)" : "");
        return false;
    }
    if (addr_is_any(out) && !has_port) {
        config_problem(in, in->line,
                       "%s: '%s' means every address; if that is meant, write the port too: "
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
        print_line(out, k, addr_format(&list->item[i], text));
    return list->count > 0;
}

static void fini_places(void *at)
{
    struct config_places *list = at;
    free(list->item);
}

const struct config_type config_type_places = {
    .syntax = "ADDRESS[:PORT]", .parse = parse_places, .print = print_places, .fini = fini_places};

/* An address to listen on. `at` is the whole listener. A wildcard is what this program is there to
 * avoid (KB 947028): it must be written out, with its port, to count as meant. */
static bool parse_listen(struct config_input *in, const struct config_key *k, void *at,
                         const char *text)
{
    struct config_listener *l = at;
    struct addr a;
    if (!read_place(in, k, text, 443, &a))
        return false;
    l->listen = config_grow(l->listen, l->listen_count, sizeof *l->listen);
    l->listen_line = config_grow(l->listen_line, l->listen_count, sizeof *l->listen_line);
    l->listen[l->listen_count] = a;
    l->listen_line[l->listen_count++] = in->line;
    return true;
}

static bool print_listen(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_listener *l = at;
    char text[ADDR_TEXT_MAX];
    for (size_t i = 0; i < l->listen_count; i++)
        print_line(out, k, addr_format(&l->listen[i], text));
    return l->listen_count > 0;
}

static void fini_listen(void *at)
{
    struct config_listener *l = at;
    free(l->listen);
    free(l->listen_line);
}

const struct config_type config_type_listen = {
    .syntax = "ADDRESS[:PORT]", .parse = parse_listen, .print = print_listen, .fini = fini_listen};

/* `at` is the whole listener. A refused one is kept too: what stands below it is not without one.
 */
static bool parse_certificate(struct config_input *in, const struct config_key *k, void *at,
                              const char *text)
{
    struct config_listener *l = at;
    char *file = read_path(in, k, text);
    l->certificate = config_grow(l->certificate, l->certificate_count, sizeof *l->certificate);
    l->certificate[l->certificate_count++] =
        (struct config_certificate){.line = in->line, .file = file};
    return file != NULL;
}

/* Each with its own key and files behind it: these belong to the certificate above them. */
static bool print_certificates(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_listener *l = at;
    for (size_t i = 0; i < l->certificate_count; i++) {
        const struct config_certificate *c = &l->certificate[i];
        print_line(out, k, c->file);
        if (c->key != NULL)
            fprintf(out, "key = %s\n", c->key);
        if (c->passphrase_file != NULL)
            fprintf(out, "passphrase-file = %s\n", c->passphrase_file);
        if (c->ocsp_file != NULL)
            fprintf(out, "ocsp-file = %s\n", c->ocsp_file);
    }
    return l->certificate_count > 0;
}

static void fini_certificates(void *at)
{
    struct config_listener *l = at;
    for (size_t i = 0; i < l->certificate_count; i++) {
        free(l->certificate[i].file);
        free(l->certificate[i].key);
        free(l->certificate[i].passphrase_file);
        free(l->certificate[i].ocsp_file);
    }
    free(l->certificate);
}

const struct config_type config_type_certificate = {.syntax = "PATH",
                                                    .parse = parse_certificate,
                                                    .print = print_certificates,
                                                    .fini = fini_certificates};

/* A file that belongs to the certificate above it; part and line: where in a config_certificate. */
static bool parse_part(struct config_input *in, const struct config_key *k, void *at,
                       const char *text, size_t part, size_t line)
{
    struct config_listener *l = at;
    if (l->certificate_count == 0) {
        config_problem(in, in->line, "%s: there is no `certificate` above it", k->name);
        return false;
    }
    struct config_certificate *c = &l->certificate[l->certificate_count - 1];
    char **field = (char **)((char *)c + part);
    if (*field != NULL) {
        config_problem(in, in->line, "%s: the certificate on line %u has one already", k->name,
                       c->line);
        return false;
    }
    *field = read_path(in, k, text);
    *(unsigned *)((char *)c + line) = in->line;
    return *field != NULL;
}

static bool parse_key(struct config_input *in, const struct config_key *k, void *at,
                      const char *text)
{
    return parse_part(in, k, at, text, offsetof(struct config_certificate, key),
                      offsetof(struct config_certificate, key_line));
}

static bool parse_passphrase_file(struct config_input *in, const struct config_key *k, void *at,
                                  const char *text)
{
    return parse_part(in, k, at, text, offsetof(struct config_certificate, passphrase_file),
                      offsetof(struct config_certificate, passphrase_line));
}

static bool parse_ocsp_file(struct config_input *in, const struct config_key *k, void *at,
                            const char *text)
{
    return parse_part(in, k, at, text, offsetof(struct config_certificate, ocsp_file),
                      offsetof(struct config_certificate, ocsp_line));
}

/* print_certificates() has done it. */
static bool print_with_certificate(FILE *out, const struct config_key *k, const void *at)
{
    (void)out, (void)k, (void)at;
    return true;
}

const struct config_type config_type_key = {
    .syntax = "PATH", .parse = parse_key, .print = print_with_certificate};
const struct config_type config_type_passphrase_file = {
    .syntax = "PATH", .parse = parse_passphrase_file, .print = print_with_certificate};
const struct config_type config_type_ocsp_file = {
    .syntax = "PATH", .parse = parse_ocsp_file, .print = print_with_certificate};

static bool read_cidr(struct config_input *in, const struct config_key *k, const char *text,
                      struct cidr *net)
{
    enum err e = cidr_parse(text, net);
    if (e == ERR_OK)
        return true;
    if (e == ERR_RANGE)
        config_problem(in, in->line,
                       "%s: '%s' is no network: its prefix is too long, or bits behind the "
                       "prefix are set (10.0.0.0/8, not 10.0.0.1/8)",
                       k->name, text);
    else
        config_problem(in, in->line,
                       "%s: '%s' is not an address or a network such as 198.51.100.0/24", k->name,
                       text);
    return false;
}

static bool parse_cidrs(struct config_input *in, const struct config_key *k, void *at,
                        const char *text)
{
    struct config_cidrs *list = at;
    struct cidr net;
    if (!read_cidr(in, k, text, &net))
        return false;
    list->item = config_grow(list->item, list->count, sizeof *list->item);
    list->item[list->count++] = net;
    return true;
}

static bool print_cidrs(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_cidrs *list = at;
    char text[ADDR_TEXT_MAX];
    for (size_t i = 0; i < list->count; i++)
        print_line(out, k, cidr_format(&list->item[i], text));
    return list->count > 0;
}

static void fini_cidrs(void *at)
{
    struct config_cidrs *list = at;
    free(list->item);
}

const struct config_type config_type_cidrs = {
    .syntax = "NETWORK", .parse = parse_cidrs, .print = print_cidrs, .fini = fini_cidrs};

static bool add_rule(struct config_input *in, const struct config_key *k, struct rules *rules,
                     bool allow, const char *text)
{
    char problem[RULES_PROBLEM_MAX];
    const bool good = rules_add(rules, allow, text, in->dir, in->line, problem);
    if (!good)
        config_problem(in, in->line, "%s: %s", k->name, problem);
    return good;
}

static bool parse_allow(struct config_input *in, const struct config_key *k, void *at,
                        const char *text)
{
    return add_rule(in, k, at, true, text);
}

static bool parse_deny(struct config_input *in, const struct config_key *k, void *at,
                       const char *text)
{
    return add_rule(in, k, at, false, text);
}

static bool add_file(struct config_input *in, const struct config_key *k, struct rules *rules,
                     bool allow, const char *text)
{
    char *path = NULL;
    const bool good = parse_path(in, k, &path, text);
    if (good)
        rules_add_file(rules, allow, path, in->line);
    free(path);
    return good;
}

static bool parse_allow_file(struct config_input *in, const struct config_key *k, void *at,
                             const char *text)
{
    return add_file(in, k, at, true, text);
}

static bool parse_deny_file(struct config_input *in, const struct config_key *k, void *at,
                            const char *text)
{
    return add_file(in, k, at, false, text);
}

/* All rules, in their order, which counts between the four keys too. */
static bool print_rules(FILE *out, const struct config_key *k, const void *at)
{
    (void)k;
    return rules_print(at, out);
}

/* print_rules() has done it. */
static bool print_with_allow(FILE *out, const struct config_key *k, const void *at)
{
    (void)out, (void)k, (void)at;
    return true;
}

static void fini_rules(void *at)
{
    rules_fini(at);
}

const struct config_type config_type_allow = {
    .syntax = "RULE", .parse = parse_allow, .print = print_rules, .fini = fini_rules};
const struct config_type config_type_deny = {
    .syntax = "RULE", .parse = parse_deny, .print = print_with_allow};
const struct config_type config_type_allow_file = {
    .syntax = "PATH", .parse = parse_allow_file, .print = print_with_allow};
const struct config_type config_type_deny_file = {
    .syntax = "PATH", .parse = parse_deny_file, .print = print_with_allow};

/* HOST, HOST:PORT or [IPv6]:PORT; port 0 where there is none. False: the problem was reported. */
static bool read_host_port(struct config_input *in, const struct config_key *k, const char *text,
                           char host[VALUE_HOST_SIZE], uint16_t *port)
{
    enum err e = value_host_port(text, host, port);

    if (e == ERR_RANGE)
        config_problem(in, in->line, "%s: '%s': a port is a number from 1 to 65535", k->name, text);
    else if (e != ERR_OK)
        config_problem(in, in->line, "%s: '%s' is not HOST, HOST:PORT or [IPv6]:PORT", k->name,
                       text);
    return e == ERR_OK;
}

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
    if (!read_host_port(in, k, text, host, &port))
        return false;
    list->item = config_grow(list->item, list->count, sizeof *list->item);
    list->item[list->count++] =
        (struct config_host){.host = copy(host), .port = port == 0 ? (uint16_t)k->min : port};
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

static void print_hex(FILE *out, const struct config_key *k, const uint8_t *octets, size_t n)
{
    fprintf(out, "%s = ", k->name);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "%02x", octets[i]);
    fputc('\n', out);
}

/* `at` is the whole backend. */
static bool parse_pin(struct config_input *in, const struct config_key *k, void *at,
                      const char *text)
{
    struct config_backend *be = at;
    struct config_pin pin;
    size_t n;
    if (value_hex(text, pin.sha256, sizeof pin.sha256, &n) != ERR_OK || n != sizeof pin.sha256) {
        config_problem(in, in->line,
                       "%s: not 64 hexadecimal digits, as `openssl x509 -noout -fingerprint "
                       "-sha256` prints behind the '='",
                       k->name);
        return false;
    }
    be->pin = config_grow(be->pin, be->pin_count, sizeof *be->pin);
    be->pin[be->pin_count++] = pin;
    return true;
}

static bool print_pin(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_backend *be = at;
    for (size_t i = 0; i < be->pin_count; i++)
        print_hex(out, k, be->pin[i].sha256, sizeof be->pin[i].sha256);
    return be->pin_count > 0;
}

static void fini_pin(void *at)
{
    struct config_backend *be = at;
    free(be->pin);
}

const struct config_type config_type_pin = {
    .syntax = "HEX", .parse = parse_pin, .print = print_pin, .fini = fini_pin};

/* `at` is the whole backend. The length tells which of the two hashes it is. */
static bool parse_cert_hash(struct config_input *in, const struct config_key *k, void *at,
                            const char *text)
{
    struct config_backend *be = at;
    uint8_t hash[sizeof be->binding_sha256];
    size_t n = 0;
    enum err e = value_hex(text, hash, sizeof hash, &n);
    bool sha1 = e == ERR_OK && n == sizeof be->binding_sha1;

    if (e != ERR_OK || (!sha1 && n != sizeof be->binding_sha256)) {
        config_problem(in, in->line, "%s: neither 40 (SHA1) nor 64 (SHA256) hexadecimal digits",
                       k->name);
        return false;
    }
    if (sha1 ? be->binding_sha1_known : be->binding_sha256_known) {
        config_problem(in, in->line, "%s: a %s hash was given before: one of each kind is enough",
                       k->name, sha1 ? "SHA1" : "SHA256");
        return false;
    }
    memcpy(sha1 ? be->binding_sha1 : be->binding_sha256, hash, n);
    *(sha1 ? &be->binding_sha1_known : &be->binding_sha256_known) = true;
    return true;
}

static bool print_cert_hash(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_backend *be = at;
    if (be->binding_sha1_known)
        print_hex(out, k, be->binding_sha1, sizeof be->binding_sha1);
    if (be->binding_sha256_known)
        print_hex(out, k, be->binding_sha256, sizeof be->binding_sha256);
    return be->binding_sha1_known || be->binding_sha256_known;
}

const struct config_type config_type_cert_hash = {
    .syntax = "HEX", .parse = parse_cert_hash, .print = print_cert_hash};
