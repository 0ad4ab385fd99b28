#include "tls/key_log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/denied.h"
#include "base/insist.h"
#include "base/log.h"

enum { LINE = 512 }; /* the longest line of OpenSSL has some 230 bytes */

/* The lock keeps the descriptor from being closed, and its number from being used for another file,
 * between the decision to write and the write. */
static struct {
    pthread_mutex_t lock;
    int fd; /* -1: none */
    char *path;
    uid_t owner;
    bool cut;    /* the last line is incomplete */
    bool failed; /* a write has failed, which was logged */
} out = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = -1};

const char *key_log_flaw(const struct stat *st, uid_t owner)
{
    if (S_ISLNK(st->st_mode))
        return "a symbolic link";
    if (!S_ISREG(st->st_mode))
        return "not a regular file";
    if ((st->st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return "accessible to other users than its owner, but it contains secrets: run chmod 600 "
               "on it";
    if (st->st_uid != owner && st->st_uid != geteuid() && st->st_uid != 0)
        return "it belongs to another user, who could read the secrets in it";
    return NULL;
}

static const char *open_reason(const char *path, int error)
{
    switch (error) {
    case ELOOP: return "a symbolic link";
    case ENXIO: return "not a regular file";
    default: return denied_reason(path, error);
    }
}

/* Exchanges the descriptor. */
static void use_fd(int fd)
{
    pthread_mutex_lock(&out.lock);
    const int old = out.fd;
    out.fd = fd;
    out.cut = out.failed = false;
    pthread_mutex_unlock(&out.lock);
    if (old >= 0)
        close(old);
}

/* Closes the file in use if it has a flaw now. */
static void check_used(void)
{
    struct stat st;

    if (out.fd >= 0 && fstat(out.fd, &st) == 0 && key_log_flaw(&st, out.owner) != NULL)
        use_fd(-1);
}

int key_log_open(const char *path, uid_t owner, const char **reason)
{
    struct stat st;
    /* O_NONBLOCK: a FIFO must not block the gate. */
    const int fd = open(
        path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);

    if (fd < 0 || fstat(fd, &st) != 0)
        *reason = open_reason(path, errno);
    else if ((*reason = key_log_flaw(&st, owner)) == NULL)
        return fd;
    if (fd >= 0)
        close(fd);
    check_used();
    return -1;
}

void key_log_use(int fd, const char *path, uid_t owner)
{
    char *copy = fd < 0 ? NULL : insist_alloc(strdup(path));

    use_fd(fd);
    pthread_mutex_lock(&out.lock);
    free(out.path);
    out.path = copy;
    out.owner = owner;
    pthread_mutex_unlock(&out.lock);
}

bool key_log_reopen(const char **reason)
{
    if (out.path == NULL)
        return true;
    const int fd = key_log_open(out.path, out.owner, reason);
    if (fd >= 0)
        use_fd(fd);
    return fd >= 0;
}

/* Writes the line, and ends a line before it that a full disk has cut. */
static void append(const char *line)
{
    char text[LINE];
    const int n = snprintf(text, sizeof text, "%s%s\n", out.cut ? "\n" : "", line);
    const size_t size = n < LINE ? (size_t)n : LINE - 1;
    const ssize_t done = write(out.fd, text, size);

    if (done < 0 && !out.failed)
        log_msg(LOG_LEVEL_ERROR, "key-log", "cannot write %s: %s", out.path, strerror(errno));
    out.failed |= done < 0;
    if (done > 0)
        out.cut = text[done - 1] != '\n';
    explicit_bzero(text, sizeof text);
}

void key_log_write(void *arg, const char *line)
{
    (void)arg;
    pthread_mutex_lock(&out.lock);
    if (out.fd >= 0)
        append(line);
    pthread_mutex_unlock(&out.lock);
}
