/* The limits of control groups, from trees of files as the kernel shows them. */
#include "gate/cgroup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static char root[] = "/tmp/sstpgate-cgroup-XXXXXX";

/* Writes a file below the root; creates its directories if they do not exist. */
static void put(const char *name, const char *text)
{
    char path[256];

    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        (void)mkdir(path, 0700);
        *slash = '/';
    }
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static int begin(void **state)
{
    (void)state;
    strcpy(root + strlen(root) - 6, "XXXXXX");
    return mkdtemp(root) == NULL ? -1 : 0;
}

static int end(void **state)
{
    char command[128];

    (void)state;
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static struct cgroup_limits limits(const char *groups)
{
    char path[256];

    put("groups", groups);
    snprintf(path, sizeof path, "%s/groups", root);
    return cgroup_read(path, root);
}

static void assert_limits(struct cgroup_limits got, uint64_t memory, size_t cpus)
{
    assert_int_equal(got.memory, memory);
    assert_int_equal(got.cpus, cpus);
}

static void no_group_is_no_limit(void **state)
{
    (void)state;
    assert_limits(limits(""), UINT64_MAX, SIZE_MAX);
    assert_limits(limits("0::/\n"), UINT64_MAX, SIZE_MAX);
    assert_limits(limits("nonsense\n"), UINT64_MAX, SIZE_MAX);
    assert_limits(cgroup_read("/nonexistent", root), UINT64_MAX, SIZE_MAX);
}

static void version_2(void **state)
{
    (void)state;
    put("system.slice/gate.service/memory.max", "134217728\n");
    put("system.slice/gate.service/cpu.max", "150000 100000\n");
    assert_limits(limits("0::/system.slice/gate.service\n"), 134217728, 2);
    put("system.slice/gate.service/cpu.max", "max 100000\n");
    put("system.slice/gate.service/memory.max", "max\n");
    assert_limits(limits("0::/system.slice/gate.service\n"), UINT64_MAX, SIZE_MAX);
}

/* A group has the limits of the groups that contain it. */
static void the_least_limit_counts(void **state)
{
    (void)state;
    put("a/b/memory.max", "500\n");
    put("a/memory.max", "400\n");
    put("a/cpu.max", "300000 100000\n");
    put("a/b/cpu.max", "400000 100000\n");
    assert_limits(limits("0::/a/b\n"), 400, 3);
    put("a/b/cpu.max", "1000 100000\n"); /* never 0 */
    assert_limits(limits("0::/a/b\n"), 400, 1);
}

/* In a container the namespace of groups hides the path. */
static void a_container(void **state)
{
    (void)state;
    put("memory.max", "1000\n");
    put("cpu.max", "200000 100000\n");
    assert_limits(limits("0::/\n"), 1000, 2);
    assert_limits(limits("0::/docker/0123/not/visible\n"), 1000, 2);
}

static void version_1(void **state)
{
    (void)state;
    put("memory/docker/x/memory.limit_in_bytes", "2000\n");
    put("memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("cpu/docker/x/cpu.cfs_quota_us", "250000\n");
    put("cpu/docker/x/cpu.cfs_period_us", "100000\n");
    put("cpu/cpu.cfs_quota_us", "-1\n");
    put("cpu/cpu.cfs_period_us", "100000\n");
    assert_limits(limits("5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n1:name=systemd:/x\n"), 2000,
                  3);
    assert_limits(limits("5:cpuset:/docker/x\n4:memory:/other\n"), 9223372036854771712u, SIZE_MAX);
}

static void calls_have_room(void **state)
{
    (void)state;
    assert_int_equal(cgroup_calls(0), 1);
    assert_int_equal(cgroup_calls(24 << 20), 1);
    assert_int_equal(cgroup_calls(64 << 20), 640);
    assert_int_equal(cgroup_calls((uint64_t)1 << 30), 16000);
    assert_true(cgroup_calls(UINT64_MAX) > 1000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_group_is_no_limit, begin, end),
        cmocka_unit_test_setup_teardown(version_2, begin, end),
        cmocka_unit_test_setup_teardown(the_least_limit_counts, begin, end),
        cmocka_unit_test_setup_teardown(a_container, begin, end),
        cmocka_unit_test_setup_teardown(version_1, begin, end),
        cmocka_unit_test(calls_have_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
