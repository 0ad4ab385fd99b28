/* Needs root with CAP_NET_BIND_SERVICE, CAP_SETUID and CAP_SETPCAP. */
#include "confine/capabilities.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/syscall.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "child.h"

#define LOW_PORTS ((uint64_t)1 << CAP_NET_BIND_SERVICE)

static void nothing(void)
{
    CHECK(capabilities_left() != 0);
    CHECK(capabilities_begin(0) && capabilities_end(0));
    CHECK(capabilities_left() == 0 && capabilities_bound() == 0);
    /* Not setuid(), which does it in all threads: that of ThreadSanitizer keeps its capabilities.
     */
    CHECK(syscall(SYS_setuid, 1) != 0 && getuid() == 0);
}

static void root_without_capabilities(void **state)
{
    (void)state;
    in_child(nothing);
}

/* The capability survives the change of the user, and an execve(2), whose effect cat(1) shows. */
static void low_ports(void)
{
    CHECK(capabilities_begin(LOW_PORTS));
    CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
    CHECK(capabilities_end(LOW_PORTS));
    CHECK(capabilities_left() == LOW_PORTS && capabilities_bound() == LOW_PORTS);
    FILE *status = popen("exec cat /proc/self/status", "r");
    char line[256];
    int found = 0;
    while (fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "Cap", 3) == 0 && strstr(line, "\t0000000000000400\n") != NULL)
            found++;
    CHECK(pclose(status) == 0 &&
          found == 5); /* inheritable, permitted, effective, bounding, ambient */
}

static void one_capability_of_an_unprivileged_user(void **state)
{
    (void)state;
    in_child(low_ports);
}

static void unprivileged(void)
{
    CHECK(setresuid(65534, 65534, 65534) == 0);
    CHECK(capabilities_begin(LOW_PORTS) &&
          capabilities_end(LOW_PORTS)); /* cannot keep what is missing */
    CHECK(capabilities_left() == 0);
}

static void a_user_without_capabilities(void **state)
{
    (void)state;
    in_child(unprivileged);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_without_capabilities),
        cmocka_unit_test(one_capability_of_an_unprivileged_user),
        cmocka_unit_test(a_user_without_capabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
