#include "control/process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

static void an_open_file_is_counted(void **state)
{
    uint64_t before, after;

    (void)state;
    assert_true(process_open_files(&before));
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_true(process_open_files(&after));
    assert_int_equal(after, before + 1);
    close(fd);
    assert_true(process_open_files(&after));
    assert_int_equal(after, before);
}

static void the_limit_of_files_is_that_of_the_system(void **state)
{
    struct rlimit limit;
    uint64_t n;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_true(process_max_files(&n));
    assert_int_equal(n, limit.rlim_cur);
}

static void memory_and_time_are_plausible(void **state)
{
    uint64_t resident, size, first, second;

    (void)state;
    assert_true(process_memory(&resident, &size));
    assert_true(resident >= 4096 && resident < size);
    assert_true(process_cpu_us(&first));
    do
        assert_true(process_cpu_us(&second));
    while (second == first);
    assert_true(second > first && second < 3600u * 1000000u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_open_file_is_counted),
        cmocka_unit_test(the_limit_of_files_is_that_of_the_system),
        cmocka_unit_test(memory_and_time_are_plausible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
