/* config_fixture: minimal sections, helpers, and a reader of the cases in tests/config. Include
 * it after cmocka.h. Its static functions are not all used by every test. */
#ifndef SSTPGATE_TESTS_CONFIG_FIXTURE_H
#define SSTPGATE_TESTS_CONFIG_FIXTURE_H

#include "config/config_load.h"

/* Complete sections, to which a case adds lines. Three lines each. */
#define LISTENER_TEXT "[listener a]\nlisten = 127.0.0.1:0\ncertificate = c.pem\n"
#define BACKEND_TEXT "[backend b]\nserver = s\nverify = off\n"
/* A backend without `verify`, and one that speaks plain HTTP. */
#define UNVERIFIED_TEXT "[backend b]\nserver = s\n"
#define PLAIN_TEXT "[backend b]\nserver = s\ntls = no\n"
#define RADIUS_TEXT                                                                                \
    "[radius r]\nlisten = 127.0.0.1:0\nclients = 127.0.0.1\nsecret-file = s\nserver = r\n"
#define MINIMAL LISTENER_TEXT BACKEND_TEXT
#define SHA1 "000102030405060708090a0b0c0d0e0f10111213"
#define X10 "xxxxxxxxxx"
#define X50 X10 X10 X10 X10 X10
#define X1000 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50 X50

#define MAYBE_UNUSED __attribute__((unused))

MAYBE_UNUSED static struct config *parse(const char *text, size_t len, char **problems)
{
    size_t n;
    FILE *f = open_memstream(problems, &n);
    assert_non_null(f);
    struct config *c = config_parse("/etc/gate/f.conf", text, len, f);
    fclose(f);
    return c;
}

/* Returns the problems of text, without the path in front of each line. */
MAYBE_UNUSED static char *problems_of(const char *text, size_t len)
{
    char *problems, *out = NULL;
    size_t n;
    config_free(parse(text, len, &problems));
    FILE *f = open_memstream(&out, &n);
    assert_non_null(f);
    static const char path[] = "/etc/gate/f.conf:";
    for (char *line = strtok(problems, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        assert_int_equal(strncmp(line, path, strlen(path)), 0);
        fprintf(f, "%s\n", line + strlen(path));
    }
    fclose(f);
    free(problems);
    return out;
}

MAYBE_UNUSED static char *print(const struct config *c)
{
    char *out;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    assert_non_null(f);
    config_print(c, f);
    fclose(f);
    return out;
}

MAYBE_UNUSED static struct config *parse_good(const char *text)
{
    char *problems;
    struct config *c = parse(text, strlen(text), &problems);
    if (!c->sound)
        fail_msg("%s\n%s", text, problems);
    assert_string_equal(problems, "");
    free(problems);
    return c;
}

/* Returns a file with lines added to its section of this kind: g, l, b, r; u: a backend without
 * verify; p: a backend with tls = no. The added lines start on line 2 in [gate], 5 in
 * [listener], 8 after u, and 9 in the other backends. */
MAYBE_UNUSED static char *file_with(char section, const char *lines)
{
    char *text = NULL;
    const char *backend = section == 'u'   ? UNVERIFIED_TEXT
                          : section == 'p' ? PLAIN_TEXT
                                           : BACKEND_TEXT;
    const bool in_backend = strchr("bup", section) != NULL;
    int n = asprintf(&text, "%s%s\n" LISTENER_TEXT "%s%s\n%s%s\n%s%s\n",
                     section == 'g' ? "[gate]\n" : "", section == 'g' ? lines : "",
                     section == 'r' ? "backend = b\n" : "", section == 'l' ? lines : "", backend,
                     in_backend ? lines : "", section == 'r' ? RADIUS_TEXT : "",
                     section == 'r' ? lines : "");
    assert_true(n > 0);
    return text;
}

/* ---- cases as text: lines of a configuration, then `> ` and the expected lines --------------- */

struct config_case {
    char input[8192], expected[8192]; /* each line ends with \n */
    unsigned line;                    /* of the first line */
};

static void case_append(char *to, const char *text)
{
    assert_true(strlen(to) + strlen(text) < sizeof((struct config_case *)0)->input);
    strcat(to, text);
}

/* Returns the minimal section for a line like "<backend>"; for other lines the line itself. */
static const char *case_expand(const char *line)
{
    return strcmp(line, "<listener>\n") == 0     ? LISTENER_TEXT
           : strcmp(line, "<backend>\n") == 0    ? BACKEND_TEXT
           : strcmp(line, "<unverified>\n") == 0 ? UNVERIFIED_TEXT
           : strcmp(line, "<plain>\n") == 0      ? PLAIN_TEXT
                                                 : line;
}

/* Reads the next case, after comments and empty lines. *line: the number of lines read before.
 * Returns false at the end of the file. */
MAYBE_UNUSED static bool case_next(FILE *f, struct config_case *c, unsigned *line)
{
    char text[4096];
    *c = (struct config_case){.input = ""};
    for (;;) {
        const int first = fgetc(f);
        if (first == EOF || (first != '>' && *c->expected != '\0')) {
            ungetc(first, f);
            return *c->expected != '\0';
        }
        ungetc(first, f);
        assert_non_null(fgets(text, sizeof text, f));
        ++*line;
        if (first == '#' || first == '\n')
            continue;
        if (c->line == 0)
            c->line = *line;
        if (first == '>')
            case_append(c->expected, text + 2);
        else
            case_append(c->input, case_expand(text));
    }
}

/* Compares the problems of each configuration in a file of cases. Returns their number. */
MAYBE_UNUSED static unsigned run_files(const char *path)
{
    struct config_case c;
    unsigned line = 0, cases = 0;
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    for (; case_next(f, &c, &line); cases++) {
        char *problems = problems_of(c.input, strlen(c.input));
        if (strcmp(problems, c.expected) != 0)
            fail_msg("%s:%u:\n%sinstead of\n%s", path, c.line, problems, c.expected);
        free(problems);
    }
    fclose(f);
    return cases;
}

#endif
