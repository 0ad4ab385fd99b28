/* Rules and cases are text: tests/policy/NAME.rules holds `allow NETWORK`, `deny NETWORK` and
 * `default allow|deny`, NAME.cases `VERDICT RULE ADDRESS`, where the first rule is 1 and the
 * default 0. */
#include "policy/acl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka wants the four above before it */
#include <cmocka.h>

enum { WORDS = 3 };

/* Opens tests/policy/NAME.EXT; the tests run in the project's folder. */
static FILE *open_policy(const char *name, const char *ext)
{
    char path[128];
    snprintf(path, sizeof path, "tests/policy/%s.%s", name, ext);
    FILE *f = fopen(path, "r");
    if (f == NULL)
        fail_msg("%s is missing", path);
    return f;
}

/* The next line that is not a comment, in words; false at the end of the file. */
static bool next_words(FILE *f, char word[WORDS][64], unsigned *line)
{
    char text[256];
    while (fgets(text, sizeof text, f) != NULL) {
        ++*line;
        word[0][0] = word[1][0] = word[2][0] = '\0';
        if (text[0] != '#' && sscanf(text, "%63s %63s %63s", word[0], word[1], word[2]) > 0)
            return true;
    }
    return false;
}

static void read_rules(struct acl *acl, const char *name)
{
    char word[WORDS][64];
    unsigned line = 0;
    FILE *f = open_policy(name, "rules");
    acl_init(acl);
    while (next_words(f, word, &line)) {
        struct cidr net;
        if (strcmp(word[0], "default") == 0) {
            acl->default_allow = strcmp(word[1], "allow") == 0;
            continue;
        }
        if (cidr_parse(word[1], &net) != ERR_OK)
            fail_msg("%s.rules:%u: %s", name, line, word[1]);
        acl_add(acl, &net, strcmp(word[0], "allow") == 0, line);
    }
    fclose(f);
}

static void run_cases(const char *name)
{
    struct acl acl;
    char word[WORDS][64];
    unsigned line = 0, rule = 0, cases = 0;
    read_rules(&acl, name);
    FILE *f = open_policy(name, "cases");
    while (next_words(f, word, &line)) {
        struct addr who;
        assert_int_equal(sscanf(word[1], "%u", &rule), 1);
        assert_int_equal(addr_parse(word[2], 50000, &who), ERR_OK);
        struct acl_verdict v = acl_decide(&acl, &who);
        if (v.allow != (strcmp(word[0], "allow") == 0) || v.rule != rule)
            fail_msg("%s.cases:%u: %s by rule %zu", name, line, v.allow ? "allow" : "deny", v.rule);
        assert_int_equal(v.line, v.rule == 0 ? 0 : acl.rules[v.rule - 1].line);
        cases++;
    }
    fclose(f);
    acl_fini(&acl);
    assert_true(cases > 0);
}

static void policies(void **state)
{
    (void)state;
    static const char *const names[] = {"first-match", "default-deny", "every-address", "no-rules"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        run_cases(names[i]);
}

static void fini_leaves_an_empty_list(void **state)
{
    (void)state;
    struct acl acl;
    struct addr who;
    read_rules(&acl, "default-deny");
    acl_fini(&acl);
    acl_fini(&acl);
    assert_int_equal(addr_parse("127.0.0.1:1", 0, &who), ERR_OK);
    assert_int_equal(acl_decide(&acl, &who).rule, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(policies),
        cmocka_unit_test(fini_leaves_an_empty_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
