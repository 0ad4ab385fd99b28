#include "gate/descriptors.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <limits.h>
#include <sys/resource.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "config/config.h"
#include "net/mute.h"
#include "status/status.h"

static void what_is_open_is_counted(void **state)
{
    struct config_backend backend[2] = {{.check = CONFIG_CHECK_TCP, .servers.count = 3},
                                        {.check = CONFIG_CHECK_NO, .servers.count = 5}};
    struct config_radius radius = {.server.count = 2, .accounting_server.count = 1};
    struct config c = {0};
    struct descriptors_open open = {.workers = 1};
    const size_t least = descriptors_needed(&c, &open);

    (void)state;
    open.listening = 2;
    assert_int_equal(descriptors_needed(&c, &open), least + 2);
    open.workers = 4;
    assert_int_equal(descriptors_needed(&c, &open) - least, 8 + 3 * (MUTE_MAX + 8));
    open = (struct descriptors_open){.workers = 1, .radius = 7};
    assert_int_equal(descriptors_needed(&c, &open), least + 7);
    open = (struct descriptors_open){.workers = 1, .status = 2};
    assert_int_equal(descriptors_needed(&c, &open), least + 2 + STATUS_DESCRIPTORS);
    open.status = 0;
    c.backend = backend;
    c.backend_count = 2;
    assert_int_equal(descriptors_needed(&c, &open), least + 3);
    c.radius = &radius;
    c.radius_count = 1;
    assert_int_equal(descriptors_needed(&c, &open), least + 3 + 2 * 3);
}

static void a_call_needs_two(void **state)
{
    (void)state;
    assert_int_equal(descriptors_calls(1024, 24), 500);
    assert_int_equal(descriptors_calls(1025, 24), 500);
    assert_int_equal(descriptors_calls(28, 24), 2);
    /* never 0, because a gate without a single call would be useless */
    assert_int_equal(descriptors_calls(26, 24), 1);
    assert_int_equal(descriptors_calls(3, 24), 1);
    assert_int_equal(descriptors_calls(0, 24), 1);
    assert_true(descriptors_calls(ULLONG_MAX, 24) > UINT_MAX);
}

static void the_limit_is_raised_as_far_as_the_system_allows(void **state)
{
    struct rlimit before, low, after;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    low = before;
    low.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    assert_true(descriptors_raise() == before.rlim_max);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
    assert_true(after.rlim_cur == before.rlim_max);
    assert_true(descriptors_raise() == before.rlim_max);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_open_is_counted),
        cmocka_unit_test(a_call_needs_two),
        cmocka_unit_test(the_limit_is_raised_as_far_as_the_system_allows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
