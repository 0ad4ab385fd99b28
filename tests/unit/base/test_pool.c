#include "base/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

/* Under AddressSanitizer the pool keeps nothing, so there is nothing to count. */
static bool keeps(void)
{
    struct pool p;
    pool_init(&p);
    pool_put(&p, pool_get(&p));
    bool kept = p.spare_count == 1;
    pool_fini(&p);
    return kept;
}

static void borrow(struct pool *p, struct block **b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        b[i] = pool_get(p);
}

static void give_back(struct pool *p, struct block **b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pool_put(p, b[i]);
}

static void a_block_comes_empty(void **state)
{
    (void)state;
    struct pool p;
    pool_init(&p);
    for (int round = 0; round < 2; round++) {
        struct block *b = pool_get(&p);
        assert_null(b->next);
        assert_int_equal(b->from, 0);
        assert_int_equal(b->to, 0);
        assert_int_equal(p.lent, 1);
        memset(b->bytes, 0xee, sizeof b->bytes);
        b->from = 3;
        b->to = POOL_BLOCK;
        b->next = b;
        pool_put(&p, b);
        assert_int_equal(p.lent, 0);
    }
    pool_fini(&p);
}

static void what_came_back_goes_out_again(void **state)
{
    (void)state;
    struct pool p;
    struct block *b[5];
    if (!keeps())
        return;
    pool_init(&p);
    borrow(&p, b, 5);
    give_back(&p, b, 5);
    assert_int_equal(p.spare_count, 5);
    borrow(&p, b, 4);
    assert_int_equal(p.spare_count, 1);
    assert_int_equal(p.lent, 4);
    give_back(&p, b, 4);
    assert_int_equal(p.spare_count, 5);
    pool_fini(&p);
}

static void trim_frees_unused_blocks(void **state)
{
    (void)state;
    struct pool p;
    struct block *b[8];
    if (!keeps())
        return;
    pool_init(&p);
    borrow(&p, b, 8);
    give_back(&p, b, 8);
    pool_trim(&p); /* all eight were in use since the start */
    assert_int_equal(p.spare_count, 8);
    borrow(&p, b, 3);
    give_back(&p, b, 3);
    pool_trim(&p); /* five were not touched since */
    assert_int_equal(p.spare_count, 3);
    pool_trim(&p);
    assert_int_equal(p.spare_count, 0);
    pool_trim(&p);
    assert_int_equal(p.spare_count, 0);
    pool_fini(&p);
}

static void trim_leaves_what_is_lent_alone(void **state)
{
    (void)state;
    struct pool p;
    struct block *b[4];
    pool_init(&p);
    borrow(&p, b, 4);
    for (size_t i = 0; i < 4; i++)
        memset(b[i]->bytes, (int)i, sizeof b[i]->bytes);
    for (int i = 0; i < 3; i++)
        pool_trim(&p);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(b[i]->bytes[POOL_BLOCK - 1], i);
    assert_int_equal(p.lent, 4);
    give_back(&p, b, 4);
    pool_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_comes_empty),
        cmocka_unit_test(what_came_back_goes_out_again),
        cmocka_unit_test(trim_frees_unused_blocks),
        cmocka_unit_test(trim_leaves_what_is_lent_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
