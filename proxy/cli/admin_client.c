#include "cli/admin_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memo.h"

/* A reload with large files of rules takes seconds; a gate stopped by SIGSTOP never answers. */
enum { ANSWER_SECONDS = 60 };

int admin_client_dial(const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    const struct timeval patience = {.tv_sec = ANSWER_SECONDS};
    size_t n = strlen(path);

    if (n == 0 || n >= sizeof sa.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(sa.sun_path, path, n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) == 0 &&
        connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

/* Sends the line. Errors are found by receive_all, because a gate that refuses a command may answer
 * before it has read all of it. */
static void send_all(int fd, const char *line)
{
    for (size_t left = strlen(line); left > 0;) {
        ssize_t n = send(fd, line, left, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return;
        line += n;
        left -= (size_t)n;
    }
}

/* Reads the answer to its end; NULL with errno. */
static char *receive_all(int fd)
{
    struct memo text;
    FILE *f = memo_open(&text);
    char part[4096];
    ssize_t n;

    while ((n = recv(fd, part, sizeof part, 0)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            (void)fwrite(part, 1, (size_t)n, f);
    int error = errno == EAGAIN ? ETIMEDOUT : errno; /* of SO_RCVTIMEO */
    (void)memo_text(&text);
    /* A reset after the verdict means that the gate did not read the whole command. */
    if (n == 0 || (error == ECONNRESET && text.n > 0))
        return memo_take(&text);
    memo_free(&text);
    errno = error;
    return NULL;
}

char *admin_client_ask(int fd, const char *line)
{
    send_all(fd, line);
    char *text = receive_all(fd);
    const int error = errno;
    close(fd);
    errno = error;
    return text;
}
