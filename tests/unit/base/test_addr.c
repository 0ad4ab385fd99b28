#include "base/addr.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static void good_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printed;
        bool any;
    } table[] = {
        {"192.0.2.1", "192.0.2.1:443", false},
        {"192.0.2.1:8443", "192.0.2.1:8443", false},
        {"192.0.2.1:0", "192.0.2.1:0", false},
        {"192.0.2.1:65535", "192.0.2.1:65535", false},
        {"*", "0.0.0.0:443", true},
        {"*:1", "0.0.0.0:1", true},
        {"0.0.0.0:1", "0.0.0.0:1", true},
        {"[::]", "[::]:443", true},
        {"[::]:1", "[::]:1", true},
        {"[2001:DB8:0::10]:443", "[2001:db8::10]:443", false},
        {"[fe80::1%lo]:1", "[fe80::1%lo]:1", false},
        {"[fe80::1%1]:1", "[fe80::1%lo]:1", false}, /* lo is the first interface everywhere */
        {"[::ffff:192.0.2.1]:443", "192.0.2.1:443", false},
        {"[::ffff:0.0.0.0]:443", "0.0.0.0:443", true},
        {"[::192.0.2.1]:443", "[::192.0.2.1]:443", false}, /* not mapped: RFC 4291 2.5.5.1 */
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct addr a, again;
        char text[ADDR_TEXT_MAX];
        assert_int_equal(addr_parse(table[i].text, 443, &a), ERR_OK);
        assert_string_equal(addr_format(&a, text), table[i].printed);
        assert_int_equal(addr_is_any(&a), table[i].any);
        assert_int_equal(addr_parse(text, 1, &again), ERR_OK);
        assert_true(addr_equal(&a, &again));
    }
}

static void bad_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err result;
    } table[] = {
        {"", ERR_SYNTAX},
        {"localhost", ERR_SYNTAX},
        {"localhost:443", ERR_SYNTAX},
        {"::1", ERR_SYNTAX},
        {"::1:443", ERR_SYNTAX},
        {"2001:db8::1", ERR_SYNTAX},
        {"192.0.2.256", ERR_SYNTAX},
        {"192.0.2", ERR_SYNTAX},
        {"192.0.2.01", ERR_SYNTAX},
        {" 192.0.2.1", ERR_SYNTAX},
        {"192.0.2.1 ", ERR_SYNTAX},
        {"192.0.2.1:", ERR_SYNTAX},
        {"192.0.2.1:+1", ERR_SYNTAX},
        {"192.0.2.1:1x", ERR_SYNTAX},
        {"192.0.2.1:1:2", ERR_SYNTAX},
        {"192.0.2.1:65536", ERR_RANGE},
        {"192.0.2.1:99999999999999999999", ERR_RANGE},
        {"192.0.2.1/24", ERR_SYNTAX},
        {"[192.0.2.1]:443", ERR_SYNTAX},
        {"[::1", ERR_SYNTAX},
        {"[::1]443", ERR_SYNTAX},
        {"[::1]:", ERR_SYNTAX},
        {"[]:443", ERR_SYNTAX},
        {"[*]:443", ERR_SYNTAX},
        {"**:443", ERR_SYNTAX},
        {"[::ffff:192.0.2.1%lo]:443", ERR_SYNTAX},
        {"[fe80::1%nosuchif]:443", ERR_RANGE},
        {"[fe80::1%]:443", ERR_RANGE},
        {"[fe80::1%0]:443", ERR_RANGE},
        {"[0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000]", ERR_SYNTAX},
        {"111111111111111111111111111111111111111111111111111111", ERR_SYNTAX},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct addr a;
        if (addr_parse(table[i].text, 443, &a) != table[i].result)
            fail_msg("'%s': %s", table[i].text, err_text(addr_parse(table[i].text, 443, &a)));
    }
}

static void sockaddr_both_ways(void **state)
{
    (void)state;
    static const char *const table[] = {"192.0.2.1:8443", "[2001:db8::1]:443", "[fe80::1%lo]:1"};
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct addr a, b;
        struct sockaddr_storage ss;
        assert_int_equal(addr_parse(table[i], 0, &a), ERR_OK);
        socklen_t n = addr_to_sockaddr(&a, &ss);
        assert_int_equal(n, a.family == AF_INET ? sizeof(struct sockaddr_in)
                                                : sizeof(struct sockaddr_in6));
        assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss, &b), ERR_OK);
        assert_true(addr_equal(&a, &b));
    }
}

static void mapped_sockaddr_is_ip4(void **state)
{
    (void)state;
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(5)};
    struct addr a;
    char text[ADDR_TEXT_MAX];
    assert_int_equal(inet_pton(AF_INET6, "::ffff:192.0.2.1", &in6.sin6_addr), 1);
    assert_int_equal(addr_from_sockaddr((struct sockaddr *)&in6, &a), ERR_OK);
    assert_string_equal(addr_format(&a, text), "192.0.2.1:5");
}

static void other_families_are_refused(void **state)
{
    (void)state;
    struct sockaddr sa = {.sa_family = AF_UNIX};
    struct addr a;
    assert_int_equal(addr_from_sockaddr(&sa, &a), ERR_SYNTAX);
}

static void equal_means_every_part(void **state)
{
    (void)state;
    struct addr a, b;
    assert_int_equal(addr_parse("192.0.2.1:1", 0, &a), ERR_OK);
    static const char *const others[] = {"192.0.2.1:2", "192.0.2.2:1", "[::1]:1"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(addr_parse(others[i], 0, &b), ERR_OK);
        assert_false(addr_equal(&a, &b));
    }
    assert_int_equal(addr_parse("[fe80::1]:1", 0, &a), ERR_OK);
    assert_int_equal(addr_parse("[fe80::1%lo]:1", 0, &b), ERR_OK);
    assert_false(addr_equal(&a, &b));
}

static void the_same_host_has_any_port(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"192.0.2.1:1", "192.0.2.1:2", true},     {"[::1]:1", "[::1]:2", true},
        {"192.0.2.1:1", "192.0.2.2:1", false},    {"192.0.2.1:1", "[::1]:1", false},
        {"[fe80::1]:1", "[fe80::1%lo]:1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct addr a, b;
        assert_int_equal(addr_parse(cases[i].a, 0, &a), ERR_OK);
        assert_int_equal(addr_parse(cases[i].b, 0, &b), ERR_OK);
        assert_true(addr_same_host(&a, &b) == cases[i].same);
    }
}

static void the_longest_text_fits(void **state)
{
    (void)state;
    struct addr a = {.family = AF_INET6, .port = 65535, .scope = 4294967295u};
    char text[ADDR_TEXT_MAX];
    memset(a.ip, 0xff, sizeof a.ip);
    assert_string_equal(addr_format(&a, text),
                        "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff%4294967295]:65535");
}

static void good_networks(void **state)
{
    (void)state;
    static const struct {
        const char *text, *printed;
    } table[] = {
        {"198.51.100.0/24", "198.51.100.0/24"},
        {"198.51.100.7", "198.51.100.7"},
        {"198.51.100.7/32", "198.51.100.7"},
        {"198.51.100.128/25", "198.51.100.128/25"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"2001:db8::/32", "2001:db8::/32"},
        {"2001:db8::1", "2001:db8::1"},
        {"::/0", "::/0"},
        {"8000::/1", "8000::/1"},
        {"::ffff:0.0.0.0/96", "0.0.0.0/0"},
        {"::ffff:10.0.0.0/104", "10.0.0.0/8"},
        {"::ffff:10.0.0.1", "10.0.0.1"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct cidr net;
        char text[ADDR_TEXT_MAX];
        assert_int_equal(cidr_parse(table[i].text, &net), ERR_OK);
        assert_string_equal(cidr_format(&net, text), table[i].printed);
    }
}

static void bad_networks(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err result;
    } table[] = {
        {"", ERR_SYNTAX},
        {"*", ERR_SYNTAX},
        {"10.0.0.0/", ERR_SYNTAX},
        {"10.0.0.0/-1", ERR_SYNTAX},
        {"10.0.0.0/8x", ERR_SYNTAX},
        {"10.0.0.0/8/8", ERR_SYNTAX},
        {"/8", ERR_SYNTAX},
        {"10/8", ERR_SYNTAX},
        {"[::1]/128", ERR_SYNTAX},
        {"fe80::1%lo", ERR_SYNTAX},
        {"10.0.0.0/33", ERR_RANGE},
        {"2001:db8::/129", ERR_RANGE},
        {"10.0.0.1/8", ERR_RANGE},
        {"2001:db8::1/64", ERR_RANGE},
        {"0.0.0.1/0", ERR_RANGE},
        {"10.0.0.64/25", ERR_RANGE},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct cidr net;
        if (cidr_parse(table[i].text, &net) != table[i].result)
            fail_msg("'%s': %s", table[i].text, err_text(cidr_parse(table[i].text, &net)));
    }
}

/* Every prefix length: an address that differs in the last bit of the prefix is outside, one that
 * differs in the next bit is inside. */
static void prefixes_end_where_they_say(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits <= 128; bits++) {
        struct cidr net = {.family = AF_INET6, .bits = (uint8_t)bits};
        struct addr a = {.family = AF_INET6};
        assert_true(cidr_has(&net, &a));
        if (bits < 128) {
            a.ip[bits / 8] = (uint8_t)(0x80 >> bits % 8);
            assert_true(cidr_has(&net, &a));
            a.ip[bits / 8] = 0;
        }
        if (bits > 0) {
            a.ip[(bits - 1) / 8] = (uint8_t)(0x80 >> (bits - 1) % 8);
            assert_false(cidr_has(&net, &a));
        }
    }
}

static void a_refused_network_has_its_reason(void **state)
{
    static const struct {
        const char *text, *problem;
    } table[] = {
        {"10.0.0.1/8", "not a network: bits after the prefix are set; the network is 10.0.0.0/8"},
        {"198.51.100.77/25",
         "not a network: bits after the prefix are set; the network is 198.51.100.0/25"},
        {"2001:db8::1/32",
         "not a network: bits after the prefix are set; the network is 2001:db8::/32"},
        {"::ffff:10.0.0.1/104",
         "not a network: bits after the prefix are set; the network is 10.0.0.0/8"},
        {"10.0.0.0/33", "not a network: the prefix has 0 to 32 bits"},
        {"10.0.0.0/", "not a network: the prefix has 0 to 32 bits"},
        {"::/129", "not a network: the prefix has 0 to 128 bits"},
        {"10.0.0.0/255.0.0.0", "not a network: write the length of the prefix: 10.0.0.0/8"},
        {"10.1.2.3/255.255.255.0", "not a network: write the length of the prefix: 10.1.2.0/24"},
        {"10.0.0.0/0.0.0.0", "not a network: write the length of the prefix: 0.0.0.0/0"},
        {"10.0.0.0/0.0.0.255", "not a network: the prefix has 0 to 32 bits"},
        {"10.0.0.0/8,", "more than one network: write each on a line of its own"},
        {"10.0.0.1,10.0.0.2", "more than one network: write each on a line of its own"},
        {"10.0.0.256", "not an address or a network such as 198.51.100.0/24"},
        {"10.0.0.256/8", "not an address or a network such as 198.51.100.0/24"},
        {"", "not an address or a network such as 198.51.100.0/24"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char problem[CIDR_PROBLEM_MAX];
        struct cidr net;
        assert_int_not_equal(cidr_parse(table[i].text, &net), ERR_OK);
        cidr_problem(table[i].text, problem);
        assert_string_equal(problem, table[i].problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_addresses),
        cmocka_unit_test(bad_addresses),
        cmocka_unit_test(sockaddr_both_ways),
        cmocka_unit_test(mapped_sockaddr_is_ip4),
        cmocka_unit_test(other_families_are_refused),
        cmocka_unit_test(equal_means_every_part),
        cmocka_unit_test(the_same_host_has_any_port),
        cmocka_unit_test(the_longest_text_fits),
        cmocka_unit_test(good_networks),
        cmocka_unit_test(bad_networks),
        cmocka_unit_test(a_refused_network_has_its_reason),
        cmocka_unit_test(prefixes_end_where_they_say),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
