#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "shared/shared_counts.h"

static void add(void *to, const char *subject, unsigned n)
{
    (void)subject;
    *(unsigned *)to += n;
}

static void counts_rise_and_fall(void **state)
{
    (void)state;
    struct shared_counts c;
    unsigned sum = 0;

    shared_counts_init(&c);
    assert_int_equal(shared_counts_get(&c, "u:alice"), 0);
    assert_int_equal(shared_counts_add(&c, "u:alice", 1), 1);
    assert_int_equal(shared_counts_add(&c, "u:alice", 1), 2);
    assert_int_equal(shared_counts_add(&c, "a:192.0.2.1", 1), 1);
    assert_int_equal(shared_counts_size(&c), 2);
    shared_counts_each(&c, add, &sum);
    assert_int_equal(sum, 3);
    assert_int_equal(shared_counts_add(&c, "u:alice", -1), 1);
    assert_int_equal(shared_counts_add(&c, "u:alice", -1), 0);
    assert_int_equal(shared_counts_size(&c), 1);
    assert_int_equal(shared_counts_get(&c, "u:alice"), 0);
    shared_counts_fini(&c);
}

static void many_subjects(void **state)
{
    (void)state;
    struct shared_counts c;
    char subject[32];

    shared_counts_init(&c);
    for (int i = 0; i < 10000; i++) {
        snprintf(subject, sizeof subject, "u:%d", i);
        shared_counts_add(&c, subject, 1);
    }
    assert_int_equal(shared_counts_size(&c), 10000);
    assert_int_equal(shared_counts_get(&c, "u:4711"), 1);
    shared_counts_fini(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_rise_and_fall),
        cmocka_unit_test(many_subjects),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
