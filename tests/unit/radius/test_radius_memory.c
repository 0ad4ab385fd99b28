#include "radius/radius_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static struct span octets_of(const uint32_t *n)
{
    return span_of(n, sizeof *n);
}

static void remembers(void **state)
{
    (void)state;
    struct radius_memory m;
    const struct span a = span_str("a"), b = span_str("b"), none = span_of(NULL, 0);

    radius_memory_init(&m, 1);
    assert_int_equal(radius_memory_get(&m, a), 0);
    assert_int_equal(radius_memory_get(&m, none), 0);
    radius_memory_put(&m, a, 7);
    assert_int_equal(radius_memory_get(&m, a), 7);
    assert_int_equal(radius_memory_get(&m, b), 0);
    radius_memory_put(&m, b, 0); /* removes b only */
    assert_int_equal(radius_memory_get(&m, a), 7);
    radius_memory_put(&m, b, 8);
    radius_memory_put(&m, a, 9);
    assert_int_equal(radius_memory_get(&m, a), 9);
    assert_int_equal(radius_memory_get(&m, b), 8);
    radius_memory_put(&m, a, 0);
    assert_int_equal(radius_memory_get(&m, a), 0);
    assert_int_equal(radius_memory_get(&m, b), 8);
    radius_memory_put(&m, none, 9);
    assert_int_equal(radius_memory_get(&m, none), 9);
    radius_memory_clear(&m);
    assert_int_equal(radius_memory_get(&m, none), 0);
    radius_memory_fini(&m);
}

/* In a full set the oldest entry is replaced. An entry that is put again becomes the newest
 * one; a removed entry leaves room for another. */
static void the_oldest_makes_room(void **state)
{
    (void)state;
    struct radius_memory m;
    const uint32_t ways = RADIUS_MEMORY_WAYS;

    radius_memory_init(&m, 1);
    for (uint32_t i = 0; i < ways; i++)
        radius_memory_put(&m, octets_of(&i), i + 1);
    const uint32_t oldest = 0, next = 1, more = 100, again = 101;
    radius_memory_put(&m, octets_of(&oldest), 1);
    radius_memory_put(&m, octets_of(&more), 100);
    assert_int_equal(radius_memory_get(&m, octets_of(&oldest)), 1);
    assert_int_equal(radius_memory_get(&m, octets_of(&next)), 0);
    radius_memory_put(&m, octets_of(&more), 0);
    radius_memory_put(&m, octets_of(&again), 101);
    for (uint32_t i = 2; i < ways; i++)
        assert_int_equal(radius_memory_get(&m, octets_of(&i)), i + 1);
    radius_memory_fini(&m);
}

/* If half of the entries are in use, nearly all are kept, whatever was in the map before. */
static void forgets(void **state)
{
    (void)state;
    struct radius_memory m;
    unsigned found = 0;

    radius_memory_init(&m, 8192);
    for (uint32_t i = 0; i < 100000; i++)
        radius_memory_put(&m, octets_of(&i), i + 1);
    for (uint32_t i = 0; i < 100000; i++) {
        const uint64_t value = radius_memory_get(&m, octets_of(&i));
        assert_true(value == 0 || value == i + 1);
        found += i >= 100000 - 4096 && value > 0;
    }
    assert_true(found > 4096 * 96 / 100);
    radius_memory_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(remembers),
                                       cmocka_unit_test(the_oldest_makes_room),
                                       cmocka_unit_test(forgets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
