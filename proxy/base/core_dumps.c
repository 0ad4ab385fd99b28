#include "base/core_dumps.h"

#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/insist.h"

/* Set if LeakSanitizer attaches to the process at its end. */
#if defined(__SANITIZE_ADDRESS__)
#define TRACED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TRACED 1
#endif
#endif
#ifndef TRACED
#define TRACED 0
#endif

void core_dumps_off(void)
{
    /* The kernel ignores this limit where core_pattern is a pipe (systemd-coredump, apport), and
     * the filter of the systemd unit refuses the call. */
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    /* This call is sufficient: a process that is not dumpable has no dump, not even to a pipe. */
    if (!TRACED)
        INSIST(prctl(PR_SET_DUMPABLE, 0) == 0);
}
