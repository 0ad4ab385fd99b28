#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/blocks.h"

static struct pool pool;
static uint8_t pattern[5 * POOL_BLOCK];

static int setup(void **state)
{
    (void)state;
    pool_init(&pool);
    for (size_t i = 0; i < sizeof pattern; i++)
        pattern[i] = (uint8_t)(i % 251);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pool_fini(&pool); /* every block was returned */
    return 0;
}

static void what_is_added_is_taken_in_order(void **state)
{
    static const size_t sizes[] = {0, 1, 100, POOL_BLOCK - 101, POOL_BLOCK, 2 * POOL_BLOCK + 7};
    static uint8_t out[sizeof pattern];
    struct blocks l = {0};
    size_t n = 0;

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        blocks_add(&l, &pool, span_of(pattern + n, sizes[i]), false);
        n += sizes[i];
        assert_int_equal(l.bytes, n);
        assert_int_equal(blocks_empty(&l), n == 0);
    }
    assert_int_equal(pool.lent, (n + POOL_BLOCK - 1) / POOL_BLOCK); /* none is half empty */
    assert_int_equal(blocks_take(&l, &pool, out), n);
    assert_memory_equal(out, pattern, n);
    assert_true(blocks_empty(&l));
    assert_int_equal(l.bytes, 0);
    assert_int_equal(pool.lent, 0);
    assert_int_equal(blocks_take(&l, &pool, out), 0);
}

static void a_new_block_where_the_last_must_not_grow(void **state)
{
    struct blocks l = {0};

    (void)state;
    assert_int_equal(blocks_add(&l, &pool, span_str("one"), true), 1);
    assert_int_equal(blocks_add(&l, &pool, span_str("two"), false), 0);
    assert_int_equal(blocks_add(&l, &pool, span_str("three"), true), 1);
    assert_int_equal(blocks_add(&l, &pool, span_of(NULL, 0), true), 0);
    assert_int_equal(l.first->to, 6);
    assert_ptr_equal(l.first->next, l.last);
    assert_int_equal(l.bytes, 11);
    blocks_drop_first(&l, &pool);
    assert_int_equal(l.bytes, 5);
    assert_ptr_equal(l.first, l.last);
    blocks_drop_first(&l, &pool);
    assert_true(blocks_empty(&l));
    assert_null(l.last);
}

static void clearing_returns_every_block(void **state)
{
    struct blocks l = {0};

    (void)state;
    assert_int_equal(blocks_add(&l, &pool, span_of(pattern, sizeof pattern), false), 5);
    blocks_clear(&l, &pool);
    assert_int_equal(pool.lent, 0);
    assert_int_equal(l.bytes, 0);
    assert_true(blocks_empty(&l));
    blocks_clear(&l, &pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_is_taken_in_order),
        cmocka_unit_test(a_new_block_where_the_last_must_not_grow),
        cmocka_unit_test(clearing_returns_every_block),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
