#include "status/status.h"

#ifdef HAVE_MICROHTTPD

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/log.h"
#include "base/memo.h"
#include "status/requests.h"

enum {
    ACCEPTS = 16,            /* connections in one round */
    AGAIN_MS = 100,          /* between attempts to accept without a descriptor */
    SEND_QUEUE = 128 << 10,  /* bytes of a connection in the kernel, which doubles it */
    FIELDS = 1024,           /* bytes of the fields of an answer, besides the head of the request */
    END_ROUNDS = 8,          /* of libmicrohttpd, to send the last answers */
    CUT_ROUNDS = 8,          /* of libmicrohttpd, to close one connection */
    POLL_BEFORE_SOCKETS = 2, /* entries of poll() before those of the sockets */
};

/* libmicrohttpd has no listening socket, because it would wait busily when no descriptor is left;
 * and no thread, so that all its functions are called in this one, which also has deadlines. */
struct status {
    struct requests requests;
    struct MHD_Daemon *daemon;
    pthread_t thread;
    bool started;
    atomic_bool stopping;
    int wake;          /* eventfd: an answer of the main thread, or the end */
    uint64_t again_ms; /* no accept before; 0: now */
    struct log_limit failed;
    struct pollfd *poll; /* wake, libmicrohttpd, sockets */
    size_t sockets;
};

bool status_supported(void)
{
    return true;
}

const char *status_library(void)
{
    return MHD_get_version();
}

static uint64_t now_ms(void)
{
    struct timespec t;

    INSIST(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void wake(struct status *s)
{
    /* EAGAIN: the counter is full, and the thread wakes because of it */
    const uint64_t one = 1;
    INSIST(write(s->wake, &one, sizeof one) == sizeof one || errno == EAGAIN);
}

/* ---- connections ---- */

static void on_connection(void *cls, struct MHD_Connection *c, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct status *s = cls;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);

    (void)context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED)
        peers_remove(&s->requests.peers, peers_find(&s->requests.peers, info->connect_fd));
}

static void run(struct status *s)
{
    INSIST(MHD_run(s->daemon) == MHD_YES);
}

/* Ends a connection: libmicrohttpd, which owns the descriptor, reads its end in the next round. The
 * rest of an answer that the client does not read is discarded by the kernel, too. */
static void cut(const struct peer *peer)
{
    const struct linger reset = {.l_onoff = 1};

    if (!peer->waiting)
        (void)setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    (void)shutdown(peer->fd, SHUT_RDWR);
}

/* Makes room for a connection of addr (NULL: of a unix socket). Returns false if there is none. */
static bool make_room(struct status *s, const struct addr *addr)
{
    bool full;
    struct peer *victim = peers_victim(&s->requests.peers, addr, now_ms(), &full);

    if (victim == NULL)
        return !full;
    cut(victim);
    /* libmicrohttpd may notice the end of a connection in one round, and close it in the next. */
    for (int rounds = 0; rounds < CUT_ROUNDS; rounds++) {
        run(s);
        if (peers_victim(&s->requests.peers, addr, now_ms(), &full) == NULL && !full)
            return true;
    }
    return false;
}

/* Takes ownership of fd. */
static void connection_add(struct status *s, int fd, const struct sockaddr_storage *sa,
                           socklen_t len)
{
    struct addr addr, *at = NULL;
    const int queue = SEND_QUEUE;

    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &queue, sizeof queue);
    if (addr_from_sockaddr((const struct sockaddr *)sa, &addr) == ERR_OK)
        at = &addr;
    if ((at != NULL && !requests_admit(&s->requests, at)) || !make_room(s, at)) {
        close(fd);
        return;
    }
    INSIST(peers_add(&s->requests.peers, fd, at, now_ms()) != NULL);
    if (MHD_add_connection(s->daemon, fd, (const struct sockaddr *)sa, len) == MHD_YES)
        return;
    /* libmicrohttpd has closed it */
    struct peer *peer = peers_find(&s->requests.peers, fd);
    if (peer != NULL)
        peers_remove(&s->requests.peers, peer);
}

static void accept_failed(struct status *s, int cause)
{
    struct log_line l;

    if (cause == EAGAIN || cause == EINTR || cause == ECONNABORTED)
        return;
    s->again_ms = now_ms() + AGAIN_MS;
    if (!log_begin_limited(&l, LOG_LEVEL_WARNING, "status", &s->failed, now_ms(), 1))
        return;
    log_fmt(&l, "msg", "a connection was not accepted: %s", strerror(cause));
    log_end(&l);
}

static void accept_from(struct status *s, int listener)
{
    for (int i = 0; i < ACCEPTS; i++) {
        struct sockaddr_storage sa;
        socklen_t len = sizeof sa;
        const int fd =
            accept4(listener, (struct sockaddr *)&sa, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0) {
            accept_failed(s, errno);
            return;
        }
        connection_add(s, fd, &sa, len);
    }
}

/* ---- the thread ---- */

/* Returns how long poll() may wait; -1: for ever. */
static int wait_ms(struct status *s, uint64_t now)
{
    uint64_t next = peers_next(&s->requests.peers), question = requests_next(&s->requests);
    MHD_UNSIGNED_LONG_LONG within;

    if (question < next)
        next = question;
    if (s->again_ms != 0 && s->again_ms < next)
        next = s->again_ms;
    if (MHD_get_timeout(s->daemon, &within) == MHD_YES && now + within < next)
        next = now + within;
    if (next == PEERS_NEVER)
        return -1;
    return next <= now ? 0 : (int)(next - now);
}

static void wait_for_events(struct status *s)
{
    const uint64_t now = now_ms();
    uint64_t count;

    if (s->again_ms <= now)
        s->again_ms = 0;
    for (size_t i = 0; i < s->sockets; i++)
        s->poll[POLL_BEFORE_SOCKETS + i].events = s->again_ms == 0 ? POLLIN : 0;
    const int n = poll(s->poll, (nfds_t)(POLL_BEFORE_SOCKETS + s->sockets), wait_ms(s, now));
    INSIST(n >= 0 || errno == EINTR);
    for (size_t i = 0; n < 0 && i < POLL_BEFORE_SOCKETS + s->sockets; i++)
        s->poll[i].revents = 0;
    if (s->poll[0].revents != 0)
        INSIST(read(s->wake, &count, sizeof count) == sizeof count);
}

static void round_do(struct status *s)
{
    struct peer *late;

    wait_for_events(s);
    requests_resume(&s->requests, now_ms());
    for (size_t i = 0; i < s->sockets; i++)
        if (s->poll[POLL_BEFORE_SOCKETS + i].revents != 0)
            accept_from(s, s->poll[POLL_BEFORE_SOCKETS + i].fd);
    while ((late = peers_expired(&s->requests.peers, now_ms())) != NULL)
        cut(late);
    run(s);
}

static void *thread_main(void *arg)
{
    struct status *s = arg;

    (void)pthread_setname_np(pthread_self(), "status");
    while (!atomic_load(&s->stopping))
        round_do(s);
    requests_end(&s->requests);
    for (int i = 0; i < END_ROUNDS; i++)
        run(s);
    MHD_stop_daemon(s->daemon);
    return NULL;
}

/* ---- begin and end ---- */

struct status *status_new(const int *fd, size_t count, const struct status_ops *ops, void *arg)
{
    static const struct cidrs none;
    struct status *s = NEW(struct status);

    requests_init(&s->requests, ops, arg, now_ms);
    status_configure(s, &(struct guard_settings){.allow = &none});
    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        requests_on_event, &s->requests, MHD_OPTION_URI_LOG_CALLBACK, requests_on_uri, &s->requests,
        MHD_OPTION_NOTIFY_COMPLETED, requests_on_end, &s->requests, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, s, MHD_OPTION_CONNECTION_LIMIT, (unsigned)PEERS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)STATUS_HEAD_MAX + FIELDS,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    INSIST(s->wake >= 0 && s->daemon != NULL);
    s->sockets = count;
    s->poll = insist_alloc(calloc(POLL_BEFORE_SOCKETS + count, sizeof *s->poll));
    s->poll[0] = (struct pollfd){.fd = s->wake, .events = POLLIN};
    s->poll[1] = (struct pollfd){
        .fd = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd, .events = POLLIN};
    for (size_t i = 0; i < count; i++)
        s->poll[POLL_BEFORE_SOCKETS + i].fd = fd[i];
    return s;
}

void status_configure(struct status *s, const struct guard_settings *c)
{
    struct guard *next = guard_new(c);

    pthread_mutex_lock(&s->requests.guard_lock);
    struct guard *last = s->requests.guard;
    s->requests.guard = next;
    pthread_mutex_unlock(&s->requests.guard_lock);
    guard_free(last);
}

void status_start(struct status *s)
{
    sigset_t all, before;

    /* the signals belong to the main thread */
    sigfillset(&all);
    INSIST(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    INSIST(pthread_create(&s->thread, NULL, thread_main, s) == 0);
    INSIST(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    s->started = true;
}

void status_answer_later(struct status *s, struct question *later, unsigned http_status, char *text,
                         size_t n)
{
    later->http_status = http_status;
    later->text = text;
    later->n = n;
    if (s == NULL)
        question_free(later);
    else if (questions_answer(&s->requests.questions, later))
        wake(s);
}

bool status_serve(struct status *s)
{
    struct question *x = questions_take(&s->requests.questions);
    struct memo m;

    if (x == NULL)
        return false;
    const struct status_question q = {
        .route = x->route, .form = &x->form, .client = x->client, .later = x};
    const unsigned http_status = s->requests.ops->answer(s->requests.arg, &q, memo_open(&m));
    (void)memo_text(&m);
    const size_t n = m.n;
    if (http_status == STATUS_LATER)
        memo_free(&m);
    else
        status_answer_later(s, x, http_status, memo_take(&m), n);
    return true;
}

void status_free(struct status *s)
{
    if (s == NULL)
        return;
    if (s->started) {
        atomic_store(&s->stopping, true);
        wake(s);
        INSIST(pthread_join(s->thread, NULL) == 0);
    } else {
        MHD_stop_daemon(s->daemon);
    }
    requests_fini(&s->requests);
    close(s->wake);
    free(s->poll);
    free(s);
}

#else

#include "base/insist.h"

bool status_supported(void)
{
    return false;
}

const char *status_library(void)
{
    return NULL;
}

struct status *status_new(const int *fd, size_t count, const struct status_ops *ops, void *arg)
{
    (void)fd, (void)count, (void)ops, (void)arg;
    insist_failed("a build with libmicrohttpd", __FILE__, __LINE__);
}

void status_configure(struct status *s, const struct guard_settings *c)
{
    (void)s, (void)c;
}

void status_start(struct status *s)
{
    (void)s;
}

bool status_serve(struct status *s)
{
    (void)s;
    return false;
}

void status_answer_later(struct status *s, struct question *later, unsigned http_status, char *text,
                         size_t n)
{
    (void)s, (void)later, (void)http_status, (void)text, (void)n;
}

void status_free(struct status *s)
{
    (void)s;
}

#endif
