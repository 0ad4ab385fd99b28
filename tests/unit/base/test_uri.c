#include "base/uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static void paths_have_no_scheme(void **state)
{
    static const char *const paths[] = {
        "",
        "/etc/vpn.key",
        "vpn.key",
        "./a:b",
        "a/b:c",
        "../x:y",
        "C:\\vpn.key",
        "c:/vpn.key",
        ":x",
        "1a:b",
        "-a:b",
        "a b:c",
        "pkcs11",
        "vpn key:1",
        "\xc3\xa4x:y",
        "${DIR}/a:b",
        "/pkcs11:object=x",
        "a_b:c",
        "a;b:c",
    };
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        assert_int_equal(uri_scheme(paths[i]), 0);
}

static void uris_have_a_scheme(void **state)
{
    (void)state;
    assert_int_equal(uri_scheme("pkcs11:token=a;object=b"), 6);
    assert_int_equal(uri_scheme("handle:0x81000001"), 6);
    assert_int_equal(uri_scheme("PKCS11:"), 6);
    assert_int_equal(uri_scheme("a1+b-c.d:x"), 8);
    assert_int_equal(uri_scheme("org.openssl.engine:pkcs11:x"), 18);
    assert_true(uri_has_scheme("PKCS11:token=a", "pkcs11"));
    assert_false(uri_has_scheme("pkcs11x:token=a", "pkcs11"));
    assert_false(uri_has_scheme("pkcs1:token=a", "pkcs11"));
    assert_false(uri_has_scheme("/pkcs11:", "pkcs11"));
}

/* The attributes of the path are separated by ';', those of the query by '&'. */
static void attributes_are_found_in_path_and_query(void **state)
{
    static const char *const with[] = {
        "pkcs11:pin-value=1",         "pkcs11:token=a;pin-value=1",
        "pkcs11:token=a?pin-value=1", "pkcs11:token=a?module-name=x&pin-value=1",
        "pkcs11:token=a?pin-value=",
    };
    static const char *const without[] = {
        "pkcs11:token=pin-value",
        "pkcs11:object=my-pin-value=1",
        "pkcs11:token=a?pin-source=file:/pin",
        "pkcs11:token=a?pin-value",
        "pkcs11:token=a?pin-values=1",
    };
    (void)state;
    for (size_t i = 0; i < sizeof with / sizeof *with; i++)
        assert_true(uri_has_attribute(with[i], "pin-value"));
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        assert_false(uri_has_attribute(without[i], "pin-value"));
}

static void a_file_has_a_path(void **state)
{
    static const char *const pairs[][2] = {
        {"file:/etc/vpn.key", "/etc/vpn.key"},
        {"file:vpn.key", "vpn.key"},
        {"file:///etc/vpn.key", "/etc/vpn.key"},
        {"FILE://LocalHost/etc/vpn.key", "/etc/vpn.key"},
        {"file:/a%20b", "/a%20b"},
        {"file:", NULL},
        {"file://other/etc/vpn.key", NULL},
        {"file://", NULL},
        {"pkcs11:object=x", NULL},
        {"/etc/vpn.key", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const char *path = uri_file(pairs[i][0]);
        if (pairs[i][1] == NULL)
            assert_null(path);
        else
            assert_string_equal(path, pairs[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_have_no_scheme),
        cmocka_unit_test(uris_have_a_scheme),
        cmocka_unit_test(attributes_are_found_in_path_and_query),
        cmocka_unit_test(a_file_has_a_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
