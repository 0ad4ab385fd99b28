#include "config/config_load.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/files.h"
#include "config/config_fixture.h"

static void problems_of_sections_and_keys(void **state)
{
    (void)state;
    assert_true(run_files("tests/config/load.cases") >= 25);
}

static char *load_problems(const char *path)
{
    char *problems;
    size_t n;
    FILE *f = open_memstream(&problems, &n);
    assert_non_null(f);
    struct config *c = config_load(path, f);
    struct files *files = files_new(NULL);
    if (c != NULL) {
        const bool opened = config_open(c, files, f);
        assert_false(c->sound && opened);
    }
    config_free(c);
    files_free(files);
    fclose(f);
    return problems;
}

static void what_cannot_be_read_is_named(void **state)
{
    (void)state;
    char *problems = load_problems("/nowhere/f.conf");
    assert_string_equal(problems, "/nowhere/f.conf: cannot be opened: No such file or directory\n");
    free(problems);
    problems = load_problems("/");
    assert_string_equal(problems, "/: cannot be opened: Is a directory\n");
    free(problems);
    problems = load_problems("/dev/zero");
    assert_string_equal(problems, "/dev/zero: cannot be opened: not a regular file\n");
    free(problems);
}

/* The socket of a running gate is found, even if its configuration has errors. */
static void admin_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *text, *admin, *problems; /* problems without the path */
    } table[] = {
        {"[gate]\nadmin = unix:/run/a\n" MINIMAL, "/run/a", ""},
        {"[gate]\nadmin = unix:/run/a\nbanana = 1\n[listener a]\nlisten = x\n", "/run/a", ""},
        {"[gate\n" MINIMAL, NULL, "1: a section"},
        {MINIMAL, NULL, " `admin` is not set in [gate]"},
        {"[gate]\nadmin = tcp:80\n", NULL, "2: admin: 'tcp:80' is not"},
    };
    char path[] = "/tmp/test_config.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char *problems;
        size_t n, len = strlen(table[i].text);
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, table[i].text, len, 0), len);
        FILE *f = open_memstream(&problems, &n);
        assert_non_null(f);
        char *admin = config_find_admin(path, f);
        fclose(f);
        if (table[i].admin == NULL) {
            assert_null(admin);
            assert_int_equal(strncmp(problems, path, strlen(path)), 0);
            assert_int_equal(
                strncmp(problems + strlen(path) + 1, table[i].problems, strlen(table[i].problems)),
                0);
        } else {
            assert_string_equal(admin, table[i].admin);
            assert_string_equal(problems, "");
        }
        free(admin);
        free(problems);
    }
    close(fd);
    unlink(path);
}

/* Writes a configuration with these lines in its listener. Returns its problems. */
static char *listener_problems(const char *lines)
{
    char dir[] = "/tmp/config.XXXXXX", path[64], *problems;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/f.conf", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, LISTENER_TEXT "%s" BACKEND_TEXT, lines);
    fclose(f);
    problems = load_problems(path);
    unlink(path);
    rmdir(dir);
    for (char *p; (p = strstr(problems, dir)) != NULL;)
        memmove(p, p + strlen(dir), strlen(p + strlen(dir)) + 1);
    return problems;
}

static void what_rules_name_is_opened(void **state)
{
    (void)state;
    char *problems = listener_problems("allow-file = none.txt\n"
                                       "deny = time Mon 00:00-24:00 Moon/Crater\n"
                                       "[gate]\ncountry-file = none.mmdb\n");
    assert_non_null(strstr(problems, "/none.mmdb: "));
    assert_non_null(strstr(problems, "/f.conf:7: country-file cannot be used, see above\n"));
    assert_non_null(strstr(problems, "/none.txt: cannot be opened: No such file or directory\n"
                                     "/f.conf:4: allow-file: /none.txt cannot be used, see above\n"
                                     "/f.conf:5: deny: time zone Moon/Crater: "));
    free(problems);
}

/* Relative paths in the file become absolute, even if the path of the file is relative. */
static void paths_start_at_the_file(void **state)
{
    (void)state;
    char *here = getcwd(NULL, 0), *expected = NULL;
    struct config *c = config_load("conf/demo.ini", stderr);
    assert_non_null(c);
    assert_true(asprintf(&expected, "%s/conf/../build/demo/users", here) > 0);
    assert_string_equal(c->backend[0].users_file, expected);
    config_free(c);
    free(here);
    free(expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(problems_of_sections_and_keys),
        cmocka_unit_test(what_cannot_be_read_is_named),
        cmocka_unit_test(admin_is_found),
        cmocka_unit_test(what_rules_name_is_opened),
        cmocka_unit_test(paths_start_at_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
