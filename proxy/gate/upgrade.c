#include "gate/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/log.h"
#include "base/memo.h"
#include "base/text.h"
#include "gate/admin.h"
#include "gate/drains.h"
#include "gate/gate_state.h"
#include "gate/state_text.h"
#include "gate/state_transfer.h"
#include "gate/inherited.h"
#include "gate/key_file.h"
#include "gate/notify.h"
#include "gate/offer.h"
#include "gate/service.h"
#include "gate/spawn.h"
#include "net/worker.h"

static const char name_state[] = "sstpgate-state", name_channel[] = "sstpgate-channel",
                  name_stderr[] = "sstpgate-stderr";

/* LINE: the longest line of a peer. SAID: what is logged of the standard error of a process.
 * BARRIER: systemd handles hundreds of messages in this time. */
enum { LINE = 64, SAID = 8192, BARRIER_MS = 5000, REPORT_MS = 1000 };

/* The other process. */
struct peer {
    uv_pipe_t pipe;
    struct upgrade *upgrade;
    void (*on_line)(struct upgrade *u, const char *line);
    void (*on_end)(struct upgrade *u);
    bool open;
    char line[LINE];
    size_t len;
};

struct upgrade {
    struct gate *gate;
    char *const *argv;
    char *program;
    uv_timer_t timer; /* until a new process must serve; then until the next report to it */

    /* the new process */
    struct peer next;
    enum { NEXT_NONE, NEXT_STARTS, NEXT_IS_DUE, NEXT_SERVES } phase; /* IS_DUE: systemd starts it */
    pid_t pid;
    int state;  /* file; -1: none */
    int errors; /* standard error of the new process, until it serves; -1: none */
    unsigned reported;

    /* the old process */
    struct peer last;
    int last_channel, last_state; /* -1: none */
    size_t inherited;
    bool by_last; /* this process was started by the old one, and not by systemd */
    FILE *problems;
};

/* ---- lines of a peer ---- */

static void peer_close(struct peer *p)
{
    if (p->open)
        uv_close((uv_handle_t *)&p->pipe, NULL);
    p->open = false;
}

static void peer_send(struct peer *p, const char *line)
{
    uv_buf_t buf = uv_buf_init((char *)(uintptr_t)line, (unsigned)strlen(line));

    if (p->open) /* lines are short: there is room, or the peer hangs */
        (void)uv_try_write((uv_stream_t *)&p->pipe, &buf, 1);
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct peer *p = handle->data;
    (void)wanted;
    *buf = uv_buf_init(p->line + p->len, (unsigned)(sizeof p->line - p->len));
}

/* Delivers the complete lines. A line that is too long belongs to another version: it is cut. */
static void peer_deliver(struct peer *p)
{
    char *end;

    while (p->open && (end = memchr(p->line, '\n', p->len)) != NULL) {
        char line[LINE];
        const size_t n = (size_t)(end - p->line);
        memcpy(line, p->line, n);
        line[n] = '\0';
        p->len -= n + 1;
        memmove(p->line, end + 1, p->len);
        p->on_line(p->upgrade, line);
    }
    if (p->len == sizeof p->line)
        p->len = 0;
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct peer *p = stream->data;
    (void)buf;

    if (n > 0) {
        p->len += (size_t)n;
        peer_deliver(p);
    } else if (n < 0) {
        peer_close(p);
        p->on_end(p->upgrade);
    }
}

/* Takes ownership of fd. Uses a duplicate, because ThreadSanitizer does not see the system call
 * with which libuv closes a descriptor, and would report the next one with the same number as a
 * race. */
static void peer_open(struct peer *p, struct upgrade *u, int fd)
{
    const int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    close(fd);
    INSIST_UV(uv_pipe_init(&u->gate->loop, &p->pipe, 0));
    p->pipe.data = p;
    p->upgrade = u;
    p->open = true;
    p->len = 0;
    if (own < 0)
        ; /* no descriptor is left: as if the other process had ended */
    else if (uv_pipe_open(&p->pipe, own) != 0)
        close(own);
    else if (uv_read_start((uv_stream_t *)&p->pipe, on_alloc, on_read) == 0)
        return;
    peer_close(p);
}

/* ---- the old process: the end of an upgrade ---- */

static void forget_files(struct upgrade *u)
{
    if (u->state >= 0)
        close(u->state);
    if (u->errors >= 0)
        close(u->errors);
    u->state = u->errors = -1;
}

/* Logs what the new process has written to its standard error. */
static void log_errors(const struct upgrade *u, enum log_level level)
{
    char text[SAID + 1];
    size_t n = 0;
    ssize_t more;

    /* It does not block, even if a process that the new one has started keeps the pipe open. */
    while (u->errors >= 0 && n < SAID && (more = read(u->errors, text + n, SAID - n)) > 0)
        n += (size_t)more;
    text[n] = '\0';
    log_lines(level, "upgrade", text);
}

static void fail(struct upgrade *u, const char *cause)
{
    log_errors(u, LOG_LEVEL_ERROR);
    log_msg(LOG_LEVEL_ERROR, "upgrade", "%s: nothing was changed; process %ld serves", cause,
            (long)getpid());
    forget_files(u);
    u->phase = NEXT_NONE;
    INSIST_UV(uv_timer_stop(&u->timer));
}

static unsigned calls_left(const struct upgrade *u)
{
    return atomic_load(&u->gate->shared.count) + u->gate->old_tunnels;
}

static void report(struct upgrade *u)
{
    char line[LINE];

    u->reported = calls_left(u);
    snprintf(line, sizeof line, "tunnels %u\n", u->reported);
    peer_send(&u->next, line);
}

static void on_report(uv_timer_t *timer)
{
    struct upgrade *u = timer->data;
    if (u->reported != calls_left(u))
        report(u);
}

static void state_refresh(struct upgrade *u)
{
    struct memo text;

    state_text_begin(memo_open(&text));
    state_transfer_write(u->gate, text.file);
    (void)memo_text(&text);
    if (!offer_write_state(u->state, text.text, text.n))
        log_msg(LOG_LEVEL_WARNING, "upgrade", "the latest bans were not handed over: %s",
                strerror(errno));
    memo_free(&text);
}

/* Ends the acceptance of calls, because the new process accepts them. */
static void succeed(struct upgrade *u)
{
    struct gate *gate = u->gate;

    if (u->phase == NEXT_STARTS)
        (void)notify_send("MAINPID=%ld", (long)u->pid);
    service_leave(gate);
    log_errors(u, LOG_LEVEL_WARNING);
    u->phase = NEXT_SERVES;
    gate->handed_over = true;
    gate->phase = DRAINING;
    admin_leave(gate->admin);
    gate->admin = NULL;
    status_service_leave(&gate->status);
    radius_service_leave(&gate->radius);
    for (size_t i = 0; i < gate->workers; i++)
        worker_post(&gate->worker[i].worker, calls_leave, &gate->worker[i].calls);
    drains_begin(gate, NULL);
    state_refresh(u);
    peer_send(&u->next, "state\n");
    report(u);
    forget_files(u);
    log_msg(LOG_LEVEL_INFO, "upgrade",
            "process %ld serves; process %ld waits for the end of its calls (%u)", (long)u->pid,
            (long)getpid(), atomic_load(&gate->shared.count));
    INSIST_UV(uv_timer_start(&u->timer, on_report, REPORT_MS, REPORT_MS));
}

static void on_next_line(struct upgrade *u, const char *line)
{
    if (strncmp(line, "ready ", 6) == 0 && (u->phase == NEXT_STARTS || u->phase == NEXT_IS_DUE)) {
        u->pid = (pid_t)strtol(line + 6, NULL, 10);
        succeed(u);
    } else if (strcmp(line, "stop") == 0 && u->phase == NEXT_SERVES) {
        gate_stop(u->gate, "the new process");
    } else if (strcmp(line, "reopen") == 0) {
        (void)!log_reopen();
        key_file_reopen();
    }
}

static void on_next_end(struct upgrade *u)
{
    if (u->phase == NEXT_STARTS)
        fail(u, "the new process has ended before it served");
    if (u->phase != NEXT_IS_DUE)
        return;
    u->phase = NEXT_NONE;
    forget_files(u);
    log_msg(LOG_LEVEL_ERROR, "upgrade", "the service manager starts no new process");
    gate_drain(u->gate, "restart");
}

static void on_deadline(uv_timer_t *timer)
{
    struct upgrade *u = timer->data;

    (void)kill(u->pid, SIGKILL); /* the channel is open, so it has not ended yet */
    peer_close(&u->next);
    fail(u, "the new process was killed, because it did not serve within a minute");
}

/* ---- the old process: the start of an upgrade ---- */

static const char *refusal(const struct upgrade *u)
{
    if (u->gate->phase != SERVING)
        return "the gate is shutting down";
    if (u->phase != NEXT_NONE)
        return "an upgrade is in progress";
    return NULL;
}

/* Executes the program. Returns its process id; -1 with errno. */
static pid_t execute(struct upgrade *u, struct offer *o, int channel)
{
    int errors[2];

    if (pipe2(errors, O_CLOEXEC | O_NONBLOCK) != 0)
        return -1;
    (void)fcntl(errors[1], F_SETFL, 0); /* the program need not expect O_NONBLOCK */
    offer_fd(o, channel, name_channel);
    offer_fd(o, STDERR_FILENO, name_stderr);
    u->errors = errors[0];
    const pid_t pid = spawn(&(struct spawn){.program = u->program,
                                            .argv = u->argv,
                                            .pass = o->fd,
                                            .count = o->count,
                                            .errors = errors[1]});
    const int error = errno;
    close(errors[1]);
    errno = error;
    return pid;
}

/* Stores the descriptors in systemd, and makes an idle process the main process of the service,
 * whose end lets systemd start the new process. Returns its id; -1 with errno. */
static pid_t deposit(struct upgrade *u, struct offer *o, int channel)
{
    int end;

    (void)u;
    offer_fd(o, channel, name_channel);
    for (size_t i = 0; i < o->count; i++)
        if (!notify_store(o->fd[i].fd, o->fd[i].name))
            return -1;
    const pid_t pid = spawn_idle(&end);
    if (pid < 0)
        return -1;
    (void)notify_send("MAINPID=%ld", (long)pid);
    const bool refused = notify_heard(BARRIER_MS);
    close(end);
    errno = EOPNOTSUPP;
    return refused ? -1 : pid;
}

/* Offers everything to a new process, which pass() starts. Returns false with errno. */
static bool begin(struct upgrade *u, pid_t (*pass)(struct upgrade *, struct offer *, int channel))
{
    struct offer o = {0};
    int channel[2] = {-1, -1};

    u->pid = -1;
    u->state = offer_all(&o, u->gate, name_state);
    if (u->state >= 0 && socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, channel) == 0)
        u->pid = pass(u, &o, channel[1]);
    const int error = errno;
    if (channel[1] >= 0)
        close(channel[1]);
    offer_free(&o);
    if (u->pid >= 0) {
        u->next.on_line = on_next_line;
        u->next.on_end = on_next_end;
        peer_open(&u->next, u, channel[0]);
        return true;
    }
    if (channel[0] >= 0)
        close(channel[0]);
    errno = error;
    return false;
}

void upgrade_start(struct gate *gate)
{
    struct upgrade *u = gate->upgrade;
    const char *why = refusal(u);

    if (why == NULL && getpid() == 1)
        why = "process 1 cannot be replaced, because a container ends with it";
    if (why != NULL) {
        log_msg(LOG_LEVEL_ERROR, "upgrade", "refused: %s", why);
        return;
    }
    log_msg(LOG_LEVEL_INFO, "upgrade", "starting %s", u->program);
    if (!begin(u, execute)) {
        fail(u, strerror(errno));
        return;
    }
    u->phase = NEXT_STARTS;
    INSIST_UV(uv_timer_start(&u->timer, on_deadline, UPGRADE_MS, 0));
}

void upgrade_leave(struct gate *gate)
{
    struct upgrade *u = gate->upgrade;

    if (!notify_wanted()) {
        log_msg(LOG_LEVEL_ERROR, "upgrade", "refused: no service manager (use USR2)");
        return;
    }
    if (refusal(u) != NULL) {
        gate_stop(gate, "restart");
        return;
    }
    log_msg(LOG_LEVEL_INFO, "upgrade", "the service manager starts a new process");
    service_leave(gate);
    if (begin(u, deposit)) {
        u->phase = NEXT_IS_DUE;
        return;
    }
    log_msg(LOG_LEVEL_WARNING, "upgrade",
            "systemd before version 256, or a unit without FileDescriptorStoreMax=, cannot restart "
            "the gate without ending its calls (%s): use systemctl kill -s USR2 --kill-who=main",
            strerror(errno));
    forget_files(u);
    gate_stop(gate, "restart");
}

void upgrade_cancel(struct gate *gate)
{
    struct upgrade *u = gate->upgrade;

    if (u->phase != NEXT_STARTS)
        return;
    (void)kill(u->pid, SIGKILL);
    peer_close(&u->next);
    fail(u, "the new process was killed, because this one ends");
}

/* ---- the new process ---- */

static void on_last_line(struct upgrade *u, const char *line)
{
    struct text text;

    if (strncmp(line, "tunnels ", 8) == 0)
        u->gate->old_tunnels = (unsigned)strtoul(line + 8, NULL, 10);
    if (strcmp(line, "state") != 0 || u->last_state < 0)
        return;
    if (text_read(u->last_state, "the state of the old process", &text, stderr)) {
        state_transfer_restore(u->gate, u->gate->snapshot, text.bytes, STATE_LATEST);
        text_free(&text);
    }
    close(u->last_state);
    u->last_state = -1;
    service_ready(u->gate);
}

static void on_last_end(struct upgrade *u)
{
    log_msg(LOG_LEVEL_INFO, "upgrade", "the old process has ended");
    u->gate->old_tunnels = 0;
    service_ready(u->gate); /* it may have been killed before its report */
    INSIST_UV(uv_async_send(&u->gate->worker_done));
}

/* Returns the path of this program, which may have been replaced since the start. */
static char *own_path(const char *fallback)
{
    static const char deleted[] = " (deleted)";
    char path[4096];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);

    if (n <= 0)
        return insist_alloc(strdup(fallback));
    path[n] = '\0';
    const size_t tail = sizeof deleted - 1;
    if ((size_t)n > tail && strcmp(path + n - tail, deleted) == 0)
        path[(size_t)n - tail] = '\0';
    return insist_alloc(strdup(path));
}

/* Moves standard error back to where it was, and keeps the pipe to the old process for problems. */
static void problems_open(struct upgrade *u)
{
    const int real = inherited_take(name_stderr);
    const int pipe = real < 0 ? -1 : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);

    u->problems = stderr;
    u->by_last = real >= 0;
    if (pipe >= 0) {
        u->problems = insist_alloc(fdopen(pipe, "w"));
        (void)dup2(real, STDERR_FILENO);
    }
    if (real >= 0)
        close(real);
}

struct upgrade *upgrade_new(char *const *argv)
{
    struct upgrade *u = NEW(struct upgrade);

    u->argv = argv;
    u->program = own_path(argv[0]);
    u->state = u->errors = -1;
    u->inherited = inherited_begin();
    u->last_channel = inherited_take(name_channel);
    u->last_state = inherited_take(name_state);
    problems_open(u);
    return u;
}

FILE *upgrade_problems(struct upgrade *u)
{
    return u->problems;
}

static void problems_close(struct upgrade *u)
{
    if (u->problems != stderr)
        fclose(u->problems);
    u->problems = stderr;
}

uint64_t upgrade_describe(struct upgrade *u)
{
    struct text text;
    uint64_t numbers = 0;

    if (u->last_state < 0 || !text_read(u->last_state, name_state, &text, u->problems))
        return 0;
    numbers = state_transfer_sockets(text.bytes);
    text_free(&text);
    return numbers;
}

void upgrade_restore(struct gate *gate, const struct snapshot *snapshot)
{
    struct upgrade *u = gate->upgrade;
    struct text text;

    if (u->last_state < 0 || !text_read(u->last_state, name_state, &text, u->problems))
        return;
    state_transfer_restore(gate, snapshot, text.bytes, STATE_ALL);
    text_free(&text);
}

/* Removes the descriptors from systemd, which would pass them to each later process, too. */
static void withdraw(const struct upgrade *u)
{
    (void)notify_send("FDSTOREREMOVE=1\nFDNAME=%s", name_state);
    (void)notify_send("FDSTOREREMOVE=1\nFDNAME=%s", name_channel);
    for (size_t i = 0; i < u->inherited; i++) {
        (void)notify_send("FDSTOREREMOVE=1\nFDNAME=" INHERITED_OURS "%zu", i);
        (void)notify_send("FDSTOREREMOVE=1\nFDNAME=" INHERITED_HELD "%zu", i);
    }
}

void upgrade_ready(struct gate *gate)
{
    struct upgrade *u = gate->upgrade;
    char line[LINE];

    problems_close(u);
    snprintf(line, sizeof line, "ready %ld\n", (long)getpid());
    peer_send(&u->last, line);
    if (!u->last.open || !u->by_last)
        service_ready(gate);
    if (u->last_channel >= 0 && !u->by_last)
        withdraw(u);
}

void upgrade_abandon(struct gate *gate)
{
    struct upgrade *u = gate->upgrade;

    problems_close(u);
    gate->handed_over = u->last.open;
    peer_close(&u->last);
}

/* ---- both ---- */

void upgrade_open(struct gate *gate)
{
    struct upgrade *u = gate->upgrade;

    u->gate = gate;
    INSIST_UV(uv_timer_init(&gate->loop, &u->timer));
    u->timer.data = u;
    if (u->last_channel < 0)
        return;
    u->last.on_line = on_last_line;
    u->last.on_end = on_last_end;
    peer_open(&u->last, u, u->last_channel);
}

void upgrade_close(struct gate *gate)
{
    struct upgrade *u = gate->upgrade;

    uv_close((uv_handle_t *)&u->timer, NULL);
    peer_close(&u->next);
    peer_close(&u->last);
}

void upgrade_free(struct upgrade *u)
{
    forget_files(u);
    problems_close(u);
    if (u->last_state >= 0)
        close(u->last_state);
    free(u->program);
    free(u);
}

void upgrade_stop(struct gate *gate)
{
    struct upgrade *u = gate->upgrade;

    upgrade_cancel(gate);
    peer_send(&u->last, "stop\n");
    if (gate->phase == STOPPING) { /* the second request: do not wait for it */
        peer_close(&u->last);
        INSIST_UV(uv_async_send(&gate->worker_done));
    }
}

void upgrade_reopen(struct gate *gate)
{
    peer_send(&gate->upgrade->last, "reopen\n");
}

bool upgrade_waits(const struct gate *gate)
{
    return gate->upgrade->last.open;
}
