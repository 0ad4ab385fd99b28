#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "base/memo.h"
#include "config/config_mark.h"
#include "config/config_sources.h"
#include "config/config_table.h"

static void *field_of(void *section, const struct config_key *k)
{
    return (char *)section + k->at;
}

void config_free(struct config *c)
{
    if (c == NULL)
        return;
    for (enum config_section in = GATE; in < SECTION_COUNT; in++) {
        for (size_t i = 0; i < config_section_count(c, in); i++) {
            for (size_t k = 0; k < config_key_count; k++)
                if (config_keys[k].in == in && config_keys[k].type->fini != NULL)
                    config_keys[k].type->fini(
                        field_of(config_section_at(c, in, i), &config_keys[k]));
            free((char *)config_section_name(c, in, i));
        }
        if (config_sections[in].named)
            free(config_section_at(c, in, 0));
    }
    free(c->gate.limits.proxies.item);
    free(c->mark);
    free(c->path);
    config_sources_unref(c->sources);
    free(c);
}

bool config_has_calls(const struct config *c, const struct config_backend *b)
{
    for (size_t i = 0; i < c->listener_count; i++) {
        if (c->listener[i].backend == b)
            return true;
        for (size_t k = 0; k < c->listener[i].route_count; k++)
            if (c->listener[i].route[k].backend == b)
                return true;
    }
    return false;
}

/* Finds section among those of c, and the last appearance of its key; NULL: not set. */
static const struct config_mark *find_mark(const struct config *c, const void *section,
                                           const char *key, unsigned *section_line)
{
    for (enum config_section in = GATE; in < SECTION_COUNT; in++) {
        for (size_t i = 0; i < config_section_count(c, in); i++) {
            if (config_section_at(c, in, i) != section)
                continue;
            const struct config_key *k = config_key_find(in, key);
            INSIST(k != NULL);
            *section_line = config_section_line(c, in, i);
            return config_mark_last(c, i, k);
        }
    }
    insist_failed("a section of this configuration", __FILE__, __LINE__);
}

unsigned config_line(const struct config *c, const void *section, const char *key)
{
    unsigned line;
    const struct config_mark *m = find_mark(c, section, key, &line);
    return m == NULL ? line : m->line;
}

/* Returns the value of k as a line of a configuration. */
static char *value_text(const struct config_key *k, const void *section)
{
    struct memo value;

    k->type->print(memo_open(&value), k, (const char *)section + k->at);
    return memo_take(&value);
}

/* Returns whether k has its default. Compares texts, because a type of keys can print a value, but
 * not compare two. */
static bool is_default(const struct config_key *k, const void *section)
{
    union {
        struct config_gate gate;
        struct config_listener listener;
        struct config_backend backend;
        struct config_radius radius;
    } fresh = {0};
    struct config_input in = {.path = "", .dir = "", .problems = stderr};

    if (k->initial == NULL)
        return false;
    INSIST(k->type->parse(&in, k, (char *)&fresh + k->at, k->initial));
    char *initial = value_text(k, &fresh), *is = value_text(k, section);
    const bool same = strcmp(initial, is) == 0;
    free(initial);
    free(is);
    if (k->type->fini != NULL)
        k->type->fini((char *)&fresh + k->at);
    return same;
}

bool config_differs(const struct config *c, const void *section, const char *key)
{
    unsigned line;
    const struct config_mark *m = find_mark(c, section, key, &line);
    return m != NULL && !is_default(m->key, section);
}

const struct config_listener *config_find_listener(const struct config *c, const char *name,
                                                   char suggestion[SUGGEST_TEXT])
{
    struct suggest s = suggest_init(name);

    for (size_t i = 0; i < c->listener_count; i++) {
        if (strcmp(c->listener[i].name, name) == 0)
            return &c->listener[i];
        suggest_offer(&s, c->listener[i].name);
    }
    suggest_text(&s, suggestion);
    return NULL;
}

/* ---- printing ------------------------------------------------------------------------------- */

static void print_section(const struct config *c, enum config_section in, size_t index, FILE *out)
{
    const char *name = config_section_name(c, in, index);
    const char *file = config_section_file(c, in, index);
    bool plain = in == BACKEND && !c->backend[index].tls;

    if (file != NULL && strcmp(file, c->path) != 0)
        fprintf(out, "; from %s\n", file);
    fprintf(out, name == NULL ? "[%s]\n" : "[%s %s]\n", config_sections[in].word, name);
    for (size_t i = 0; i < config_key_count; i++) {
        const struct config_key *k = &config_keys[i];
        if (k->in != in || (plain && (k->flags & KEY_TLS)))
            continue;
        if (!k->type->print(out, k, (const char *)config_section_at(c, in, index) + k->at))
            fprintf(out, "; %s: %s\n", k->name, k->otherwise);
    }
}

static void print_sections(const struct config *c, FILE *out)
{
    for (enum config_section in = GATE; in < SECTION_COUNT; in++) {
        for (size_t i = 0; i < config_section_count(c, in); i++) {
            if (in != GATE)
                fputc('\n', out);
            print_section(c, in, i, out);
        }
    }
}

void config_print(const struct config *c, FILE *out)
{
    struct memo text;

    print_sections(c, memo_open(&text));
    config_variables_escape(memo_text(&text), out);
    memo_free(&text);
}
