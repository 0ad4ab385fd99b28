#include "status/guard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static struct guard *guard_of(const char *network, const char *name, const char *token)
{
    struct cidr net;
    struct cidrs nets = {.item = &net, .count = network != NULL};
    char *names[] = {(char *)(uintptr_t)name};

    if (network != NULL)
        assert_int_equal(cidr_parse(network, &net), ERR_OK);
    return guard_new(&(struct guard_settings){
        .allow = &nets, .host = names, .host_count = name != NULL, .token = span_str(token)});
}

static bool admits(const struct guard *g, const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(text, 0, &a), ERR_OK);
    return guard_admits(g, &a);
}

static void loopback_may_always_connect(void **state)
{
    static const char *const allowed[] = {"127.0.0.1:1", "127.255.0.9:1", "[::1]:1",
                                          "[::ffff:127.0.0.1]:1"};
    static const char *const others[] = {"128.0.0.1:1", "10.0.0.1:1",  "0.0.0.0:1",   "[::]:1",
                                         "[::2]:1",     "[fe80::1]:1", "[7f00::1]:1", "[1::1]:1"};
    struct guard *none = guard_of(NULL, NULL, ""), *some = guard_of("10.0.0.0/24", NULL, "");

    (void)state;
    for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
        assert_true(admits(none, allowed[i]) && admits(some, allowed[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(admits(none, others[i]));
    assert_true(admits(some, "10.0.0.1:1"));
    assert_false(admits(some, "10.0.1.1:1"));
    guard_free(none);
    guard_free(some);
}

static void only_names_of_this_host_are_known(void **state)
{
    static const struct {
        const char *host;
        bool is_known;
    } cases[] = {
        {NULL, true},
        {"127.0.0.1:9143", true},
        {"192.0.2.1", true},
        {"[::1]:9143", true},
        {"[2001:db8::1]", true},
        {"localhost", true},
        {"LOCALHOST:9143", true},
        {"localhost.", true},
        {"gate.example", true},
        {"Gate.Example:80", true},
        {"", false},
        {"evil.example", false},
        {"evil.example:9143", false},
        {"localhost.evil.example", false},
        {"127.0.0.1.evil.example", false},
        {"evil-gate.example", false},
        {"www.gate.example", false},
        {"gate.example evil.example", false},
        {"gate.example, evil.example", false},
    };
    struct guard *g = guard_of(NULL, "gate.EXAMPLE", "");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(guard_knows_host(g, cases[i].host), cases[i].is_known);
    guard_free(g);
}

static void pages_of_other_origins_are_recognized(void **state)
{
    static const struct {
        const char *host, *origin, *site;
        bool same;
    } cases[] = {
        {"127.0.0.1:9143", NULL, NULL, true},
        {NULL, NULL, NULL, true},
        {"127.0.0.1:9143", "http://127.0.0.1:9143", NULL, true},
        {"127.0.0.1:9143", "http://127.0.0.1:9143", "same-origin", true},
        {"127.0.0.1:9143", NULL, "none", true},
        {"Gate.example", "https://gate.example", "same-origin", true},
        {"127.0.0.1:9143", "http://127.0.0.1:9144", NULL, false},
        {"127.0.0.1:9143", "http://127.0.0.1", NULL, false},
        {"127.0.0.1:9143", "http://localhost:9143", NULL, false},
        {"127.0.0.1:9143", "http://evil.example", NULL, false},
        {"127.0.0.1:9143", "null", NULL, false},
        {"127.0.0.1:9143", "", NULL, false},
        {"127.0.0.1:9143", "file://127.0.0.1:9143", NULL, false},
        {"127.0.0.1:9143", "127.0.0.1:9143", NULL, false},
        {NULL, "http://127.0.0.1:9143", NULL, false},
        {"127.0.0.1:9143", NULL, "cross-site", false},
        {"127.0.0.1:9143", NULL, "same-site", false},
        {"127.0.0.1:9143", NULL, "", false},
        {"127.0.0.1:9143", "http://127.0.0.1:9143", "cross-site", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(guard_same_origin(cases[i].host, cases[i].origin, cases[i].site),
                         cases[i].same);
}

static void only_the_token_is_right(void **state)
{
    static const struct {
        const char *authorization;
        enum guard_token verdict;
    } cases[] = {
        {"Bearer se=cret 1", GUARD_TOKEN_RIGHT},
        {"bearer se=cret 1", GUARD_TOKEN_RIGHT},
        {"BEARER   se=cret 1 \t", GUARD_TOKEN_RIGHT},
        {NULL, GUARD_TOKEN_MISSING},
        {"", GUARD_TOKEN_MISSING},
        {"Bearer", GUARD_TOKEN_MISSING},
        {"Bearer ", GUARD_TOKEN_MISSING},
        {"Basic se=cret 1", GUARD_TOKEN_MISSING},
        {"se=cret 1", GUARD_TOKEN_MISSING},
        {"Bearerse=cret 1", GUARD_TOKEN_MISSING},
        {"Bearer se=cret", GUARD_TOKEN_WRONG},
        {"Bearer se=cret 2", GUARD_TOKEN_WRONG},
        {"Bearer Se=cret 1", GUARD_TOKEN_WRONG},
        {"Bearer se=cret 11", GUARD_TOKEN_WRONG},
        {"Bearer se=cret 1, Bearer se=cret 1", GUARD_TOKEN_WRONG},
    };
    struct guard *g = guard_of(NULL, NULL, "se=cret 1"), *none = guard_of(NULL, NULL, "");

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(guard_token(g, cases[i].authorization), cases[i].verdict);
        assert_int_equal(guard_token(none, cases[i].authorization), GUARD_READ_ONLY);
    }
    guard_free(g);
    guard_free(none);
    guard_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_may_always_connect),
        cmocka_unit_test(only_names_of_this_host_are_known),
        cmocka_unit_test(pages_of_other_origins_are_recognized),
        cmocka_unit_test(only_the_token_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
