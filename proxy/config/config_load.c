#include "config/config_load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/suggest.h"
#include "base/value.h"
#include "config/config_finish.h"
#include "config/config_mark.h"
#include "config/config_read.h"
#include "config/config_table.h"

static void on_problem(void *user, unsigned line, const char *reason)
{
    struct config_builder *b = user;
    config_problem(&b->input, line, "%s", reason);
}

/* What looks like no key or section of ours is not repeated: the file may be a private key that was
 * named by mistake, and messages go to logs. */
static bool is_showable(const char *name)
{
    return name[strspn(name, "abcdefghijklmnopqrstuvwxyz-")] == '\0';
}

static void unknown_section(struct config_builder *b, const char *word)
{
    struct suggest s = suggest_init(word);
    for (int i = 0; i < SECTION_COUNT; i++)
        suggest_offer(&s, config_sections[i].word);
    for (int i = 0; i < SECTION_COUNT; i++) {
        if (s.best == config_sections[i].word) {
            config_problem(&b->input, b->input.line, "unknown section '%s'; did you mean %s?", word,
                           config_sections[i].title);
            return;
        }
    }
    const bool show = is_showable(word);
    config_problem(
        &b->input, b->input.line,
        "unknown section%s%s%s: the sections are [gate], [listener NAME], [backend NAME], "
        "[radius NAME]",
        show ? " '" : "", show ? word : "", show ? "'" : "");
}

/* Makes the section `name` of this kind the one that keys go to. A second one of the same name
 * is an error, but its keys are read as those of a section of its own. */
static void open_section(struct config_builder *b, enum config_section in, const char *name)
{
    struct config *c = b->c;
    for (size_t i = 0; in != GATE && *name != '\0' && i < config_section_count(c, in); i++) {
        if (strcmp(config_section_name(c, in, i), name) == 0) {
            config_problem(&b->input, b->input.line, "[%s %s] is already defined on line %u",
                           config_sections[in].word, name, config_section_line(c, in, i));
            break;
        }
    }
    b->in = in;
    b->index = config_section_count(c, in);
    if (config_sections[in].named) {
        config_section_add(c, in, config_type_copy(name), b->input.line);
    } else {
        b->index = 0;
        if (c->gate.line != 0)
            config_problem(&b->input, b->input.line, "[gate] is already defined on line %u",
                           c->gate.line);
        else
            c->gate.line = b->input.line;
    }
}

static void on_section(void *user, unsigned line, const char *header)
{
    struct config_builder *b = user;
    char word[CONFIG_LINE_MAX + 1];

    b->input.line = line;
    b->any_section = true;
    b->skip = true;
    if (header == NULL) {
        b->section_lost = true;
        return;
    }
    size_t n = strcspn(header, " \t");
    INSIST(n < sizeof word);
    memcpy(word, header, n);
    word[n] = '\0';
    const char *name = header + n + strspn(header + n, " \t");
    for (enum config_section in = GATE; in < SECTION_COUNT; in++) {
        if (strcmp(word, config_sections[in].word) != 0)
            continue;
        if (config_sections[in].named && *name == '\0')
            config_problem(&b->input, line, "[%s] needs a name: %s", word,
                           config_sections[in].title);
        else if (config_sections[in].named && !value_is_name(name))
            config_problem(&b->input, line,
                           "'%s' is not a name: use 1 to 32 letters, digits, '_', '.' and '-'",
                           name);
        else if (!config_sections[in].named && *name != '\0')
            config_problem(&b->input, line, "[%s] takes no name", word);
        b->skip = false;
        open_section(b, in, name);
        return;
    }
    unknown_section(b, word);
    b->section_lost = true;
}

/* An unknown key: it may stand in the wrong section, or be a slip for one of this section, or of
 * another. */
static void unknown_key(struct config_builder *b, const char *name)
{
    const char *title = config_sections[b->in].title;
    struct suggest here = suggest_init(name), elsewhere = suggest_init(name);
    const char *elsewhere_title = "";
    char owners[64] = "";

    for (size_t i = 0; i < config_key_count; i++) {
        if (strcmp(config_keys[i].name, name) == 0) {
            size_t n = strlen(owners);
            snprintf(owners + n, sizeof owners - n, "%s%s", n == 0 ? "" : " or ",
                     config_sections[config_keys[i].in].title);
        }
        suggest_offer(config_keys[i].in == b->in ? &here : &elsewhere, config_keys[i].name);
        if (elsewhere.best == config_keys[i].name)
            elsewhere_title = config_sections[config_keys[i].in].title;
    }
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

static void on_key(void *user, unsigned line, const char *name, const char *value)
{
    struct config_builder *b = user;
    b->input.line = line;
    if (!b->any_section) {
        if (is_showable(name))
            config_problem(&b->input, line, "'%s' is before the first [section]", name);
        else
            config_problem(&b->input, line, "a key is before the first [section]");
        return;
    }
    if (b->skip)
        return;
    const struct config_key *k = config_key_find(b->in, name);
    if (k == NULL) {
        unknown_key(b, name);
        return;
    }
    const struct config_mark *before = config_mark_first(b->c, b->index, k);
    if (before != NULL && !(k->flags & KEY_REPEAT)) {
        config_problem(&b->input, line, "'%s' is already set on line %u", name, before->line);
        return;
    }
    bool good = false;
    if (*value == '\0')
        config_problem(&b->input, line, "%s: the value is missing", name);
    else
        good = k->type->parse(&b->input, k,
                              (char *)config_section_at(b->c, b->in, b->index) + k->at, value);
    config_mark_add(
        b->c, &(struct config_mark){.index = b->index, .key = k, .line = line, .refused = !good});
}

/* The absolute path of the folder that path is in; NULL with the problem reported. */
static char *folder_of(const char *path, FILE *problems)
{
    const char *slash = strrchr(path, '/');
    size_t n = slash == NULL ? 0 : (size_t)(slash - path);
    char *dir = NULL, *here = NULL;

    if (*path == '/')
        return insist_alloc(strndup(path, n));
    here = getcwd(NULL, 0);
    if (here == NULL) {
        fprintf(problems, "%s: cannot determine the current directory: %s\n", path,
                strerror(errno));
        return NULL;
    }
    if (asprintf(&dir, "%s%s%.*s", here, n == 0 ? "" : "/", (int)n, path) < 0)
        dir = NULL;
    insist_alloc(dir);
    free(here);
    return dir;
}

/* What stands in the text, key by key; what follows from all of it is for config_finish. */
static struct config_builder build(const char *path, const char *dir, const char *text, size_t len,
                                   FILE *problems)
{
    struct config_builder b = {.c = NEW(struct config),
                               .input = {.path = path, .dir = dir, .problems = problems}};
    const struct config_events to = {
        .user = &b, .on_section = on_section, .on_key = on_key, .on_problem = on_problem};

    b.c->path = config_type_copy(path);
    config_read(span_of(text, len), &to);
    return b;
}

struct config *config_parse(const char *path, const char *text, size_t len, FILE *problems)
{
    char *dir = folder_of(path, problems);
    if (dir == NULL)
        return NULL;
    struct config_builder b = build(path, dir, text, len, problems);

    config_finish(&b);
    free(dir);
    b.c->sound = !b.input.failed;
    return b.c;
}

struct config *config_load(const char *path, FILE *problems)
{
    size_t len;
    char *text = config_read_file(path, &len, problems);
    if (text == NULL)
        return NULL;
    struct config *c = config_parse(path, text, len, problems);
    free(text);
    return c;
}

bool config_open(struct config *c, FILE *problems)
{
    bool good = true;
    if (c->gate.country_file != NULL) {
        c->sources.country = country_open(c->gate.country_file, problems);
        good = c->sources.country != NULL;
        if (!good)
            fprintf(problems, "%s:%u: country-file was not loaded, see its problems\n", c->path,
                    config_line(c, &c->gate, "country-file"));
    }
    for (size_t i = 0; i < c->listener_count; i++) {
        good &= rules_open(&c->listener[i].rules, &c->sources, c->path, problems);
        good &= rules_open(&c->listener[i].routes, &c->sources, c->path, problems);
    }
    return good;
}

char *config_find_admin(const char *path, FILE *problems)
{
    char *admin = NULL, *others = NULL;
    size_t len, others_len;
    char *text = config_read_file(path, &len, problems);
    char *dir = text == NULL ? NULL : folder_of(path, problems);

    if (dir != NULL) {
        FILE *f = insist_alloc(open_memstream(&others, &others_len));
        struct config_builder b = build(path, dir, text, len, f);
        fclose(f);
        insist_alloc(others);
        if (b.c->gate.admin != NULL)
            admin = config_type_copy(b.c->gate.admin);
        else
            fprintf(problems, "%s%s: `admin` is not set in [gate]: the gate has no admin socket\n",
                    others, path);
        config_free(b.c);
        free(others);
    }
    free(dir);
    free(text);
    return admin;
}
