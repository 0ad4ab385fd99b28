/* The words about each result of a rule: which condition failed, with the value and what the rule
 * has. */
#include "policy/rules_words.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/memo.h"
#include "policy/rules_read.h"
#include "policy/sources.h"

#define POLICY "tests/policy" /* the tests run in the root of the tree */

enum { MONDAY = 1704096000 }; /* 2024-01-01 08:00 UTC */

struct words {
    const struct rules *rules;
    const struct rules_facts *facts;
    FILE *out;
};

static void on_step(void *arg, const struct rules_step *step)
{
    const struct words *w = arg;
    rules_words(w->rules, w->facts, step, w->out);
}

/* Returns the words about one rule, in m. */
static char *words_of(bool allow, const char *text, const struct rules_facts *facts, struct memo *m)
{
    struct sources from = {.files = files_new(NULL)};
    char problem[RULES_PROBLEM_MAX];
    struct rules r;

    rules_init(&r);
    if (!rules_add(&r, allow, text, POLICY, 1, problem))
        fail_msg("%s: %s", text, problem);
    assert_true(rules_open(&r, &from, "rules", stderr));
    struct words w = {.rules = &r, .facts = facts, .out = memo_open(m)};
    rules_trace(&r, facts, on_step, &w);
    rules_fini(&r);
    files_free(from.files);
    return memo_text(m);
}

static void each_condition_in_words(void **state)
{
    static const struct {
        const char *rule, *words;
    } table[] = {
        {"any", "matches"},
        {"192.0.2.0/24", "10.0.0.1 is not in 192.0.2.0/24"},
        {"192.0.2.7", "10.0.0.1 is not in 192.0.2.7"},
        {"file partners.txt", "10.0.0.1 is in no network of " POLICY "/partners.txt"},
        {"time Tue-Wed 08:00-18:00 UTC", "Mon 08:00 in UTC is not within Tue-Wed 08:00-18:00"},
        {"time Mon 08:00-09:00 Asia/Tokyo",
         "Mon 17:00 in Asia/Tokyo is not within Mon 08:00-09:00"},
        {"host b.example", "host 'a.example:443' does not match 'b.example'"},
        {"host a.example", "matches"},
        {"sni b.example", "no sni is sent, and the rule has 'b.example'"},
        {"tenant red", "tenant 'blue' does not match 'red'"},
        {"user \"bob smith\"", "user 'CORP\\alice' does not match 'bob smith'"},
        {"user Bob", "user 'CORP\\alice' does not match 'bob'"},
        {"user alice host *.other", "host 'a.example:443' does not match '*.other'"},
        {"10.0.0.0/8 user alice host a.example tenant BLUE", "matches"},
    };
    struct addr who;

    (void)state;
    assert_int_equal(addr_parse("10.0.0.1:1", 0, &who), ERR_OK);
    const struct rules_facts facts = {.client = &who,
                                      .now = MONDAY,
                                      .request = RULES_REQUEST,
                                      .host = span_str("a.example:443"),
                                      .tenant = span_str("blue"),
                                      .user_known = RULES_USER_KNOWN,
                                      .user = span_str("CORP\\alice")};
    for (size_t i = 0; i < 2 * (sizeof table / sizeof *table); i++) {
        struct memo m;
        assert_string_equal(words_of(i % 2 == 0, table[i / 2].rule, &facts, &m),
                            table[i / 2].words);
        memo_free(&m);
    }
}

static void a_network_of_a_file_is_named(void **state)
{
    struct addr who;
    struct memo m;

    (void)state;
    assert_int_equal(addr_parse("192.0.2.77:1", 0, &who), ERR_OK);
    const struct rules_facts facts = {.client = &who};
    const char *words = words_of(true, "file partners.txt", &facts, &m);
    assert_non_null(strstr(words, "matches: 192.0.2.77 is in " POLICY "/partners.txt:"));
    memo_free(&m);
}

static void missing_facts_are_named(void **state)
{
    static const struct {
        const char *rule;
        unsigned request;
        const char *words;
    } table[] = {
        {"user bob", RULES_REQUEST, "depends on user"},
        {"host a.example", 0, "depends on host"},
        {"host a.example user bob", RULES_HOST, "no host is sent, and the rule has 'a.example'"},
        {"host a.example sni a.example", 0, "depends on host and sni"},
        {"host a.example sni a.example tenant x user y", 0,
         "depends on host, sni, tenant and user"},
        {"sni a.example tenant x", RULES_HOST, "depends on sni and tenant"},
    };
    struct addr who;

    (void)state;
    assert_int_equal(addr_parse("10.0.0.1:1", 0, &who), ERR_OK);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const struct rules_facts facts = {.client = &who, .request = table[i].request};
        struct memo m;
        const char *words = words_of(false, table[i].rule, &facts, &m);
        assert_string_equal(words, table[i].words);
        memo_free(&m);
    }
}

static void a_user_that_no_login_shows(void **state)
{
    struct addr who;
    struct memo m;

    (void)state;
    assert_int_equal(addr_parse("10.0.0.1:1", 0, &who), ERR_OK);
    const struct rules_facts facts = {.client = &who, .user_known = RULES_USER_DOUBTFUL};
    assert_string_equal(words_of(true, "user bob", &facts, &m),
                        "the login shows no reliable user, and only such a user is allowed");
    memo_free(&m);
    assert_string_equal(
        words_of(false, "user bob", &facts, &m),
        "matches: the login shows no reliable user name, so its user may be that of this rule");
    memo_free(&m);
}

static void values_cannot_imitate_a_line(void **state)
{
    struct addr who;
    struct memo m;

    (void)state;
    assert_int_equal(addr_parse("10.0.0.1:1", 0, &who), ERR_OK);
    const struct rules_facts facts = {
        .client = &who, .user_known = RULES_USER_KNOWN, .user = span_str("a\n\x1b[31m\xff")};
    assert_string_equal(words_of(true, "user bob", &facts, &m),
                        "user 'a\\u000a\\u001b[31m\\udcff' does not match 'bob'");
    memo_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_condition_in_words),
        cmocka_unit_test(a_network_of_a_file_is_named),
        cmocka_unit_test(missing_facts_are_named),
        cmocka_unit_test(a_user_that_no_login_shows),
        cmocka_unit_test(values_cannot_imitate_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
