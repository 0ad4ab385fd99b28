#include "policy/rules.h"

#include <stdlib.h>
#include <string.h>

#include "base/fold.h"
#include "base/hostname.h"
#include "base/insist.h"
#include "policy/rules_internal.h"
#include "policy/sources.h"

static const char *const action_names[] = {"reset", "drop", "decoy"};

const char *rules_action_name(enum rules_action a)
{
    return action_names[a];
}

void rule_fini(struct rule *rule)
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

void rule_append(struct rules *r, const struct rule *rule)
{
    /* The room doubles at each power of two, so that thousands of rules are not copied for each. */
    if ((r->count & (r->count - 1)) == 0)
        r->rule =
            insist_alloc(reallocarray(r->rule, r->count == 0 ? 1 : 2 * r->count, sizeof *r->rule));
    r->rule[r->count++] = *rule;
}

bool rules_print(const struct rules *r, FILE *out)
{
    for (size_t i = 0; i < r->count; i++)
        fprintf(out, "%s = %s\n", rules_key(r, i), r->rule[i].text);
    return r->count > 0;
}

const char *rules_key(const struct rules *r, size_t i)
{
    static const char *const keys[2][2] = {{"deny", "deny-file"}, {"allow", "allow-file"}};
    return keys[r->rule[i].allow][r->rule[i].file_only];
}

const char *rules_text(const struct rules *r, size_t i)
{
    return r->rule[i].text;
}

unsigned rules_line(const struct rules *r, size_t i)
{
    return r->rule[i].line;
}

const char *rules_zone(const struct rules *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->rule[i].zone_name != NULL)
            return r->rule[i].zone_name;
    return NULL;
}

/* ---- opening -------------------------------------------------------------------------------- */

static bool rule_open(struct rule *rule, struct sources *from, const char *path, FILE *problems)
{
    char problem[ZONE_PROBLEM_MAX];
    const char *key = rule->allow ? "allow" : "deny";
    bool good = true;

    if (rule->where == WHERE_FILE) {
        rule->set = sources_netset(from, rule->path, problems);
        if (rule->set == NULL)
            fprintf(problems, "%s:%u: %s%s: %s cannot be used, see above\n", path, rule->line, key,
                    rule->file_only ? "-file" : "", rule->path);
        good = rule->set != NULL;
    }
    if (rule->where == WHERE_COUNTRY) {
        rule->countries = from->country;
        good = from->country != NULL; /* config_open() has reported the reason */
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
        good &= rule_open(&r->rule[i], from, path, problems);
    return good;
}

unsigned rules_country_line(const struct rules *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->rule[i].where == WHERE_COUNTRY)
            return r->rule[i].line;
    return 0;
}

static bool has_more_conditions(const struct rule *rule)
{
    return rule->user != NULL || rule->host != NULL || rule->sni != NULL || rule->tenant != NULL ||
           rule->zone_name != NULL;
}

/* Returns whether the address of every client of second also fulfils first. */
static bool address_covers(const struct rule *first, const struct rule *second)
{
    if (first->where == WHERE_ANY)
        return true;
    if (first->where != second->where)
        return false;
    switch (first->where) {
    case WHERE_NET: return cidr_covers(&first->net, &second->net);
    case WHERE_FILE: return strcmp(first->path, second->path) == 0;
    case WHERE_COUNTRY: return strcmp(first->country, second->country) == 0;
    case WHERE_ANY: break;
    }
    return true;
}

/* first NULL: no condition. */
static bool text_covers(const char *first, const char *second)
{
    return first == NULL || (second != NULL && span_eq_nocase(span_str(first), span_str(second)));
}

static bool time_covers(const struct rule *first, const struct rule *second)
{
    return first->zone_name == NULL ||
           (second->zone_name != NULL && strcmp(first->zone_name, second->zone_name) == 0 &&
            first->window.days == second->window.days &&
            first->window.from == second->window.from && first->window.to == second->window.to);
}

/* Returns whether first matches every call that second could match. A deny rule matches more
 * readings of a user's name than an allow rule, and doubtful names. */
static bool rule_covers(const struct rule *first, const struct rule *second)
{
    return !first->dry_run && address_covers(first, second) && time_covers(first, second) &&
           (first->user == NULL || !first->allow || second->allow) &&
           text_covers(first->user, second->user) && text_covers(first->host, second->host) &&
           text_covers(first->sni, second->sni) && text_covers(first->tenant, second->tenant);
}

void rules_unreached(const struct rules *r, const char *path, const char *listener, FILE *to)
{
    enum { RULES_MAX = 5000 }; /* the comparison is quadratic */

    for (size_t i = 0; i < r->count && r->count <= RULES_MAX; i++) {
        size_t k = 0;
        while (k < i && !rule_covers(&r->rule[k], &r->rule[i]))
            k++;
        if (k < i)
            fprintf(to,
                    "%s:%u: warning: listener %s: this rule is never reached: the rule on line %u "
                    "matches all of its %s\n",
                    path, r->rule[i].line, listener, r->rule[k].line,
                    has_more_conditions(&r->rule[k]) ? "calls" : "addresses");
    }
}

bool rules_have(const struct rules *r, bool allow)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->rule[i].allow == allow && !r->rule[i].dry_run)
            return true;
    return false;
}

unsigned rules_catch_all_line(const struct rules *r)
{
    for (size_t i = 0; i < r->count; i++)
        if (r->rule[i].where == WHERE_ANY && !r->rule[i].dry_run &&
            !has_more_conditions(&r->rule[i]))
            return r->rule[i].line;
    return 0;
}

size_t rules_dry_runs(const struct rules *r, unsigned *line)
{
    size_t n = 0;

    *line = 0;
    for (size_t i = 0; i < r->count; i++)
        if (r->rule[i].dry_run && n++ == 0)
            *line = r->rule[i].line;
    return n;
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

static bool is_admitted(const char *pattern, char *const *admitted, size_t n)
{
    if (n == 0 || pattern == NULL)
        return true;
    for (size_t i = 0; i < n; i++)
        if (hostname_matches(pattern, span_str(admitted[i])))
            return true;
    return false;
}

void rules_without_match(const struct rules *r, char *const *admitted, size_t n, const char *path,
                         const char *listener, FILE *to)
{
    for (size_t i = 0; i < r->count; i++) {
        const struct rule *rule = &r->rule[i];
        const char *foreign = !is_admitted(rule->host, admitted, n)  ? rule->host
                              : !is_admitted(rule->sni, admitted, n) ? rule->sni
                                                                     : NULL;
        if (rule->where == WHERE_FILE && rule->set != NULL && netset_count(rule->set) == 0)
            fprintf(to,
                    "%s:%u: warning: listener %s: %s contains no network, so this rule matches "
                    "no client\n",
                    path, rule->line, listener, rule->path);
        if (foreign != NULL)
            fprintf(to,
                    "%s:%u: warning: listener %s: this rule is never reached: the listener "
                    "does not admit the name '%s' (see `host`)\n",
                    path, rule->line, listener, foreign);
    }
}

enum { USER_MAX = 256 }; /* a longer name ends a call (bad-user-name) */

/* ---- deciding ------------------------------------------------------------------------------- */

/* For the functions of both copies of decide(), which are inlined while they have one caller. */
#define ALWAYS_INLINE __attribute__((always_inline)) static inline

/* The facts of one call, and the results of look-ups with them. */
struct rules_lookup {
    const struct rules_facts *facts;
    bool country_known;
    char country[3]; /* "": none */
    unsigned file_line;
};

/* Matches text with '*' and '?' in pattern, both in folded form. It is enough to backtrack to the
 * last '*', because the shortest match of the earlier ones leaves the most text to it. */
static bool pattern_matches(const char *pattern, struct span text)
{
    const char *star = NULL;
    size_t i = 0, again = 0;
    while (i < text.n) {
        if (*pattern == '*') {
            star = pattern++;
            again = i;
        } else if (*pattern != '\0' && (*pattern == '?' || (uint8_t)*pattern == text.p[i])) {
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

static size_t user_find_last(struct span s, char c)
{
    const uint8_t *at = s.n == 0 ? NULL : memrchr(s.p, c, s.n);
    return at == NULL ? s.n : (size_t)(at - s.p);
}

static size_t user_find_first(struct span s, char c)
{
    const uint8_t *at = s.n == 0 ? NULL : memchr(s.p, c, s.n);
    return at == NULL ? s.n : (size_t)(at - s.p);
}

/* Matches user with its realm, and without it (from the last or the first '@'). */
static bool some_realm_matches(const char *pattern, struct span user)
{
    return pattern_matches(pattern, user) ||
           pattern_matches(pattern, span_sub(user, 0, user_find_last(user, '@'))) ||
           pattern_matches(pattern, span_sub(user, 0, user_find_first(user, '@')));
}

/* Matches user with its domain, and without it (up to the first or the last '\'). */
ALWAYS_INLINE bool some_reading_matches(const char *pattern, struct span user)
{
    return some_realm_matches(pattern, user) ||
           some_realm_matches(pattern, span_from(user, user_find_first(user, '\\') + 1)) ||
           some_realm_matches(pattern, span_from(user, user_find_last(user, '\\') + 1));
}

/* Returns whether the user PATTERN of a rule matches. A server may take CORP\alice and
 * alice@corp for alice (see users_find()), so a rule for alice matches both. Servers disagree
 * on which parts of a name are the domain and the realm: SoftEther takes HUB\alice@corp for
 * alice@corp. So a deny rule matches every reading of the name. */
ALWAYS_INLINE bool user_matches(const struct rule *rule, struct span sent)
{
    uint8_t folded[FOLD_ROOM(USER_MAX)];
    const struct span user = span_of(folded, fold_case(span_sub(sent, 0, USER_MAX), folded));

    if (!rule->allow)
        return some_reading_matches(rule->user, user);
    const size_t slash = user_find_last(user, '\\');
    const struct span local = slash == user.n ? user : span_from(user, slash + 1);
    return pattern_matches(rule->user, user) ||
           (strpbrk(rule->user, "\\@") == NULL &&
            pattern_matches(rule->user, span_sub(local, 0, user_find_last(local, '@'))));
}

static bool country_matches(const struct rule *rule, struct rules_lookup *a)
{
    INSIST(rule->countries != NULL);
    if (!a->country_known && !country_find(rule->countries, a->facts->client, a->country))
        a->country[0] = '\0';
    a->country_known = true;
    return strcmp(rule->country, a->country) == 0;
}

ALWAYS_INLINE bool address_matches(const struct rule *rule, struct rules_lookup *a)
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

ALWAYS_INLINE bool time_matches(const struct rule *rule, int64_t now)
{
    if (rule->zone_name == NULL)
        return true;
    INSIST(rule->zone != NULL);
    return window_has(&rule->window, now + zone_offset(rule->zone, now));
}

uint64_t rules_hours(const struct rules *r, int64_t now)
{
    const uint64_t prime = 0x100000001b3; /* of FNV-1a */
    uint64_t hash = 0xcbf29ce484222325;

    for (size_t i = 0; i < r->count; i++)
        if (r->rule[i].zone_name != NULL)
            hash = (hash ^ (1 + (uint64_t)time_matches(&r->rule[i], now))) * prime;
    return hash;
}

/* Returns the first known fact of the request that does not match; RULES_HOLDS: there is none. */
ALWAYS_INLINE enum rules_holds request_holds(const struct rule *rule, const struct rules_facts *f)
{
    if (rule->host != NULL && (f->request & RULES_HOST) != 0 &&
        !hostname_matches(rule->host, f->host))
        return RULES_NOT_HOST;
    if (rule->sni != NULL && (f->request & RULES_SNI) != 0 && !hostname_matches(rule->sni, f->sni))
        return RULES_NOT_SNI;
    if (rule->tenant != NULL && (f->request & RULES_TENANT) != 0 &&
        !span_eq_nocase(span_str(rule->tenant), f->tenant))
        return RULES_NOT_TENANT;
    return RULES_HOLDS;
}

/* Returns the facts that a rule asks for and that are missing. */
static unsigned facts_missing(const struct rule *rule, const struct rules_facts *f)
{
    return (rule->host != NULL ? RULES_HOST & ~f->request : 0u) |
           (rule->sni != NULL ? RULES_SNI & ~f->request : 0u) |
           (rule->tenant != NULL ? RULES_TENANT & ~f->request : 0u) |
           (rule->user != NULL && f->user_known == RULES_USER_LATER ? RULES_USER : 0u);
}

ALWAYS_INLINE enum rules_holds rule_evaluate(const struct rule *rule, struct rules_lookup *a)
{
    const struct rules_facts *f = a->facts;
    bool unknown = false;

    if (!address_matches(rule, a))
        return RULES_NOT_ADDRESS;
    if (!time_matches(rule, f->now))
        return RULES_NOT_TIME;
    if (rule->host != NULL || rule->sni != NULL || rule->tenant != NULL) {
        const enum rules_holds holds = request_holds(rule, f);
        if (holds != RULES_HOLDS)
            return holds;
        unknown = f->request != RULES_REQUEST &&
                  (f->request == 0 || (facts_missing(rule, f) & RULES_REQUEST) != 0);
    }
    if (rule->user != NULL) {
        if (f->user_known == RULES_USER_KNOWN && !user_matches(rule, f->user))
            return RULES_NOT_USER;
        /* A client that hides its name must have no advantage. */
        if (f->user_known == RULES_USER_DOUBTFUL && rule->allow)
            return RULES_NOT_DOUBTFUL;
        unknown = unknown || f->user_known == RULES_USER_LATER;
    }
    return unknown ? RULES_HOLDS_PERHAPS : RULES_HOLDS;
}

/* The observer of an evaluation. */
struct rules_observer {
    void (*on_step)(void *arg, const struct rules_step *step);
    void *arg;
};

__attribute__((noinline)) static void observe(const struct rules_observer *to,
                                              const struct rules *r, size_t i,
                                              const struct rules_lookup *a, enum rules_holds holds)
{
    const struct rule *rule = &r->rule[i];
    const struct rules_step step = {
        .rule = i + 1,
        .holds = holds,
        .dry_run = rule->dry_run,
        .missing = holds == RULES_HOLDS_PERHAPS ? facts_missing(rule, a->facts) : 0,
        .file = a->file_line != 0 ? rule->path : NULL,
        .file_line = a->file_line,
        .country = rule->where == WHERE_COUNTRY ? a->country : NULL,
    };

    to->on_step(to->arg, &step);
}

static struct rules_answer answer_of(const struct rules *r, size_t i, const struct rules_lookup *a,
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

/* Evaluates the rules without the dry-run rules, and sets *dry. Inline, so that rules_decide() has
 * a copy without an observer. to: NULL: nothing observes. */
ALWAYS_INLINE struct rules_answer decide(const struct rules *r, const struct rules_facts *facts,
                                         const struct rules_observer *to, struct rules_dry *dry)
{
    struct rules_lookup a = {.facts = facts};
    struct rules_answer waiting = {.verdict =
                                       RULES_UNDECIDED}; /* of the first rule that may hold */
    bool may_allow = false, may_deny = false;            /* verdicts of rules that may hold */

    for (size_t i = 0; i < r->count; i++) {
        const bool allow = r->rule[i].allow;
        const enum rules_holds holds = rule_evaluate(&r->rule[i], &a);
        if (to != NULL)
            observe(to, r, i, &a, holds);
        if (holds > RULES_HOLDS_PERHAPS)
            continue;
        if (r->rule[i].dry_run) { /* only if no earlier rule may hold, because the rule might not be
                                   * reached */
            const struct rules_answer hit = answer_of(r, i, &a, RULES_DENY);
            if (holds == RULES_HOLDS && waiting.rule == 0 && dry->rule == 0)
                *dry = (struct rules_dry){.rule = hit.rule, .line = hit.line, .file = hit.file};
            continue;
        }
        if (holds == RULES_HOLDS_PERHAPS) {
            if (waiting.rule == 0)
                waiting = answer_of(r, i, &a, RULES_UNDECIDED);
            may_allow |= allow;
            may_deny |= !allow;
            continue;
        }
        /* If all earlier rules that may hold have the same verdict, there is no need to wait. */
        if (allow ? may_deny : may_allow)
            return waiting;
        return answer_of(r, i, &a, allow ? RULES_ALLOW : RULES_DENY);
    }
    if (r->default_allow ? may_deny : may_allow)
        return waiting;
    return (struct rules_answer){.verdict = r->default_allow ? RULES_ALLOW : RULES_DENY,
                                 .action = r->deny_action};
}

struct rules_answer rules_decide(const struct rules *r, const struct rules_facts *facts)
{
    struct rules_dry dry = {0};
    struct rules_answer v = decide(r, facts, NULL, &dry);

    v.dry = dry;
    return v;
}

struct rules_answer rules_trace(const struct rules *r, const struct rules_facts *facts,
                                void (*on_step)(void *arg, const struct rules_step *step),
                                void *arg)
{
    const struct rules_observer to = {.on_step = on_step, .arg = arg};
    struct rules_dry dry = {0};
    struct rules_answer v = decide(r, facts, &to, &dry);

    v.dry = dry;
    return v;
}
