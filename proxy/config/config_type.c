#include "config/config_type.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "base/log_target.h"
#include "base/suggest.h"
#include "base/value.h"
#include "config/config_sections.h"

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

const char *config_where(const struct config_input *in, const char *file, unsigned line,
                         char out[CONFIG_WHERE_MAX])
{
    const bool other = file != NULL && strcmp(file, in->path) != 0;

    snprintf(out, CONFIG_WHERE_MAX, "on line %u%s%s", line, other ? " of " : "", other ? file : "");
    return out;
}

void *config_grow(void *items, size_t count, size_t size)
{
    return insist_alloc(reallocarray(items, count + 1, size));
}

char *config_type_copy(const char *text)
{
    return insist_alloc(strdup(text));
}

void config_type_print_line(FILE *out, const struct config_key *k, const char *value)
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

/* Writes "a, b or c", each value once. */
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
        INSIST(added >= 0 && (size_t)added < size - n);
        n += (size_t)added;
    }
}

static void unknown_choice(struct config_input *in, const struct config_key *k, const char *text)
{
    char all[128];
    struct suggest s = suggest_init(text);
    list_choices(k, all, sizeof all);
    /* No suggestion for short words: "on" is as near to "no" as to "off". */
    for (const struct config_choice *c = k->choices; strlen(text) > 3 && c->word != NULL; c++)
        suggest_offer(&s, c->word);
    if (s.best != NULL)
        config_problem(in, in->line, "%s: unknown value '%s'; did you mean '%s'?", k->name, text,
                       s.best);
    else
        config_problem(in, in->line, "%s: unknown value '%s': write %s", k->name, text, all);
}

/* Enums and numbers have the size of int, whatever their sign. They are copied, so that one
 * function serves all of them. */
_Static_assert(sizeof(enum config_tls) == sizeof(int), "stored by put_int");
_Static_assert(sizeof(enum config_log_format) == sizeof(int), "stored by put_int");
_Static_assert(sizeof(enum config_log_level) == sizeof(int), "stored by put_int");
_Static_assert(sizeof(enum config_verify) == sizeof(int), "stored by put_int");
_Static_assert(sizeof(enum config_binding) == sizeof(int), "stored by put_int");
_Static_assert(sizeof(enum backends_balance) == sizeof(int), "stored by put_int");
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
    INSIST(c != NULL);
    config_type_print_line(out, k, c->word);
    return true;
}

const struct config_type config_type_choice = {.parse = parse_choice, .print = print_choice};

/* Reads a choice into a bool. */
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
    config_type_print_line(out, k, config_choice_of(k, *flag)->word);
    return true;
}

const struct config_type config_type_flag = {.parse = parse_flag, .print = print_flag};

/* Reads a number in the range of the key, or one of its words. */
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
        config_type_print_line(out, k, c->word);
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
                       "%s: '%s' has no unit: write %ss for seconds, or use ms, m, h or d", k->name,
                       text, text);
    else if (e == ERR_RANGE)
        config_problem(in, in->line, "%s: '%s' is longer than 30d", k->name, text);
    else if (e != ERR_OK)
        config_problem(in, in->line,
                       "%s: '%s' is not a duration such as 1500ms, 90s, 5m, 2h or 1d%s", k->name,
                       text, k->flags & KEY_NONE ? ", or none" : "");
    else if (n == 0 && !(k->flags & KEY_NONE))
        config_problem(in, in->line, "%s: '%s': this timeout cannot be disabled", k->name, text);
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
        config_type_print_line(out, k, "none");
    else {
        value_duration_format(*ms, text);
        config_type_print_line(out, k, text);
    }
    return true;
}

const struct config_type config_type_duration = {
    .syntax = "DURATION", .parse = parse_duration, .print = print_duration};

/* Reads a rate, or the word of the key for no limit. */
static bool parse_rate(struct config_input *in, const struct config_key *k, void *at,
                       const char *text)
{
    struct rate *rate = at, read = {0, 0};
    enum err e =
        find_choice(k, text) != NULL ? ERR_OK : value_rate(text, &read.count, &read.per_ms);

    if (e == ERR_OK)
        *rate = read;
    else if (e == ERR_MISSING)
        config_problem(in, in->line,
                       "%s: '%s' has no unit: write %s/s for each second, or use /m or /h", k->name,
                       text, text);
    else if (e == ERR_RANGE)
        config_problem(in, in->line, "%s: '%s': the number must be from 1 to %d", k->name, text,
                       (int)VALUE_RATE_MAX);
    else
        config_problem(in, in->line, "%s: '%s' is not a rate such as 20/s, 100/m or 500/h", k->name,
                       text);
    return e == ERR_OK;
}

static bool print_rate(FILE *out, const struct config_key *k, const void *at)
{
    const struct rate *rate = at;
    char text[VALUE_RATE_SIZE];
    if (rate->count == 0) {
        config_type_print_line(out, k, k->choices->word);
        return true;
    }
    value_rate_format(rate->count, rate->per_ms, text);
    config_type_print_line(out, k, text);
    return true;
}

const struct config_type config_type_rate = {
    .syntax = "RATE", .parse = parse_rate, .print = print_rate};

void config_type_fini_text(void *at)
{
    char **text = at;
    free(*text);
}

bool config_type_print_text(FILE *out, const struct config_key *k, const void *at)
{
    char *const *text = at;
    if (*text != NULL)
        config_type_print_line(out, k, *text);
    return *text != NULL;
}

void config_type_put_text(void *at, const char *text)
{
    char **field = at;
    free(*field);
    *field = config_type_copy(text);
}

/* Reports values that other programs replace by a path or a key. */
static bool is_foreign_path(struct config_input *in, const struct config_key *k, const char *text)
{
    static const char *const schemes[] = {
        "pkcs11:", "file:", "store:", "engine:", "env:", "handle:"};

    if (text[0] == '$' && text[1] != '\0' && text[1] != '{') {
        config_problem(in, in->line, "%s: '%s': a variable is written ${NAME}", k->name, text);
        return true;
    }
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++)
        if (strncmp(text, schemes[i], strlen(schemes[i])) == 0) {
            config_problem(in, in->line, "%s: '%s' is a URI: write the path of a file", k->name,
                           text);
            return true;
        }
    return false;
}

/* Makes the path absolute, because the process may change its working directory. */
char *config_type_read_path(struct config_input *in, const struct config_key *k, const char *text)
{
    char *path = NULL;
    if (is_foreign_path(in, k, text))
        return NULL;
    if (*text == '/')
        return config_type_copy(text);
    if (asprintf(&path, "%s/%s", in->dir, text) < 0)
        path = NULL;
    insist_alloc(path);
    /* Otherwise -T would print a value that cannot be written in a file. */
    if (value_is_writable(path))
        return path;
    config_problem(
        in, in->line,
        "%s: '%s' does not fit into one value (at most %d bytes, no comment): use an absolute path",
        k->name, path, (int)VALUE_TEXT_MAX);
    free(path);
    return NULL;
}

bool config_type_parse_path(struct config_input *in, const struct config_key *k, void *at,
                            const char *text)
{
    char **field = at;
    char *path =
        find_choice(k, text) != NULL ? config_type_copy(text) : config_type_read_path(in, k, text);
    if (path == NULL)
        return false;
    free(*field);
    *field = path;
    return true;
}

const struct config_type config_type_path = {.syntax = "PATH",
                                             .parse = config_type_parse_path,
                                             .print = config_type_print_text,
                                             .fini = config_type_fini_text};

/* A target of the log; a file as config_type_path. */
static bool parse_log(struct config_input *in, const struct config_key *k, void *at,
                      const char *text)
{
    struct log_target target;
    const char *why;

    if (log_target_parse(text, &target, &why) != ERR_OK) {
        config_problem(in, in->line, "%s: '%s' %s", k->name, text, why);
        return false;
    }
    if (target.kind == LOG_TO_FILE)
        return config_type_parse_path(in, k, at, text);
    config_type_put_text(at, text);
    return true;
}

const struct config_type config_type_log = {.syntax = "PATH | syslog:FACILITY[:TAG]",
                                            .parse = parse_log,
                                            .print = config_type_print_text,
                                            .fini = config_type_fini_text};

/* Reads the name of a section, which config_finish() looks for. */
static bool parse_reference(struct config_input *in, const struct config_key *k, void *at,
                            const char *text)
{
    if (!value_is_name(text)) {
        config_problem(in, in->line, "%s: '%s' cannot be the name of a section", k->name, text);
        return false;
    }
    config_type_put_text(at, text);
    return true;
}

const struct config_type config_type_reference = {.syntax = "NAME",
                                                  .parse = parse_reference,
                                                  .print = config_type_print_text,
                                                  .fini = config_type_fini_text};

enum { ACCOUNT_MAX = 32 };

/* Reads the name or number of a user or group, which the start looks for. */
static bool parse_account(struct config_input *in, const struct config_key *k, void *at,
                          const char *text)
{
    const size_t n = strlen(text);

    if (n == 0 || n > ACCOUNT_MAX || *text == '-' || strpbrk(text, "/: \t,") != NULL) {
        config_problem(in, in->line, "%s: '%s' is not the name of a %s", k->name, text, k->name);
        return false;
    }
    config_type_put_text(at, text);
    return true;
}

const struct config_type config_type_account = {.syntax = "NAME | NUMBER",
                                                .parse = parse_account,
                                                .print = config_type_print_text,
                                                .fini = config_type_fini_text};

/* ---- include ---- */

static bool parse_include(struct config_input *in, const struct config_key *k, void *at,
                          const char *text)
{
    (void)in, (void)k, (void)at, (void)text;
    insist_failed("include is no key of a section", __FILE__, __LINE__);
}

/* The printed configuration is one file. */
static bool print_include(FILE *out, const struct config_key *k, const void *at)
{
    (void)out, (void)k, (void)at;
    return false;
}

const struct config_type config_type_include = {
    .syntax = "FILE or PATTERN", .parse = parse_include, .print = print_include};
