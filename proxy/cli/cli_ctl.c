#include "cli/cli_ctl.h"

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/memo.h"
#include "config/config.h"
#include "config/config_load.h"
#include "gate/admin.h"

/* A reload with large rules files takes its seconds; a gate that is stopped (SIGSTOP) takes for
 * ever. */
enum { ANSWER_SECONDS = 60 };

static void usage(FILE *out)
{
    fputs("usage: sstpgate ctl [-c FILE | -s SOCKET] COMMAND [ARGUMENT]\n"
          "\n"
          "Hands a command to a running gate and prints its answer.\n"
          "\n"
          "  -c FILE    configuration in which the key `admin` names the socket\n"
          "  -s SOCKET  the socket itself\n"
          "  -h         this text\n"
          "\n"
          "Exit codes: 0 done, 1 not done or no gate there, 2 usage.\n"
          "\n"
          "Commands:\n"
          "\n",
          out);
    admin_help(out);
}

/* The words of argv as one line with its end; NULL when one of them is empty or cannot stand
 * in it. */
static char *line_of(char **argv)
{
    struct memo line;
    FILE *f = memo_open(&line);
    bool good = true;

    for (char **word = argv; *word != NULL; word++) {
        /* An empty one would be lost: `drain ""`, of a script whose variable is not set, would
         * drain the gate. */
        good = good && **word != '\0' && strpbrk(*word, "\r\n") == NULL;
        fprintf(f, "%s%s", word == argv ? "" : " ", *word);
    }
    fputc('\n', f);
    if (good)
        return memo_take(&line);
    memo_free(&line);
    return NULL;
}

static int dial(const char *path)
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

/* A gate that has heard enough may answer before it has taken all of it: that is seen when reading.
 */
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

/* All there is until the end; NULL with errno. */
static char *receive_all(int fd)
{
    struct memo text;
    FILE *f = memo_open(&text);
    char part[4096];
    ssize_t n;

    while ((n = recv(fd, part, sizeof part, 0)) > 0 || (n < 0 && errno == EINTR))
        if (n > 0)
            (void)fwrite(part, 1, (size_t)n, f);
    int error = errno == EAGAIN ? ETIMEDOUT : errno; /* SO_RCVTIMEO says it so */
    (void)memo_text(&text);
    /* A reset after the verdict means that the gate did not read the whole command. */
    if (n == 0 || (error == ECONNRESET && text.n > 0))
        return memo_take(&text);
    memo_free(&text);
    errno = error;
    return NULL;
}

/* Prints the payload and takes the verdict. */
static bool report(char *text)
{
    static const char error[] = "error: ";
    size_t n = strlen(text);

    if (n == 0 || text[n - 1] != '\n') {
        fputs(text, stdout);
        fputs("sstpgate ctl: the answer was cut off\n", stderr);
        return false;
    }
    text[n - 1] = '\0';
    char *last = strrchr(text, '\n');
    last = last == NULL ? text : last + 1;
    (void)fwrite(text, 1, (size_t)(last - text), stdout);
    fflush(stdout); /* before what goes to the other stream */
    if (strcmp(last, "ok") == 0)
        return true;
    if (strncmp(last, error, strlen(error)) == 0)
        fprintf(stderr, "sstpgate ctl: %s\n", last + strlen(error));
    else
        fprintf(stderr, "sstpgate ctl: no gate answers there, but somebody who says: %s\n", last);
    return false;
}

static bool talk(const char *path, const char *line)
{
    int fd = dial(path);
    if (fd < 0) {
        const char *what = errno == ENOENT || errno == ECONNREFUSED ? "no gate at"
                           : errno == EACCES || errno == EPERM      ? "not allowed to talk to"
                                                                    : "cannot talk to";
        fprintf(stderr, "sstpgate ctl: %s %s: %s\n", what, path, strerror(errno));
        return false;
    }
    send_all(fd, line);
    char *text = receive_all(fd);
    bool ok = text != NULL && report(text);
    if (text == NULL)
        fprintf(stderr, "sstpgate ctl: no answer from %s: %s\n", path, strerror(errno));
    free(text);
    close(fd);
    return ok;
}

int cli_ctl(int argc, char **argv, const char *default_config)
{
    static const struct option longs[] = {{"config", required_argument, NULL, 'c'},
                                          {"socket", required_argument, NULL, 's'},
                                          {"help", no_argument, NULL, 'h'},
                                          {0}};
    const char *config = NULL, *given = NULL;
    int opt;

    while ((opt = getopt_long(argc, argv, "+c:s:h", longs, NULL)) != -1) {
        switch (opt) {
        case 'c': config = optarg; break;
        case 's': given = strncmp(optarg, "unix:", 5) == 0 ? optarg + 5 : optarg; break;
        case 'h': usage(stdout); return 0;
        default: usage(stderr); return 2;
        }
    }
    if (optind == argc || (config != NULL && given != NULL)) {
        usage(stderr);
        return 2;
    }
    char *line = line_of(argv + optind);
    if (line == NULL) {
        fputs("sstpgate ctl: a command is one line, and no word of it is empty\n", stderr);
        return 2;
    }
    char *path = given != NULL
                     ? insist_alloc(strdup(given))
                     : config_find_admin(config == NULL ? default_config : config, stderr);
    bool ok = path != NULL && talk(path, line);
    free(path);
    free(line);
    return ok ? 0 : 1;
}
