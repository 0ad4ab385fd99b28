/* The line of health checks, and the clients that were seen. The log is a file that the test
 * reads. */
#include "call/checks.h"

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

#include "base/log.h"

static char path[] = "/tmp/sstpgate-checks-XXXXXX";

static int setup(void **state)
{
    (void)state;
    const int fd = mkstemp(path);
    return fd >= 0 && close(fd) == 0 && log_open(path, LOG_LEVEL_INFO, LOG_FORMAT_TEXT) == ERR_OK
               ? 0
               : -1;
}

static int teardown(void **state)
{
    (void)state;
    return unlink(path) == 0 && log_open("stderr", LOG_LEVEL_INFO, LOG_FORMAT_TEXT) == ERR_OK ? 0
                                                                                              : -1;
}

/* Returns the number of lines, and the last one without its time. */
static unsigned lines(const char **last)
{
    static char text[4096];
    FILE *f = fopen(path, "r");
    unsigned n = 0;

    assert_non_null(f);
    for (; fgets(text, sizeof text, f) != NULL; n++)
        *last = text + strcspn(text, " ") + 1;
    fclose(f);
    return n;
}

static void a_line_a_minute(void **state)
{
    (void)state;
    struct checks checks = {0};
    const char *last = NULL;

    checks_report(&checks, 1000);
    assert_int_equal(lines(&last), 0);
    checks_count(&checks, CHECK_SILENT);
    checks_count(&checks, CHECK_PROXY);
    checks_count(&checks, CHECK_SILENT);
    checks_report(&checks, 2000);
    assert_int_equal(lines(&last), 1);
    assert_string_equal(last, "info checks silent=2 tls-only=0 head=0 path=0 proxy=1\n");
    checks_count(&checks, CHECK_TLS);
    checks_report(&checks, 3000);
    checks_count(&checks, CHECK_HEAD);
    checks_report(&checks, 61999);
    assert_int_equal(lines(&last), 1);
    checks_count(&checks, CHECK_PATH);
    checks_report(&checks, 62000);
    assert_int_equal(lines(&last), 2);
    assert_string_equal(last, "info checks silent=0 tls-only=1 head=1 path=1 proxy=0\n");
    checks_report(&checks, 200000);
    assert_int_equal(lines(&last), 2);
}

static void visitors_are_remembered(void **state)
{
    (void)state;
    struct checks_seen seen = {0};
    struct addr who;

    for (unsigned minute = 0; minute < 2; minute++) {
        const uint64_t now = 1000 + minute * 60000u;
        assert_int_equal(addr_parse("192.0.2.1:1", 0, &who), ERR_OK);
        assert_false(checks_have_seen(&seen, &who, now));
        assert_int_equal(addr_parse("192.0.2.1:2", 0, &who), ERR_OK);
        assert_true(checks_have_seen(&seen, &who, now + 59999));
    }
    for (unsigned i = 1; i <= CHECKS_SEEN; i++) { /* others replace it */
        who.ip[3] = (uint8_t)(100 + i);
        assert_false(checks_have_seen(&seen, &who, 70000));
    }
    who.ip[3] = 1;
    assert_false(checks_have_seen(&seen, &who, 70000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_line_a_minute),
                                       cmocka_unit_test(visitors_are_remembered)};
    return cmocka_run_group_tests_name("checks", tests, setup, teardown);
}
