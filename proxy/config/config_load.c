#include "config/config_load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/memo.h"
#include "base/suggest.h"
#include "base/value.h"
#include "config/config_finish.h"
#include "config/config_mark.h"
#include "config/config_read.h"
#include "config/config_sources.h"
#include "config/config_table.h"
#include "policy/sources.h"

static void on_read_problem(void *user, unsigned line, const char *reason)
{
    struct config_builder *b = user;
    config_problem(&b->input, line, "%s", reason);
}

/* Returns whether a message may quote name. Text that does not look like a key or a section may
 * come from a private key whose file was named by mistake, and messages go to logs. */
static bool is_showable(const char *name)
{
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz-")] == '\0';
}

/* ---- sections ------------------------------------------------------------------------------- */

/* Returns the title of the section whose word is nearest to `word`. NULL: none is near. */
static const char *suggest_title(const char *word)
{
    struct suggest s = suggest_init(word);
    for (int i = 0; i < SECTION_COUNT; i++)
        suggest_offer(&s, config_sections[i].word);
    for (int i = 0; i < SECTION_COUNT; i++)
        if (s.best == config_sections[i].word)
            return config_sections[i].title;
    return NULL;
}

/* Returns the title of the section that is separated from its name by something other than a blank,
 * as in [listener:public]. NULL: none. */
static const char *joined_title(const char *word)
{
    for (int i = 0; i < SECTION_COUNT; i++) {
        const size_t n = strlen(config_sections[i].word);
        if (config_sections[i].named && strncmp(word, config_sections[i].word, n) == 0 &&
            word[n] != '\0' && strchr(":./=-_\"'", word[n]) != NULL)
            return config_sections[i].title;
    }
    return NULL;
}

static void unknown_section(struct config_builder *b, const char *word)
{
    const char *title = suggest_title(word);
    const bool show = is_showable(word);

    if (joined_title(word) != NULL)
        config_problem(&b->input, b->input.line,
                       "unknown section: write %s, with a blank before the name",
                       joined_title(word));
    else if (title != NULL)
        config_problem(&b->input, b->input.line, "unknown section '%s'; did you mean %s?", word,
                       title);
    else
        config_problem(&b->input, b->input.line,
                       "unknown section%s%s%s: the sections are [gate], [listener NAME], "
                       "[backend NAME], [radius NAME]",
                       show ? " '" : "", show ? word : "", show ? "'" : "");
}

static void check_section_name(struct config_builder *b, enum config_section in, const char *name)
{
    const struct config_section_kind *kind = &config_sections[in];

    if (kind->named && *name == '\0')
        config_problem(&b->input, b->input.line, "[%s] needs a name: %s", kind->word, kind->title);
    else if (kind->named && !value_is_name(name))
        config_problem(&b->input, b->input.line,
                       "'%s' is not a name: use 1 to 32 letters, digits, '_', '.' and '-'", name);
    else if (!kind->named && *name != '\0')
        config_problem(&b->input, b->input.line, "[%s] takes no name", kind->word);
}

static void open_gate(struct config_builder *b)
{
    char where[CONFIG_WHERE_MAX];

    b->index = 0;
    if (b->c->gate.line != 0) {
        config_problem(&b->input, b->input.line, "[gate] is already defined %s",
                       config_where(&b->input, b->c->gate.file, b->c->gate.line, where));
        return;
    }
    b->c->gate.line = b->input.line;
    b->c->gate.file = b->input.path;
}

/* Adds a section, to which the next keys belong. A second section of the same name is an error,
 * but its keys are read as those of a section of its own. */
static void open_named(struct config_builder *b, enum config_section in, const char *name)
{
    char where[CONFIG_WHERE_MAX];

    b->index = config_section_count(b->c, in);
    for (size_t i = 0; *name != '\0' && i < b->index; i++) {
        if (strcmp(config_section_name(b->c, in, i), name) == 0) {
            config_problem(&b->input, b->input.line, "[%s %s] is already defined %s",
                           config_sections[in].word, name,
                           config_where(&b->input, config_section_file(b->c, in, i),
                                        config_section_line(b->c, in, i), where));
            break;
        }
    }
    config_section_add(b->c, in, config_type_copy(name), b->input.line, b->input.path);
}

static void open_section(struct config_builder *b, enum config_section in, const char *name)
{
    check_section_name(b, in, name);
    b->skip = false;
    b->in = in;
    if (config_sections[in].named)
        open_named(b, in, name);
    else
        open_gate(b);
}

static void on_section(void *user, unsigned line, const char *header)
{
    struct config_builder *b = user;
    char word[CONFIG_SECTION_MAX + 1];

    b->input.line = line;
    b->any_section = true;
    b->skip = true;
    if (header == NULL) {
        b->section_lost = true;
        return;
    }
    const size_t n = strcspn(header, " \t");
    INSIST(n < sizeof word);
    memcpy(word, header, n);
    word[n] = '\0';
    for (enum config_section in = GATE; in < SECTION_COUNT; in++) {
        if (strcmp(word, config_sections[in].word) == 0) {
            open_section(b, in, header + n + strspn(header + n, " \t"));
            return;
        }
    }
    unknown_section(b, word);
    b->section_lost = true;
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* Keys of other programs, and what to do instead. */
static const struct foreign_key {
    const char *name, *help;
} foreign_keys[] = {
    {"include-dir", "write include = DIRECTORY/*.conf"},
    {"secret", "secrets are in files: write secret-file = FILE"},
    {"password", "secrets are in files: write passphrase-file, secret-file or users-file"},
    {"user", "the program does not change its user: start it as that user"},
    {"group", "the program does not change its user: start it with that group"},
    {"daemon", "the program stays in the foreground"},
    {"pidfile", "the program stays in the foreground; sstpgate ctl status prints its process ID"},
};

/* Returns false if name is not one of foreign_keys; otherwise the problem is reported. */
static bool report_foreign(struct config_builder *b, const char *name)
{
    for (size_t i = 0; i < sizeof foreign_keys / sizeof *foreign_keys; i++)
        if (strcmp(foreign_keys[i].name, name) == 0) {
            config_problem(&b->input, b->input.line, "unknown key '%s': %s", name,
                           foreign_keys[i].help);
            return true;
        }
    return false;
}

/* Writes the titles of the sections that have this key, joined by "or". */
static void list_owners(const char *name, char *out, size_t size)
{
    size_t n = 0;
    *out = '\0';
    for (size_t i = 0; i < config_key_count && n < size; i++)
        if (strcmp(config_keys[i].name, name) == 0)
            n += (size_t)snprintf(out + n, size - n, "%s%s", n == 0 ? "" : " or ",
                                  config_sections[config_keys[i].in].title);
}

/* Reports a key that its section does not have: it belongs to another section, or it is a
 * misspelt key of this section or of another. */
static void unknown_key(struct config_builder *b, const char *name)
{
    const char *title = config_sections[b->in].title, *elsewhere_title = "";
    struct suggest here = suggest_init(name), elsewhere = suggest_init(name);
    char owners[64];

    list_owners(name, owners, sizeof owners);
    for (size_t i = 0; i < config_key_count; i++) {
        suggest_offer(config_keys[i].in == b->in ? &here : &elsewhere, config_keys[i].name);
        if (elsewhere.best == config_keys[i].name)
            elsewhere_title = config_sections[config_keys[i].in].title;
    }
    if (*owners == '\0' && report_foreign(b, name))
        return;
    if (*owners != '\0')
        config_problem(&b->input, b->input.line, "'%s' belongs in %s, not in %s", name, owners,
                       title);
    else if (here.best != NULL)
        config_problem(&b->input, b->input.line, "unknown key '%s'; did you mean '%s'?", name,
                       here.best);
    else if (elsewhere.best != NULL)
        config_problem(&b->input, b->input.line,
                       "unknown key '%s'; did you mean '%s', which belongs in %s?", name,
                       elsewhere.best, elsewhere_title);
    else if (is_showable(name))
        config_problem(&b->input, b->input.line, "unknown key '%s' in %s", name, title);
    else
        config_problem(&b->input, b->input.line, "unknown key in %s", title);
}

/* Parses a value that has a credential in it, which no message may quote. */
static bool parse_secret(struct config_builder *b, const struct config_key *k, void *at,
                         const char *value)
{
    FILE *problems = b->input.problems;
    struct memo unsaid;

    b->input.problems = memo_open(&unsaid);
    const bool good = k->type->parse(&b->input, k, at, value);
    b->input.problems = problems;
    memo_free(&unsaid);
    if (!good)
        config_problem(&b->input, b->input.line,
                       "%s: the value is invalid with its credential, which is not shown", k->name);
    return good;
}

/* Returns false if value is missing or invalid; the problem is reported. */
static bool parse_value(struct config_builder *b, const struct config_key *k, const char *value)
{
    char *at = (char *)config_section_at(b->c, b->in, b->index) + k->at;
    struct config_expanded e;

    if (!config_variables_expand(&b->sources->variables, value, &e))
        config_problem(&b->input, b->input.line, "%s: %s", k->name, e.reason);
    else if (*e.text == '\0')
        config_problem(&b->input, b->input.line, "%s: the value is missing", k->name);
    else
        return e.secret ? parse_secret(b, k, at, e.text) : k->type->parse(&b->input, k, at, e.text);
    return false;
}

static void set_key(struct config_builder *b, const struct config_key *k, const char *value)
{
    const struct config_mark *before = config_mark_first(b->c, b->index, k);

    if (before != NULL && !(k->flags & KEY_REPEAT)) {
        config_problem(&b->input, b->input.line, "'%s' is already set on line %u", k->name,
                       before->line);
        return;
    }
    const bool good = parse_value(b, k, value);
    config_mark_add(b->c,
                    &(struct config_mark){
                        .index = b->index, .key = k, .line = b->input.line, .refused = !good});
}

static void include(struct config_builder *b, const char *value);

static void on_key(void *user, unsigned line, const char *name, const char *value)
{
    struct config_builder *b = user;

    b->input.line = line;
    if (strcmp(name, "include") == 0) {
        include(b, value);
        return;
    }
    if (!b->any_section) {
        if (report_foreign(b, name))
            return;
        if (is_showable(name))
            config_problem(&b->input, line, "'%s' is before the first [section]", name);
        else
            config_problem(&b->input, line, "a key is before the first [section]");
        return;
    }
    if (b->skip)
        return;
    const struct config_key *k = config_key_find(b->in, name);
    if (k == NULL)
        unknown_key(b, name);
    else
        set_key(b, k, value);
}

/* ---- files ---------------------------------------------------------------------------------- */

/* Reads a file into *b, with the sections that it includes. False: the problem is reported. */
static bool read_source(struct config_builder *b, const struct config_source *source)
{
    const struct config_events to = {
        .user = b, .on_section = on_section, .on_key = on_key, .on_problem = on_read_problem};
    char *dir = config_sources_dir(source->path);

    b->input.path = source->path;
    b->input.dir = dir;
    if (dir == NULL)
        fprintf(b->input.problems, "%s: cannot determine the current directory: %s\n", source->path,
                strerror(errno));
    else
        config_read(span_of(source->text, source->len), &to);
    free(dir);
    return dir != NULL;
}

/* Reads an included file. It begins without a section, and the section of the including file
 * continues after it. */
static void include_source(struct config_builder *b, const struct config_source *source)
{
    const struct config_builder outer = *b;

    b->included = true;
    b->any_section = false;
    if (!read_source(b, source))
        b->input.failed = true;
    const bool lost = b->section_lost, failed = b->input.failed;
    *b = outer;
    b->section_lost = lost;
    b->input.failed = failed;
}

static void include(struct config_builder *b, const char *value)
{
    const unsigned line = b->input.line;

    if (b->included)
        config_problem(&b->input, line, "include: an included file cannot include another one");
    else if (*value == '\0')
        config_problem(&b->input, line, "include: the value is missing");
    for (size_t i = 1; !b->included && i < b->sources->count; i++) {
        const struct config_source *source = &b->sources->item[i];
        if (source->from == line && source->problem != NULL)
            config_problem(&b->input, line, "include: %s", source->problem);
        else if (source->from == line)
            include_source(b, source);
    }
}

/* Reads the texts without the checks of config_finish(). Returns false if nothing could be read;
 * the problem is reported. */
static bool builder_run(struct config_builder *b, struct config_sources *sources, FILE *problems)
{
    *b = (struct config_builder){.c = NEW(struct config), .sources = sources};
    b->input.problems = problems;
    b->c->path = config_type_copy(sources->item[0].path);
    b->c->sources = config_sources_ref(sources);
    const bool good = read_source(b, &sources->item[0]);
    b->input.dir = NULL;
    return good;
}

struct config *config_parse_sources(struct config_sources *sources, FILE *problems)
{
    struct config_builder b;
    struct memo found;

    const bool good = builder_run(&b, sources, memo_open(&found));
    if (good) {
        config_finish(&b);
        b.c->sound = !b.input.failed;
    } else {
        config_free(b.c);
    }
    config_variables_scrub(&sources->variables, memo_text(&found), problems);
    memo_free(&found);
    return good ? b.c : NULL;
}

struct config *config_parse(const char *path, const char *text, size_t len, FILE *problems)
{
    struct config_sources *sources = config_sources_of(path, text, len);
    struct config *c = config_parse_sources(sources, problems);

    config_sources_unref(sources);
    return c;
}

struct config *config_load(const char *path, FILE *problems)
{
    struct config_sources *sources = config_sources_read(path, problems);
    struct config *c = sources == NULL ? NULL : config_parse_sources(sources, problems);

    config_sources_unref(sources);
    return c;
}

bool config_open(struct config *c, struct files *files, FILE *problems)
{
    struct sources from = {.files = files};
    bool good = sources_open_country(&from, c->gate.country_file, problems);

    if (!good)
        fprintf(problems, "%s:%u: country-file cannot be used, see above\n", c->gate.file,
                config_line(c, &c->gate, "country-file"));
    for (size_t i = 0; i < c->listener_count; i++) {
        good &= rules_open(&c->listener[i].rules, &from, c->listener[i].file, problems);
        good &= rules_open(&c->listener[i].routes, &from, c->listener[i].file, problems);
    }
    return good;
}

char *config_find_admin(const char *path, FILE *problems)
{
    struct config_sources *sources = config_sources_read(path, problems);
    char *admin = NULL;
    struct config_builder b;
    struct memo others;

    if (sources == NULL)
        return NULL;
    (void)builder_run(&b, sources, memo_open(&others));
    if (b.c->gate.admin != NULL)
        admin = config_type_copy(b.c->gate.admin);
    else
        fprintf(problems, "%s%s: `admin` is not set in [gate]: the gate has no admin socket\n",
                memo_text(&others), path);
    config_free(b.c);
    memo_free(&others);
    config_sources_unref(sources);
    return admin;
}
