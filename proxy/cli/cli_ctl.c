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
#include "cli/usage.h"
#include "config/config.h"
#include "config/config_load.h"
#include "gate/admin.h"
#include "gate/explain.h"

/* A reload with large files of rules takes seconds; a gate stopped by SIGSTOP never answers. */
enum { ANSWER_SECONDS = 60 };

static const struct usage usage = {
    .synopsis = "usage: sstpgate ctl [-c FILE | -s SOCKET] COMMAND [ARGUMENT]\n",
    .help =
        "Sends a command to a running gate and prints its answer.\n"
        "\n"
        "  -c, --config FILE    configuration whose key `admin` names the socket\n"
        "  -s, --socket SOCKET  path of the socket\n"
        "  -h, --help           this text\n"
        "\n"
        "Exit codes: 0 success, 1 failure or no running gate, 2 usage. explain: 0 admitted, 1\n"
        "refused, 2 usage, 3 depends on facts that are not given, 4 failure or no running gate.\n"
        "\n"
        "Commands:\n"
        "\n",
    .more = admin_help};

/* Writes a word with the escapes of gate/admin.h. */
static void write_word(const char *word, FILE *f)
{
    for (; *word != '\0'; word++) {
        if (*word <= ' ' || *word >= 0x7f || *word == '%')
            fprintf(f, "%%%02X", (unsigned)(uint8_t)*word);
        else
            fputc(*word, f);
    }
}

/* Returns the words of argv as one line with its end; NULL: a word is empty, or has a line end. */
static char *line_of(char **argv)
{
    struct memo line;
    FILE *f = memo_open(&line);
    bool good = true;

    for (char **word = argv; *word != NULL; word++) {
        const bool value = word > argv + 1 && strncmp(word[-1], "--", 2) == 0;
        /* An empty word would be lost: `drain ""`, of a script whose variable is not set, would
         * drain the whole gate. Only the value of an option may be empty. */
        good = good && (**word != '\0' || value) && strpbrk(*word, "\r\n") == NULL;
        fputs(word == argv ? "" : **word == '\0' ? "=" : " ", f);
        write_word(*word, f);
    }
    fputc('\n', f);
    if (good)
        return memo_take(&line);
    memo_free(&line);
    return NULL;
}

static int ctl_dial(const char *path)
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

/* Prints the payload. Returns the verdict, which is the last line. */
static bool ctl_report(char *text)
{
    static const char error[] = "error: ";
    size_t n = strlen(text);

    if (n == 0 || text[n - 1] != '\n') {
        fputs(text, stdout);
        fputs("sstpgate ctl: the answer is incomplete\n", stderr);
        return false;
    }
    text[n - 1] = '\0';
    char *last = strrchr(text, '\n');
    last = last == NULL ? text : last + 1;
    (void)fwrite(text, 1, (size_t)(last - text), stdout);
    fflush(stdout); /* before a message to standard error */
    if (strcmp(last, "ok") == 0)
        return true;
    if (strncmp(last, error, strlen(error)) == 0)
        fprintf(stderr, "sstpgate ctl: %s\n", last + strlen(error));
    else
        fprintf(stderr,
                "sstpgate ctl: the program at this socket is not sstpgate; its answer: %s\n", last);
    return false;
}

/* Returns the verdict of an answer to `explain`, or of another answer EXPLAIN_ADMITTED. */
static int verdict_of(const char *text)
{
    static const struct {
        const char *text, *json;
        enum explain_verdict verdict;
    } forms[] = {
        {"verdict: refused\n", "{\"verdict\":\"refused\"", EXPLAIN_REFUSED},
        {"verdict: depends\n", "{\"verdict\":\"depends\"", EXPLAIN_DEPENDS},
    };

    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (strncmp(text, forms[i].text, strlen(forms[i].text)) == 0 ||
            strncmp(text, forms[i].json, strlen(forms[i].json)) == 0)
            return (int)forms[i].verdict;
    return EXPLAIN_ADMITTED;
}

/* Returns whether the command has succeeded; *verdict: see verdict_of(). */
static bool ctl_talk(const char *path, const char *line, int *verdict)
{
    int fd = ctl_dial(path);
    if (fd < 0) {
        const char *what = errno == ENOENT || errno == ECONNREFUSED ? "no gate at"
                           : errno == EACCES || errno == EPERM      ? "no permission to connect to"
                                                                    : "cannot connect to";
        fprintf(stderr, "sstpgate ctl: %s %s: %s\n", what, path, strerror(errno));
        return false;
    }
    send_all(fd, line);
    char *text = receive_all(fd);
    if (text != NULL)
        *verdict = verdict_of(text);
    bool ok = text != NULL && ctl_report(text);
    if (text == NULL)
        fprintf(stderr, "sstpgate ctl: no answer from %s: %s\n", path, strerror(errno));
    free(text);
    close(fd);
    return ok;
}

/* Returns the path of the socket of the gate with this configuration; NULL: the reason was
 * written. */
static char *find_socket(const char *config, bool is_default)
{
    char *path = config_find_admin(config, stderr);

    if (path == NULL && is_default && access(config, F_OK) != 0)
        fputs("sstpgate ctl: give -c FILE or -s SOCKET\n", stderr);
    return path;
}

int cli_ctl(int argc, char **argv, const char *config)
{
    static const struct option options[] = {{"config", required_argument, NULL, 'c'},
                                            {"socket", required_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {0}};
    const char *file = NULL, *socket = NULL;
    int option;

    optind = 0; /* glibc: start over */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+c:s:h", options, NULL)) != -1) {
        switch (option) {
        case 'c': file = optarg; break;
        case 's': socket = strncmp(optarg, "unix:", 5) == 0 ? optarg + 5 : optarg; break;
        case 'h': return usage_help(&usage);
        default: return usage_wrong(&usage);
        }
    }
    if (optind == argc || (file != NULL && socket != NULL))
        return usage_wrong(&usage);
    if (optind == argc - 1 && strcmp(argv[optind], "help") == 0) { /* needs no gate */
        admin_help(stdout);
        return usage_exit(true);
    }
    char *line = line_of(argv + optind);
    if (line == NULL) {
        fputs("sstpgate ctl: a command must be one line, without empty words\n", stderr);
        return EXIT_USAGE;
    }
    char *path = socket != NULL ? insist_alloc(strdup(socket))
                                : find_socket(file == NULL ? config : file, file == NULL);
    int verdict = EXPLAIN_ADMITTED;
    const bool ok = path != NULL && ctl_talk(path, line, &verdict);
    free(path);
    free(line);
    if (strcmp(argv[optind], "explain") == 0)
        return ok && fflush(stdout) == 0 ? verdict : EXPLAIN_FAILED;
    return usage_exit(ok);
}
