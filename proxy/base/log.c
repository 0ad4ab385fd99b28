#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/log_syslog.h"
#include "base/log_target.h"
#include "base/log_text.h"

/* The method of writing a line. A write to a regular file succeeds or reports the cause. A write to
 * any other file may block, so poll() is called before each line, and a lock reserves the room that
 * it has reported. */
enum kind { REGULAR, OTHER, SYSLOG };

/* The start of a line of text: the time; or the priority, for the journal, which has the time
 * itself; or nothing, because log_syslog_send adds a header. */
enum head { HEAD_TIME, HEAD_PRIORITY, HEAD_NONE };

static const int severities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
static const char *const names[] = {"error", "warning", "info", "debug"};

static struct {
    struct log_target target;
    char *path; /* NULL: no file */
    enum head head;
    enum log_format format;
    atomic_int level; /* enum log_level */
    atomic_int fd;
    atomic_int kind;       /* enum kind */
    atomic_bool cut;       /* the file ends in the middle of a line */
    pthread_mutex_t one;   /* OTHER: held from poll() to the end of the write */
    atomic_ullong dropped; /* lines dropped since the last one that was written */
    atomic_ullong lost;    /* lines dropped since the start */
} out = {
    .level = LOG_LEVEL_INFO, .fd = STDERR_FILENO, .kind = OTHER, .one = PTHREAD_MUTEX_INITIALIZER};

/* Opens the target. With O_NONBLOCK a FIFO without a reader is an error (ENXIO) and does not block;
 * on a regular file it has no effect. */
static int target_open(const char *path)
{
    const int create = log_target_is_device(path) ? 0 : O_CREAT;
    return open(path, O_WRONLY | O_APPEND | create | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0640);
}

/* Returns whether the last of size bytes is not a line end; false: the file is unreadable. */
static bool ends_in_a_line(const char *path, off_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char last = '\n';

    if (fd < 0)
        return false;
    const bool read_one = pread(fd, &last, 1, size - 1) == 1;
    close(fd);
    return read_one && last != '\n';
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Sets the method of writing to fd. path: NULL for a file that was not opened here. A file that the
 * log already writes to keeps `cut`, because another thread may be in the middle of a line: a write
 * that crosses a page extends the file in two steps. */
static void target_is_file(int fd, const char *path)
{
    struct stat st, current;
    const bool regular = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    const bool reopened =
        regular && fstat(atomic_load(&out.fd), &current) == 0 && same_file(&st, &current);

    if (!reopened)
        atomic_store(&out.cut,
                     regular && path != NULL && st.st_size > 0 && ends_in_a_line(path, st.st_size));
    atomic_store(&out.kind, regular ? REGULAR : OTHER);
}

/* Returns whether fd is the stream that systemd has connected to the journal. Compares its device
 * and inode with JOURNAL_STREAM (systemd.exec(5)), because the variable remains set if the output
 * was redirected since. */
static bool is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char own[64];
    struct stat st;

    if (stream == NULL || fstat(fd, &st) != 0)
        return false;
    snprintf(own, sizeof own, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(stream, own) == 0;
}

/* Returns a descriptor; -1: errno has the cause. */
static int open_target(const struct log_target *target, const char *path)
{
    switch (target->kind) {
    case LOG_TO_STDERR: return STDERR_FILENO;
    case LOG_TO_STDOUT: return fcntl(STDOUT_FILENO, F_GETFD) < 0 ? -1 : STDOUT_FILENO;
    case LOG_TO_SYSLOG: return log_syslog_open(LOG_SYSLOG_PATH);
    case LOG_TO_FILE: break;
    }
    return target_open(path);
}

enum err log_open(const char *text, enum log_level level, enum log_format format)
{
    struct log_target target;
    const char *why;

    if (log_target_parse(text, &target, &why) != ERR_OK)
        return ERR_SYNTAX;
    const bool to_file = target.kind == LOG_TO_FILE, to_syslog = target.kind == LOG_TO_SYSLOG;
    const int fd = open_target(&target, text);
    if (fd < 0)
        return ERR_SYSTEM;
    if (to_syslog)
        atomic_store(&out.kind, SYSLOG);
    else
        target_is_file(fd, to_file ? text : NULL);
    const int old = atomic_exchange(&out.fd, fd);
    if (old > STDERR_FILENO)
        close(old);
    free(out.path);
    out.path = to_file ? insist_alloc(strdup(text)) : NULL;
    out.target = target;
    out.head = to_syslog ? HEAD_NONE : !to_file && is_journal(fd) ? HEAD_PRIORITY : HEAD_TIME;
    out.format = format;
    atomic_store(&out.level, (int)level);
    return ERR_OK;
}

enum err log_reopen(void)
{
    if (out.path == NULL)
        return ERR_OK;
    int fd = target_open(out.path);
    if (fd < 0)
        return ERR_SYSTEM;
    target_is_file(fd, out.path);
    /* dup3 exchanges the file atomically, because other threads may be writing to the descriptor */
    int failed = dup3(fd, atomic_load(&out.fd), O_CLOEXEC) < 0;
    close(fd);
    return failed ? ERR_SYSTEM : ERR_OK;
}

enum log_level log_level(void)
{
    return (enum log_level)atomic_load_explicit(&out.level, memory_order_relaxed);
}

const char *log_level_name(enum log_level level)
{
    return names[level];
}

bool log_level_parse(const char *name, enum log_level *level)
{
    for (*level = LOG_LEVEL_ERROR; *level <= LOG_LEVEL_DEBUG; ++*level)
        if (strcmp(names[*level], name) == 0)
            return true;
    return false;
}

bool log_wanted(enum log_level level)
{
    return level <= log_level();
}

static void report_level(enum log_level was, enum log_level level, const char *by)
{
    struct log_line l;

    log_begin(&l, LOG_LEVEL_INFO, "log");
    log_str(&l, "log-level", names[level]);
    log_str(&l, "was", names[was]);
    log_str(&l, "by", by);
    log_end(&l);
}

/* The line is written while the more verbose level is in force. */
void log_set_level(enum log_level level, const char *by)
{
    const enum log_level was = log_level();

    if (level < was)
        report_level(was, level, by);
    atomic_store(&out.level, (int)level);
    if (level > was)
        report_level(was, level, by);
}

/* The end of a line that was cut, at its longest, with its newline: the end of a value and of an
 * object. */
#define CUT_VALUE "...\""
#define CUT_OBJECT ",\"cut\":true}"
enum { TEXT_ROOM = sizeof((struct log_line *)0)->text - sizeof CUT_VALUE CUT_OBJECT };

static bool is_json(void)
{
    return out.format == LOG_FORMAT_JSON;
}

/* Adds text, whole or not at all: a cut in the middle of an escape or of UTF-8 could not be read.
 */
static void put(struct log_line *l, const char *text, size_t n)
{
    if (l->cut)
        return;
    l->cut = n > TEXT_ROOM - l->len;
    if (l->cut) {
        text = "...";
        n = 3;
    }
    memcpy(l->text + l->len, text, n);
    l->len += n;
}

static void put_str(struct log_line *l, const char *text)
{
    put(l, text, strlen(text));
}

/* The longest value that is not a string: a number, or null. */
enum { JSON_WORD_MAX = 24 };

/* A field of JSON that has no room is left out: only its value may be cut. */
static void put_key_json(struct log_line *l, const char *key)
{
    l->cut = l->cut || strlen(key) + sizeof ",\"\":" + JSON_WORD_MAX > TEXT_ROOM - l->len;
    put_str(l, ",\"");
    put_str(l, key);
    put_str(l, "\":");
}

static void put_key(struct log_line *l, const char *key)
{
    if (is_json()) {
        put_key_json(l, key);
        return;
    }
    put_str(l, " ");
    put_str(l, key);
    put_str(l, "=");
}

static size_t put_time(char *text, size_t size)
{
    struct timespec now;
    struct tm tm;

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &tm);
    return (size_t)snprintf(text, size, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", tm.tm_year + 1900,
                            tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
                            (int)(now.tv_nsec / 1000000));
}

static void begin_text(struct log_line *l, const char *event)
{
    if (out.head == HEAD_TIME) {
        l->len += put_time(l->text + l->len, sizeof l->text - l->len);
        put_str(l, " ");
    }
    put_str(l, names[l->level]);
    put_str(l, " ");
    put_str(l, event);
}

/* The object has all fields whatever the target is, because programs that read it see nothing else
 * of a line. */
static void begin_json(struct log_line *l, const char *event)
{
    put_str(l, "{\"time\":\"");
    l->len += put_time(l->text + l->len, sizeof l->text - l->len);
    put_str(l, "\",\"level\":\"");
    put_str(l, names[l->level]);
    put_str(l, "\",\"event\":\"");
    put_str(l, event);
    put_str(l, "\"");
}

void log_begin(struct log_line *l, enum log_level level, const char *event)
{
    l->level = level;
    l->left_out = 0;
    l->len = 0;
    l->cut = false;
    if (out.head == HEAD_PRIORITY)
        l->len = (size_t)snprintf(l->text, sizeof l->text, "<%d>", severities[level]);
    if (is_json())
        begin_json(l, event);
    else
        begin_text(l, event);
}

static void put_quoted(struct log_line *l, struct span value,
                       size_t (*take)(struct span *value, char out[LOG_TEXT_MAX]))
{
    char form[LOG_TEXT_MAX];

    put(l, "\"", 1);
    if (l->cut)
        return;
    while (value.n > 0 && !l->cut)
        put(l, form, take(&value, form));
    put(l, "\"", 1);
    if (l->cut)
        l->text[l->len++] = '"';
}

void log_span(struct log_line *l, const char *key, struct span value)
{
    put_key(l, key);
    if (value.n == 0)
        put_str(l, is_json() ? "null" : "-");
    else if (is_json())
        put_quoted(l, value, log_text_take_json);
    else if (log_text_is_plain(value) && value.n <= TEXT_ROOM - l->len)
        put(l, (const char *)value.p, value.n);
    else
        put_quoted(l, value, log_text_take);
}

void log_str(struct log_line *l, const char *key, const char *value)
{
    log_span(l, key, span_str(value == NULL ? "" : value));
}

void log_num(struct log_line *l, const char *key, uint64_t value)
{
    char text[JSON_WORD_MAX];

    snprintf(text, sizeof text, "%" PRIu64, value);
    put_key(l, key);
    put_str(l, text);
}

void log_seconds(struct log_line *l, const char *key, uint64_t ms)
{
    char text[JSON_WORD_MAX];

    snprintf(text, sizeof text, "%" PRIu64 ".%03u", ms / 1000, (unsigned)(ms % 1000));
    put_key(l, key);
    put_str(l, text);
}

__attribute__((format(printf, 3, 0))) static void log_vfmt(struct log_line *l, const char *key,
                                                           const char *fmt, va_list ap)
{
    char text[1024];
    int n = vsnprintf(text, sizeof text, fmt, ap);
    if (n >= (int)sizeof text)
        memcpy(text + sizeof text - 4, "...", 3);
    log_str(l, key, text);
}

void log_fmt(struct log_line *l, const char *key, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_vfmt(l, key, fmt, ap);
    va_end(ap);
}

/* Ends the fields of a line. */
static void finish(struct log_line *l)
{
    if (l->left_out > 0)
        log_num(l, "lines-left-out", l->left_out);
    if (!is_json())
        return;
    const char *end = l->cut ? CUT_OBJECT : "}";
    memcpy(l->text + l->len, end, strlen(end));
    l->len += strlen(end);
}

/* Writes a line to a file. The first line after one that a full disk has cut starts with a line
 * end, because a reader would take the two for one line otherwise. */
static bool put_out(int fd, struct log_line *l)
{
    const ssize_t cut = atomic_exchange(&out.cut, false);
    const ssize_t total = cut + (ssize_t)l->len + 1;
    ssize_t n;

    l->text[l->len] = '\n';
    struct iovec parts[] = {{.iov_base = (char[]){'\n'}, .iov_len = (size_t)cut},
                            {.iov_base = l->text, .iov_len = l->len + 1}};
    do
        n = writev(fd, parts, 2);
    while (n < 0 && errno == EINTR);
    if (n <= 0 ? cut : n != total && n != cut)
        atomic_store(&out.cut, true);
    return n == total;
}

/* Returns whether a write of a line would not block, because a pipe or a terminal without a reader
 * must not stop the workers. Other programs share standard error, so it cannot be set to
 * O_NONBLOCK; but a file that poll() reports as writable takes a whole line, because a line is
 * shorter than PIPE_BUF, and a writable pipe has room for that many bytes. */
static bool has_room(int fd)
{
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    return poll(&room, 1, 0) == 1;
}

static bool written(struct log_line *l)
{
    const int fd = atomic_load(&out.fd);

    switch ((enum kind)atomic_load(&out.kind)) {
    case SYSLOG:
        return log_syslog_send(fd, LOG_SYSLOG_PATH, &out.target, severities[l->level], l->text,
                               l->len);
    case REGULAR: return put_out(fd, l);
    case OTHER: break;
    }
    return has_room(fd) && put_out(fd, l);
}

static void report_dropped(void)
{
    struct log_line l;
    unsigned long long n = atomic_exchange(&out.dropped, 0);

    if (n == 0)
        return;
    log_begin(&l, LOG_LEVEL_WARNING, "log");
    log_num(&l, "dropped", n);
    finish(&l);
    if (!written(&l))
        atomic_fetch_add(&out.dropped, n);
}

void log_end(struct log_line *l)
{
    if (!log_wanted(l->level))
        return;
    finish(l);
    const bool alone = atomic_load(&out.kind) == OTHER;
    if (alone)
        pthread_mutex_lock(&out.one);
    report_dropped();
    /* The tunnels continue if the log cannot be written. */
    if (!written(l)) {
        atomic_fetch_add(&out.dropped, 1);
        atomic_fetch_add(&out.lost, 1);
    }
    if (alone)
        pthread_mutex_unlock(&out.one);
}

uint64_t log_dropped(void)
{
    return atomic_load(&out.lost);
}

void log_msg(enum log_level level, const char *event, const char *fmt, ...)
{
    struct log_line l;
    va_list ap;

    if (!log_wanted(level))
        return;
    log_begin(&l, level, event);
    va_start(ap, fmt);
    log_vfmt(&l, "msg", fmt, ap);
    va_end(ap);
    log_end(&l);
}

void log_lines(enum log_level level, const char *event, char *text)
{
    for (char *line, *rest = text; (line = strsep(&rest, "\n")) != NULL;)
        if (*line != '\0')
            log_msg(level, event, "%s", line);
}

bool log_limit_pass(struct log_limit *limit, uint64_t now_ms, unsigned per_second, unsigned *missed)
{
    *missed = 0;
    if (limit->second != now_ms / 1000) {
        limit->second = now_ms / 1000;
        limit->count = 0;
    }
    if (limit->count >= per_second) {
        limit->missed++;
        return false;
    }
    limit->count++;
    *missed = limit->missed;
    limit->missed = 0;
    return true;
}

bool log_begin_limited(struct log_line *l, enum log_level level, const char *event,
                       struct log_limit *limit, uint64_t now_ms, unsigned per_second)
{
    unsigned missed;

    if (!log_limit_pass(limit, now_ms, per_second, &missed))
        return false;
    log_begin(l, level, event);
    l->left_out = missed;
    return true;
}
