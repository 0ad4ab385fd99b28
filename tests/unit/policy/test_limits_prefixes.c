#include "policy/limits_prefixes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static struct addr address(const char *text)
{
    struct addr a;
    assert_int_equal(addr_parse(text, 1, &a), ERR_OK);
    return a;
}

static struct limits_prefix *get(struct limits_prefixes *all, const char *text)
{
    const struct addr a = address(text);
    return limits_prefixes_get(all, a.family, a.ip);
}

static struct limits_prefix *find(const struct limits_prefixes *all, const char *text)
{
    const struct addr a = address(text);
    return limits_prefixes_find(all, &a);
}

static void assert_net(const struct limits_prefixes *all, const struct limits_prefix *p,
                       const char *want)
{
    char text[ADDR_TEXT_MAX];
    const struct cidr net = limits_prefixes_net(all, p);
    assert_string_equal(cidr_format(&net, text), want);
}

static void addresses_share_a_prefix(void **state)
{
    (void)state;
    struct limits_prefixes all;
    limits_prefixes_init(&all, 20, 56, 10, 10);
    struct limits_prefix *p = get(&all, "192.0.31.7"), *q = get(&all, "[2001:db8:0:ff::1]");
    p->tunnels = q->tunnels = 1;
    limits_prefixes_settle(&all, p);
    limits_prefixes_settle(&all, q);
    assert_ptr_equal(find(&all, "192.0.16.255"), p);
    assert_null(find(&all, "192.0.32.0"));
    assert_ptr_equal(find(&all, "[2001:db8::]"), q);
    assert_null(find(&all, "[2001:db8:0:100::]"));
    assert_net(&all, p, "192.0.16.0/20");
    assert_net(&all, q, "2001:db8::/56");
    assert_int_equal(limits_prefixes_bits(&all, AF_INET), 20);
    assert_int_equal(limits_prefixes_bits(&all, AF_INET6), 56);
    limits_prefixes_fini(&all);
}

static void the_place_follows_from_the_fields(void **state)
{
    (void)state;
    struct limits_prefixes all;
    limits_prefixes_init(&all, 32, 64, 10, 10);
    struct limits_prefix *p = get(&all, "192.0.2.1");
    assert_int_equal(p->place, PREFIX_NOWHERE);
    p->tunnels = 1;
    assert_false(limits_prefixes_settled(p));
    limits_prefixes_settle(&all, p);
    assert_true(limits_prefixes_settled(p));
    assert_int_equal(p->place, PREFIX_AT_WORK);

    limits_prefixes_ban(&all, p, 5000);
    assert_int_equal(p->place, PREFIX_BANNED);
    assert_int_equal(all.banned.count, 1);
    assert_true(limits_prefix_is_banned(p, 4999));
    assert_false(limits_prefix_is_banned(p, 5000));
    limits_prefixes_unban(&all, p);
    assert_int_equal(p->place, PREFIX_AT_WORK);
    assert_int_equal(all.banned.count, 0);

    p->tunnels = 0;
    points_add(&p->points, 1);
    limits_prefixes_settle(&all, p);
    assert_int_equal(p->place, PREFIX_IDLE);
    assert_int_equal(all.idle.count, 1);
    points_clear(&p->points);
    limits_prefixes_settle(&all, p); /* nothing is left: frees it */
    assert_int_equal(all.idle.count, 0);
    assert_null(find(&all, "192.0.2.1"));
    limits_prefixes_fini(&all);
}

static void the_oldest_of_a_full_list_is_forgotten(void **state)
{
    (void)state;
    static const char *const text[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3"};
    struct limits_prefixes all;
    limits_prefixes_init(&all, 32, 64, 2, 2);
    for (int i = 0; i < 2; i++) {
        struct limits_prefix *p = get(&all, text[i]);
        p->rate_full_ns = 1;
        limits_prefixes_settle(&all, p);
    }
    limits_prefixes_settle(&all, get(&all, text[0])); /* touched: the other is the oldest now */
    struct limits_prefix *p = get(&all, text[2]);
    p->rate_full_ns = 1;
    limits_prefixes_settle(&all, p);
    assert_int_equal(all.idle.count, 2);
    assert_non_null(find(&all, text[0]));
    assert_null(find(&all, text[1]));
    assert_non_null(find(&all, text[2]));
    limits_prefixes_fini(&all);
}

/* A new ban replaces the oldest one, but the tunnels of that prefix stay counted. */
static void a_full_list_of_bans_keeps_tunnels(void **state)
{
    (void)state;
    struct limits_prefixes all;
    limits_prefixes_init(&all, 32, 64, 2, 1);
    struct limits_prefix *p = get(&all, "192.0.2.1");
    p->tunnels = 1;
    limits_prefixes_ban(&all, p, 5000);
    limits_prefixes_ban(&all, get(&all, "192.0.2.2"), 5000);
    assert_int_equal(all.banned.count, 1);
    assert_ptr_equal(find(&all, "192.0.2.1"), p);
    assert_int_equal(p->place, PREFIX_AT_WORK);
    assert_int_equal(p->tunnels, 1);
    limits_prefixes_fini(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_share_a_prefix),
        cmocka_unit_test(the_place_follows_from_the_fields),
        cmocka_unit_test(the_oldest_of_a_full_list_is_forgotten),
        cmocka_unit_test(a_full_list_of_bans_keeps_tunnels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
