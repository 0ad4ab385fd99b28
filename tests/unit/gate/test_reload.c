/* The parts of a reload that need no workers; integration/test_reload.py has the others. */
#include "gate/reload.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "config/config.h"

static char stderr_name[] = "stderr", syslog_name[] = "syslog", socket_a[] = "/run/a",
            socket_b[] = "/run/b";

static void assert_fixed(const struct config_gate *was, const struct config_gate *is,
                         const char *lines)
{
    char *text = NULL;
    size_t n;
    FILE *to = open_memstream(&text, &n);

    assert_non_null(to);
    reload_list_fixed(was, is, to);
    fclose(to);
    assert_string_equal(text, lines);
    free(text);
}

static void what_only_a_restart_changes_is_listed(void **state)
{
    const struct config_gate was = {
        .workers = 2, .log = stderr_name, .limits = {.prefix_ipv4 = 32, .prefix_ipv6 = 64}};
    struct config_gate is = was;
    struct config_socket status[] = {{.path = socket_a},
                                     {.path = socket_b},
                                     {.addr = {.family = AF_INET, .port = 1}},
                                     {.addr = {.family = AF_INET, .port = 2}}};

    (void)state;
    assert_fixed(&was, &is, "");
    is.workers = 0;
    assert_fixed(&was, &is, "a change of workers requires a restart\n");
    is = was;
    is.log = syslog_name;
    assert_fixed(&was, &is, "a change of log requires a restart\n");
    is = was;
    is.log_format = CONFIG_LOG_JSON;
    assert_fixed(&was, &is, "a change of log-format requires a restart\n");
    is = was;
    is.admin = socket_a;
    assert_fixed(&was, &is, "a change of admin requires a restart\n");
    assert_fixed(&is, &was, "a change of admin requires a restart\n");
    is = was;
    is.status_group = socket_a;
    assert_fixed(&was, &is, "a change of status-group or status-mode requires a restart\n");
    is = was;
    is.status_mode = 0666;
    assert_fixed(&was, &is, "a change of status-group or status-mode requires a restart\n");
    is = was;
    is.status = (struct config_sockets){&status[0], 1};
    assert_fixed(&was, &is, "a change of status requires a restart\n");
    assert_fixed(&is, &was, "a change of status requires a restart\n");
    assert_fixed(&is, &is, "");
    const struct config_gate status_was = is;
    for (size_t i = 1; i < sizeof status / sizeof *status; i++) {
        is.status.item = &status[i];
        assert_fixed(&status_was, &is, "a change of status requires a restart\n");
        assert_fixed(&is, &status_was, "a change of status requires a restart\n");
    }
    is = was;
    is.limits.prefix_ipv6 = 56;
    is.workers = 1;
    assert_fixed(&was, &is,
                 "a change of workers requires a restart\n"
                 "a change of address-prefix-ipv4 or address-prefix-ipv6 requires a restart\n");
}

static void the_same_text_is_no_change(void **state)
{
    char same[] = "/run/a";
    const struct config_gate was = {.log = stderr_name, .admin = socket_a};
    struct config_gate is = {.log = stderr_name, .admin = same};

    (void)state;
    assert_fixed(&was, &is, "");
    is.admin = socket_b;
    assert_fixed(&was, &is, "a change of admin requires a restart\n");
}

/* A reload may change these settings. */
static void other_settings_are_not_listed(void **state)
{
    const struct config_gate was = {.log = stderr_name, .max_tunnels = 100};
    const struct config_gate is = {.log = stderr_name,
                                   .max_tunnels = 200,
                                   .timeout_connect = 1,
                                   .log_level = CONFIG_LOG_DEBUG};

    (void)state;
    assert_fixed(&was, &is, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_only_a_restart_changes_is_listed),
        cmocka_unit_test(the_same_text_is_no_change),
        cmocka_unit_test(other_settings_are_not_listed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
