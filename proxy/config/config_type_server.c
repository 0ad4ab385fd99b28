#include "config/config_type_server.h"

#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "base/suggest.h"
#include "base/value.h"
#include "config/config_sections.h"
#include "config/config_type_net.h"
#include "policy/backends.h"
#include "policy/rules_read.h"

static const char blanks[] = " \t";

/* ---- server --------------------------------------------------------------------------------- */

static bool read_option_number(struct config_input *in, const struct config_key *k,
                               const char *word, char **rest, uint32_t max, unsigned *out)
{
    const char *text = strtok_r(NULL, blanks, rest);
    uint32_t n;

    if (*out != 0)
        config_problem(in, in->line, "%s: %s is set twice", k->name, word);
    else if (text == NULL || value_number(text, 1, max, &n) != ERR_OK)
        config_problem(in, in->line, "%s: %s needs a number from 1 to %u", k->name, word, max);
    else {
        *out = n;
        return true;
    }
    return false;
}

static bool read_option(struct config_input *in, const struct config_key *k, const char *word,
                        char **rest, struct backends_server *s)
{
    static const char *const words[] = {"weight", "max-tunnels", "backup"};
    struct suggest guess = suggest_init(word);

    if (strcmp(word, "weight") == 0)
        return read_option_number(in, k, word, rest, BACKENDS_WEIGHT_MAX, &s->weight);
    if (strcmp(word, "max-tunnels") == 0)
        return read_option_number(in, k, word, rest, 1000000, &s->max_tunnels);
    if (strcmp(word, "backup") == 0 && !s->backup) {
        s->backup = true;
        return true;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        suggest_offer(&guess, words[i]);
    if (s->backup && strcmp(word, "backup") == 0)
        config_problem(in, in->line, "%s: backup is set twice", k->name);
    else if (guess.best != NULL)
        config_problem(in, in->line, "%s: unknown word '%s'; did you mean '%s'?", k->name, word,
                       guess.best);
    else
        config_problem(in, in->line,
                       "%s: unknown word '%s': use weight NUMBER, max-tunnels NUMBER or backup",
                       k->name, word);
    return false;
}

static bool read_server_address(struct config_input *in, const struct config_key *k,
                                const char *text, struct backends_server *s)
{
    char host[VALUE_HOST_SIZE];
    if (!config_type_read_host_port(in, k, text, host, &s->port))
        return false;
    s->host = config_type_copy(host);
    return true;
}

static bool parse_server(struct config_input *in, const struct config_key *k, void *at,
                         const char *text)
{
    struct config_backend *be = at;
    struct backends_server s = {.line = in->line};
    char *words = config_type_copy(text), *rest = words;
    const char *word = strtok_r(rest, blanks, &rest);
    bool good = read_server_address(in, k, word == NULL ? "" : word, &s);

    while (good && (word = strtok_r(NULL, blanks, &rest)) != NULL)
        good = read_option(in, k, word, &rest, &s);
    free(words);
    if (!good) {
        free(s.host);
        return false;
    }
    be->servers.item = config_grow(be->servers.item, be->servers.count, sizeof *be->servers.item);
    be->servers.item[be->servers.count++] = s;
    return true;
}

static bool print_servers(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_backend *be = at;
    for (size_t i = 0; i < be->servers.count; i++) {
        const struct backends_server *s = &be->servers.item[i];
        bool ip6 = strchr(s->host, ':') != NULL;
        fprintf(out, "%s = %s%s%s:%u", k->name, ip6 ? "[" : "", s->host, ip6 ? "]" : "",
                (unsigned)s->port);
        if (s->weight != 1)
            fprintf(out, " weight %u", s->weight);
        if (s->max_tunnels != 0)
            fprintf(out, " max-tunnels %u", s->max_tunnels);
        fputs(s->backup ? " backup\n" : "\n", out);
    }
    return be->servers.count > 0;
}

static void fini_servers(void *at)
{
    struct config_backend *be = at;
    for (size_t i = 0; i < be->servers.count; i++)
        free(be->servers.item[i].host);
    free(be->servers.item);
}

const struct config_type config_type_server = {
    .syntax = "HOST[:PORT] [weight NUMBER] [max-tunnels NUMBER] [backup]",
    .parse = parse_server,
    .print = print_servers,
    .fini = fini_servers};

/* ---- statuses ------------------------------------------------------------------------------- */

static bool read_status_range(char *text, struct config_status_range *out)
{
    char *dash = strchr(text, '-');
    uint32_t first, last;

    if (dash != NULL)
        *dash = '\0';
    if (value_number(text, 100, 999, &first) != ERR_OK ||
        value_number(dash == NULL ? text : dash + 1, first, 999, &last) != ERR_OK)
        return false;
    *out = (struct config_status_range){.first = (uint16_t)first, .last = (uint16_t)last};
    return true;
}

static bool parse_statuses(struct config_input *in, const struct config_key *k, void *at,
                           const char *text)
{
    struct config_statuses *list = at;
    char *words = config_type_copy(text), *rest = words;
    const size_t before = list->count;
    bool good = true;

    for (char *word; good && (word = strtok_r(rest, " \t,", &rest)) != NULL;) {
        struct config_status_range range;
        good = read_status_range(word, &range);
        if (!good)
            break;
        list->item = config_grow(list->item, list->count, sizeof *list->item);
        list->item[list->count++] = range;
    }
    free(words);
    if (good && list->count > before)
        return true;
    list->count = before;
    config_problem(in, in->line,
                   "%s: '%s' is not a list of HTTP statuses such as 200 401 or "
                   "400-404",
                   k->name, text);
    return false;
}

static bool print_statuses(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_statuses *list = at;
    for (size_t i = 0; i < list->count; i++) {
        const struct config_status_range *r = &list->item[i];
        fprintf(out, "%s = %u", k->name, r->first);
        fprintf(out, r->last == r->first ? "\n" : "-%u\n", r->last);
    }
    return list->count > 0;
}

static void fini_statuses(void *at)
{
    struct config_statuses *list = at;
    free(list->item);
}

const struct config_type config_type_statuses = {
    .syntax = "LIST", .parse = parse_statuses, .print = print_statuses, .fini = fini_statuses};

/* ---- use-backend ---------------------------------------------------------------------------- */

/* Checks that -T can write the value in a file, as for other values. */
static bool route_fits(struct config_input *in, const struct config_key *k,
                       const struct config_listener *l, size_t i)
{
    char *whole = NULL;
    if (asprintf(&whole, "%s %s", l->route[i].backend_name, rules_text(&l->routes, i)) < 0)
        whole = NULL;
    const bool fits = value_is_writable(insist_alloc(whole));
    if (!fits)
        config_problem(in, in->line,
                       "%s: '%s' does not fit into one value (at most %d bytes, no comment): use "
                       "an absolute path",
                       k->name, whole, (int)VALUE_TEXT_MAX);
    free(whole);
    return fits;
}

static bool parse_route(struct config_input *in, const struct config_key *k, void *at,
                        const char *text)
{
    struct config_listener *l = at;
    char problem[RULES_PROBLEM_MAX];
    const size_t n = strcspn(text, blanks);
    char *name = insist_alloc(strndup(text, n));
    bool good = value_is_name(name);

    if (!good) {
        config_problem(in, in->line, "%s: '%s' cannot be the name of a backend", k->name, name);
    } else if (!rules_add(&l->routes, true, text + n, in->dir, in->line, problem)) {
        config_problem(in, in->line, "%s: %s", k->name, problem);
        good = false;
    }
    if (!good) {
        free(name);
        return false;
    }
    l->route = config_grow(l->route, l->route_count, sizeof *l->route);
    l->route[l->route_count] = (struct config_route){.line = in->line, .backend_name = name};
    return route_fits(in, k, l, l->route_count++);
}

static bool print_route(FILE *out, const struct config_key *k, const void *at)
{
    const struct config_listener *l = at;
    for (size_t i = 0; i < l->route_count; i++)
        fprintf(out, "%s = %s %s\n", k->name, l->route[i].backend_name, rules_text(&l->routes, i));
    return l->route_count > 0;
}

static void fini_route(void *at)
{
    struct config_listener *l = at;
    for (size_t i = 0; i < l->route_count; i++)
        free(l->route[i].backend_name);
    free(l->route);
    rules_fini(&l->routes);
}

const struct config_type config_type_route = {
    .syntax = "NAME RULE", .parse = parse_route, .print = print_route, .fini = fini_route};
