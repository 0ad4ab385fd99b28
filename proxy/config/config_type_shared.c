#include "config/config_type_shared.h"

#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "base/value.h"
#include "config/config_sections.h"
#include "config/config_type_net.h"
#include "config/config_type_tls.h"

enum { STORE_PORT = 6379, SENTINEL_PORT = 26379, DATABASE_MAX = 65535, PREFIX_MAX = 64 };

/* ---- stores ---- */

/* Returns whether text, up to n bytes, is a name that fits into a URL as it is. */
static bool is_plain(const char *text, size_t n)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
    return n > 0 && strspn(text, plain) >= n;
}

/* Cuts USER@ from the start of *rest. Returns false after reporting a problem. */
static bool read_user(struct config_input *in, const struct config_key *k, char **rest,
                      struct config_store *s)
{
    char *at = strrchr(*rest, '@');

    if (at == NULL)
        return true;
    *at = '\0';
    if (strchr(*rest, ':') != NULL) {
        config_problem(in, in->line,
                       "%s: every reader of the configuration could read this password: write it "
                       "into the file of shared-password-file",
                       k->name);
        return false;
    }
    if (!is_plain(*rest, strlen(*rest))) {
        config_problem(in, in->line, "%s: '%s' is not the name of a user", k->name, *rest);
        return false;
    }
    s->user = config_type_copy(*rest);
    *rest = at + 1;
    return true;
}

/* Cuts /NAME or /NAME/DATABASE to /DATABASE. Returns false after reporting a problem. */
static bool read_service(struct config_input *in, const struct config_key *k, char *rest,
                         struct config_store *s)
{
    char *name = strchr(rest, '/');
    const size_t n = name == NULL ? 0 : strcspn(name + 1, "/");

    if (n == 0 || !is_plain(name + 1, n)) {
        config_problem(in, in->line,
                       "%s: the sentinel's name of the store is missing: write it as in "
                       "redis+sentinel://192.0.2.1:26379/mymaster",
                       k->name);
        return false;
    }
    s->service = insist_alloc(strndup(name + 1, n));
    memmove(name, name + 1 + n, strlen(name + 1 + n) + 1);
    return true;
}

/* Cuts /DATABASE from the end of rest. Returns false after reporting a problem. */
static bool read_database(struct config_input *in, const struct config_key *k, char *rest,
                          struct config_store *s)
{
    char *slash = strchr(rest, '/');
    uint32_t number = 0;

    if (slash == NULL)
        return true;
    *slash = '\0';
    if (slash[1] != '\0' && value_number(slash + 1, 0, DATABASE_MAX, &number) != ERR_OK) {
        config_problem(in, in->line, "%s: '%s' is not the number of a database", k->name,
                       slash + 1);
        return false;
    }
    s->database = (uint16_t)number;
    return true;
}

static bool read_server(struct config_input *in, const struct config_key *k, const char *text,
                        bool sentinel, struct config_store *s)
{
    char host[VALUE_HOST_SIZE], *copy = config_type_copy(text), *rest = copy;
    bool ok = read_user(in, k, &rest, s) && (!sentinel || read_service(in, k, rest, s)) &&
              read_database(in, k, rest, s) &&
              config_type_read_host_port(in, k, rest, host, &s->port);

    free(copy);
    if (!ok)
        return false;
    if (s->port == 0)
        s->port = sentinel ? SENTINEL_PORT : STORE_PORT;
    s->host = config_type_copy(host);
    return true;
}

/* Returns what follows the prefix in text; NULL: text does not begin with it. */
static const char *after(const char *text, const char *prefix)
{
    const size_t n = strlen(prefix);
    return strncmp(text, prefix, n) == 0 ? text + n : NULL;
}

static const struct scheme {
    const char *text;
    bool tls, sentinel;
} schemes[] = {{"redis://", false, false},
               {"rediss://", true, false},
               {"redis+sentinel://", false, true},
               {"rediss+sentinel://", true, true}};

static bool read_store(struct config_input *in, const struct config_key *k, const char *text,
                       struct config_store *s)
{
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        const char *server = after(text, schemes[i].text);
        s->tls = schemes[i].tls;
        if (server != NULL)
            return read_server(in, k, server, schemes[i].sentinel, s);
    }
    s->tls = false;
    if (after(text, "unix:") != NULL)
        return config_type_socket.parse(in, k, &s->path, text);
    config_problem(in, in->line,
                   "%s: '%s' is not a store such as redis://192.0.2.1:6379/0, "
                   "rediss://store.example.com:6380, redis+sentinel://192.0.2.1:26379/mymaster "
                   "or unix:/run/redis/redis.sock",
                   k->name, text);
    return false;
}

static void store_fini(struct config_store *s)
{
    free(s->path);
    free(s->host);
    free(s->user);
    free(s->service);
}

static bool parse_stores(struct config_input *in, const struct config_key *k, void *at,
                         const char *text)
{
    struct config_stores *list = at;
    struct config_store s = {.line = in->line};

#ifndef HAVE_HIREDIS
    config_problem(in, in->line, "%s: this program was built without hiredis", k->name);
    return false;
#endif
    if (list->count == CONFIG_STORES_MAX) {
        config_problem(in, in->line, "%s: at most %d are possible", k->name, CONFIG_STORES_MAX);
        return false;
    }
    if (!read_store(in, k, text, &s)) {
        store_fini(&s);
        return false;
    }
    list->item = config_grow(list->item, list->count, sizeof *list->item);
    list->item[list->count++] = s;
    return true;
}

static bool print_stores(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_stores *list = at;

    for (size_t i = 0; i < list->count; i++) {
        const struct config_store *s = &list->item[i];
        if (s->path != NULL) {
            fprintf(out, "%s = unix:%s\n", k->name, s->path);
            continue;
        }
        const bool ip6 = strchr(s->host, ':') != NULL, asks = s->service != NULL;
        fprintf(out, "%s = redis%s%s://%s%s%s%s%s:%u/%s%s%u\n", k->name, s->tls ? "s" : "",
                asks ? "+sentinel" : "", s->user == NULL ? "" : s->user, s->user == NULL ? "" : "@",
                ip6 ? "[" : "", s->host, ip6 ? "]" : "", (unsigned)s->port, asks ? s->service : "",
                asks ? "/" : "", (unsigned)s->database);
    }
    return list->count > 0;
}

static void fini_stores(void *at)
{
    struct config_stores *list = at;

    for (size_t i = 0; i < list->count; i++)
        store_fini(&list->item[i]);
    free(list->item);
}

const struct config_type config_type_stores = {
    .syntax = "redis://[USER@]HOST[:PORT][/DATABASE] | rediss://... | "
              "redis+sentinel://[USER@]HOST[:PORT]/NAME[/DATABASE] | rediss+sentinel://... | "
              "unix:PATH",
    .parse = parse_stores,
    .print = print_stores,
    .fini = fini_stores};

/* ---- names ---- */

static bool parse_prefix(struct config_input *in, const struct config_key *k, void *at,
                         const char *text)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.:-";

    if (*text == '\0' || strlen(text) > PREFIX_MAX || text[strspn(text, good)] != '\0') {
        config_problem(in, in->line,
                       "%s: '%s' is not a prefix: 1 to %d letters, digits, '_', '.', '-' and ':'",
                       k->name, text, PREFIX_MAX);
        return false;
    }
    config_type_put_text(at, text);
    return true;
}

const struct config_type config_type_shared_prefix = {.syntax = "PREFIX",
                                                      .parse = parse_prefix,
                                                      .print = config_type_print_text,
                                                      .fini = config_type_fini_text};

static bool parse_name(struct config_input *in, const struct config_key *k, void *at,
                       const char *text)
{
    if (!is_plain(text, strlen(text)) || strlen(text) > PREFIX_MAX) {
        config_problem(in, in->line,
                       "%s: '%s' is not a name: 1 to %d letters, digits, '_', '.' and '-'", k->name,
                       text, PREFIX_MAX);
        return false;
    }
    config_type_put_text(at, text);
    return true;
}

const struct config_type config_type_shared_name = {.syntax = "NAME",
                                                    .parse = parse_name,
                                                    .print = config_type_print_text,
                                                    .fini = config_type_fini_text};

/* ---- pins ---- */

static bool parse_pins(struct config_input *in, const struct config_key *k, void *at,
                       const char *text)
{
    struct config_pins *list = at;
    struct config_pin pin;

    if (!config_type_read_pin(in, k, text, &pin))
        return false;
    list->item = config_grow(list->item, list->count, sizeof *list->item);
    list->item[list->count++] = pin;
    return true;
}

static bool print_pins(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_pins *list = at;

    for (size_t i = 0; i < list->count; i++)
        config_type_print_pin(out, k, &list->item[i]);
    return list->count > 0;
}

static void fini_pins(void *at)
{
    struct config_pins *list = at;
    free(list->item);
}

const struct config_type config_type_shared_pin = {
    .syntax = "HEX", .parse = parse_pins, .print = print_pins, .fini = fini_pins};
