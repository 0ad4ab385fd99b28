#include "policy/rules.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "base/suggest.h"
#include "base/value.h"
#include "policy/sources.h"
#include "policy/window.h"

/* What a rule says about the address. */
enum where { WHERE_ANY, WHERE_NET, WHERE_FILE, WHERE_COUNTRY };

/* NULL for a condition that the rule does not have. */
struct rule {
    bool allow, file_only; /* file_only: written as allow-file or deny-file */
    unsigned line;
    char *text; /* as it is printed: paths are absolute */
    enum where where;
    struct cidr net;
    char *path;
    const struct netset *set; /* of path, once rules_open() was there; so are zone and countries */
    char country[3];
    const struct country *countries;
    char *user, *host, *sni, *tenant;
    struct window window;
    char *zone_name;
    const struct zone *zone;
    bool has_action;
    enum rules_action action;
};

static const char *const action_names[] = {"reset", "drop", "decoy"};

const char *rules_action_name(enum rules_action a)
{
    return action_names[a];
}

static char *copy(const char *text)
{
    return insist_alloc(strdup(text));
}

static void rule_fini(struct rule *rule)
{
    free(rule->text);
    free(rule->path);
    free(rule->user);
    free(rule->host);
    free(rule->sni);
    free(rule->tenant);
    free(rule->zone_name);
}

void rules_init(struct rules *r)
{
    *r = (struct rules){.rule = NULL};
}

void rules_fini(struct rules *r)
{
    for (size_t i = 0; i < r->count; i++)
        rule_fini(&r->rule[i]);
    free(r->rule);
    rules_init(r);
}

static void append(struct rules *r, const struct rule *rule)
{
    r->rule = insist_alloc(reallocarray(r->rule, r->count + 1, sizeof *r->rule));
    r->rule[r->count++] = *rule;
}

/* ---- reading -------------------------------------------------------------------------------- */

enum { ARGS_MAX = 3 };

struct parser {
    struct rule *rule;
    const char *dir;
    char *args[ARGS_MAX];          /* of the condition being read */
    char path[VALUE_TEXT_MAX + 1]; /* args[0] where it had to be made absolute */
    char *problem;
};

__attribute__((format(printf, 2, 3))) static bool fail(struct parser *p, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(p->problem, RULES_PROBLEM_MAX, format, args);
    va_end(args);
    return false;
}

static bool read_address(struct parser *p)
{
    p->rule->where = WHERE_NET;
    switch (cidr_parse(p->args[0], &p->rule->net)) {
    case ERR_OK: return true;
    case ERR_RANGE:
        return fail(p,
                    "'%s' is no network: its prefix is too long, or bits behind the prefix are set "
                    "(10.0.0.0/8, not 10.0.0.1/8)",
                    p->args[0]);
    default:
        return fail(p, "'%s' is not an address or a network such as 198.51.100.0/24", p->args[0]);
    }
}

static bool read_file(struct parser *p)
{
    if (*p->args[0] != '/') {
        const int n = snprintf(p->path, sizeof p->path, "%s/%s", p->dir, p->args[0]);
        if (n < 0 || (size_t)n >= sizeof p->path || strpbrk(p->path, " \t") != NULL)
            return fail(p,
                        "'%s/%s' is too long or has a blank in it: use an absolute path, or "
                        "%s-file",
                        p->dir, p->args[0], p->rule->allow ? "allow" : "deny");
        p->args[0] = p->path;
    }
    p->rule->where = WHERE_FILE;
    p->rule->path = copy(p->args[0]);
    return true;
}

static bool read_country(struct parser *p)
{
    const uint8_t a = ascii_lower((uint8_t)p->args[0][0]);
    const uint8_t b = a == '\0' ? a : ascii_lower((uint8_t)p->args[0][1]);
    if (a < 'a' || a > 'z' || b < 'a' || b > 'z' || p->args[0][2] != '\0')
        return fail(p, "country: '%s' is not a country's two letters such as DE", p->args[0]);
    p->rule->where = WHERE_COUNTRY;
    p->rule->country[0] = (char)(a - 'a' + 'A');
    p->rule->country[1] = (char)(b - 'a' + 'A');
    return true;
}

static bool read_any(struct parser *p)
{
    p->rule->where = WHERE_ANY;
    return true;
}

static bool read_user(struct parser *p)
{
    p->rule->user = copy(p->args[0]);
    return true;
}

/* A name, or *. and a name; NULL: neither. */
static char *read_name(const char *text, bool *is_address)
{
    char host[VALUE_HOST_SIZE], *out = NULL;
    const bool below = text[0] == '*' && text[1] == '.';
    if (value_host(below ? text + 2 : text, host, is_address) != ERR_OK || (below && *is_address))
        return NULL;
    if (asprintf(&out, "%s%s", below ? "*." : "", host) < 0)
        out = NULL;
    return insist_alloc(out);
}

static bool read_host(struct parser *p)
{
    bool is_address;
    p->rule->host = read_name(p->args[0], &is_address);
    return p->rule->host != NULL ||
           fail(p, "host: '%s' is not a name, *.NAME or an address (no port here)", p->args[0]);
}

static bool read_sni(struct parser *p)
{
    bool is_address;
    p->rule->sni = read_name(p->args[0], &is_address);
    if (p->rule->sni == NULL)
        return fail(p, "sni: '%s' is not a name or *.NAME", p->args[0]);
    /* RFC 6066 3: literal addresses are not permitted in HostName */
    return !is_address || fail(p, "sni: '%s' is an address: TLS carries names only", p->args[0]);
}

static bool read_tenant(struct parser *p)
{
    p->rule->tenant = copy(p->args[0]);
    return true;
}

static bool read_time(struct parser *p)
{
    const char *wrong = window_parse(p->args[0], p->args[1], &p->rule->window);
    if (wrong != NULL)
        return fail(p, "time: '%s %s': %s", p->args[0], p->args[1], wrong);
    if (!zone_name_valid(p->args[2]))
        return fail(p, "time: '%s' is not a zone such as Europe/Berlin, UTC or local", p->args[2]);
    p->rule->zone_name = copy(p->args[2]);
    return true;
}

static bool read_action(struct parser *p)
{
    if (p->rule->allow)
        return fail(p, "action: who is allowed gets none; it belongs to deny");
    for (enum rules_action a = RULES_RESET; a <= RULES_DECOY; a++) {
        if (strcmp(p->args[0], action_names[a]) == 0) {
            p->rule->has_action = true;
            p->rule->action = a;
            return true;
        }
    }
    return fail(p, "action: unknown value '%s': write reset, drop or decoy", p->args[0]);
}

/* Two of the same kind exclude each other. */
enum kind { ADDRESS = 1, USER = 2, HOST = 4, SNI = 8, TENANT = 16, TIME = 32, ACTION = 64 };

static const struct condition {
    const char *word;
    enum kind kind;
    size_t args;
    bool (*read)(struct parser *p);
    const char *wants; /* the arguments, for a message */
} conditions[] = {
    {"address", ADDRESS, 1, read_address, "a network"},
    {"file", ADDRESS, 1, read_file, "a path"},
    {"country", ADDRESS, 1, read_country, "two letters"},
    {"any", ADDRESS, 0, read_any, "nothing"},
    {"user", USER, 1, read_user, "a name"},
    {"host", HOST, 1, read_host, "a name"},
    {"sni", SNI, 1, read_sni, "a name"},
    {"tenant", TENANT, 1, read_tenant, "a value"},
    {"time", TIME, 3, read_time, "days, hours and a zone: Mon-Fri 08:00-18:00 Europe/Berlin"},
    {"action", ACTION, 1, read_action, "reset, drop or decoy"},
};
enum { CONDITION_COUNT = sizeof conditions / sizeof *conditions };

static const struct condition *find_condition(const char *word)
{
    for (size_t i = 0; i < CONDITION_COUNT; i++)
        if (strcmp(conditions[i].word, word) == 0)
            return &conditions[i];
    return NULL;
}

static bool unknown_word(struct parser *p, const char *word)
{
    struct suggest s = suggest_init(word);
    for (size_t i = 0; i < CONDITION_COUNT; i++)
        suggest_offer(&s, conditions[i].word);
    if (s.best != NULL)
        return fail(p, "unknown condition '%s'; did you mean '%s'?", word, s.best);
    return fail(p,
                "unknown condition '%s': there are address, file, country, any, user, host, sni, "
                "tenant, time, action",
                word);
}

static char *next_word(char **at)
{
    char *word = *at + strspn(*at, " \t");
    char *end = word + strcspn(word, " \t");
    *at = *end == '\0' ? end : end + 1;
    *end = '\0';
    return *word == '\0' ? NULL : word;
}

/* True where the first word of a rule can only be meant for an address. */
static bool looks_like_address(const char *word)
{
    return find_condition(word) == NULL && strpbrk(word, "0123456789.:/") != NULL;
}

static bool read_condition(struct parser *p, const struct condition *c, unsigned *seen, char **at)
{
    if (*seen & c->kind) {
        if (c->kind == ADDRESS)
            return fail(p, "only one of address, file, country and any can stand in a rule");
        return fail(p, "%s stands twice in this rule", c->word);
    }
    *seen |= c->kind;
    for (size_t i = 0; i < c->args; i++)
        if ((p->args[i] = next_word(at)) == NULL)
            return fail(p, "%s needs %s", c->word, c->wants);
    return c->read(p);
}

/* All of the words in at; what was read is written to out as it will be printed. */
static bool read_rule(struct parser *p, char *at, FILE *out)
{
    unsigned seen = 0;
    const char *between = "";
    for (char *word; (word = next_word(&at)) != NULL; between = " ") {
        const struct condition *c = find_condition(word);
        if (seen == 0 && looks_like_address(word)) {
            seen = ADDRESS;
            p->args[0] = word;
            if (!read_address(p))
                return false;
            fputs(word, out);
            continue;
        }
        if (c == NULL)
            return unknown_word(p, word);
        if (!read_condition(p, c, &seen, &at))
            return false;
        fprintf(out, "%s%s", between, c->word);
        for (size_t i = 0; i < c->args; i++)
            fprintf(out, " %s", p->args[i]);
    }
    if (seen == 0 || seen == ACTION)
        return fail(p, "there is no condition: `any` stands for everybody");
    return true;
}

bool rules_add(struct rules *r, bool allow, const char *text, const char *dir, unsigned line,
               char problem[RULES_PROBLEM_MAX])
{
    struct rule rule = {.allow = allow, .line = line};
    struct parser p = {.rule = &rule, .dir = dir, .problem = problem};
    size_t len = 0;
    char *words = copy(text);
    FILE *out = open_memstream(&rule.text, &len);
    INSIST(out != NULL);

    bool good = read_rule(&p, words, out);
    INSIST(fclose(out) == 0);
    /* What is in force must be something that can be written, or -T would print what no file
     * holds. */
    if (good && !value_is_writable(rule.text))
        good =
            fail(&p,
                 "'%s' cannot be written in one value (at most %d octets, no comment in it): use "
                 "an absolute path",
                 rule.text, (int)VALUE_TEXT_MAX);
    free(words);
    if (good)
        append(r, &rule);
    else
        rule_fini(&rule);
    return good;
}

void rules_add_file(struct rules *r, bool allow, const char *path, unsigned line)
{
    const struct rule rule = {.allow = allow,
                              .file_only = true,
                              .line = line,
                              .text = copy(path),
                              .where = WHERE_FILE,
                              .path = copy(path)};
    append(r, &rule);
}

bool rules_print(const struct rules *r, FILE *out)
{
    for (size_t i = 0; i < r->count; i++)
        fprintf(out, "%s%s = %s\n", r->rule[i].allow ? "allow" : "deny",
                r->rule[i].file_only ? "-file" : "", r->rule[i].text);
    return r->count > 0;
}

const char *rules_text(const struct rules *r, size_t i)
{
    return r->rule[i].text;
}

/* ---- opening -------------------------------------------------------------------------------- */

static bool open_rule(struct rule *rule, struct sources *from, const char *path, FILE *problems)
{
    char problem[ZONE_PROBLEM_MAX];
    const char *key = rule->allow ? "allow" : "deny";
    bool good = true;

    if (rule->where == WHERE_FILE) {
        rule->set = sources_netset(from, rule->path, problems);
        if (rule->set == NULL)
            fprintf(problems, "%s:%u: %s%s: %s cannot be used\n", path, rule->line, key,
                    rule->file_only ? "-file" : "", rule->path);
        good = rule->set != NULL;
    }
    if (rule->where == WHERE_COUNTRY) {
        rule->countries = from->country;
        good = from->country != NULL; /* why was told when it was opened */
    }
    if (rule->zone_name != NULL) {
        rule->zone = sources_zone(from, rule->zone_name, problem);
        if (rule->zone == NULL)
            fprintf(problems, "%s:%u: %s: time zone %s: %s\n", path, rule->line, key,
                    rule->zone_name, problem);
        good = good && rule->zone != NULL;
    }
    return good;
}

bool rules_open(struct rules *r, struct sources *from, const char *path, FILE *problems)
{
    bool good = true;
    for (size_t i = 0; i < r->count; i++)
        good &= open_rule(&r->rule[i], from, path, problems);
    return good;
}

unsigned rules_country_line(const struct rules *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->rule[i].where == WHERE_COUNTRY)
            return r->rule[i].line;
    return 0;
}

static bool asks_more(const struct rule *rule)
{
    return rule->user != NULL || rule->host != NULL || rule->sni != NULL || rule->tenant != NULL ||
           rule->zone_name != NULL;
}

/* Whether the first decides about every call that the second could be about. */
static bool rule_covers(const struct rule *first, const struct rule *second)
{
    if (asks_more(first))
        return false;
    return first->where == WHERE_ANY || (first->where == WHERE_NET && second->where == WHERE_NET &&
                                         cidr_covers(&first->net, &second->net));
}

void rules_unreached(const struct rules *r, const char *path, const char *listener, FILE *to)
{
    enum { RULES_MAX = 5000 }; /* each is compared with each */

    for (size_t i = 0; i < r->count && r->count <= RULES_MAX; i++) {
        size_t k = 0;
        while (k < i && !rule_covers(&r->rule[k], &r->rule[i]))
            k++;
        if (k < i)
            fprintf(to,
                    "%s:%u: warning: listener %s: this rule is never reached: the one in line %u "
                    "decides for all of its addresses\n",
                    path, r->rule[i].line, listener, r->rule[k].line);
    }
}

unsigned rules_user_line(const struct rules *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->rule[i].user != NULL)
            return r->rule[i].line;
    return 0;
}

bool rules_needs_user(const struct rules *r)
{
    return rules_user_line(r) != 0;
}

/* ---- deciding ------------------------------------------------------------------------------- */

/* Facts, and what was looked up with them. */
struct asking {
    const struct rules_facts *facts;
    bool country_asked;
    char country[3]; /* "": none */
    unsigned file_line;
};

/* '*' and '?' in pattern. Of several '*' only the last one needs to be tried again: whatever the
 * ones before it took, they left more to those behind them. */
static bool matches(const char *pattern, struct span text)
{
    const char *star = NULL;
    size_t i = 0, again = 0;
    while (i < text.n) {
        if (*pattern == '*') {
            star = pattern++;
            again = i;
        } else if (*pattern != '\0' &&
                   (*pattern == '?' || ascii_lower((uint8_t)*pattern) == ascii_lower(text.p[i]))) {
            pattern++;
            i++;
        } else if (star != NULL) {
            pattern = star + 1;
            i = ++again;
        } else {
            return false;
        }
    }
    return pattern[strspn(pattern, "*")] == '\0';
}

static size_t find_last(struct span s, char c)
{
    const uint8_t *at = s.n == 0 ? NULL : memrchr(s.p, c, s.n);
    return at == NULL ? s.n : (size_t)(at - s.p);
}

static size_t find_first(struct span s, char c)
{
    const uint8_t *at = s.n == 0 ? NULL : memchr(s.p, c, s.n);
    return at == NULL ? s.n : (size_t)(at - s.p);
}

/* With its realm, or cut at the last or the first '@'. */
static bool some_realm_matches(const char *pattern, struct span user)
{
    return matches(pattern, user) || matches(pattern, span_sub(user, 0, find_last(user, '@'))) ||
           matches(pattern, span_sub(user, 0, find_first(user, '@')));
}

/* With its domain, or cut behind the first or the last '\'. */
static bool some_reading_matches(const char *pattern, struct span user)
{
    return some_realm_matches(pattern, user) ||
           some_realm_matches(pattern, span_from(user, find_first(user, '\\') + 1)) ||
           some_realm_matches(pattern, span_from(user, find_last(user, '\\') + 1));
}

/* A server may take CORP\alice and alice@corp for alice (see users_find()), so a rule for alice
 * does, too. Servers do not agree how much of a name is the domain and the realm: SoftEther takes
 * HUB\alice@corp for alice@corp. So a rule that denies holds for every reading of the name. */
static bool user_matches(const struct rule *rule, struct span user)
{
    if (!rule->allow)
        return some_reading_matches(rule->user, user);
    const size_t slash = find_last(user, '\\');
    const struct span local = slash == user.n ? user : span_from(user, slash + 1);
    return matches(rule->user, user) ||
           (strpbrk(rule->user, "\\@") == NULL &&
            matches(rule->user, span_sub(local, 0, find_last(local, '@'))));
}

static bool name_matches(const char *pattern, struct span name)
{
    if (name.n > 0 && name.p[name.n - 1] == '.') /* the same name (RFC 1034 3.1) */
        name.n--;
    if (pattern[0] != '*')
        return span_eq_nocase(span_str(pattern), name);
    const struct span end = span_str(pattern + 1);
    return name.n > end.n && span_eq_nocase(span_from(name, name.n - end.n), end);
}

static bool country_matches(const struct rule *rule, struct asking *a)
{
    INSIST(rule->countries != NULL);
    if (!a->country_asked && !country_find(rule->countries, a->facts->client, a->country))
        a->country[0] = '\0';
    a->country_asked = true;
    return strcmp(rule->country, a->country) == 0;
}

static bool address_matches(const struct rule *rule, struct asking *a)
{
    a->file_line = 0;
    switch (rule->where) {
    case WHERE_ANY: return true;
    case WHERE_NET: return cidr_has(&rule->net, a->facts->client);
    case WHERE_COUNTRY: return country_matches(rule, a);
    case WHERE_FILE:
        INSIST(rule->set != NULL);
        a->file_line = netset_find(rule->set, a->facts->client);
        return a->file_line != 0;
    }
    insist_failed("a kind of address condition", __FILE__, __LINE__);
}

static bool time_matches(const struct rule *rule, int64_t now)
{
    if (rule->zone_name == NULL)
        return true;
    INSIST(rule->zone != NULL);
    return window_has(&rule->window, now + zone_offset(rule->zone, now));
}

static bool request_matches(const struct rule *rule, const struct rules_facts *f)
{
    return (rule->host == NULL || name_matches(rule->host, f->host)) &&
           (rule->sni == NULL || name_matches(rule->sni, f->sni)) &&
           (rule->tenant == NULL || span_eq_nocase(span_str(rule->tenant), f->tenant));
}

enum holds { HOLDS_NOT, HOLDS, HOLDS_PERHAPS };

static enum holds rule_holds(const struct rule *rule, struct asking *a)
{
    const struct rules_facts *f = a->facts;
    bool unknown = false;

    if (!address_matches(rule, a) || !time_matches(rule, f->now))
        return HOLDS_NOT;
    if (rule->host != NULL || rule->sni != NULL || rule->tenant != NULL) {
        if (f->request_known && !request_matches(rule, f))
            return HOLDS_NOT;
        unknown = !f->request_known;
    }
    if (rule->user != NULL) {
        if (f->user_known == RULES_USER_KNOWN && !user_matches(rule, f->user))
            return HOLDS_NOT;
        /* Who hides his name shall not be better off for it. */
        if (f->user_known == RULES_USER_DOUBTFUL && rule->allow)
            return HOLDS_NOT;
        unknown = unknown || f->user_known == RULES_USER_LATER;
    }
    return unknown ? HOLDS_PERHAPS : HOLDS;
}

static struct rules_answer answer_of(const struct rules *r, size_t i, const struct asking *a,
                                     enum rules_verdict verdict)
{
    const struct rule *rule = &r->rule[i];
    return (struct rules_answer){
        .verdict = verdict,
        .rule = i + 1,
        .line = a->file_line != 0 ? a->file_line : rule->line,
        .file = a->file_line != 0 ? rule->path : NULL,
        .action = rule->has_action ? rule->action : r->deny_action,
    };
}

struct rules_answer rules_decide(const struct rules *r, const struct rules_facts *facts)
{
    struct asking a = {.facts = facts};
    struct rules_answer waiting = {.verdict = RULES_UNDECIDED}; /* the first rule that may hold */
    bool may_allow = false, may_deny = false;                   /* what such rules would say */

    for (size_t i = 0; i < r->count; i++) {
        const bool allow = r->rule[i].allow;
        const enum holds holds = rule_holds(&r->rule[i], &a);
        if (holds == HOLDS_NOT)
            continue;
        if (holds == HOLDS_PERHAPS) {
            if (waiting.rule == 0)
                waiting = answer_of(r, i, &a, RULES_UNDECIDED);
            may_allow |= allow;
            may_deny |= !allow;
            continue;
        }
        /* Where all that may hold before says the same, there is nothing to wait for. */
        if (allow ? may_deny : may_allow)
            return waiting;
        return answer_of(r, i, &a, allow ? RULES_ALLOW : RULES_DENY);
    }
    if (r->default_allow ? may_deny : may_allow)
        return waiting;
    return (struct rules_answer){.verdict = r->default_allow ? RULES_ALLOW : RULES_DENY,
                                 .action = r->deny_action};
}
