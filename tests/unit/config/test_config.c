#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "config/config_fixture.h"

static void lines_of_keys(void **state)
{
    (void)state;
    struct config *c =
        parse_good(LISTENER_TEXT "listen = 192.0.2.1\n\n" BACKEND_TEXT
                                 "[listener b]\nlisten = 192.0.2.2\ncertificate = x\n");
    assert_int_equal(config_line(c, &c->gate, "log"), 0);
    assert_int_equal(config_line(c, &c->listener[0], "certificate"), 3);
    assert_int_equal(config_line(c, &c->listener[0], "listen"), 4);
    assert_int_equal(config_line(c, &c->listener[0], "key"), 1);
    assert_int_equal(config_line(c, &c->backend[0], "server"), 7);
    assert_int_equal(config_line(c, &c->backend[0], "users-file"), 6);
    assert_int_equal(config_line(c, &c->listener[1], "certificate"), 11);
    config_free(c);
}

/* A key that is written with its default, in any form, does not differ from it. */
static void keys_that_differ_from_their_defaults(void **state)
{
    (void)state;
    struct config *c = parse_good(LISTENER_TEXT "tls-min = TLSv1.2\nmode = dry-run\n" BACKEND_TEXT
                                                "[gate]\ntimeout-web = 60000ms\nban-time = 11m\n"
                                                "handshake-rate = none\nban-file = x\n");
    assert_false(config_differs(c, &c->listener[0], "tls-min"));
    assert_false(config_differs(c, &c->listener[0], "tls-max"));
    assert_true(config_differs(c, &c->listener[0], "mode"));
    assert_true(config_differs(c, &c->listener[0], "certificate"));
    assert_false(config_differs(c, &c->listener[0], "key"));
    assert_false(config_differs(c, &c->gate, "timeout-web"));
    assert_true(config_differs(c, &c->gate, "ban-time"));
    assert_false(config_differs(c, &c->gate, "handshake-rate"));
    assert_true(config_differs(c, &c->gate, "ban-file"));
    assert_false(config_differs(c, &c->gate, "workers"));
    config_free(c);
}

/* A backend has calls as the backend of a listener or of a route, and not as a fallback. */
static void backends_have_calls(void **state)
{
    (void)state;
    struct config *c =
        parse_good(LISTENER_TEXT "backend = b\nuse-backend = r any\nfallback = w\n" BACKEND_TEXT
                                 "[backend r]\nserver = r\nverify = off\n"
                                 "[backend w]\nserver = w\nverify = off\n"
                                 "[backend x]\nserver = x\nverify = off\n");
    assert_true(config_has_calls(c, &c->backend[0]));
    assert_true(config_has_calls(c, &c->backend[1]));
    assert_false(config_has_calls(c, &c->backend[2]));
    assert_false(config_has_calls(c, &c->backend[3]));
    config_free(c);
}

static void nothing_is_freed(void **state)
{
    (void)state;
    config_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_keys),
        cmocka_unit_test(keys_that_differ_from_their_defaults),
        cmocka_unit_test(backends_have_calls),
        cmocka_unit_test(nothing_is_freed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
