#include "radius/radius_memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above before it */
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
    radius_memory_put(&m, b, 0); /* forgets b only */
    assert_int_equal(radius_memory_get(&m, a), 7);
    radius_memory_put(&m, b, 8); /* there is one place */
    assert_int_equal(radius_memory_get(&m, a), 0);
    assert_int_equal(radius_memory_get(&m, b), 8);
    radius_memory_put(&m, b, 0);
    assert_int_equal(radius_memory_get(&m, b), 0);
    radius_memory_put(&m, none, 9);
    assert_int_equal(radius_memory_get(&m, none), 9);
    radius_memory_clear(&m);
    assert_int_equal(radius_memory_get(&m, none), 0);
    radius_memory_fini(&m);
}

/* The latest are there for the most part, whatever came before. */
static void forgets(void **state)
{
    (void)state;
    struct radius_memory m;
    unsigned found = 0;

    radius_memory_init(&m, 1024);
    for (uint32_t i = 0; i < 100000; i++)
        radius_memory_put(&m, octets_of(&i), i + 1);
    for (uint32_t i = 0; i < 100000; i++) {
        const uint64_t value = radius_memory_get(&m, octets_of(&i));
        assert_true(value == 0 || value == i + 1);
        found += i >= 100000 - 100 && value > 0;
    }
    assert_true(found > 80);
    radius_memory_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(remembers), cmocka_unit_test(forgets)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
