#include "policy/rules_read.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/fold.h"
#include "base/hostname.h"
#include "base/insist.h"
#include "base/memo.h"
#include "base/suggest.h"
#include "base/value.h"
#include "policy/rules_internal.h"

enum { ARGS_MAX = 3 };

struct rule_parser {
    struct rule *rule;
    const char *dir;
    char *args[ARGS_MAX];          /* of the current condition */
    char path[VALUE_TEXT_MAX + 1]; /* args[0], if it had to be made absolute */
    char *problem;
};

__attribute__((format(printf, 2, 3))) static bool rule_fail(struct rule_parser *p,
                                                            const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->problem, RULES_PROBLEM_MAX, format, args);
    va_end(args);
    return false;
}

static bool rule_read_address(struct rule_parser *p)
{
    char why[CIDR_PROBLEM_MAX];

    p->rule->where = WHERE_NET;
    if (cidr_parse(p->args[0], &p->rule->net) == ERR_OK)
        return true;
    cidr_problem(p->args[0], why);
    return rule_fail(p, "'%s' is %s", p->args[0], why);
}

static bool rule_read_file(struct rule_parser *p)
{
    if (*p->args[0] != '/') {
        const int n = snprintf(p->path, sizeof p->path, "%s/%s", p->dir, p->args[0]);
        if (n < 0 || (size_t)n >= sizeof p->path || strpbrk(p->path, " \t") != NULL)
            return rule_fail(p,
                             "'%s/%s' is too long or contains a blank: use an absolute path, or "
                             "%s-file",
                             p->dir, p->args[0], p->rule->allow ? "allow" : "deny");
        p->args[0] = p->path;
    }
    p->rule->where = WHERE_FILE;
    p->rule->path = insist_alloc(strdup(p->args[0]));
    return true;
}

static bool rule_read_country(struct rule_parser *p)
{
    const uint8_t a = ascii_lower((uint8_t)p->args[0][0]);
    const uint8_t b = a == '\0' ? a : ascii_lower((uint8_t)p->args[0][1]);
    if (a < 'a' || a > 'z' || b < 'a' || b > 'z' || p->args[0][2] != '\0')
        return rule_fail(p, "country: '%s' is not a two-letter country code such as DE",
                         p->args[0]);
    p->rule->where = WHERE_COUNTRY;
    p->rule->country[0] = (char)(a - 'a' + 'A');
    p->rule->country[1] = (char)(b - 'a' + 'A');
    return true;
}

static bool rule_read_any(struct rule_parser *p)
{
    p->rule->where = WHERE_ANY;
    return true;
}

static bool rule_read_user(struct rule_parser *p)
{
    const struct span text = span_str(p->args[0]);
    char *folded = insist_alloc(malloc(FOLD_ROOM(text.n) + 1));

    folded[fold_case(text, (uint8_t *)folded)] = '\0';
    p->rule->user = folded;
    return true;
}

/* Reads a name, or `*.` and a name. Returns NULL for anything else. */
static char *rule_read_name(const char *text, bool *is_address)
{
    char host[VALUE_HOST_SIZE], *out = NULL;
    const bool below = text[0] == '*' && text[1] == '.';
    if (value_host(below ? text + 2 : text, host, is_address) != ERR_OK || (below && *is_address))
        return NULL;
    if (asprintf(&out, "%s%s", below ? "*." : "", host) < 0)
        out = NULL;
    return insist_alloc(out);
}

/* Reports a name with letters beyond ASCII, and its form in ASCII. Returns false if it has no such
 * form. */
static bool rule_report_non_ascii(struct rule_parser *p, const char *what)
{
    char ascii[HOSTNAME_ASCII_SIZE];

    if (!hostname_ascii(p->args[0], ascii))
        return false;
    (void)rule_fail(p, "%s: '%s' has letters beyond ASCII; in its ASCII form: '%s'", what,
                    p->args[0], ascii);
    return true;
}

static bool rule_read_host(struct rule_parser *p)
{
    bool is_address;
    p->rule->host = rule_read_name(p->args[0], &is_address);
    if (p->rule->host == NULL && rule_report_non_ascii(p, "host"))
        return false;
    return p->rule->host != NULL ||
           rule_fail(p, "host: '%s' is not a name, *.NAME or an address (without a port)",
                     p->args[0]);
}

static bool rule_read_sni(struct rule_parser *p)
{
    bool is_address;
    p->rule->sni = rule_read_name(p->args[0], &is_address);
    if (p->rule->sni == NULL && rule_report_non_ascii(p, "sni"))
        return false;
    if (p->rule->sni == NULL)
        return rule_fail(p, "sni: '%s' is not a name or *.NAME", p->args[0]);
    /* RFC 6066 3: literal addresses are not permitted in HostName */
    return !is_address ||
           rule_fail(p, "sni: '%s' is an address, but TLS has only server names", p->args[0]);
}

static bool rule_read_tenant(struct rule_parser *p)
{
    p->rule->tenant = insist_alloc(strdup(p->args[0]));
    return true;
}

static bool rule_read_time(struct rule_parser *p)
{
    const char *wrong = window_parse(p->args[0], p->args[1], &p->rule->window);
    if (wrong != NULL)
        return rule_fail(p, "time: '%s %s': %s", p->args[0], p->args[1], wrong);
    if (!zone_name_valid(p->args[2]))
        return rule_fail(p, "time: '%s' is not a zone such as Europe/Berlin, UTC or local",
                         p->args[2]);
    p->rule->zone_name = insist_alloc(strdup(p->args[2]));
    return true;
}

static bool rule_read_dry_run(struct rule_parser *p)
{
    p->rule->dry_run = true;
    return !p->rule->allow || rule_fail(p, "dry-run: only deny rules have it");
}

static bool rule_read_action(struct rule_parser *p)
{
    if (p->rule->allow)
        return rule_fail(p, "action: only deny rules have one");
    for (enum rules_action a = RULES_RESET; a <= RULES_DECOY; a++) {
        if (strcmp(p->args[0], rules_action_name(a)) == 0) {
            p->rule->has_action = true;
            p->rule->action = a;
            return true;
        }
    }
    return rule_fail(p, "action: unknown value '%s': write reset, drop or decoy", p->args[0]);
}

/* A rule has at most one condition of each kind. */
enum rule_kind {
    ADDRESS = 1,
    USER = 2,
    HOST = 4,
    SNI = 8,
    TENANT = 16,
    TIME = 32,
    ACTION = 64,
    DRY_RUN = 128,
};

static const struct rule_condition {
    const char *word;
    enum rule_kind kind;
    size_t args;
    bool (*read)(struct rule_parser *p);
    const char *wants; /* the arguments, for a message */
} conditions[] = {
    {"address", ADDRESS, 1, rule_read_address, "a network"},
    {"file", ADDRESS, 1, rule_read_file, "a path"},
    {"country", ADDRESS, 1, rule_read_country, "two letters"},
    {"any", ADDRESS, 0, rule_read_any, "nothing"},
    {"user", USER, 1, rule_read_user, "a name"},
    {"host", HOST, 1, rule_read_host, "a name"},
    {"sni", SNI, 1, rule_read_sni, "a name"},
    {"tenant", TENANT, 1, rule_read_tenant, "a value"},
    {"time", TIME, 3, rule_read_time, "days, hours and a zone: Mon-Fri 08:00-18:00 Europe/Berlin"},
    {"action", ACTION, 1, rule_read_action, "reset, drop or decoy"},
    {"dry-run", DRY_RUN, 0, rule_read_dry_run, "nothing"},
};
enum { CONDITION_COUNT = sizeof conditions / sizeof *conditions };

static const struct rule_condition *find_condition(const char *word)
{
    for (size_t i = 0; i < CONDITION_COUNT; i++)
        if (strcmp(conditions[i].word, word) == 0)
            return &conditions[i];
    return NULL;
}

/* Likely words that are not conditions, and advice for each. */
static const struct rule_foreign {
    const char *word, *help;
} foreign[] = {
    {"all", "to match every client, write any"},
    {"*", "to match every client, write any"},
    {"everyone", "to match every client, write any"},
    {"everybody", "to match every client, write any"},
    {"group", "there are no groups: the VPN server, RADIUS or NPS decides about them"},
    {"groups", "there are no groups: the VPN server, RADIUS or NPS decides about them"},
    {"from", "write address NETWORK"},
    {"ip", "write address NETWORK"},
    {"net", "write address NETWORK"},
    {"not", "write a rule of the other kind, allow or deny, above this one"},
};

/* Returns advice for an unknown word; NULL: none. */
static const char *advice_for(const char *word)
{
    struct cidr net;

    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (strcasecmp(foreign[i].word, word) == 0)
            return foreign[i].help;
    if (cidr_parse(word, &net) == ERR_OK)
        return "a rule begins with its network and has only one: write others on lines of their "
               "own";
    return NULL;
}

/* Returns whether a word has the form of an address and not that of a name. */
static bool looks_like_address(const char *word)
{
    return find_condition(word) == NULL && strpbrk(word, "0123456789.:/") != NULL;
}

/* Reports an unknown word, with advice. after: the value before it; NULL: a condition is before
 * it. */
static bool unknown_word(struct rule_parser *p, const char *word, const char *after)
{
    const char *help = advice_for(word);
    struct suggest s = suggest_init(word);
    for (size_t i = 0; i < CONDITION_COUNT; i++)
        suggest_offer(&s, conditions[i].word);
    if (s.best != NULL)
        return rule_fail(p, "unknown condition '%s'; did you mean '%s'?", word, s.best);
    if (help != NULL)
        return rule_fail(p, "unknown condition '%s': %s", word, help);
    if (after != NULL && !looks_like_address(word))
        return rule_fail(p, "unknown condition '%s'; a name with a blank needs quotes: \"%s %s\"",
                         word, after, word);
    return rule_fail(
        p,
        "unknown condition '%s': use address, file, country, any, user, host, sni, tenant, "
        "time, action or dry-run",
        word);
}

/* Cuts the next word off the front of *at. A value may be in quotes, because it has blanks. Returns
 * NULL at the end; *at then begins with a quote that does not end. */
static char *next_word(char **at, bool may_have_quotes)
{
    char *word = *at + strspn(*at, " \t");
    const bool quotes = may_have_quotes && *word == '"';
    char *end = word + quotes;

    end += strcspn(end, quotes ? "\"" : " \t");
    if (quotes && (*end == '\0' || strchr(" \t", end[1]) == NULL)) {
        *at = word;
        return NULL;
    }
    *at = *end == '\0' ? end : end + 1;
    *end = '\0';
    word += quotes;
    return *word == '\0' ? NULL : word;
}

static void print_word(FILE *out, const char *word)
{
    const char *quote = strpbrk(word, " \t") != NULL ? "\"" : "";

    fprintf(out, " %s%s%s", quote, word, quote);
}

static bool rule_read_condition(struct rule_parser *p, const struct rule_condition *c,
                                unsigned *seen, char **at)
{
    if (*seen & c->kind) {
        if (c->kind == ADDRESS)
            return rule_fail(p, "a rule has only one of address, file, country and any");
        return rule_fail(p, "%s is set twice in this rule", c->word);
    }
    *seen |= c->kind;
    for (size_t i = 0; i < c->args; i++)
        if ((p->args[i] = next_word(at, true)) == NULL)
            return **at == '"'
                       ? rule_fail(p, "%s: a quote is not closed, or text follows it", c->word)
                       : rule_fail(p, "%s needs %s", c->word, c->wants);
    return c->read(p);
}

/* Reads all words of `at`, and writes them to out as they will be printed. */
static bool rule_read(struct rule_parser *p, char *at, FILE *out)
{
    unsigned seen = 0;
    const char *between = "", *user = NULL;
    for (char *word; (word = next_word(&at, false)) != NULL; between = " ") {
        const struct rule_condition *c = find_condition(word);
        if ((seen & ~(unsigned)DRY_RUN) == 0 && looks_like_address(word)) {
            seen |= ADDRESS;
            p->args[0] = word;
            if (!rule_read_address(p))
                return false;
            fprintf(out, "%s%s", between, word);
            continue;
        }
        if (c == NULL)
            return unknown_word(p, word, user);
        if (!rule_read_condition(p, c, &seen, &at))
            return false;
        fprintf(out, "%s%s", between, c->word);
        for (size_t i = 0; i < c->args; i++)
            print_word(out, p->args[i]);
        user = c->kind == USER ? p->args[0] : NULL;
    }
    if ((seen & ~(unsigned)(ACTION | DRY_RUN)) == 0)
        return rule_fail(p, "the rule has no condition: write `any` to match every client");
    return true;
}

bool rules_add(struct rules *r, bool allow, const char *text, const char *dir, unsigned line,
               char problem[RULES_PROBLEM_MAX])
{
    struct rule rule = {.allow = allow, .line = line};
    struct rule_parser p = {.rule = &rule, .dir = dir, .problem = problem};
    struct memo memo;
    char *words = insist_alloc(strdup(text));
    bool good = rule_read(&p, words, memo_open(&memo));

    rule.text = memo_take(&memo);
    /* Otherwise -T would print a value that cannot be written in a file. */
    if (good && !value_is_writable(rule.text))
        good = rule_fail(
            &p,
            "'%s' does not fit into one value (at most %d bytes, no comment): use an absolute path",
            rule.text, (int)VALUE_TEXT_MAX);
    free(words);
    if (good)
        rule_append(r, &rule);
    else
        rule_fini(&rule);
    return good;
}

void rules_add_file(struct rules *r, bool allow, const char *path, unsigned line)
{
    const struct rule rule = {.allow = allow,
                              .file_only = true,
                              .line = line,
                              .text = insist_alloc(strdup(path)),
                              .where = WHERE_FILE,
                              .path = insist_alloc(strdup(path))};
    rule_append(r, &rule);
}
