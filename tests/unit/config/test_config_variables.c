/* Variables in values: what replaces them, what is refused, and what messages may show. */
#include "config/config_variables.h"

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

static char folder[] = "/tmp/sstpgate-cred-XXXXXX";

static void write_credential(const char *name, const char *text, size_t n)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void remove_credential(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    assert_int_equal(unlink(path), 0);
}

static int setup(void **state)
{
    (void)state;
    setenv("SG_HOST", "10.0.0.1", 1);
    setenv("SG_EMPTY", "", 1);
    setenv("SG_BOTH", "of the environment", 1);
    setenv("SG_LINES", "a\nb", 1);
    setenv("SG_COMMENT", "a ;b", 1);
    setenv("SG_LATIN", "a\xe4", 1);
    setenv("SG_HIDDEN", "a\xe2\x80\x8b", 1);
    unsetenv("SG_NONE");
    return mkdtemp(folder) == NULL || setenv("CREDENTIALS_DIRECTORY", folder, 1) != 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    return rmdir(folder);
}

static void values_replace_names(void **state)
{
    (void)state;
    static const struct {
        const char *value, *want;
    } cases[] = {
        {"plain", "plain"},
        {"${SG_HOST}", "10.0.0.1"},
        {"a${SG_HOST}:443 ${SG_HOST}", "a10.0.0.1:443 10.0.0.1"},
        {"${SG_EMPTY}", ""},
        {"x${SG_EMPTY}y", "xy"},
        {"$${SG_HOST}", "${SG_HOST}"},
        {"$$${SG_HOST}", "$${SG_HOST}"},
        {"$SG_HOST $ $$ {} $", "$SG_HOST $ $$ {} $"},
    };
    struct config_variables v = {.count = 0};
    struct config_expanded e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(config_variables_expand(&v, cases[i].value, &e));
        assert_string_equal(e.text, cases[i].want);
        assert_false(e.secret);
    }
    assert_int_equal(v.count, 2); /* each is read once */
    config_variables_fini(&v);
}

static void what_cannot_be_replaced_is_explained(void **state)
{
    (void)state;
    static const struct {
        const char *value, *reason;
    } cases[] = {
        {"${SG_NONE}", "${SG_NONE} is neither a credential nor a variable"},
        {"${SG_HOST", "a variable is written ${NAME}"},
        {"${}", "a variable is written ${NAME}"},
        {"${.}", "a variable is written ${NAME}"},
        {"${a/b}", "a variable is written ${NAME}"},
        {"${a b}", "a variable is written ${NAME}"},
        {"${SG_LINES}", "with its variables in place, the value has a line end"},
        {"x${SG_COMMENT}", "with its variables in place, the value has a line end"},
        {"${SG_LATIN}", "with its variables in place, the value has a line end"},
        {"${SG_HIDDEN}", "with its variables in place, the value has a line end"},
    };
    struct config_variables v = {.count = 0};
    struct config_expanded e;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_false(config_variables_expand(&v, cases[i].value, &e));
        assert_int_equal(strncmp(e.reason, cases[i].reason, strlen(cases[i].reason)), 0);
    }
    config_variables_fini(&v);
}

static void a_value_keeps_its_limit(void **state)
{
    (void)state;
    char value[VALUE_TEXT_MAX + 32];
    struct config_variables v = {.count = 0};
    struct config_expanded e;
    memset(value, 'x', sizeof value);
    strcpy(value + VALUE_TEXT_MAX - 8, "${SG_HOST}");
    assert_true(config_variables_expand(&v, value, &e));
    assert_int_equal(strlen(e.text), VALUE_TEXT_MAX);
    value[VALUE_TEXT_MAX - 8] = 'x';
    strcpy(value + VALUE_TEXT_MAX - 7, "${SG_HOST}");
    assert_false(config_variables_expand(&v, value, &e));
    assert_non_null(strstr(e.reason, "longer than 1024 bytes"));
    config_variables_fini(&v);
}

static void a_credential_precedes_the_environment_and_is_secret(void **state)
{
    (void)state;
    struct config_variables v = {.count = 0};
    struct config_expanded e;
    write_credential("SG_BOTH", "hunter2\n", 8);
    write_credential("long", "", 0);
    assert_true(config_variables_expand(&v, "a ${SG_BOTH}", &e));
    assert_string_equal(e.text, "a hunter2");
    assert_true(e.secret);
    assert_true(config_variables_expand(&v, "${long}", &e));
    assert_string_equal(e.text, "");

    struct memo m;
    config_variables_scrub(&v, "x: 'a hunter2hunter2' hunter\n", memo_open(&m));
    assert_string_equal(memo_text(&m), "x: 'a ${SG_BOTH}${SG_BOTH}' hunter\n");
    memo_free(&m);

    assert_false(config_variables_changed(&v));
    write_credential("SG_BOTH", "hunter3\n", 8);
    assert_true(config_variables_changed(&v));
    assert_true(config_variables_expand(&v, "${SG_BOTH}", &e));
    assert_string_equal(e.text, "hunter2"); /* as it was read */
    remove_credential("SG_BOTH");
    assert_true(config_variables_changed(&v));
    remove_credential("long");
    config_variables_fini(&v);
}

static void a_credential_that_cannot_be_read_is_no_variable(void **state)
{
    (void)state;
    char path[128], text[VALUE_TEXT_MAX + 2];
    struct config_variables v = {.count = 0};
    struct config_expanded e;
    snprintf(path, sizeof path, "%s/SG_HOST", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_false(config_variables_expand(&v, "${SG_HOST}", &e));
    assert_string_equal(e.reason, "the credential SG_HOST cannot be read: Is a directory");
    assert_int_equal(rmdir(path), 0);
    memset(text, 's', sizeof text);
    write_credential("big", text, VALUE_TEXT_MAX + 1);
    assert_false(config_variables_expand(&v, "${big}", &e));
    assert_string_equal(e.reason,
                        "the credential big cannot be read: it is longer than 1024 bytes");
    write_credential("big", "a\0b", 3);
    assert_false(config_variables_expand(&v, "${big}", &e));
    assert_string_equal(e.reason, "the credential big cannot be read: it contains a NUL");
    write_credential("big", "two\nlines\n", 10);
    assert_false(config_variables_expand(&v, "${big}", &e));
    assert_null(strstr(e.reason, "two"));
    remove_credential("big");
    config_variables_fini(&v);
}

static void literals_are_escaped(void **state)
{
    (void)state;
    struct memo m;
    config_variables_escape("a ${b} $ $${c}", memo_open(&m));
    assert_string_equal(memo_text(&m), "a $${b} $ $$${c}");
    memo_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_replace_names),
        cmocka_unit_test(what_cannot_be_replaced_is_explained),
        cmocka_unit_test(a_value_keeps_its_limit),
        cmocka_unit_test(a_credential_precedes_the_environment_and_is_secret),
        cmocka_unit_test(a_credential_that_cannot_be_read_is_no_variable),
        cmocka_unit_test(literals_are_escaped),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
