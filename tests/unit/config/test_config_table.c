#include "config/config_table.h"

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
#include "config/config_read.h"
#include "config/config_fixture.h"

static char *reference(void)
{
    char *out;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    assert_non_null(f);
    config_print_reference(f);
    fclose(f);
    return out;
}

/* Reads the next row of the reference: the letter of its section, and its name. Returns false at
 * the end. */
static bool next_row(char **at, char *section, char name[64])
{
    for (; **at != '\0'; *at = strchr(*at, '\n') + 1) {
        if (**at == '[')
            *section = (*at)[1];
        else if (sscanf(*at, "%63[a-z0-9-] =", name) == 1) {
            *at = strchr(*at, '\n') + 1;
            return true;
        }
    }
    return false;
}

/* Returns the whole file. */
static char *file_text(const char *path)
{
    size_t len;
    char *text = config_read_file(path, &len, stderr);
    assert_non_null(text);
    text = realloc(text, len + 1);
    assert_non_null(text);
    text[len] = '\0';
    return text;
}

static void every_key_is_documented_and_tested(void **state)
{
    (void)state;
    char *all = reference(), *at = all, section = '?', name[64];
    char *good = file_text("tests/config/good-values.cases");
    unsigned rows = 0;
    while (next_row(&at, &section, name)) {
        char help[512], fallback[256];
        assert_int_equal(sscanf(at, " %511[^\n] %255[^\n]", help, fallback), 2);
        assert_true(strlen(help) > 10 && help[strlen(help) - 1] == '.');
        assert_true(strncmp(fallback, "default: ", 9) == 0 ||
                    strncmp(fallback, "required", 8) == 0);
        /* A case tests its parser with a good value. */
        char *line = NULL, *expected = NULL;
        assert_true(asprintf(&line, "%s =", name) > 0);
        char *text = file_with(section, line), *problems = problems_of(text, strlen(text));
        bool tried = strstr(LISTENER_TEXT, line) != NULL || strstr(BACKEND_TEXT, line) != NULL ||
                     strstr(RADIUS_TEXT, line) != NULL;
        tried = tried || strstr(good, line) != NULL;
        if (!tried)
            fail_msg("tests/config/good-values.cases has no line for %s", name);
        assert_true(asprintf(&expected, "%s: the value is missing\n", name) > 0);
        if (strstr(problems, expected) == NULL && strstr(problems, "is already set") == NULL)
            fail_msg("%s", problems);
        free(line);
        free(text);
        free(problems);
        free(expected);
        rows++;
    }
    assert_true(rows >= 39); /* the reference is complete */
    free(all);
    free(good);
}

/* Returns the section of the sample whose header starts with this letter. */
static char *sample_section(const char *sample, char letter)
{
    char header[] = {'\n', ';', '[', letter, '\0'};
    const char *start = strstr(sample, header);
    if (start == NULL) {
        memmove(header + 1, header + 2, 3);
        start = strstr(sample, header);
    }
    assert_non_null(start);
    const char *end = strstr(start + 1, "\n[");
    return strndup(start, end == NULL ? strlen(start) : (size_t)(end - start));
}

static void the_sample_has_every_key(void **state)
{
    (void)state;
    char *all = reference(), *at = all, *sample = file_text("conf/sstpgate.conf"), section = '?',
         name[64];
    while (next_row(&at, &section, name)) {
        char set[80], shown[80], *part = sample_section(sample, section);
        snprintf(set, sizeof set, "\n%s = ", name);
        snprintf(shown, sizeof shown, "\n;%s = ", name);
        if (strstr(part, set) == NULL && strstr(part, shown) == NULL)
            fail_msg("conf/sstpgate.conf has no line for %s in its section [%c...]", name, section);
        free(part);
    }
    free(all);
    free(sample);
}

/* Each line ";key = value" of the sample is valid. Those of [gate] show the defaults, if these
 * are values. */
static void the_sample_can_be_believed(void **state)
{
    (void)state;
    static const char *const radius[] = {"\n;[radius ",
                                         "\n;listen = 10.0.0.1:1812",
                                         "\n;accounting-listen = ",
                                         "\n;clients = ",
                                         "\n;secret-file = ",
                                         "\n;server = 10.0.0.9",
                                         "\n;accounting-server = "};
    char *sample = file_text("conf/sstpgate.conf"), *effective;
    /* The example of [radius NAME] is valid only as a whole. */
    for (size_t i = 0; i < sizeof radius / sizeof *radius; i++) {
        char *line = strstr(sample, radius[i]);
        assert_non_null(line);
        line[1] = ' ';
    }
    struct config *c = parse_good(sample);
    effective = print(c);
    config_free(c);
    const char *gate_end = strstr(sample, "\n[listener");
    for (char *p = strchr(sample, '\n'); p != NULL; p = strchr(p + 1, '\n')) {
        if (p[1] != ';' || p[2] < 'a' || p[2] > 'z')
            continue;
        p[1] = ' ';
        char *problems;
        c = parse(sample, strlen(sample), &problems);
        /* Keys for another value of `verify` contradict the sample, and one names a backend that
         * the sample does not define. */
        if (!c->sound && strstr(problems, "is used only with") == NULL &&
            strstr(problems, "there is no [backend site]") == NULL &&
            strstr(problems, "without accept-proxy") == NULL)
            fail_msg("%s", problems);
        char *none = NULL;
        assert_true(asprintf(&none, "\n; %.*s: ", (int)strcspn(p + 2, " "), p + 2) > 0);
        bool has_default = strstr(effective, none) == NULL;
        free(none);
        if (p < gate_end && has_default) {
            char *now = print(c);
            assert_string_equal(now, effective);
            free(now);
        }
        config_free(c);
        free(problems);
        p[1] = ';';
    }
    free(effective);
    free(sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_documented_and_tested),
        cmocka_unit_test(the_sample_has_every_key),
        cmocka_unit_test(the_sample_can_be_believed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
