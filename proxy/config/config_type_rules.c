#include "config/config_type_rules.h"

#include <stdlib.h>

#include "policy/rules_read.h"

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
    const bool good = config_type_parse_path(in, k, &path, text);
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

/* Prints the rules of all four keys, because their common order matters. */
static bool print_rules(FILE *out, const struct config_key *k, const void *at)
{
    (void)k;
    return rules_print(at, out);
}

/* Prints nothing, because print_rules() prints these rules, too. */
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
