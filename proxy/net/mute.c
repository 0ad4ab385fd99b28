#include "net/mute.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/insist.h"

static void oldest_close(struct mute *m)
{
    INSIST(m->count > 0);
    close(m->kept[m->first].fd);
    m->first = (m->first + 1) % MUTE_MAX;
    m->count--;
}

void mute_keep(struct mute *m, int fd, uint64_t now_ms)
{
    static struct sock_filter drop_all[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    const struct sock_fprog filter = {.len = 1, .filter = drop_all};
    const int off = 0;

    if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
        return;
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &off, sizeof off);
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return;
    if (m->count == MUTE_MAX)
        oldest_close(m);
    m->kept[(m->first + m->count++) % MUTE_MAX] = (struct mute_kept){copy, now_ms + MUTE_MS};
}

void mute_sweep(struct mute *m, uint64_t now_ms)
{
    while (m->count > 0 && m->kept[m->first].until <= now_ms)
        oldest_close(m);
}

void mute_fini(struct mute *m)
{
    while (m->count > 0)
        oldest_close(m);
}
