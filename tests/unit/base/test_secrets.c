#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/secrets.h"

static void zeros_and_alignment(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 63, 64, 65, 128, 1024, SECRETS_MAX};
    static const uint8_t none[SECRETS_MAX];

    for (int round = 0; round < 2; round++) /* the second one takes what the first one has freed */
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            uint8_t *p = secrets_alloc(sizes[i]), *q = secrets_alloc(sizes[i]);
            assert_int_equal((uintptr_t)p % SECRETS_ALIGN, 0);
            assert_memory_equal(p, none, sizes[i]);
            assert_memory_equal(q, none, sizes[i]);
            memset(p, 0xaa, sizes[i]);
            memset(q, 0xbb, sizes[i]);
            assert_int_equal(p[0], 0xaa);
            assert_int_equal(p[sizes[i] - 1], 0xaa);
            secrets_free(q, sizes[i]);
            secrets_free(p, sizes[i]);
        }
    secrets_free(NULL, 1);
}

/* The neighbour of a freed block is in the same chunk, so the block's bytes can still be read, but
 * through the kernel only, because AddressSanitizer reports other reads. */
static void wiped(void **state)
{
    (void)state;
    static const uint8_t none[256];
    uint8_t *keeper = secrets_alloc(256), *p = secrets_alloc(256), left[256];
    const int mem = open("/proc/self/mem", O_RDONLY);

    memset(p, 0xcc, 256);
    secrets_free(p, 256);
    assert_int_equal(pread(mem, left, sizeof left, (off_t)(uintptr_t)p), sizeof left);
    /* the first bytes link the free slots */
    assert_memory_equal(left + sizeof(void *), none, sizeof left - sizeof(void *));
    close(mem);
    secrets_free(keeper, 256);
}

/* Many blocks of one size: none overlaps another, and the pages are returned. */
static void many(void **state)
{
    (void)state;
    enum { COUNT = 5000, SIZE = 192 };
    static uint32_t *block[COUNT];
    const size_t before = secrets_mapped();

    for (uint32_t i = 0; i < COUNT; i++) {
        block[i] = secrets_alloc(SIZE);
        for (size_t n = 0; n < SIZE / sizeof(uint32_t); n++)
            block[i][n] = i;
    }
    assert_true(secrets_mapped() >= before + COUNT * SIZE);
    assert_true(secrets_mapped() <= before + COUNT * SIZE * 5 / 4);
    for (uint32_t i = 0; i < COUNT; i++)
        for (size_t n = 0; n < SIZE / sizeof(uint32_t); n++)
            assert_int_equal(block[i][n], i);
    for (uint32_t i = 0; i < COUNT; i++) /* in another order than they were taken */
        secrets_free(block[i * 7 % COUNT], SIZE);
    assert_true(secrets_mapped() <= before + 65536);
}

/* The kernel's flags of the mapping say that a core dump leaves it out. */
static void not_dumped(void **state)
{
    (void)state;
    void *p = secrets_alloc(64);
    FILE *f = fopen("/proc/self/smaps", "r");
    char line[512];
    bool inside = false, found = false, dd = false;

    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        unsigned long from, to;
        if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
            inside = (uintptr_t)p >= from && (uintptr_t)p < to;
        else if (inside && strncmp(line, "VmFlags:", 8) == 0) {
            found = true;
            dd = strstr(line, " dd") != NULL;
        }
    }
    fclose(f);
    secrets_free(p, 64);
    assert_true(found);
    assert_true(dd);
}

static void *churn(void *arg)
{
    const size_t size = 64 + (size_t)(uintptr_t)arg % 2 * 64;

    for (int i = 0; i < 20000; i++) {
        uint8_t *p = secrets_alloc(size);
        if (p[0] != 0 || p[size - 1] != 0)
            return p;
        memset(p, (int)(uintptr_t)arg + 1, size);
        secrets_free(p, size);
    }
    return NULL;
}

static void threads(void **state)
{
    (void)state;
    pthread_t t[4];
    void *result;

    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&t[i], NULL, churn, (void *)i), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(t[i], &result), 0);
        assert_null(result);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zeros_and_alignment), cmocka_unit_test(wiped),   cmocka_unit_test(many),
        cmocka_unit_test(not_dumped),          cmocka_unit_test(threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
