#include "gate/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/hidden.h"
#include "base/insist.h"
#include "base/log.h"
#include "base/memo.h"
#include "base/suggest.h"
#include "base/text.h"

/* ---- commands ---- */

enum command {
    STATUS,
    SERVERS,
    BANS,
    UNBAN,
    RELOAD,
    DRAIN,
    READY,
    LOG_LEVEL,
    STOP,
    METRICS,
    HELP,
    COMMANDS
};

static const struct {
    const char *name;
    const char *argument; /* NULL: none; [...]: optional */
    const char *help;
    bool harmful; /* ends calls or lifts protection: never suggested for another word */
} commands[COMMANDS] = {
    [STATUS] = {"status", NULL, "version, uptime, calls, bans, the last reload", false},
    [SERVERS] = {"servers", NULL, "servers of each backend: state, tunnels, weight, health checks",
                 false},
    [BANS] = {"bans", NULL, "banned prefixes, with the remaining seconds", false},
    [UNBAN] = {"unban", "PREFIX|ADDRESS|all", "end every ban that overlaps with it", true},
    [RELOAD] = {"reload", NULL, "reload the configuration, completely or not at all", false},
    [DRAIN] = {"drain", "[BACKEND/SERVER]",
               "no new calls for the server; without a server: for the gate, which exits when the "
               "last call has ended",
               true},
    [READY] = {"ready", "BACKEND/SERVER", "new calls again for a drained server", false},
    [LOG_LEVEL] = {"log-level", "[LEVEL]",
                   "level of the log; with LEVEL: set it until the next reload", false},
    [STOP] = {"stop", NULL, "end all calls and exit; a second time: immediately", true},
    [METRICS] = {"metrics", NULL, "the metrics, in the text format of Prometheus", false},
    [HELP] = {"help", NULL, "this list", false},
};

void admin_help(FILE *out)
{
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(out, "%-9s %-18s  %s\n", commands[i].name,
                commands[i].argument == NULL ? "" : commands[i].argument, commands[i].help);
}

/* Returns NULL, or a reason, which may be in why. */
static const char *run_unban(const struct admin_ops *ops, void *arg, const char *text, FILE *out,
                             char why[CIDR_PROBLEM_MAX])
{
    struct cidr net;
    const bool all = strcmp(text, "all") == 0;

    if (all || cidr_parse(text, &net) == ERR_OK)
        return ops->unban(arg, all ? NULL : &net, out);
    cidr_problem(text, why);
    return why;
}

/* Returns as run_unban() does. */
static const char *command_run(const struct admin_ops *ops, void *arg, enum command c,
                               const char *argument, FILE *out, char why[CIDR_PROBLEM_MAX])
{
    switch (c) {
    case STATUS: return ops->status(arg, out);
    case BANS: return ops->bans(arg, out);
    case UNBAN: return run_unban(ops, arg, argument, out, why);
    case RELOAD: return ops->reload(arg, out);
    case SERVERS: return ops->servers(arg, out);
    case DRAIN: return ops->drain(arg, argument, out);
    case READY: return ops->ready(arg, argument, out);
    case LOG_LEVEL: return ops->log_level(arg, argument, out);
    case STOP: return ops->stop(arg, out);
    case METRICS: return ops->metrics(arg, out);
    case HELP: admin_help(out); return NULL;
    case COMMANDS: break;
    }
    insist_failed("a command of the table", __FILE__, __LINE__);
}

static void answer_unknown(const char *name, FILE *out)
{
    struct suggest s = suggest_init(name);

    for (size_t i = 0; i < COMMANDS; i++)
        if (!commands[i].harmful)
            suggest_offer(&s, commands[i].name);
    if (s.best != NULL)
        fprintf(out, "error: unknown command '%s'; did you mean '%s'?\n", name, s.best);
    else
        fprintf(out, "error: unknown command '%s'; `help` lists the commands\n", name);
}

static enum command command_find(const char *name)
{
    enum command c = 0;
    while (c < COMMANDS && strcmp(commands[c].name, name) != 0)
        c++;
    return c;
}

/* Control characters are refused, because an answer may quote the command and a terminal would obey
 * them. Returns whether the line is a command; if not, writes why to out. */
static bool check_line(struct span line, const char *problem, FILE *out)
{
    struct hidden h;
    bool printable = true;

    for (size_t i = 0; i < line.n; i++)
        printable = printable && (line.p[i] == '\t' || (line.p[i] >= 0x20 && line.p[i] <= 0x7e));
    if (problem != NULL)
        fprintf(out, "error: %s\n", problem);
    else if (line.n > ADMIN_LINE_MAX)
        fprintf(out, "error: a command may have at most %d bytes\n", (int)ADMIN_LINE_MAX);
    else if (hidden_find(line, &h))
        fprintf(out, "error: the command contains %s, which cannot be seen: type it again\n",
                h.name);
    else if (!printable)
        fputs("error: a command may contain only printable ASCII\n", out);
    else
        return true;
    return false;
}

static bool argument_fits(const char *wanted, const char *argument)
{
    if (wanted == NULL)
        return argument == NULL;
    return argument != NULL || *wanted == '[';
}

void admin_answer(const struct admin_ops *ops, void *arg, const char *line, size_t len, FILE *out)
{
    static const char blanks[] = " \t";
    char text[ADMIN_LINE_MAX + 1];
    struct span command = span_of(line, len);
    const char *problem = text_begin(&command);

    if (!check_line(command, problem, out))
        return;
    memcpy(text, command.p, command.n);
    text[command.n] = '\0';
    char *rest = text;
    char *name = strtok_r(rest, blanks, &rest);
    char *argument = strtok_r(NULL, blanks, &rest);
    char *surplus = strtok_r(NULL, blanks, &rest);
    enum command c = command_find(name == NULL ? "" : name);

    if (name == NULL)
        fputs("error: no command; `help` lists the commands\n", out);
    else if (c == COMMANDS)
        answer_unknown(name, out);
    else if (surplus != NULL || !argument_fits(commands[c].argument, argument))
        fprintf(out, "error: usage: %s%s%s\n", commands[c].name,
                commands[c].argument == NULL ? "" : " ",
                commands[c].argument == NULL ? "" : commands[c].argument);
    else {
        char why[CIDR_PROBLEM_MAX];
        const char *error = command_run(ops, arg, c, argument, out, why);
        fprintf(out, error == NULL ? "ok\n" : "error: %s\n", error);
    }
}

/* ---- the socket ---- */

struct admin_client {
    struct admin *admin;
    uv_pipe_t pipe;
    uv_timer_t deadline;
    uv_write_t write;
    unsigned handles;              /* not closed yet */
    char line[ADMIN_LINE_MAX + 5]; /* room for a byte order mark, CR and LF, so that a longer line
                                      is noticed */
    size_t len;
    char *answer;
};

/* uv_poll and not uv_listen: libuv closes the connections for which no descriptor is left. */
struct admin {
    uv_poll_t socket;
    int fd;
    int spare;        /* a descriptor for a command when no other is left; -1: it is in use */
    uv_timer_t again; /* until the next attempt to accept, after one without a descriptor */
    const struct admin_ops *ops;
    void *arg;
    char *path;
    dev_t device; /* with inode: identifies the socket file */
    ino_t inode;
    struct admin_client *client[ADMIN_CLIENTS_MAX];
    unsigned holders; /* the two handles and the clients; the last one frees this struct */
    struct log_limit limit;
};

static bool sockaddr_of(const char *path, struct sockaddr_un *sa)
{
    size_t n = strlen(path);

    *sa = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (n == 0 || n >= sizeof sa->sun_path) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(sa->sun_path, path, n);
    return true;
}

/* Removes a stale socket file. False with errno: it is in use, not a socket, or not removable. */
static bool remove_stale(const struct sockaddr_un *sa)
{
    struct stat st;

    if (lstat(sa->sun_path, &st) != 0)
        return errno == ENOENT;
    if (!S_ISSOCK(st.st_mode)) {
        errno = EEXIST;
        return false;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return false;
    bool refused =
        connect(fd, (const struct sockaddr *)sa, sizeof *sa) != 0 && errno == ECONNREFUSED;
    close(fd);
    if (!refused) { /* it is connected, or its queue is full, or permission is missing */
        errno = EADDRINUSE;
        return false;
    }
    return unlink(sa->sun_path) == 0 || errno == ENOENT;
}

int admin_bind(const char *path)
{
    struct sockaddr_un sa;

    if (!sockaddr_of(path, &sa) || !remove_stale(&sa))
        return -1;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    /* Linux gives the file the mode of the socket (minus the umask), so there is no moment at which
     * other users could connect. */
    if (fchmod(fd, S_IRUSR | S_IWUSR) == 0 && bind(fd, (struct sockaddr *)&sa, sizeof sa) == 0) {
        if (listen(fd, ADMIN_BACKLOG) == 0)
            return fd;
        int error = errno;
        (void)unlink(path); /* errno is that of listen() */
        errno = error;
    }
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* ---- one connection ---- */

static void admin_watch(struct admin *a);

static void admin_unhold(struct admin *a)
{
    if (--a->holders > 0)
        return;
    close(a->fd);
    if (a->spare >= 0)
        close(a->spare);
    free(a->path);
    free(a);
}

static void spare_take(struct admin *a)
{
    if (a->spare < 0)
        a->spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_client_closed(uv_handle_t *handle)
{
    struct admin_client *c = handle->data;
    struct admin *a = c->admin;

    if (--c->handles > 0)
        return;
    for (size_t i = 0; i < ADMIN_CLIENTS_MAX; i++)
        if (a->client[i] == c)
            a->client[i] = NULL;
    free(c->answer);
    free(c);
    spare_take(a);
    admin_watch(a);
    admin_unhold(a);
}

static void client_close(struct admin_client *c)
{
    if (uv_is_closing((uv_handle_t *)&c->pipe))
        return;
    uv_close((uv_handle_t *)&c->pipe, on_client_closed);
    uv_close((uv_handle_t *)&c->deadline, on_client_closed);
}

static void on_deadline(uv_timer_t *timer)
{
    client_close(timer->data);
}

static void deadline_begin(struct admin_client *c)
{
    INSIST_UV(uv_timer_start(&c->deadline, on_deadline, ADMIN_DEADLINE_MS, 0));
}

static void on_written(uv_write_t *write, int status)
{
    (void)status; /* a client that is gone needs no answer */
    client_close(write->data);
}

/* Answers the command, which is the first len bytes of the line. */
static void client_answer(struct admin_client *c, size_t len)
{
    struct admin *a = c->admin;
    struct memo answer;

    if (len > 0 && c->line[len - 1] == '\r')
        len--;
    INSIST_UV(uv_read_stop((uv_stream_t *)&c->pipe));
    admin_answer(a->ops, a->arg, c->line, len, memo_open(&answer));
    (void)memo_text(&answer);
    uv_buf_t buf = uv_buf_init(answer.text, (unsigned)answer.n);
    c->answer = memo_take(&answer);
    /* A reload may have taken longer than the deadline, so the client gets a new one to read the
     * answer. */
    uv_update_time(c->pipe.loop);
    deadline_begin(c);
    c->write.data = c;
    if (uv_write(&c->write, (uv_stream_t *)&c->pipe, &buf, 1, on_written) != 0)
        client_close(c);
}

static void on_alloc(uv_handle_t *handle, size_t wanted, uv_buf_t *buf)
{
    struct admin_client *c = handle->data;
    (void)wanted;
    *buf = uv_buf_init(c->line + c->len, (unsigned)(sizeof c->line - c->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct admin_client *c = stream->data;
    (void)buf;

    if (n == 0)
        return;
    if (n < 0 && (n != UV_EOF || c->len == 0)) {
        client_close(c);
        return;
    }
    if (n > 0)
        c->len += (size_t)n;
    const char *end = memchr(c->line, '\n', c->len);
    if (end != NULL)
        client_answer(c, (size_t)(end - c->line));
    else if (n == UV_EOF || c->len == sizeof c->line)
        client_answer(c, c->len);
}

/* Accepts a connection, with the spare descriptor if no other is left. Returns -1 with errno. */
static int accept_client(struct admin *a)
{
    const int fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0 || (errno != EMFILE && errno != ENFILE) || a->spare < 0)
        return fd;
    close(a->spare);
    a->spare = -1;
    return accept4(a->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

static void on_again(uv_timer_t *timer)
{
    struct admin *a = timer->data;

    spare_take(a);
    admin_watch(a);
}

static void accept_failed(struct admin *a, int cause)
{
    struct log_line l;

    if (cause == EAGAIN || cause == EINTR || cause == ECONNABORTED)
        return;
    (void)uv_poll_stop(&a->socket); /* otherwise the loop would spin */
    INSIST_UV(uv_timer_start(&a->again, on_again, ADMIN_AGAIN_MS, 0));
    if (!log_begin_limited(&l, LOG_LEVEL_WARNING, "admin", &a->limit, uv_now(a->again.loop), 1))
        return;
    log_fmt(&l, "msg", "a command connection was not accepted: %s", strerror(cause));
    log_end(&l);
}

static struct admin_client *client_new(struct admin *a, int fd)
{
    struct admin_client *c = NEW(struct admin_client);

    c->admin = a;
    a->holders++;
    INSIST_UV(uv_pipe_init(a->socket.loop, &c->pipe, 0));
    INSIST_UV(uv_timer_init(a->socket.loop, &c->deadline));
    c->handles = 2;
    c->pipe.data = c->deadline.data = c;
    INSIST_UV(uv_pipe_open(&c->pipe, fd));
    return c;
}

static void on_connection(uv_poll_t *socket, int status, int events)
{
    struct admin *a = socket->data;
    size_t i = 0;

    (void)status, (void)events;
    while (i < ADMIN_CLIENTS_MAX && a->client[i] != NULL)
        i++;
    if (i == ADMIN_CLIENTS_MAX) {
        (void)uv_poll_stop(socket); /* until a client is closed */
        return;
    }
    const int fd = accept_client(a);
    if (fd < 0) {
        accept_failed(a, errno);
        return;
    }
    struct admin_client *c = a->client[i] = client_new(a, fd);
    if (uv_read_start((uv_stream_t *)&c->pipe, on_alloc, on_read) != 0)
        client_close(c);
    else
        deadline_begin(c);
}

static void admin_watch(struct admin *a)
{
    if (!uv_is_closing((uv_handle_t *)&a->socket))
        INSIST_UV(uv_poll_start(&a->socket, UV_READABLE, on_connection));
}

/* ---- begin and end ---- */

struct admin *admin_new(uv_loop_t *loop, int fd, const char *path, const struct admin_ops *ops,
                        void *arg)
{
    struct admin *a = NEW(struct admin);
    struct stat st;

    a->ops = ops;
    a->arg = arg;
    a->path = insist_alloc(strdup(path));
    if (lstat(path, &st) == 0) {
        a->device = st.st_dev;
        a->inode = st.st_ino;
    }
    a->holders = 2;
    a->fd = fd;
    a->spare = -1;
    spare_take(a);
    INSIST_UV(uv_poll_init(loop, &a->socket, fd));
    INSIST_UV(uv_timer_init(loop, &a->again));
    a->socket.data = a->again.data = a;
    admin_watch(a);
    return a;
}

static void on_handle_closed(uv_handle_t *handle)
{
    admin_unhold(handle->data);
}

void admin_free(struct admin *a)
{
    struct stat st;

    if (a == NULL)
        return;
    if (lstat(a->path, &st) == 0 && st.st_dev == a->device && st.st_ino == a->inode)
        (void)unlink(a->path); /* on failure the next start replaces the stale file */
    for (size_t i = 0; i < ADMIN_CLIENTS_MAX; i++)
        if (a->client[i] != NULL)
            client_close(a->client[i]);
    uv_close((uv_handle_t *)&a->socket, on_handle_closed);
    uv_close((uv_handle_t *)&a->again, on_handle_closed);
}
