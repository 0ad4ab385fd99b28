/* Rules and cases are text. tests/policy/NAME.rules contains rules as in a configuration,
 * without the `=`: `allow RULE`, `deny RULE`, `default allow|deny`, `deny-action ACTION`. Each
 * line of NAME.cases is
 *
 *   EXPECTED LINE ADDRESS HOST SNI TENANT USER TIME
 *
 * EXPECTED: allow, undecided, deny (which is reset), drop or decoy. LINE: that of the rule; 0: the
 * default; FILE:LINE: that of a network in a file. `-`, or nothing: not known yet; `.`: not sent;
 * `?`: a doubtful user. TIME is UTC, as 2024-03-31T01:00:00. */
#include "policy/rules.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "policy/rules_read.h"
#include "policy/sources.h"

#define POLICY "tests/policy" /* the tests run in the root of the tree */

enum { WORDS = 8, WORD_SIZE = 64 };

struct policy {
    struct rules rules;
    struct sources sources;
};

/* Reads the next line that is not a comment, without its end. Returns false at the end of the
 * file. */
static bool next_line(FILE *f, char text[256], unsigned *line)
{
    while (fgets(text, 256, f) != NULL) {
        ++*line;
        text[strcspn(text, "\n")] = '\0';
        if (text[0] != '#' && text[0] != '\0')
            return true;
    }
    return false;
}

static enum rules_action action_of(const char *word)
{
    for (enum rules_action a = RULES_RESET; a <= RULES_DECOY; a++)
        if (strcmp(rules_action_name(a), word) == 0)
            return a;
    fail_msg("%s is not an action", word);
    return RULES_RESET;
}

static void add(struct rules *r, bool allow, const char *text, unsigned line)
{
    char problem[RULES_PROBLEM_MAX];
    if (!rules_add(r, allow, text, POLICY, line, problem))
        fail_msg("%u: %s", line, problem);
}

static void read_policy(struct policy *p, const char *path)
{
    char text[256];
    unsigned line = 0;
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    rules_init(&p->rules);
    p->sources = (struct sources){.files = files_new(NULL)};
    while (next_line(f, text, &line)) {
        char *rest = text + strcspn(text, " ");
        *rest++ = '\0';
        if (strcmp(text, "default") == 0)
            p->rules.default_allow = strcmp(rest, "allow") == 0;
        else if (strcmp(text, "deny-action") == 0)
            p->rules.deny_action = action_of(rest);
        else
            add(&p->rules, strcmp(text, "allow") == 0, rest, line);
    }
    fclose(f);
    assert_true(rules_open(&p->rules, &p->sources, path, stderr));
}

static void fini_policy(struct policy *p)
{
    rules_fini(&p->rules);
    files_free(p->sources.files);
}

static struct span sent(const char *word)
{
    return strcmp(word, ".") == 0 || strcmp(word, "-") == 0 ? span_of(NULL, 0) : span_str(word);
}

static struct rules_facts facts_of(char word[WORDS][WORD_SIZE], struct addr *who)
{
    struct rules_facts f = {.client = who};
    struct tm tm = {0};
    if (addr_parse(word[2], 50000, who) != ERR_OK)
        fail_msg("%s is not an address", word[2]);
    for (int i = 3; i <= 5; i++)
        if (strcmp(word[i], "-") != 0)
            f.request = RULES_REQUEST;
    f.host = sent(word[3]);
    f.sni = sent(word[4]);
    f.tenant = sent(word[5]);
    f.user = sent(word[6]);
    f.user_known = strcmp(word[6], "-") == 0   ? RULES_USER_LATER
                   : strcmp(word[6], "?") == 0 ? RULES_USER_DOUBTFUL
                                               : RULES_USER_KNOWN;
    if (strcmp(word[7], "-") != 0) {
        const char *end = strptime(word[7], "%Y-%m-%dT%H:%M:%S", &tm);
        assert_true(end != NULL && *end == '\0');
        f.now = timegm(&tm);
    }
    return f;
}

/* Writes the answer as in a case. */
static void format_answer(const struct rules_answer *a, char out[128])
{
    const char *verdict = a->verdict == RULES_ALLOW       ? "allow"
                          : a->verdict == RULES_UNDECIDED ? "undecided"
                          : a->action == RULES_RESET      ? "deny"
                                                          : rules_action_name(a->action);
    const char *file = a->file == NULL ? NULL : strrchr(a->file, '/') + 1;
    snprintf(out, 128, "%s %s%s%u", verdict, file == NULL ? "" : file, file == NULL ? "" : ":",
             a->line);
    if (a->dry.rule != 0)
        snprintf(out + strlen(out), 128 - strlen(out), "+%zu:%u", a->dry.rule, a->dry.line);
}

/* What a trace has shown. */
struct trace {
    size_t steps;
    struct rules_step last;
};

static void on_step(void *arg, const struct rules_step *step)
{
    struct trace *t = arg;

    assert_int_equal(step->rule, ++t->steps); /* each rule once, in order */
    assert_int_equal(step->missing != 0, step->holds == RULES_HOLDS_PERHAPS);
    t->last = *step;
}

/* Checks that a trace has the answer of the decision, and ends with the rule that decides. */
static void check_trace(const struct rules *rules, const struct rules_facts *facts,
                        const struct rules_answer *answer)
{
    struct trace t = {0};
    const struct rules_answer a = rules_trace(rules, facts, on_step, &t);
    char expected[128], got[128];

    format_answer(answer, expected);
    format_answer(&a, got);
    assert_string_equal(expected, got);
    assert_int_equal(a.rule, answer->rule);
    if (a.verdict == RULES_UNDECIDED || a.rule == 0)
        return;
    assert_int_equal(t.last.rule, a.rule);
    assert_int_equal(t.last.holds, RULES_HOLDS);
    assert_true(t.last.file == a.file);
    assert_int_equal(t.last.file == NULL ? rules_line(rules, a.rule - 1) : t.last.file_line,
                     a.line);
}

static unsigned run_cases(const struct rules *rules, const char *path)
{
    char text[256], word[WORDS][WORD_SIZE], expected[2 * WORD_SIZE], got[128];
    unsigned line = 0, cases = 0;
    FILE *f = fopen(path, "r");
    if (f == NULL)
        fail_msg("%s is missing", path);
    while (next_line(f, text, &line)) {
        struct addr who;
        for (int i = 0; i < WORDS; i++)
            strcpy(word[i], "-");
        sscanf(text, "%63s %63s %63s %63s %63s %63s %63s %63s", word[0], word[1], word[2], word[3],
               word[4], word[5], word[6], word[7]);
        const struct rules_facts facts = facts_of(word, &who);
        const struct rules_answer a = rules_decide(rules, &facts);
        snprintf(expected, sizeof expected, "%s %s", word[0], word[1]);
        format_answer(&a, got);
        if (strcmp(expected, got) != 0)
            fail_msg("%s:%u: %s", path, line, got);
        check_trace(rules, &facts, &a);
        assert_int_equal(a.rule == 0, a.line == 0);
        cases++;
    }
    fclose(f);
    return cases;
}

static void policies(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob(POLICY "/*.rules", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 9);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct policy p;
        char *path = found.gl_pathv[i], cases[128];
        snprintf(cases, sizeof cases, "%.*s.cases", (int)(strrchr(path, '.') - path), path);
        read_policy(&p, path);
        assert_true(run_cases(&p.rules, cases) > 0);
        fini_policy(&p);
    }
    globfree(&found);
}

/* More facts never change a verdict. */
static void later_facts_change_no_verdict(void **state)
{
    (void)state;
    struct policy p;
    struct addr who;
    assert_int_equal(addr_parse("198.51.100.66:1", 0, &who), ERR_OK);
    rules_init(&p.rules);
    p.sources = (struct sources){.files = files_new(NULL)};
    add(&p.rules, false, "10.0.0.0/8 user bob", 1);
    add(&p.rules, false, "198.51.100.66 action drop", 2);
    add(&p.rules, false, "user bob", 3);
    struct rules_facts f = {.client = &who};
    for (int i = 0; i < 6; i++) {
        f.request = i >= 3 ? RULES_REQUEST : 0;
        f.user_known = (enum rules_user)(i % 3);
        f.user = span_str("bob");
        const struct rules_answer a = rules_decide(&p.rules, &f);
        assert_int_equal(a.verdict, RULES_DENY);
        assert_int_equal(a.rule, 2);
        assert_int_equal(a.line, 2);
        assert_int_equal(a.action, RULES_DROP);
    }
    fini_policy(&p);
}

/* ---- random rules ---- */

static unsigned next_random(unsigned *seed, unsigned below)
{
    *seed = *seed * 1103515245 + 12345;
    return (*seed >> 16) % below;
}

/* Writes a rule with a few of all conditions, so that many random calls fulfil it. */
static void write_rule(unsigned *seed, bool allow, char out[256])
{
    static const char *const where[] = {"any", "10.0.0.0/8", "10.0.0.1", "file partners.txt"};
    static const char *const more[][3] = {
        {"", " user alice", " user b*"},
        {"", " host a.example", " host *.example"},
        {"", " sni a.example", " sni b.example"},
        {"", " tenant blue", " tenant red"},
        {"", " time Mon-Fri 08:00-18:00 UTC", " time Sat-Sun 00:00-24:00 Europe/Berlin"},
    };
    static const char *const last[] = {"", " action reset", " action drop", " action decoy",
                                       " dry-run"};
    size_t n = (size_t)snprintf(out, 256, "%s", where[next_random(seed, 4)]);

    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (next_random(seed, 3) == 0)
            n += (size_t)snprintf(out + n, 256 - n, "%s", more[i][next_random(seed, 3)]);
    if (!allow)
        snprintf(out + n, 256 - n, "%s", last[next_random(seed, 5)]);
}

static struct rules_facts random_facts(unsigned *seed, struct addr who[3])
{
    static const char *const users[] = {"alice", "bob", "CORP\\alice", "x@y"};
    static const char *const hosts[] = {"a.example", "b.example:443", "", "other"};
    static const char *const tenants[] = {"blue", "RED", ""};

    return (struct rules_facts){
        .client = &who[next_random(seed, 3)],
        .now = 1700000000 + (int64_t)next_random(seed, 14) * 43200,
        .request = next_random(seed, RULES_REQUEST + 1),
        .host = span_str(hosts[next_random(seed, 4)]),
        .sni = span_str(hosts[next_random(seed, 4)]),
        .tenant = span_str(tenants[next_random(seed, 3)]),
        .user_known = (enum rules_user)next_random(seed, 3),
        .user = span_str(users[next_random(seed, 4)]),
    };
}

/* Checks that a verdict is the same with every fact that was missing, whatever its value. */
static void check_with_all_facts(const struct rules *rules, struct rules_facts facts,
                                 const struct rules_answer *a)
{
    static const char *const names[] = {"", "a.example", "b.example", "alice", "blue"};

    if (a->verdict == RULES_UNDECIDED)
        return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct rules_facts more = facts;
        const struct span value = span_str(names[i]);
        more.host = (facts.request & RULES_HOST) != 0 ? facts.host : value;
        more.sni = (facts.request & RULES_SNI) != 0 ? facts.sni : value;
        more.tenant = (facts.request & RULES_TENANT) != 0 ? facts.tenant : value;
        more.request = RULES_REQUEST;
        if (facts.user_known == RULES_USER_LATER) {
            more.user = value;
            more.user_known = value.n == 0 ? RULES_USER_DOUBTFUL : RULES_USER_KNOWN;
        }
        assert_int_equal(rules_decide(rules, &more).verdict, a->verdict);
    }
}

static void random_rules_are_traced_as_they_decide(void **state)
{
    unsigned seed = 13, undecided = 0, denied = 0, allowed = 0;
    struct addr who[3];

    (void)state;
    assert_int_equal(addr_parse("10.0.0.1:1", 0, &who[0]), ERR_OK);
    assert_int_equal(addr_parse("10.9.9.9:1", 0, &who[1]), ERR_OK);
    assert_int_equal(addr_parse("[2001:db8::1]:1", 0, &who[2]), ERR_OK);
    for (unsigned i = 0; i < 400; i++) {
        struct policy p = {.sources = {.files = files_new(NULL)}};
        rules_init(&p.rules);
        p.rules.default_allow = next_random(&seed, 2) == 0;
        p.rules.deny_action = (enum rules_action)next_random(&seed, 3);
        for (unsigned line = 1, n = next_random(&seed, 9); line <= n; line++) {
            const bool allow = next_random(&seed, 2) == 0;
            char text[256];
            write_rule(&seed, allow, text);
            add(&p.rules, allow, text, line);
        }
        assert_true(rules_open(&p.rules, &p.sources, "rules", stderr));
        for (unsigned k = 0; k < 50; k++) {
            const struct rules_facts facts = random_facts(&seed, who);
            const struct rules_answer a = rules_decide(&p.rules, &facts);
            check_trace(&p.rules, &facts, &a);
            check_with_all_facts(&p.rules, facts, &a);
            undecided += a.verdict == RULES_UNDECIDED;
            denied += a.verdict == RULES_DENY && a.rule != 0;
            allowed += a.verdict == RULES_ALLOW && a.rule != 0;
        }
        fini_policy(&p);
    }
    assert_true(undecided > 500 && denied > 500 && allowed > 500);
}

static void needs_user(void **state)
{
    (void)state;
    struct rules r;
    rules_init(&r);
    assert_false(rules_needs_user(&r));
    add(&r, true, "10.0.0.0/8 host a.example", 1);
    assert_false(rules_needs_user(&r));
    add(&r, false, "10.0.0.0/8 user a", 2);
    assert_true(rules_needs_user(&r));
    rules_fini(&r);
    rules_fini(&r);
    assert_int_equal(r.count, 0);
}

/* The time of a day of the week that began on Monday, 5 January 1970, in UTC. */
static int64_t day(unsigned d, unsigned hour, unsigned minute)
{
    return 60 * (60 * (24 * (4 + (int64_t)d) + hour) + minute);
}

/* The hash changes exactly at the ends of windows: each row is the first second of a span in which
 * another set of windows is open. */
static void hours_change_at_the_ends_of_windows(void **state)
{
    static const struct {
        unsigned day, hour, minute;
        unsigned open; /* bit set of the rules */
    } spans[] = {
        {0, 0, 0, 0},  {0, 8, 0, 1}, {0, 12, 0, 2}, /* one ends as the next one begins */
        {0, 18, 0, 0}, {1, 8, 0, 1}, {1, 12, 0, 2}, {1, 18, 0, 0}, {4, 22, 0, 4}, {5, 6, 30, 0},
    };
    struct policy p;
    uint64_t hash[8] = {0};

    (void)state;
    rules_init(&p.rules);
    p.sources = (struct sources){.files = files_new(NULL)};
    add(&p.rules, true, "10.0.0.0/8 time Mon,Tue 08:00-12:00 UTC", 1);
    add(&p.rules, false, "user bob", 2);
    add(&p.rules, false, "any time Mon-Tue 12:00-18:00 UTC", 3);
    add(&p.rules, true, "any time Fri 22:00-06:30 UTC", 4);
    assert_true(rules_open(&p.rules, &p.sources, "rules", stderr));
    for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
        const int64_t from = day(spans[i].day, spans[i].hour, spans[i].minute);
        const uint64_t now = rules_hours(&p.rules, from);
        if (i > 0)
            assert_true(rules_hours(&p.rules, from - 1) == hash[spans[i - 1].open]);
        assert_true(hash[spans[i].open] == 0 || hash[spans[i].open] == now);
        hash[spans[i].open] = now;
    }
    for (unsigned a = 0; a < 8; a++)
        for (unsigned b = a + 1; b < 8; b++)
            if (hash[a] == hash[b])
                assert_true(hash[a] == 0);
    fini_policy(&p);
}

/* Local time decides, so the hash also changes with the clock. */
static void hours_of_a_zone(void **state)
{
    struct policy p;

    (void)state;
    rules_init(&p.rules);
    p.sources = (struct sources){.files = files_new(NULL)};
    add(&p.rules, true, "any time Mon-Sun 08:00-09:00 Europe/Berlin", 1);
    assert_true(rules_open(&p.rules, &p.sources, "rules", stderr));
    const int64_t winter = day(0, 0, 0), summer = 1720396800; /* 8 July 2024, midnight UTC */
    const uint64_t closed = rules_hours(&p.rules, winter);
    const uint64_t open = rules_hours(&p.rules, winter + 7 * 3600);
    assert_true(open != closed);
    assert_true(rules_hours(&p.rules, winter + 8 * 3600) == closed);
    assert_true(rules_hours(&p.rules, summer + 6 * 3600) == open);
    assert_true(rules_hours(&p.rules, summer + 7 * 3600) == closed);
    fini_policy(&p);
}

static void without_windows_hours_never_change(void **state)
{
    struct policy p;

    (void)state;
    rules_init(&p.rules);
    p.sources = (struct sources){.files = files_new(NULL)};
    const uint64_t none = rules_hours(&p.rules, 0);
    add(&p.rules, false, "user bob", 1);
    assert_true(rules_open(&p.rules, &p.sources, "rules", stderr));
    for (unsigned hour = 0; hour < 7 * 24; hour++)
        assert_true(rules_hours(&p.rules, day(0, hour, 0)) == none);
    fini_policy(&p);
}

static void patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *user;
        bool matches;
    } table[] = {
        {"*", "a", true},
        {"**", "a", true},
        {"?", "a", true},
        {"?", "ab", false},
        {"?*", "ab", true},
        {"a*b", "ab", true},
        {"a*b", "axxb", true},
        {"a*b", "axbx", false},
        {"*a*b*c", "xaxbxbxc", true},
        {"*a*b*c", "xaxcxb", false},
        {"*ab", "aab", true},
        {"*aab", "aaab", true},
        {"a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false},
        {"[a]", "a", false},
        {"[a]", "[A]", true},
        {"a", "D\\a", true},
        {"a", "D\\E\\a", true},
        {"a", "a@r@s", false},
        {"a@r", "a@r@s", false},
        {"a@r*", "a@r@s", true},
        {"a", "D\\a@r", true},
        {"D\\*", "d\\A", true},
        {"D\\*", "DD\\a", false},
        {"\xc3\xa4*", "\xc3\xa4x", true},
        {"j\xc3\xbcrgen", "J\xc3\x9cRGEN", true},
        {"J\xc3\x9cRGEN", "corp\\j\xc3\xbcrgen@x", true},
        {"j??rgen", "J\xc3\x9cRGEN", true}, /* two bytes */
        {"\xd0\x98*", "\xd0\xb8\xd0\xb2", true},
        {"j\xc3\xbcrgen", "jurgen", false},
        {"j\xc3\xbcrgen", "J\xdcRGEN", false}, /* another encoding */
        {"\"bob smith\"", "CORP\\Bob Smith", true},
        {"\"bob *\"", "bob smith", true},
        {"\"bob smith\"", "bob", false},
    };
    struct addr who;
    assert_int_equal(addr_parse("192.0.2.1:1", 0, &who), ERR_OK);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[128];
        struct rules r;
        rules_init(&r);
        snprintf(text, sizeof text, "user %s", table[i].pattern);
        add(&r, true, text, 1);
        const struct rules_facts f = {
            .client = &who, .user_known = RULES_USER_KNOWN, .user = span_str(table[i].user)};
        if ((rules_decide(&r, &f).verdict == RULES_ALLOW) != table[i].matches)
            fail_msg("%s %s", table[i].pattern, table[i].user);
        rules_fini(&r);
    }
}

/* A deny rule matches every user for whom some server may take the name: SoftEther takes
 * HUB\alice@foo for alice@foo, FreeRADIUS removes one realm or more. */
static void a_denial_holds_for_every_reading(void **state)
{
    static const struct {
        const char *pattern, *user;
        bool denies;
    } table[] = {
        {"alice", "alice@r@s", true},
        {"alice", "D\\E\\alice", true},
        {"alice@foo", "alice@foo", true},
        {"alice@foo", "HUB\\alice@foo", true},
        {"alice@foo", "alice@foo@h", true},
        {"alice@foo", "HUB\\alice@foo@h", true},
        {"alice@foo", "alice@foo@", true},
        {"alice@foo", "A\\B\\alice@foo", true},
        {"j\xc3\xbcrgen", "J\xc3\x9cRGEN@x", true},
        {"CORP\\bob", "CORP\\bob@x", true},
        {"CORP\\bob", "A\\CORP\\bob", true},
        {"alice@foo", "alice", false},
        {"alice@foo", "alice@food", false},
        {"alice@foo", "xalice@foo", false},
        {"CORP\\bob", "bob", false},
        {"CORP\\bob", "OTHER\\bob", false},
        {"?", "", false},
    };
    struct addr who;

    (void)state;
    assert_int_equal(addr_parse("192.0.2.1:1", 0, &who), ERR_OK);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[128];
        struct rules r;
        rules_init(&r);
        r.default_allow = true;
        snprintf(text, sizeof text, "user %s", table[i].pattern);
        add(&r, false, text, 1);
        const struct rules_facts f = {
            .client = &who, .user_known = RULES_USER_KNOWN, .user = span_str(table[i].user)};
        if ((rules_decide(&r, &f).verdict == RULES_DENY) != table[i].denies)
            fail_msg("%s %s", table[i].pattern, table[i].user);
        rules_fini(&r);
    }
}

static void what_cannot_be_opened_is_named(void **state)
{
    (void)state;
    struct policy p;
    char *problems;
    size_t n;
    FILE *f = open_memstream(&problems, &n);
    assert_non_null(f);
    rules_init(&p.rules);
    p.sources = (struct sources){.files = files_new(NULL)};
    add(&p.rules, true, "file nowhere.txt", 3);
    rules_add_file(&p.rules, false, POLICY "/nowhere.txt", 4);
    add(&p.rules, false, "time Mon 08:00-18:00 Europe/Berln", 5);
    add(&p.rules, false, "time Mon 08:00-18:00 Europe", 6);
    assert_false(rules_open(&p.rules, &p.sources, "f.conf", f));
    fclose(f);
    assert_string_equal(
        problems, "tests/policy/nowhere.txt: cannot be opened: No such file or directory\n"
                  "f.conf:3: allow: tests/policy/nowhere.txt cannot be used, see above\n"
                  "f.conf:4: deny-file: tests/policy/nowhere.txt cannot be used, see above\n"
                  "f.conf:5: deny: time zone Europe/Berln: /usr/share/zoneinfo/Europe/Berln: No "
                  "such file or directory\n"
                  "f.conf:6: deny: time zone Europe: /usr/share/zoneinfo/Europe: Is a directory\n");
    free(problems);
    fini_policy(&p);
}

static void unreached(void **state)
{
    (void)state;
    static const struct {
        const char *rules[4];
        const char *warnings; /* "LINE by LINE" for each; followed by "calls": not only addresses */
    } table[] = {
        {{"192.0.2.0/24", "198.51.100.0/24", "2001:db8::/32"}, ""},
        {{"192.0.2.1", "192.0.2.0/24"}, ""},
        {{"192.0.2.0/24", "192.0.2.1"}, "2 by 1\n"},
        {{"192.0.2.0/24", "192.0.2.0/24", "192.0.2.0/25"}, "2 by 1\n3 by 1\n"},
        {{"0.0.0.0/0", "::1", "127.0.0.1 user bob"}, "3 by 1\n"},
        {{"::ffff:192.0.2.0/120", "192.0.2.9"}, "2 by 1\n"},
        /* conditions of the earlier rule leave some calls to the later one; those of the later
           rule do not matter */
        {{"192.0.2.0/24 user bob", "192.0.2.1"}, ""},
        {{"192.0.2.0/24 host a.example", "192.0.2.1"}, ""},
        {{"192.0.2.0/24 sni a.example", "192.0.2.1"}, ""},
        {{"192.0.2.0/24 tenant a", "192.0.2.1"}, ""},
        {{"192.0.2.0/24 time Mon 08:00-18:00 UTC", "192.0.2.1"}, ""},
        {{"192.0.2.0/24", "192.0.2.1 user bob time Mon 08:00-18:00 UTC"}, "2 by 1\n"},
        {{"any", "192.0.2.1", "country DE", "file x"}, "2 by 1\n3 by 1\n4 by 1\n"},
        {{"any user bob", "any", "any user carol"}, "3 by 2\n"},
        {{"file x", "file x", "country DE", "country DE"}, "2 by 1\n4 by 3\n"},
        {{"file x", "file y", "country DE", "country FR"}, ""},
        /* the same conditions, in any order and case */
        {{"any host a.example", "192.0.2.1 host A.example user bob"}, "2 by 1 calls\n"},
        {{"any host a.example", "any host b.example", "any sni a.example"}, ""},
        {{"any tenant a time Mon 08:00-18:00 UTC", "any time Mon 08:00-18:00 UTC tenant A"},
         "2 by 1 calls\n"},
        {{"any time Mon 08:00-18:00 UTC", "any time Tue 08:00-18:00 UTC"}, ""},
        {{"any time Mon 08:00-18:00 UTC", "any time Mon 08:00-18:00 Europe/Berlin"}, ""},
        /* rules 1 and 3 allow; a deny rule matches more readings of a name */
        {{"any user bob", "any user bob", "any user bob"}, "3 by 1 calls\n"},
        {{"any tenant a", "any user bob", "any user BOB"}, "3 by 2 calls\n"},
        {{"192.0.2.0/24", "file x", "country DE", "any"}, ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char *have, *want;
        size_t n;
        FILE *to = open_memstream(&have, &n);
        struct rules r;
        rules_init(&r);
        for (unsigned k = 0; k < 4 && table[i].rules[k] != NULL; k++)
            add(&r, k % 2 == 0, table[i].rules[k], k + 1);
        rules_unreached(&r, "f.conf", "front", to);
        fclose(to);
        to = open_memstream(&want, &n);
        unsigned line, by;
        int used;
        for (const char *at = table[i].warnings; sscanf(at, "%u by %u%n", &line, &by, &used) == 2;
             at = strchr(at, '\n') + 1)
            fprintf(to,
                    "f.conf:%u: warning: listener front: this rule is never reached: the rule "
                    "on line %u matches all of its %s\n",
                    line, by, at[used] == ' ' ? "calls" : "addresses");
        fclose(to);
        assert_string_equal(have, want);
        free(have);
        free(want);
        rules_fini(&r);
    }
}

static void rules_that_match_no_call(void **state)
{
    static char name[] = "vpn.example", address[] = "10.0.0.1";
    char *const admitted[] = {name, address};
    char *have;
    size_t n;
    FILE *to = open_memstream(&have, &n);
    struct rules r;

    (void)state;
    rules_init(&r);
    add(&r, true, "any host vpn.example", 1);
    add(&r, true, "any host *.example", 2);
    add(&r, true, "any host 10.0.0.1 sni VPN.example", 3);
    add(&r, true, "any host other.example", 4);
    add(&r, false, "any sni *.vpn.example", 5);
    add(&r, false, "any user bob", 6);
    rules_without_match(&r, admitted, 0, "f.conf", "front", to);
    fflush(to);
    assert_string_equal(have, "");
    rules_without_match(&r, admitted, 2, "f.conf", "front", to);
    fclose(to);
    assert_string_equal(have, "f.conf:4: warning: listener front: this rule is never reached: the "
                              "listener does not admit the name 'other.example' (see `host`)\n"
                              "f.conf:5: warning: listener front: this rule is never reached: the "
                              "listener does not admit the name '*.vpn.example' (see `host`)\n");
    free(have);
    assert_true(rules_have(&r, true) && rules_have(&r, false));
    assert_int_equal(rules_catch_all_line(&r), 0);
    add(&r, true, "any", 7);
    assert_int_equal(rules_catch_all_line(&r), 7);
    rules_fini(&r);
    assert_false(rules_have(&r, true) || rules_have(&r, false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies),
        cmocka_unit_test(later_facts_change_no_verdict),
        cmocka_unit_test(random_rules_are_traced_as_they_decide),
        cmocka_unit_test(needs_user),
        cmocka_unit_test(hours_change_at_the_ends_of_windows),
        cmocka_unit_test(hours_of_a_zone),
        cmocka_unit_test(without_windows_hours_never_change),
        cmocka_unit_test(patterns),
        cmocka_unit_test(a_denial_holds_for_every_reading),
        cmocka_unit_test(what_cannot_be_opened_is_named),
        cmocka_unit_test(unreached),
        cmocka_unit_test(rules_that_match_no_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
