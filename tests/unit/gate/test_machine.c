/* Addresses, interfaces and directories that this machine has, and others: addresses of TEST-NET-2
 * and of the documentation prefix, which no machine has. */
#include "gate/machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/addr.h"
#include "config/config.h"
#include "config/config_load.h"

static char *warnings_of(const char *text, void (*check)(const struct config *c, FILE *to))
{
    char *out = NULL;
    size_t n;
    FILE *to = open_memstream(&out, &n);
    struct config *c = config_parse("/x/f.conf", text, strlen(text), stderr);

    assert_true(c != NULL && c->sound);
    check(c, to);
    config_free(c);
    assert_int_equal(fclose(to), 0);
    return out;
}

#define LISTENER(lines)                                                                            \
    "[listener l]\ncertificate = c.pem\n" lines "[backend b]\nserver = h:1\nverify = off\n"

static void places(void **state)
{
    static const struct {
        const char *text, *expected;
    } cases[] = {
        {LISTENER("listen = 127.0.0.1:4443\nlisten = *:4444\nlisten = 127.9.9.9:4443\n"), ""},
        {LISTENER("listen = 127.0.0.1:4443\nlisten = 198.51.100.7:4443\n"),
         "/x/f.conf:4: warning: listener l: this machine does not have the address of "
         "198.51.100.7:4443\n"},
        {LISTENER("listen = *:4443\ninterface = lo\n"), ""},
        {LISTENER("listen = *:4443\ninterface = nosuch0\n"),
         "/x/f.conf:4: warning: listener l: interface: this machine has no 'nosuch0'\n"},
        {LISTENER("listen = *:4443\n") "[radius r]\nlisten = 127.0.0.1\nlisten = 198.51.100.7\n"
                                       "accounting-listen = 198.51.100.8\nclients = 10.0.0.1\n"
                                       "secret-file = s\nserver = h\naccounting-server = h\n",
         "/x/f.conf:9: warning: radius r: this machine does not have the address of "
         "198.51.100.7:1812\n"
         "/x/f.conf:10: warning: radius r: this machine does not have the address of "
         "198.51.100.8:1813\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *have = warnings_of(cases[i].text, machine_check_places);
        assert_string_equal(have, cases[i].expected);
        free(have);
    }
}

/* Whether a daemon listens depends on the machine: tests/integration/test_process.py. */
static void logs_without_a_daemon(void **state)
{
    static const char *const texts[] = {
        LISTENER("listen = *:4443\n"),
        "[gate]\nlog = stdout\n" LISTENER("listen = *:4443\n"),
        "[gate]\nlog = /nonexistent/log\n" LISTENER("listen = *:4443\n"),
    };
    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char *have = warnings_of(texts[i], machine_check_log);
        assert_string_equal(have, "");
        free(have);
    }
}

static void directories(void **state)
{
    (void)state;
    char *have = warnings_of("[gate]\nlog = /nonexistent/log\nadmin = unix:/nonexistent/socket\n"
                             "ban-file = /bans\nban-points = 50\n" LISTENER("listen = *:4443\n"),
                             machine_check_directories);
    assert_string_equal(have,
                        "/x/f.conf:2: warning: log: its directory /nonexistent: No such file or "
                        "directory\n"
                        "/x/f.conf:3: warning: admin: its directory /nonexistent: No such file or "
                        "directory\n");
    free(have);
}

static void own_addresses(void **state)
{
    struct addr a;

    (void)state;
    assert_int_equal(addr_parse("127.0.0.1:1", 0, &a), ERR_OK);
    assert_true(machine_has_address(&a));
    assert_int_equal(addr_parse("198.51.100.7:1", 0, &a), ERR_OK);
    assert_false(machine_has_address(&a));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places),
        cmocka_unit_test(logs_without_a_daemon),
        cmocka_unit_test(directories),
        cmocka_unit_test(own_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
