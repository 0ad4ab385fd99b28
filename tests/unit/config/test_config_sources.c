/* The files of a configuration: which are included, in which order, and what is reported. */
#include "config/config_sources.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/memo.h"
#include "config/config_fixture.h"

/* The name has characters of patterns, which only the value of `include` may use. */
static char folder[] = "/tmp/sstpgate-[a]*-XXXXXX";

static void in_folder(char out[128], const char *name)
{
    snprintf(out, 128, "%s/%s", folder, name);
}

static void put(const char *name, const char *text)
{
    char path[128];
    in_folder(path, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void drop(const char *name)
{
    char path[128];
    in_folder(path, name);
    assert_int_equal(remove(path), 0);
}

static int setup(void **state)
{
    char path[128];
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    in_folder(path, "conf.d");
    return mkdir(path, 0700);
}

static int teardown(void **state)
{
    (void)state;
    drop("conf.d");
    drop("main.conf");
    return rmdir(folder);
}

/* Loads main.conf with this text. Returns its problems without the folder, or what is printed. */
static char *load(const char *text)
{
    char path[128];
    struct memo problems, printed;
    put("main.conf", text);
    in_folder(path, "main.conf");
    struct config *c = config_load(path, memo_open(&problems));
    assert_non_null(c);
    memo_text(&problems);
    assert_int_equal(c->sound, problems.n == 0);
    memo_open(&printed);
    if (c->sound)
        config_print(c, printed.file);
    config_free(c);
    char *out = memo_take(&printed);
    if (problems.n > 0) {
        free(out);
        out = memo_take(&problems);
    }
    memo_free(&problems);
    for (char *p; (p = strstr(out, folder)) != NULL;)
        memmove(p, p + strlen(folder) + 1, strlen(p + strlen(folder) + 1) + 1);
    return out;
}

static void expect_problems(const char *text, const char *want)
{
    char *out = load(text);
    assert_string_equal(out, want);
    free(out);
}

static void expect_printed(const char *text, const char *part)
{
    char *out = load(text);
    if (strstr(out, part) == NULL)
        fail_msg("%s\nis not in\n%s", part, out);
    free(out);
}

static void files_are_included_in_the_order_of_their_names(void **state)
{
    (void)state;
    put("conf.d/20-b.conf", "[backend b2]\nserver = s2\nverify = off\n");
    put("conf.d/10-a.conf", "[backend b1]\nserver = s1\nverify = off\nusers-file = u\n");
    put("conf.d/15.conf~", "nonsense\n");
    put("conf.d/.hidden.conf", "nonsense\n");
    char *out = load("include = conf.d/*.conf\n" LISTENER_TEXT "backend = b2\n");
    const char *first = strstr(out, "\n; from conf.d/10-a.conf\n[backend b1]\n");
    const char *second = strstr(out, "\n; from conf.d/20-b.conf\n[backend b2]\n");
    assert_true(first != NULL && second != NULL && first < second);
    assert_non_null(strstr(out, "users-file = conf.d/u\n")); /* from the file's own directory */
    assert_non_null(strstr(out, "\n[listener a]\n"));
    assert_null(strstr(out, "from main.conf"));
    free(out);
    drop("conf.d/15.conf~");
    drop("conf.d/.hidden.conf");
    drop("conf.d/10-a.conf");
    drop("conf.d/20-b.conf");
}

/* It may be in any section, which continues behind it. */
static void the_section_continues(void **state)
{
    (void)state;
    put("conf.d/b.conf", "[backend b]\nserver = s\nverify = off\n");
    expect_printed(
        "[listener a]\nlisten = 127.0.0.1:0\ninclude = conf.d/b.conf\ncertificate = c.pem\n",
        "; from conf.d/b.conf\n[backend b]\n");
    put("conf.d/b.conf", "[gate]\nworkers = 3\n");
    expect_printed("include = conf.d/b.conf\n" MINIMAL,
                   "; from conf.d/b.conf\n[gate]\nworkers = 3\n");
    drop("conf.d/b.conf");
}

static void a_pattern_may_match_nothing_and_a_name_may_not(void **state)
{
    (void)state;
    expect_printed("include = conf.d/*.conf\ninclude = none/*.conf\n" MINIMAL, "[backend b]\n");
    expect_problems("[gate]\ninclude = conf.d/none.conf\n" MINIMAL,
                    "main.conf:2: include: conf.d/none.conf: cannot be opened: No such file or "
                    "directory\n");
    expect_problems("include = conf.d\n" MINIMAL,
                    "main.conf:1: include: conf.d: cannot be opened: Is a directory\n");
}

static void problems_name_the_file_and_the_line(void **state)
{
    (void)state;
    put("conf.d/1.conf", "workers = 1\n\n[listener z]\nlisten = 127.0.0.1:4443\nbanana = 1\n");
    put("conf.d/2.conf", "[listener a]\nlisten = 127.0.0.1:4443\ncertificate = c\nbackend = x\n"
                         "include = more.conf\n");
    expect_problems("[gate]\ninclude = conf.d/*\nworkers = x\n" MINIMAL,
                    "conf.d/1.conf:1: 'workers' is before the first [section]\n"
                    "conf.d/1.conf:5: unknown key 'banana' in [listener NAME]\n"
                    "conf.d/2.conf:5: include: an included file cannot include another one\n"
                    "main.conf:3: workers: 'x' is not a number from 1 to 64 or auto\n"
                    "main.conf:4: [listener a] is already defined on line 1 of conf.d/2.conf\n"
                    "conf.d/1.conf:3: [listener z] has no `certificate`\n"
                    "conf.d/2.conf:4: backend: there is no [backend x]\n"
                    "conf.d/2.conf:2: listen: '127.0.0.1:4443' is already set on line 4 of "
                    "conf.d/1.conf\n");
    drop("conf.d/1.conf");
    drop("conf.d/2.conf");
}

static void a_file_does_not_include_itself(void **state)
{
    (void)state;
    expect_problems("include = *.conf\n" MINIMAL,
                    "main.conf:1: include: *.conf matches this file, too\n");
    expect_problems("include = main.conf\n" MINIMAL,
                    "main.conf:1: include: a file cannot include itself\n");
}

static void variables_may_name_the_files(void **state)
{
    (void)state;
    setenv("SG_PART", "b", 1);
    put("conf.d/b.conf", "[backend b]\nserver = ${SG_PART}.example\nverify = off\n");
    expect_printed("include = conf.d/${SG_PART}.conf\n" LISTENER_TEXT, "server = b.example:443\n");
    unsetenv("SG_PART");
    expect_problems(
        "include = conf.d/${SG_PART}.conf\n" MINIMAL,
        "main.conf:1: include: ${SG_PART} is neither a credential nor a variable of the "
        "environment; write $${ for a literal ${\n");
    drop("conf.d/b.conf");
}

/* A credential is in no message: not of its key, and not of a later check. */
static void a_credential_is_not_shown(void **state)
{
    (void)state;
    char dir[128];
    in_folder(dir, "conf.d");
    setenv("CREDENTIALS_DIRECTORY", dir, 1);
    put("conf.d/secret", "hunter2\n");
    expect_problems(
        "[gate]\nlog-level = ${secret}\n" MINIMAL,
        "main.conf:2: log-level: the value is invalid with its credential, which is not "
        "shown\n");
    expect_problems(LISTENER_TEXT "backend = ${secret}\n" BACKEND_TEXT,
                    "main.conf:4: backend: there is no [backend ${secret}]\n");
    drop("conf.d/secret");
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void changes_are_noticed(void **state)
{
    (void)state;
    char path[128];
    struct memo problems;
    setenv("SG_PART", "b", 1);
    put("main.conf",
        "include = conf.d/*.conf\n" LISTENER_TEXT "backend = ${SG_PART}\n" BACKEND_TEXT);
    put("conf.d/1.conf", "[backend c]\nserver = s\nverify = off\n");
    in_folder(path, "main.conf");
    struct config *c = config_load(path, memo_open(&problems));
    assert_true(c->sound);
    assert_false(config_sources_changed(c->sources));
    put("conf.d/2.conf", "");
    assert_true(config_sources_changed(c->sources));
    drop("conf.d/2.conf");
    assert_false(config_sources_changed(c->sources));
    put("conf.d/1.conf", "[backend d]\nserver = s\nverify = off\n");
    assert_true(config_sources_changed(c->sources));
    /* what was read can be built again */
    struct config *again = config_parse_sources(c->sources, problems.file);
    assert_true(again->sound && strcmp(again->backend[0].name, "c") == 0);
    config_free(again);
    drop("conf.d/1.conf");
    assert_true(config_sources_changed(c->sources));
    put("conf.d/1.conf", "[backend c]\nserver = s\nverify = off\n");
    assert_false(config_sources_changed(c->sources));
    setenv("SG_PART", "c", 1);
    assert_true(config_sources_changed(c->sources));
    drop("conf.d/1.conf");
    config_free(c);
    memo_free(&problems);
}

static void the_admin_socket_may_be_in_an_included_file(void **state)
{
    (void)state;
    char path[128];
    put("main.conf", "include = conf.d/g.conf\nbanana\n" MINIMAL);
    put("conf.d/g.conf", "[gate]\nadmin = unix:/run/x\n");
    in_folder(path, "main.conf");
    char *admin = config_find_admin(path, stderr);
    assert_string_equal(admin, "/run/x");
    free(admin);
    drop("conf.d/g.conf");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_included_in_the_order_of_their_names),
        cmocka_unit_test(the_section_continues),
        cmocka_unit_test(a_pattern_may_match_nothing_and_a_name_may_not),
        cmocka_unit_test(problems_name_the_file_and_the_line),
        cmocka_unit_test(a_file_does_not_include_itself),
        cmocka_unit_test(variables_may_name_the_files),
        cmocka_unit_test(a_credential_is_not_shown),
        cmocka_unit_test(changes_are_noticed),
        cmocka_unit_test(the_admin_socket_may_be_in_an_included_file),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
