#include "gate/admin.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/hex.h"
#include "base/hidden.h"
#include "base/insist.h"
#include "base/log.h"
#include "base/memo.h"
#include "base/suggest.h"
#include "base/text.h"

/* ---- commands ---- */

#define FILTERS "[FILTER...]"

static const struct {
    const char *name;
    const char *words; /* for the usage; NULL: none */
    const char *help;
    unsigned min, max; /* number of words */
    bool json;         /* it may end with the word `json` */
    bool harmful;      /* ends calls or lifts protection: never suggested for another word */
} commands[ADMIN_COMMANDS] = {
    [ADMIN_STATUS] = {"status", NULL, "version, uptime, calls, bans, the last reload", 0, 0, true,
                      false},
    [ADMIN_HEALTH] = {"health", NULL, "success if the gate accepts calls and can serve them", 0, 0,
                      false, false},
    [ADMIN_TUNNELS] = {"tunnels", "[--all] " FILTERS,
                       "tunnels that are up, oldest first; --all: of all gates with this store", 0,
                       ADMIN_WORDS_MAX, true, false},
    [ADMIN_FAILURES] = {"failures", FILTERS,
                        "the latest calls that were refused or failed, with reason and remedy", 0,
                        ADMIN_WORDS_MAX, true, false},
    [ADMIN_LISTENERS] = {"listeners", FILTERS, "addresses, calls, days left on the certificates", 0,
                         ADMIN_WORDS_MAX, true, false},
    [ADMIN_CERTIFICATES] = {"certificates", FILTERS, "certificates of the listeners", 0,
                            ADMIN_WORDS_MAX, true, false},
    [ADMIN_SERVERS] = {"servers", FILTERS,
                       "servers of each backend: state, tunnels, weight, health checks", 0,
                       ADMIN_WORDS_MAX, true, false},
    [ADMIN_LIMITS] = {"limits", NULL, "limits, and how much of them is used", 0, 0, true, false},
    [ADMIN_BANS] = {"bans", NULL, "banned prefixes and users, with the remaining seconds", 0, 0,
                    true, false},
    [ADMIN_GATES] = {"gates", NULL,
                     "gates that share a store with this one: version, tunnels, state", 0, 0, true,
                     false},
    [ADMIN_END] = {"end", "ID|GATE/ID|FILTER...", "end tunnels with an SSTP Call Disconnect", 1,
                   ADMIN_WORDS_MAX, false, true},
    [ADMIN_BAN] = {"ban", "PREFIX|ADDRESS|user NAME [TIME]",
                   "refuse an address or a user, for ban-time or TIME, and end the tunnels", 1, 3,
                   false, true},
    [ADMIN_UNBAN] = {"unban", "PREFIX|ADDRESS|all|user NAME", "end every ban that overlaps with it",
                     1, 2, false, true},
    [ADMIN_RELOAD] = {"reload", NULL, "reload the configuration, completely or not at all", 0, 0,
                      false, false},
    [ADMIN_DRAIN] = {"drain", "[BACKEND/SERVER]",
                     "no new calls for the server; without a server: for the gate, which exits "
                     "when the last call has ended",
                     0, 1, false, true},
    [ADMIN_RESUME] = {"resume", "[BACKEND/SERVER]",
                      "undo drain: new calls again for the server or the gate", 0, 1, false, false},
    [ADMIN_READY] = {"ready", "BACKEND/SERVER", "the same as resume, for a server", 1, 1, false,
                     false},
    [ADMIN_EXPLAIN] = {"explain", "OPTION...",
                       "what rules and limits would do with a client: `sstpgate explain -h` has "
                       "the options; or --new FILE: which tunnels that configuration would end",
                       1, ADMIN_WORDS_MAX, false, false},
    [ADMIN_LOG_LEVEL] = {"log-level", "[LEVEL]",
                         "level of the log; with LEVEL: set it until the next reload", 0, 1, false,
                         false},
    [ADMIN_STOP] = {"stop", NULL, "end all calls and exit; a second time: immediately", 0, 0, false,
                    true},
    [ADMIN_METRICS] = {"metrics", NULL, "the metrics, in the text format of Prometheus", 0, 0,
                       false, false},
    [ADMIN_HELP] = {"help", NULL, "this list", 0, 0, false, false},
};

const char *admin_command_name(enum admin_command c)
{
    return commands[c].name;
}

const char *admin_command_words(enum admin_command c)
{
    return commands[c].words;
}

void admin_help(FILE *out)
{
    for (size_t i = 0; i < ADMIN_COMMANDS; i++)
        fprintf(out, "%-12s %-31s  %s\n", commands[i].name,
                commands[i].words == NULL ? "" : commands[i].words, commands[i].help);
    fputs("\nFILTER: user NAME, address PREFIX, listener NAME, server BACKEND[/SERVER], limit N, "
          "offset N\n",
          out);
}

static void answer_unknown(const char *name, FILE *out)
{
    struct suggest s = suggest_init(name);

    for (size_t i = 0; i < ADMIN_COMMANDS; i++)
        if (!commands[i].harmful)
            suggest_offer(&s, commands[i].name);
    if (s.best != NULL)
        fprintf(out, "error: unknown command '%s'; did you mean '%s'?\n", name, s.best);
    else
        fprintf(out, "error: unknown command '%s'; `help` lists the commands\n", name);
}

static enum admin_command command_find(const char *name)
{
    enum admin_command c = 0;
    while (c < ADMIN_COMMANDS && strcmp(commands[c].name, name) != 0)
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

bool admin_command_has_json(const char *name)
{
    const enum admin_command c = command_find(name);
    return c != ADMIN_COMMANDS && commands[c].json;
}

/* Decodes %XX in a word. False: % without two digits, or a NUL. */
static bool decode(char *word)
{
    char *to = word;

    for (const char *from = word; *from != '\0'; from++) {
        uint8_t byte = (uint8_t)*from;
        if (byte == '%') {
            if (strlen(from) < 3 || !hex_read(span_of(from + 1, 2), &byte, 1) || byte == 0)
                return false;
            from += 2;
        }
        *to++ = (char)byte;
    }
    *to = '\0';
    return true;
}

/* Cuts the text into words. Returns NULL, or what is wrong with them. */
static const char *take_words(char *text, struct admin_request *r)
{
    static const char blanks[] = " \t";
    char *rest = text;

    r->name = strtok_r(rest, blanks, &rest);
    for (char *word; (word = strtok_r(NULL, blanks, &rest)) != NULL;) {
        if (r->words == ADMIN_WORDS_MAX)
            return "too many words";
        if (!decode(word))
            return "% is written %25";
        r->word[r->words++] = word;
    }
    return NULL;
}

/* Takes the word `json` from the end. */
static void take_json(struct admin_request *r, bool may)
{
    r->json = may && r->words > 0 && strcmp(r->word[r->words - 1], "json") == 0;
    if (r->json)
        r->word[--r->words] = NULL;
}

static void answer_usage(enum admin_command c, FILE *out)
{
    fprintf(out, "error: usage: %s%s%s\n", commands[c].name, commands[c].words == NULL ? "" : " ",
            commands[c].words == NULL ? "" : commands[c].words);
}

static void verdict_print(const char *error, FILE *out)
{
    fprintf(out, error == NULL ? "ok\n" : "error: %s\n", error);
}

static void command_run(const struct admin_ops *ops, void *arg, enum admin_command c,
                        const struct admin_request *r, FILE *out)
{
    const char *error = NULL;

    if (c == ADMIN_HELP)
        admin_help(out);
    else
        error = ops->run[c](arg, r, out);
    verdict_print(error, out);
}

/* client: gets the answer; NULL: no op can postpone it. */
static void line_answer(const struct admin_ops *ops, void *arg, const char *line, size_t len,
                        struct admin_client *client, FILE *out)
{
    char text[ADMIN_LINE_MAX + 1], why[ADMIN_WHY_MAX];
    struct admin_request r = {.why = why, .client = client};
    struct span command = span_of(line, len);
    const char *problem = text_begin(&command);

    if (!check_line(command, problem, out))
        return;
    if (command.n > 0)
        memcpy(text, command.p, command.n);
    text[command.n] = '\0';
    problem = take_words(text, &r);
    const enum admin_command c = command_find(r.name == NULL ? "" : r.name);
    if (r.name == NULL) {
        fputs("error: no command; `help` lists the commands\n", out);
    } else if (c == ADMIN_COMMANDS) {
        answer_unknown(r.name, out);
    } else if (problem != NULL) {
        fprintf(out, "error: %s\n", problem);
    } else {
        take_json(&r, commands[c].json);
        if (r.words < commands[c].min || r.words > commands[c].max)
            answer_usage(c, out);
        else
            command_run(ops, arg, c, &r, out);
    }
}

void admin_answer(const struct admin_ops *ops, void *arg, const char *line, size_t len, FILE *out)
{
    line_answer(ops, arg, line, len, NULL, out);
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
    bool deferred;             /* by its command */
    struct admin_later *later; /* NULL: none, or it has ended */
};

struct admin_later {
    struct admin_client *client; /* NULL: it is gone */
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
    dev_t device; /* with inode: identifies the socket file; 0: it is not that of this process */
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

int admin_fd(const struct admin *a)
{
    return a->fd;
}

bool admin_share(const char *path, const char *group, unsigned mode)
{
    const struct group *g = group == NULL ? NULL : getgrnam(group);

    if (group != NULL && g == NULL) {
        errno = ENOENT;
        return false;
    }
    return (g == NULL || lchown(path, (uid_t)-1, g->gr_gid) == 0) && chmod(path, mode) == 0;
}

int admin_bind(const char *path, const char *group, unsigned mode)
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
        if (listen(fd, ADMIN_BACKLOG) == 0 && admin_share(path, group, mode))
            return fd;
        int error = errno;
        (void)unlink(path); /* errno is that of the failed call */
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
    if (c->later != NULL)
        c->later->client = NULL;
    c->later = NULL;
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

/* Sends the answer, and takes ownership of its text. */
static void client_send(struct admin_client *c, struct memo *answer)
{
    (void)memo_text(answer);
    uv_buf_t buf = uv_buf_init(answer->text, (unsigned)answer->n);
    c->answer = memo_take(answer);
    /* A reload may have taken longer than the deadline, so the client gets a new one to read the
     * answer. */
    uv_update_time(c->pipe.loop);
    deadline_begin(c);
    c->write.data = c;
    if (uv_write(&c->write, (uv_stream_t *)&c->pipe, &buf, 1, on_written) != 0)
        client_close(c);
}

/* Answers the command, which is the first len bytes of the line. */
static void client_answer(struct admin_client *c, size_t len)
{
    struct admin *a = c->admin;
    struct memo answer;

    if (len > 0 && c->line[len - 1] == '\r')
        len--;
    INSIST_UV(uv_read_stop((uv_stream_t *)&c->pipe));
    line_answer(a->ops, a->arg, c->line, len, c, memo_open(&answer));
    if (c->deferred)
        memo_free(&answer);
    else
        client_send(c, &answer);
}

struct admin_later *admin_defer(const struct admin_request *r)
{
    struct admin_client *c = r->client;

    INSIST(!c->deferred);
    c->deferred = true;
    c->later = NEW(struct admin_later);
    c->later->client = c;
    deadline_begin(c);
    return c->later;
}

void admin_later_end(struct admin_later *l, char *payload, size_t n, const char *error)
{
    struct admin_client *c = l->client;
    struct memo answer;

    if (c != NULL) {
        c->later = NULL;
        FILE *out = memo_open(&answer);
        if (n > 0)
            (void)fwrite(payload, 1, n, out);
        verdict_print(error, out);
        client_send(c, &answer);
    }
    free(payload);
    free(l);
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

    a->ops = ops;
    a->arg = arg;
    a->path = insist_alloc(strdup(path));
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

void admin_own_file(struct admin *a)
{
    struct stat st;

    if (lstat(a->path, &st) != 0)
        return;
    a->device = st.st_dev;
    a->inode = st.st_ino;
}

static void on_handle_closed(uv_handle_t *handle)
{
    admin_unhold(handle->data);
}

void admin_leave(struct admin *a)
{
    if (a == NULL)
        return;
    uv_close((uv_handle_t *)&a->socket, on_handle_closed);
    uv_close((uv_handle_t *)&a->again, on_handle_closed);
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
    admin_leave(a);
}
