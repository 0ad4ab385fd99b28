#include "net/outq.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

enum { MOST = 4 };

static struct pool pool;
static uint8_t pattern[10 * POOL_BLOCK];

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

static size_t bytes_of(const uv_buf_t *bufs, unsigned n)
{
    size_t sum = 0;
    for (unsigned i = 0; i < n; i++)
        sum += bufs[i].len;
    return sum;
}

static void bytes_leave_in_the_order_in_which_they_came(void **state)
{
    struct outq q = {0};
    uv_buf_t bufs[MOST];
    size_t sent = 0;

    (void)state;
    assert_true(outq_empty(&q) && outq_sane(&q));
    for (size_t n = 0; n < sizeof pattern; n += sizeof pattern / 100)
        outq_add(&q, &pool, span_sub(span_of(pattern, sizeof pattern), n, sizeof pattern / 100));
    assert_int_equal(outq_bytes(&q), sizeof pattern);
    while (!outq_empty(&q)) {
        const unsigned n = outq_launch(&q, bufs, MOST);
        assert_in_range(n, 1, MOST);
        assert_true(outq_sane(&q));
        for (unsigned i = 0; i < n; i++) {
            assert_memory_equal(bufs[i].base, pattern + sent, bufs[i].len);
            sent += bufs[i].len;
        }
        outq_landed(&q, &pool);
        assert_int_equal(outq_bytes(&q), sizeof pattern - sent);
    }
    assert_int_equal(sent, sizeof pattern);
    assert_int_equal(pool.lent, 0);
}

/* A flying block is not filled up, because its uv_write has its length already. */
static void a_block_that_flies_does_not_grow(void **state)
{
    struct outq q = {0};
    uv_buf_t bufs[MOST];

    (void)state;
    outq_add(&q, &pool, span_str("flies"));
    assert_int_equal(outq_launch(&q, bufs, MOST), 1);
    outq_add(&q, &pool, span_str("waits"));
    outq_add(&q, &pool, span_str(" too"));
    assert_int_equal(q.count, 2);
    assert_int_equal(bytes_of(bufs, 1), 5);
    outq_landed(&q, &pool);
    assert_int_equal(outq_bytes(&q), 9);
    assert_int_equal(outq_launch(&q, bufs, MOST), 1);
    assert_int_equal(bytes_of(bufs, 1), 9);
    outq_landed(&q, &pool);
    assert_true(outq_empty(&q));
}

static void a_refused_write_loses_nothing(void **state)
{
    struct outq q = {0};
    uv_buf_t bufs[MOST];

    (void)state;
    outq_add(&q, &pool, span_str("once"));
    assert_int_equal(outq_launch(&q, bufs, MOST), 1);
    outq_grounded(&q);
    assert_true(outq_sane(&q));
    assert_int_equal(outq_bytes(&q), 4);
    outq_add(&q, &pool, span_str(" more"));
    assert_int_equal(q.count, 1); /* the block is not flying, so it may be filled up */
    outq_clear(&q, &pool);
    assert_true(outq_empty(&q) && outq_sane(&q));
    assert_int_equal(pool.lent, 0);
}

static void what_is_not_sane(void **state)
{
    struct block b = {0};
    const struct outq bad[] = {
        {.count = 1},
        {.list = {.first = &b, .last = &b, .bytes = 1}},
        {.list = {.first = &b, .last = &b, .bytes = 1}, .count = 1, .flying = 2},
        {.list = {.first = &b, .last = &b}, .count = 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(outq_sane(&bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_leave_in_the_order_in_which_they_came),
        cmocka_unit_test(a_block_that_flies_does_not_grow),
        cmocka_unit_test(a_refused_write_loses_nothing),
        cmocka_unit_test(what_is_not_sane),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
