#include "flood.h"

#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/span.h"
#include "tls/tls_conn.h"

enum { HELLO_MAX = 4096, EVENTS = 256, PATIENCE_MS = 20000 };

struct message {
    uint8_t octets[HELLO_MAX];
    size_t n;
};

static double now(void)
{
    struct timespec t;
    INSIST(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void keep(void *arg, struct span octets)
{
    struct message *m = arg;
    INSIST(m->n + octets.n <= HELLO_MAX);
    memcpy(m->octets + m->n, octets.p, octets.n);
    m->n += octets.n;
}

/* Makes one ClientHello for all connections, because a server computes the same for each. */
static void hello_make(struct tls_ctx *ctx, struct message *m)
{
    struct tls_conn *c = tls_conn_new_client(ctx, NULL, NULL, keep, m);
    INSIST(tls_conn_handshake(c) == ERR_MORE);
    tls_conn_free(c);
}

static int connected(const struct sockaddr_in *to, int epoll)
{
    const struct linger reset = {1, 0}; /* no port stays in TIME_WAIT */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    INSIST(fd >= 0);
    INSIST(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) == 0);
    if (connect(fd, (const struct sockaddr *)to, sizeof *to) != 0) {
        perror("load: flood: connect");
        exit(1);
    }
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    INSIST(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    return fd;
}

static void answer_take(int fd, struct flood_result *r)
{
    char octet;
    if (recv(fd, &octet, 1, 0) == 1)
        r->answered++;
    else
        r->refused++;
    close(fd);
}

static void wave_make(const struct sockaddr_in *to, const struct message *m, size_t wave,
                      struct flood_result *r)
{
    const size_t before = r->answered + r->refused;
    struct epoll_event event[EVENTS];
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    int *fd = insist_alloc(calloc(wave, sizeof *fd));

    INSIST(epoll >= 0);
    for (size_t i = 0; i < wave; i++)
        fd[i] = connected(to, epoll);
    for (size_t i = 0; i < wave; i++)
        (void)!send(fd[i], m->octets, m->n, MSG_NOSIGNAL); /* an error shows as a missing answer */
    while (r->answered + r->refused < before + wave) {
        int n = epoll_wait(epoll, event, EVENTS, PATIENCE_MS);
        if (n == 0) {
            fprintf(stderr, "load: flood: %zu answers did not come\n",
                    before + wave - r->answered - r->refused);
            exit(1);
        }
        for (int i = 0; i < n; i++)
            answer_take(event[i].data.fd, r);
    }
    free(fd);
    close(epoll);
}

static void run(int fd, struct tls_ctx *ctx, const struct sockaddr_in *to, size_t wave)
{
    const struct sched_param second = {.sched_priority = 1};
    struct message m = {.n = 0};
    char begin;

    if (sched_setscheduler(0, SCHED_FIFO, &second) != 0)
        (void)!nice(19); /* lower priority than the round trips */
    hello_make(ctx, &m);
    while (read(fd, &begin, 1) == 1) {
        struct flood_result r = {0};
        const double begun = now();
        wave_make(to, &m, wave, &r);
        r.seconds = now() - begun;
        INSIST(write(fd, &r, sizeof r) == sizeof r);
    }
}

void flood_open(struct flood *f, struct tls_ctx *ctx, const struct sockaddr_in *to, size_t wave)
{
    int pair[2];

    INSIST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    pid_t child = fork();
    INSIST(child >= 0);
    if (child == 0) {
        close(pair[0]);
        run(pair[1], ctx, to, wave);
        _exit(0);
    }
    close(pair[1]);
    f->fd = pair[0];
}

void flood_begin(struct flood *f)
{
    INSIST(write(f->fd, "b", 1) == 1);
}

struct flood_result flood_end(struct flood *f)
{
    struct flood_result r;

    if (read(f->fd, &r, sizeof r) != sizeof r)
        exit(1); /* the process has reported the cause */
    return r;
}
