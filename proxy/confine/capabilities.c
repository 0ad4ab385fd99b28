#include "confine/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define BIT(number) ((uint64_t)1 << (number))

/* glibc has no functions for these calls. */
static bool sets_read(struct __user_cap_data_struct data[2])
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    return syscall(SYS_capget, &head, data) == 0;
}

static bool sets_write(uint64_t permitted, uint64_t inheritable)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];

    for (int i = 0; i < 2; i++) {
        data[i].effective = data[i].permitted = (uint32_t)(permitted >> (32 * i));
        data[i].inheritable = (uint32_t)(inheritable >> (32 * i));
    }
    return syscall(SYS_capset, &head, data) == 0;
}

static uint64_t whole(uint32_t low, uint32_t high)
{
    return low | (uint64_t)high << 32;
}

/* The highest number is that of the kernel, which refuses a higher one. */
static bool exists(unsigned long number)
{
    return number < 64 && prctl(PR_CAPBSET_READ, number, 0, 0, 0) >= 0;
}

bool capabilities_begin(uint64_t keep)
{
    for (unsigned long i = 0; exists(i); i++)
        if ((keep & BIT(i)) == 0 && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) != 0 && errno != EPERM)
            return false;
    return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0;
}

/* An upgrade of the program executes it again: without the ambient set, an unprivileged user would
 * lose the capability then. */
static bool ambient_set(uint64_t keep)
{
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return false;
    for (unsigned long i = 0; i < 64; i++)
        if ((keep & BIT(i)) != 0 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) != 0)
            return false;
    return true;
}

bool capabilities_end(uint64_t keep)
{
    struct __user_cap_data_struct data[2];

    if (!sets_read(data))
        return false;
    keep &= whole(data[0].permitted, data[1].permitted);
    return sets_write(keep, keep) && ambient_set(keep) && prctl(PR_SET_KEEPCAPS, 0, 0, 0, 0) == 0;
}

uint64_t capabilities_left(void)
{
    struct __user_cap_data_struct data[2];
    uint64_t left = 0;

    if (!sets_read(data))
        return UINT64_MAX;
    for (unsigned long i = 0; exists(i); i++)
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1)
            left |= BIT(i);
    return left | whole(data[0].permitted | data[0].effective | data[0].inheritable,
                        data[1].permitted | data[1].effective | data[1].inheritable);
}

uint64_t capabilities_bound(void)
{
    uint64_t bound = 0;

    for (unsigned long i = 0; exists(i); i++)
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            bound |= BIT(i);
    return bound;
}
