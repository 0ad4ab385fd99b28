#include "control/report_query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static void values(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *problem;
    } table[] = {
        {"limit", "1", NULL},
        {"limit", "10000", NULL},
        {"limit", "0", "limit is a number from 1 to 10000"},
        {"limit", "10001", "limit is a number from 1 to 10000"},
        {"limit", "-1", "limit is a number from 1 to 10000"},
        {"limit", "1x", "limit is a number from 1 to 10000"},
        {"offset", "0", NULL},
        {"offset", "4294967296", "offset is a number from 0 to 4294967295"},
        {"address", "192.0.2.0/24", NULL},
        {"address", "192.0.2.1/24",
         "not a network: bits after the prefix are set; the network is 192.0.2.0/24"},
        {"address", "", "not an address or a network such as 198.51.100.0/24"},
        {"user", "bob smith", NULL},
        {"user", "", "a filter needs a value"},
        {"id", "0-12", NULL},
        {"listener", "front", NULL},
        {"server", "back/10.0.0.5:443", NULL},
        {"gates", "all", NULL},
        {"gates", "", "gates is `all`"},
        {"gates", "gate1", "gates is `all`"},
        {"colour", "red", "a filter is one of id, user, address, listener, server"},
        {"", "", "a filter is one of id, user, address, listener, server"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct report_query q = report_query_init();
        char why[REPORT_WHY_MAX];
        const char *problem = report_query_set(&q, table[i].key, table[i].value, why);
        if (table[i].problem == NULL)
            assert_null(problem);
        else
            assert_string_equal(problem, table[i].problem);
    }
}

static void a_query_has_all_its_parts(void **state)
{
    (void)state;
    struct report_query q = report_query_init();
    char why[REPORT_WHY_MAX];

    assert_int_equal(q.limit, 100);
    assert_int_equal(q.offset, 0);
    assert_false(filter_is_set(&q.filter));
    assert_null(report_query_set(&q, "limit", "7", why));
    assert_null(report_query_set(&q, "offset", "9", why));
    assert_null(report_query_set(&q, "user", "bob", why));
    assert_null(report_query_set(&q, "address", "10.0.0.0/8", why));
    assert_int_equal(q.limit, 7);
    assert_int_equal(q.offset, 9);
    assert_string_equal(q.filter.user, "bob");
    assert_true(q.filter.has_address);
    assert_int_equal(q.filter.address.bits, 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values),
        cmocka_unit_test(a_query_has_all_its_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
