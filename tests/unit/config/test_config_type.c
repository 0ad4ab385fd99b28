/* The values of all kinds of keys: config_type.c and config_type_*.c. */
#include "config/config_type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/value.h"
#include "config/config_fixture.h"

/* Returns the letter of file_with() for a line like "[backend]", which a case may begin with;
 * 0: another line. */
static char section_letter(const char *input)
{
    static const char *const headers[] = {"[gate]\n",   "[listener]\n",   "[backend]\n",
                                          "[radius]\n", "[unverified]\n", "[plain]\n"};
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        if (strncmp(input, headers[i], strlen(headers[i])) == 0)
            return headers[i][1];
    return '\0';
}

/* Calls each for the cases of a file. Returns their number. */
static unsigned run_values(const char *path,
                           void (*each)(char section, const char *lines, const char *expected))
{
    struct config_case c;
    char section = '\0';
    unsigned line = 0, cases = 0;
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (; case_next(f, &c, &line); cases++) {
        const char letter = section_letter(c.input);
        char *lines = letter == '\0' ? c.input : strchr(c.input, '\n') + 1;
        section = letter == '\0' ? section : letter;
        lines[strlen(lines) - 1] = '\0';
        each(section, lines, c.expected);
    }
    fclose(f);
    return cases;
}

static void assert_good(char section, const char *lines, const char *expected)
{
    char *text = file_with(section, lines);
    struct config *c = parse_good(text);
    char *first = print(c);
    if (strstr(first, expected) == NULL)
        fail_msg("%s\nbecame\n%s", lines, first);
    config_free(c);
    c = parse_good(first);
    char *second = print(c);
    assert_string_equal(first, second);
    config_free(c);
    free(text);
    free(first);
    free(second);
}

static void good_values_print_as_themselves(void **state)
{
    (void)state;
    assert_true(run_values("tests/config/good-values.cases", assert_good) >= 147);
}

static void assert_bad(char section, const char *lines, const char *expected)
{
    const int line = section == 'g' ? 2 : section == 'l' ? 5 : section == 'u' ? 8 : 9;
    char *text = file_with(section, lines), *whole = NULL;
    char *problems = problems_of(text, strlen(text));
    assert_true(asprintf(&whole, "%d: %s", line, expected) > 0);
    assert_string_equal(problems, whole);
    free(text);
    free(problems);
    free(whole);
}

static void bad_values_are_explained(void **state)
{
    (void)state;
    assert_true(run_values("tests/config/bad-values.cases", assert_bad) >= 110);
}

/* No part of the longest value is lost between the file and the field. */
static void the_longest_value_arrives_whole(void **state)
{
    (void)state;
    struct config *c = parse_good(MINIMAL "users-file=/" X1000 X10 X10 "xxx");
    assert_int_equal(strlen(c->backend[0].users_file), VALUE_TEXT_MAX);
    config_free(c);
}

static void lists_may_be_longer_than_a_line(void **state)
{
    (void)state;
    struct config *c = parse_good(LISTENER_TEXT "ciphers = " X50 X50 ":a\nciphers = " X50 X50
                                                ":b\nciphers = " X50 X50 ":c\n" BACKEND_TEXT);
    assert_string_equal(c->listener[0].ciphers, X50 X50 ":a:" X50 X50 ":b:" X50 X50 ":c");
    char *first = print(c);
    config_free(c);
    c = parse_good(first);
    assert_string_equal(c->listener[0].ciphers, X50 X50 ":a:" X50 X50 ":b:" X50 X50 ":c");
    config_free(c);
    free(first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_values_print_as_themselves),
        cmocka_unit_test(bad_values_are_explained),
        cmocka_unit_test(the_longest_value_arrives_whole),
        cmocka_unit_test(lists_may_be_longer_than_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
