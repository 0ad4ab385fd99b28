#include "gate/descriptors.h"

#include <limits.h>
#include <sys/resource.h>

#include "config/config.h"
#include "net/mute.h"
#include "radius/radius_proxy.h"
#include "status/status.h"

enum {
    OWN = 32,       /* log, admin socket, main loop, files that are being read */
    OF_A_WORKER = 8 /* its loop and what it watches, besides MUTE_MAX and the sockets */
};

static size_t checked_servers(const struct config *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->backend_count; i++)
        if (c->backend[i].check != CONFIG_CHECK_NO)
            n += c->backend[i].servers.count;
    return n;
}

size_t descriptors_needed(const struct config *c, const struct descriptors_open *open)
{
    return OWN + (open->listening + MUTE_MAX + OF_A_WORKER) * open->workers + open->radius +
           (open->status > 0 ? open->status + STATUS_DESCRIPTORS : 0) + checked_servers(c) +
           radius_proxy_descriptors(c);
}

size_t descriptors_calls(unsigned long long limit, size_t needed)
{
    return limit > needed + 2 ? (size_t)((limit - needed) / 2) : 1;
}

unsigned long long descriptors_raise(void)
{
    struct rlimit lim;

    if (getrlimit(RLIMIT_NOFILE, &lim) != 0)
        return ULLONG_MAX;
    if (lim.rlim_cur < lim.rlim_max) {
        lim.rlim_cur = lim.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &lim); /* the limit in force is read below */
        (void)getrlimit(RLIMIT_NOFILE, &lim);
    }
    return lim.rlim_cur;
}
