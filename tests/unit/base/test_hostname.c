#include "base/hostname.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static void names_have_one_form(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"vpn.example.com", "vpn.example.com"},
        {"VPN.Example.COM", "vpn.example.com"},
        {"vpn.example.com.", "vpn.example.com"},
        {"vpn.example.com:8443", "vpn.example.com"},
        {"vpn.example.com.:8443", "vpn.example.com"},
        {"vpn.example.com:", "vpn.example.com"},
        {"*.Example.com", "*.example.com"},
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1:443", "192.0.2.1"},
        {"::1", "::1"},
        {"[::1]", "::1"},
        {"[::1]:443", "::1"},
        {"2001:DB8:0:0::0001", "2001:db8::1"},
        {"fe80::1%eth0", "fe80::1"},
        {"[fe80::1%25eth0]:443", "fe80::1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"[::ffff:c000:201]", "192.0.2.1"},
        {"a:1:2", "a:1:2"}, /* not a name, but it must not become another name */
        {"a..", "a.."},
        {"[a]", "a"},
    };
    char out[HOSTNAME_SIZE];
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_true(hostname_normal(span_str(pairs[i][0]), out));
        assert_string_equal(out, pairs[i][1]);
        assert_true(hostname_equal(span_str(pairs[i][0]), span_str(pairs[i][1])));
    }
}

static void texts_that_are_not_names(void **state)
{
    (void)state;
    static const char *const texts[] = {"", ":443", "a b", "b\u00fccher", "a\t", "\x7f"};
    char out[HOSTNAME_SIZE], full[HOSTNAME_SIZE + 2];

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_false(hostname_normal(span_str(texts[i]), out));
        assert_false(hostname_equal(span_str(texts[i]), span_str(texts[i])));
        assert_false(hostname_matches(texts[i], span_str(texts[i])));
    }
    assert_false(hostname_normal(span_of("a\0b", 3), out));
    assert_false(hostname_normal(span_of("::1\0", 4), out));
    memset(full, 'a', sizeof full);
    assert_true(hostname_normal(span_of(full, HOSTNAME_SIZE - 1), out));
    assert_false(hostname_normal(span_of(full, HOSTNAME_SIZE), out));
}

static void patterns(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"*.example.com", "vpn.example.com", true},
        {"*.example.com", "a.b.Example.COM.:443", true},
        {"*.Example.com.", "vpn.example.com", true},
        {"*.example.com", "example.com", false},
        {"*.example.com", ".example.com", false},
        {"*.example.com", "vpnexample.com", false},
        {"*.example.com", "", false},
        {"vpn.example.com", "vpn.example.com.", true},
        {"2001:db8::1", "[2001:DB8:0::1]", true},
        {"2001:db8::1", "[2001:db8::2]", false},
        {"fe80::1", "fe80::1%eth0", true},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"vpn", "vpn.example.com", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (hostname_matches(cases[i].pattern, span_str(cases[i].name)) != cases[i].matches)
            fail_msg("%s, %s", cases[i].pattern, cases[i].name);
}

static void addresses(void **state)
{
    (void)state;
    static const char *const good[] = {"192.0.2.1", "::1", "fe80::1%eth0", "::ffff:192.0.2.1"};
    static const char *const bad[] = {"a", "192.0.2", "[::1]", "192.0.2.1:443", "", "a%b", "%eth0"};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(hostname_is_address(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(hostname_is_address(bad[i]));
}

/* Labels of RFC 3492 7.1 and of registries. */
static void the_ascii_form(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"vpn.m\u00fcller.example", "vpn.xn--mller-kva.example"},
        {"M\u00dcLLER.example", "xn--mller-kva.example"},
        {"*.b\u00fccher.example:443", "*.xn--bcher-kva.example:443"},
        {"stra\u00dfe.example.", "xn--strae-oqa.example."},
        {"\u4ed6\u4eec\u4e3a\u4ec0\u4e48\u4e0d\u8bf4\u4e2d\u6587", "xn--ihqwcrb4cv8a8dqg056pqjye"},
        {"\u03c0", "xn--1xa"},
        {"3\u5e74b\u7d44\u91d1\u516b\u5148\u751f", "xn--3b-ww4c5e180e575a65lsy2b"},
        {"\u30d1\u30d5\u30a3\u30fcde\u30eb\u30f3\u30d0", "xn--de-jg4avhby1noc0d"},
    };
    static const char *const none[] = {
        "",       "a.example", "xn--mller-kva.example", "m\xfcller.example", "\u00fc..example",
        ".\u00fc"};
    char out[HOSTNAME_ASCII_SIZE], longer[200];

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        assert_true(hostname_ascii(pairs[i][0], out));
        assert_string_equal(out, pairs[i][1]);
    }
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(hostname_ascii(none[i], out));
    for (size_t i = 0; i < sizeof longer - 1; i++)
        longer[i] = i % 2 == 0 ? '\xc3' : '\xbc';
    longer[126] = '\0'; /* 63 letters */
    assert_true(hostname_ascii(longer, out));
    longer[126] = '\xc3', longer[128] = '\0';
    assert_false(hostname_ascii(longer, out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_one_form),
        cmocka_unit_test(texts_that_are_not_names),
        cmocka_unit_test(patterns),
        cmocka_unit_test(addresses),
        cmocka_unit_test(the_ascii_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
