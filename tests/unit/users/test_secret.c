#include "users/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static char path[] = "/tmp/test_secret.XXXXXX";

static int setup(void **state)
{
    (void)state;
    const int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path);
}

/* Returns the secret, or the problem, to be freed. */
static struct secret *load(const char *text, size_t n, mode_t mode, char **said)
{
    size_t len;
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
    FILE *problems = open_memstream(said, &len);
    assert_non_null(problems);
    struct secret *s = secret_load(path, problems);
    fclose(problems);
    assert_true((s == NULL) == (len > 0));
    return s;
}

#define TEXT(text) text, sizeof text - 1

static void good(void **state)
{
    (void)state;
    char longest[SECRET_MAX];
    memset(longest, 'x', sizeof longest);
    const struct {
        const char *text;
        size_t n;
        const char *secret;
        size_t len;
        mode_t mode;
    } cases[] = {
        {TEXT("testing123\n"), TEXT("testing123"), 0600},
        {TEXT("testing123"), TEXT("testing123"), 0600},
        {TEXT("testing123\r\nand more\n"), TEXT("testing123"), 0640},
        {TEXT(" blanks belong to it \n"), TEXT(" blanks belong to it "), 0400},
        {TEXT("nul \0 and \xff\n"), TEXT("nul \0 and \xff"), 0600},
        {longest, SECRET_MAX, longest, SECRET_MAX, 0600},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *said;
        struct secret *s = load(cases[i].text, cases[i].n, cases[i].mode, &said);
        assert_non_null(s);
        assert_true(span_eq(secret_span(s), span_of(cases[i].secret, cases[i].len)));
        secret_free(s);
        free(said);
    }
    secret_free(NULL);
}

/* A problem names the path, and never the content. */
static void bad(void **state)
{
    (void)state;
    char longest[SECRET_MAX + 1];
    memset(longest, 'x', sizeof longest);
    const struct {
        const char *text;
        size_t n;
        mode_t mode;
        const char *says;
    } cases[] = {
        {TEXT(""), 0600, "empty"},
        {TEXT("\nquiet\n"), 0600, "empty"},
        {TEXT("\r\n"), 0600, "empty"},
        {TEXT("quiet\n"), 0604, "accessible to other users"},
        {TEXT("quiet\n"), 0602, "accessible to other users"},
        {longest, SECRET_MAX + 1, 0600, "too long"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *said;
        assert_null(load(cases[i].text, cases[i].n, cases[i].mode, &said));
        assert_non_null(strstr(said, cases[i].says));
        assert_int_equal(strncmp(said, path, strlen(path)), 0);
        assert_null(strstr(said, "quiet"));
        assert_null(strstr(said, "xxx"));
        free(said);
    }
    FILE *problems = fopen("/dev/null", "w");
    assert_non_null(problems);
    assert_null(secret_load("/tmp", problems));
    assert_null(secret_load("/tmp/there/is/nothing/here", problems));
    fclose(problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(good), cmocka_unit_test(bad)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
