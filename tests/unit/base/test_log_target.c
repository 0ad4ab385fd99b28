/* Targets of the log: words, syslog with facility and tag, files, and names that are not
 * targets. */
#include "base/log_target.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <syslog.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static enum log_target_kind kind_of(const char *text)
{
    struct log_target target;
    const char *why = NULL;

    if (log_target_parse(text, &target, &why) != ERR_OK)
        fail_msg("%s %s", text, why);
    return target.kind;
}

static void words_and_files(void **state)
{
    (void)state;
    static const char *const files[] = {"/var/log/gate", "gate.log",   "./journal", "logs/gate",
                                        "/dev/null",     "/dev/fd/3",  "./a:b",     "/var/a:b",
                                        "/dev/shm/log",  "stdout.txt", "/device"};
    assert_int_equal(kind_of("stderr"), LOG_TO_STDERR);
    assert_int_equal(kind_of("/dev/stderr"), LOG_TO_STDERR);
    assert_int_equal(kind_of("stdout"), LOG_TO_STDOUT);
    assert_int_equal(kind_of("/dev/stdout"), LOG_TO_STDOUT);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_int_equal(kind_of(files[i]), LOG_TO_FILE);
}

static void syslog_has_facility_and_tag(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int facility;
        const char *tag;
    } cases[] = {{"syslog", LOG_DAEMON, "sstpgate"},
                 {"syslog:local0", LOG_LOCAL0, "sstpgate"},
                 {"syslog:authpriv", LOG_AUTHPRIV, "sstpgate"},
                 {"syslog:daemon:gate-2", LOG_DAEMON, "gate-2"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log_target target;
        const char *why;
        assert_int_equal(log_target_parse(cases[i].text, &target, &why), ERR_OK);
        assert_int_equal(target.kind, LOG_TO_SYSLOG);
        assert_int_equal(target.facility, cases[i].facility);
        assert_string_equal(target.tag, cases[i].tag);
    }
}

static void names_that_look_like_targets_are_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"journal", "is not a target"},
        {"journald", "is not a target"},
        {"Syslog", "is not a target"},
        {"gatelog", "./NAME"},
        {"none", "is not a target"},
        {"-", "is not a target"},
        {"", "is not a target"},
        {"stdout:", "is not a target"},
        {"stderr:info", "is not a target"},
        {"file:/var/log/gate", "is not a target"},
        {"udp://10.0.0.1:514", "is not a target"},
        {"syslog:", "unknown facility"},
        {"syslog:nonsense", "unknown facility"},
        {"syslog:LOCAL0", "unknown facility"},
        {"syslog:local8", "unknown facility"},
        {"syslog:local0:", "wrong tag"},
        {"syslog:local0:a b", "wrong tag"},
        {"syslog:local0:a]: b", "wrong tag"},
        {"syslog:local0:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "wrong tag"},
        {"/dev/log", "write syslog"},
        {"/dev/nonsense", "outside /dev"},
        {"/dev/sda", "outside /dev"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log_target target;
        const char *why = "";
        assert_int_equal(log_target_parse(cases[i].text, &target, &why), ERR_SYNTAX);
        if (strstr(why, cases[i].says) == NULL)
            fail_msg("%s %s", cases[i].text, why);
    }
}

static void devices_are_not_created(void **state)
{
    (void)state;
    assert_true(log_target_is_device("/dev/tty7"));
    assert_false(log_target_is_device("/dev/shm/log"));
    assert_false(log_target_is_device("/var/log/gate"));
    assert_false(log_target_is_device("dev/log"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_and_files),
        cmocka_unit_test(syslog_has_facility_and_tag),
        cmocka_unit_test(devices_are_not_created),
        cmocka_unit_test(names_that_look_like_targets_are_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
