#include "radius/radius_table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static struct radius_table t;

static int setup(void **state)
{
    (void)state;
    radius_table_init(&t);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2; i++)
        while (t.list[i] != NULL)
            radius_table_drop(&t, t.list[i]);
    for (size_t i = 0; i < RADIUS_BUCKETS; i++)
        if (t.bucket[i] != NULL)
            return -1;
    return t.count == 0 && t.waiting == 0 ? 0 : -1;
}

static struct radius_key key(const char *from, uint8_t id, bool accounting)
{
    struct radius_key k = {.id = id, .accounting = accounting};
    assert_int_equal(addr_parse(from, 0, &k.from), ERR_OK);
    return k;
}

/* Requests differ if any part of their keys differs. */
static void keys(void **state)
{
    (void)state;
    const struct radius_key all[] = {
        key("192.0.2.1:1000", 1, false),     key("192.0.2.1:1000", 2, false),
        key("192.0.2.1:1001", 1, false),     key("192.0.2.2:1000", 1, false),
        key("192.0.2.1:1000", 1, true),      key("[2001:db8::1]:1000", 1, false),
        key("[2001:db8::2]:1000", 1, false),
    };
    struct radius_request *r[sizeof all / sizeof *all];

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_null(radius_table_find(&t, &all[i]));
        r[i] = radius_table_add(&t, &all[i], 0);
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_ptr_equal(radius_table_find(&t, &all[i]), r[i]);
    radius_table_drop(&t, r[2]);
    assert_null(radius_table_find(&t, &all[2]));
    assert_ptr_equal(radius_table_find(&t, &all[0]), r[0]);
}

/* A request expires some time after its latest use. */
static void age(void **state)
{
    (void)state;
    const struct radius_key a = key("192.0.2.1:1", 1, false), b = key("192.0.2.1:1", 2, false);
    struct radius_request *first = radius_table_add(&t, &a, 1000);
    struct radius_request *second = radius_table_add(&t, &b, 2000);

    assert_int_equal(t.waiting, 2);
    assert_null(radius_table_old(&t, 1000 + RADIUS_PENDING_MS - 1));
    assert_ptr_equal(radius_table_old(&t, 1000 + RADIUS_PENDING_MS), first);
    radius_table_touch(&t, first, 3000);
    assert_null(radius_table_old(&t, 1000 + RADIUS_PENDING_MS));
    assert_ptr_equal(radius_table_old(&t, 2000 + RADIUS_PENDING_MS), second);
    radius_table_set(&t, second, RADIUS_ANSWERED, span_str("answer"), 4000);
    assert_int_equal(t.waiting, 1);
    assert_int_equal(second->len, 6);
    assert_memory_equal(second->octets, "answer", 6);
    assert_null(radius_table_old(&t, 4000 + RADIUS_ANSWERED_MS - 1));
    assert_ptr_equal(radius_table_old(&t, 4000 + RADIUS_ANSWERED_MS), second);
    radius_table_drop(&t, second);
    assert_null(radius_table_old(&t, 4000 + RADIUS_ANSWERED_MS));
}

/* Answered requests are dropped before pending ones, older before younger. */
static void full(void **state)
{
    (void)state;
    struct radius_key k = key("192.0.2.1:1", 0, false);
    struct radius_request *r[RADIUS_REQUESTS_MAX];

    for (unsigned i = 0; i < RADIUS_REQUESTS_MAX; i++) {
        assert_null(radius_table_surplus(&t));
        k.from.port = (uint16_t)(i / 256 + 1);
        k.id = (uint8_t)i;
        r[i] = radius_table_add(&t, &k, i);
    }
    assert_ptr_equal(radius_table_surplus(&t), r[0]);
    radius_table_touch(&t, r[0], 5000);
    assert_ptr_equal(radius_table_surplus(&t), r[1]);
    radius_table_set(&t, r[7], RADIUS_ANSWERED, span_str("x"), 6000);
    radius_table_set(&t, r[6], RADIUS_ANSWERED, span_str("x"), 6000);
    assert_ptr_equal(radius_table_surplus(&t), r[7]);
    radius_table_drop(&t, r[7]);
    assert_null(radius_table_surplus(&t));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(keys, setup, teardown),
        cmocka_unit_test_setup_teardown(age, setup, teardown),
        cmocka_unit_test_setup_teardown(full, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
