/* The options and the times of `explain`. */
#include "explain/explain_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "policy/rules.h"
#include "policy/rules_read.h"

/* Reads options that are separated by blanks. */
static bool read_line(const char *line, struct explain_query *q, char error[EXPLAIN_ERROR_MAX])
{
    static char text[512];
    char *words[32], *rest = text;
    size_t n = 0;

    strcpy(text, line);
    for (char *word; (word = strsep(&rest, " ")) != NULL && *word != '\0';)
        words[n++] = word;
    return explain_query_read(words, n, q, error);
}

static void options(void **state)
{
    char error[EXPLAIN_ERROR_MAX];
    struct explain_query q;

    (void)state;
    assert_true(read_line("--listener a --address 192.0.2.1", &q, error));
    assert_string_equal(q.listener, "a");
    assert_int_equal(q.address.family, AF_INET);
    assert_null(q.user);
    assert_null(q.host);
    assert_false(q.json);
    assert_true(read_line("--user=bob --host=h:443 --sni= --tenant t --json --at x "
                          "--address [2001:db8::1] --listener b",
                          &q, error));
    assert_string_equal(q.user, "bob");
    assert_string_equal(q.host, "h:443");
    assert_string_equal(q.sni, ""); /* known: none is sent */
    assert_string_equal(q.tenant, "t");
    assert_true(q.json);
    assert_int_equal(q.address.family, AF_INET6);
    assert_true(read_line("--listener a --address ::ffff:192.0.2.1", &q, error));
    assert_int_equal(q.address.family, AF_INET); /* as the rules see it */
    assert_true(read_line("--user=a\x1b\n --tenant \x7f --listener a --address ::1", &q, error));
    assert_string_equal(q.user, "a\x1b\n"); /* what a client may send */
    assert_true(read_line("--new f --json", &q, error));
    assert_string_equal(q.new_file, "f");
}

static void bad_options(void **state)
{
    static const struct {
        const char *line, *error;
    } table[] = {
        {"", "--listener NAME is missing"},
        {"--listener a", "--address ADDRESS is missing"},
        {"--listener", "--listener needs NAME"},
        {"--listener a --listener b", "--listener is set twice"},
        {"--user a --user b", "--user is set twice"},
        {"--listener a --address 1.2.3", "--address: '1.2.3' is not an IP address"},
        {"--listener a --address 1.2.3.0/24", "--address: '1.2.3.0/24' is not an IP address"},
        {"--listener a --address 0.0.0.0", "--address: '0.0.0.0' is not an IP address"},
        {"--listener a --address host", "--address: 'host' is not an IP address"},
        {"--lisener a", "unknown option '--lisener'; did you mean '--listener'?"},
        {"--json=x", "unknown option '--json=x'"},
        {"word", "unknown option 'word'"},
        {"--listener a --address ::1 --host \xc3\xa4", "--host: '\xc3\xa4' is not a name"},
        {"--listener a\nok", "word 1 has a character that cannot be seen"},
        {"--user a --listener\x1b[2J", "word 3 has a character that cannot be seen"},
        {"--sni=\xc2\x9b", "word 1 has a character that cannot be seen"},
        {"--new f --at x", "--new is used without other options"},
    };
    char error[EXPLAIN_ERROR_MAX];
    struct explain_query q;

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (read_line(table[i].line, &q, error) || strstr(error, table[i].error) != error)
            fail_msg("%s: %s", table[i].line, error);
    }
}

static void times(void **state)
{
    static const struct {
        const char *text;
        int64_t time; /* -1: an error */
    } table[] = {
        {"1970-01-02T00:00:00Z", 86400},
        {"1970-01-02t00:00:00z", 86400},
        {"1970-01-02 00:00:30.999Z", 86430},
        {"1970-01-02T02:00:00+02:00", 86400},
        {"1970-01-01T22:30:00-01:30", 86400},
        {"1970-01-02T00:00Z", 86400},
        {"1970-01-02 00:00", 54000}, /* in Tokyo, the zone of the rule */
        {"1970-01-02T00:00:01", 54001},
        {"2024-02-29T00:00:00Z", 1709164800},
        {"2023-02-29T00:00:00Z", -1},
        {"2024-13-01T00:00:00Z", -1},
        {"2024-01-01T24:00:00Z", -1},
        {"2024-01-01T00:60:00Z", -1},
        {"2024-01-01", -1},
        {"2024-01-01T00:00:00+2:00", -1},
        {"2024-01-01T00:00:00+02:60", -1},
        {"2024-01-01T00:00:00ZZ", -1},
        {"24-01-01 00:00", -1},
        {"now", -1},
        {"", -1},
    };
    char error[EXPLAIN_ERROR_MAX], problem[RULES_PROBLEM_MAX];
    struct rules rules;

    (void)state;
    rules_init(&rules);
    assert_true(rules_add(&rules, true, "time Mon 08:00-09:00 Asia/Tokyo", "/", 1, problem));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        int64_t t = -1;
        if (explain_query_time(table[i].text, &rules, &t, error) != (table[i].time >= 0) ||
            (table[i].time >= 0 && t != table[i].time))
            fail_msg("%s: %lld", table[i].text, (long long)t);
    }
    rules_fini(&rules);
}

static void every_option_is_listed(void **state)
{
    char *text;
    size_t size, n = 0;
    FILE *out = open_memstream(&text, &size);

    (void)state;
    assert_non_null(out);
    explain_query_help(out);
    fclose(out);
    for (; explain_query_option(n) != NULL; n++)
        assert_non_null(strstr(text, explain_query_option(n)));
    assert_int_equal(n, 9);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options),
        cmocka_unit_test(bad_options),
        cmocka_unit_test(times),
        cmocka_unit_test(every_option_is_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
