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
    char longest_marked[3 + SECRET_MAX + 2] = "\xef\xbb\xbf";
    memcpy(longest_marked + 3, longest, SECRET_MAX);
    memcpy(longest_marked + 3 + SECRET_MAX, "\r\n", 2);
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
        {TEXT("mounted\n"), TEXT("mounted"), 0440},
        {TEXT("nul \0 and \xff\n"), TEXT("nul \0 and \xff"), 0600},
        {longest, SECRET_MAX, longest, SECRET_MAX, 0600},
        {longest_marked, sizeof longest_marked, longest, SECRET_MAX, 0600},
        {TEXT("\xef\xbb\xbftesting123\r\n"), TEXT("testing123"), 0600},
        {TEXT("a\xc2\xa0z\n\xc2\xa0"), TEXT("a\xc2\xa0z"), 0600},
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
    char longest[SECRET_MAX + 1], longest_more[2000];
    memset(longest, 'x', sizeof longest);
    memset(longest_more, 'x', sizeof longest_more);
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
        {TEXT("quiet\n"), 0644, "(mode 0644), but it contains secrets: run chmod o= on it"},
        {TEXT("quiet\n"), 0444, "defaultMode: 0440 and fsGroup in Kubernetes, mode: 0440 and gid"},
        {TEXT("quiet\n"), 0602, "accessible to other users"},
        {longest, SECRET_MAX + 1, 0600, "too long"},
        {longest_more, sizeof longest_more, 0600, "too long"},
        {TEXT("\xef\xbb\xbf\r\n"), 0600, "empty"},
        {TEXT("\xff\xfeq\0u\0"), 0600, ": UTF-16, as PowerShell"},
        {TEXT("q\0u\0i\0e\0t\0\r\0\n\0"), 0600, ": UTF-16, as PowerShell"},
        {TEXT("quiet\xc2\xa0\r\n"), 0600,
         "begins or ends with U+00A0 NO-BREAK SPACE, which cannot be seen"},
        {TEXT("\xe2\x80\x8equiet\n"), 0600, "U+200E LEFT-TO-RIGHT MARK"},
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
