#include "policy/manual_bans.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static struct addr addr(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(text, 443, &a), ERR_OK);
    return a;
}

static struct cidr net(const char *text)
{
    struct cidr n;
    assert_int_equal(cidr_parse(text, &n), ERR_OK);
    return n;
}

static bool has(const struct manual_bans *all, const char *who, uint64_t now)
{
    const struct addr a = addr(who);
    return manual_bans_have_addr(all, &a, now);
}

static void networks_of_any_length(void **state)
{
    (void)state;
    static const char *const nets[] = {"192.0.2.1", "198.51.100.0/23", "2001:db8::/33",
                                       "10.0.0.0/8"};
    struct manual_bans all;

    manual_bans_init(&all);
    assert_false(has(&all, "192.0.2.1", 0));
    for (size_t i = 0; i < sizeof nets / sizeof *nets; i++) {
        const struct cidr n = net(nets[i]);
        manual_bans_add_net(&all, &n, 1000);
    }
    assert_true(has(&all, "192.0.2.1", 999));
    assert_false(has(&all, "192.0.2.1", 1000));
    assert_false(has(&all, "192.0.2.2", 0));
    assert_true(has(&all, "198.51.101.255", 0));
    assert_false(has(&all, "198.51.102.0", 0));
    assert_true(has(&all, "[2001:db8:7fff::1]", 0));
    assert_false(has(&all, "[2001:db8:8000::1]", 0));
    assert_true(has(&all, "10.255.255.255", 0));
    const struct cidr again = net("192.0.2.1");
    manual_bans_add_net(&all, &again, 5000); /* replaces the time */
    assert_int_equal(HASH_COUNT(all.table), 4);
    manual_bans_sweep(&all, 1000);
    assert_int_equal(HASH_COUNT(all.table), 1);
    assert_true(has(&all, "192.0.2.1", 1000));
    assert_false(has(&all, "10.255.255.255", 0));
    manual_bans_fini(&all);
}

static void users_without_case(void **state)
{
    (void)state;
    struct manual_bans all;

    manual_bans_init(&all);
    assert_false(manual_bans_have_user(&all, span_str("alice"), 0));
    manual_bans_add_user(&all, "J\xc3\x9crgen", 1000);
    assert_true(manual_bans_have_user(&all, span_str("j\xc3\xbcrgen"), 0));
    assert_false(manual_bans_have_user(&all, span_str("j\xc3\xbcrgen"), 1000));
    assert_false(manual_bans_have_user(&all, span_str("jurgen"), 0));
    assert_string_equal(manual_bans_find_user(&all, span_str("J\xc3\xbcRGEN"))->user,
                        "J\xc3\x9crgen");
    manual_bans_remove(&all, manual_bans_find_user(&all, span_str("j\xc3\xbcrgen")));
    assert_null(all.table);
    manual_bans_fini(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_of_any_length),
        cmocka_unit_test(users_without_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
