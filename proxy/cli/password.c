#include "cli/password.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hidden.h"
#include "base/span.h"
#include "base/text.h"

enum answer { ANSWER_OK, ANSWER_NONE, ANSWER_LONG, ANSWER_FAILED, ANSWER_SIGNAL };

/* Reads one line from fd, without its end, a byte at a time, because the bytes after the line
 * belong to the next reader. signals: a signalfd that ends the wait; -1: none. */
static enum answer read_line(int fd, struct password *out, int signals)
{
    struct pollfd wait[] = {{.fd = fd, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    enum answer result = ANSWER_OK;

    for (out->n = 0;;) {
        uint8_t c;
        const int ready = poll(wait, 2, -1);
        if (ready > 0 && wait[1].revents != 0)
            return ANSWER_SIGNAL;
        const ssize_t n = ready < 0 ? -1 : read(fd, &c, 1);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (n < 0)
            return ANSWER_FAILED;
        if (n == 0 && out->n == 0)
            return ANSWER_NONE;
        if (n == 0 || c == '\n')
            return result;
        if (out->n < sizeof out->octets)
            out->octets[out->n++] = c;
        else
            result = ANSWER_LONG;
        explicit_bzero(&c, 1);
    }
}

static int set_terminal(const struct termios *t)
{
    int rc;
    do /* TCSAFLUSH discards the input of the other mode, and the rest of a line */
        rc = tcsetattr(STDIN_FILENO, TCSAFLUSH, t);
    while (rc != 0 && errno == EINTR);
    return rc;
}

/* Asks for a password once. Between the two calls of set_terminal every signal that stops the
 * program is blocked and detected through a signalfd. The signalfd is not read, so the signal
 * is still pending when the echo is restored, and takes effect then. */
static enum answer ask_once(const char *prompt, struct password *out)
{
    static const int stops[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGALRM, SIGTSTP};
    enum answer result = ANSWER_FAILED;
    struct termios shown, hidden;
    sigset_t block, before;

    sigemptyset(&block);
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++)
        sigaddset(&block, stops[i]);
    if (tcgetattr(STDIN_FILENO, &shown) != 0)
        return ANSWER_FAILED;
    const int signals = signalfd(-1, &block, SFD_CLOEXEC);
    if (signals < 0)
        return ANSWER_FAILED;

    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    hidden.c_lflag |= ICANON | ECHONL;
    sigprocmask(SIG_BLOCK, &block, &before);
    if (set_terminal(&hidden) == 0) {
        fputs(prompt, stderr);
        result = read_line(STDIN_FILENO, out, signals);
        if (set_terminal(&shown) != 0 && result == ANSWER_OK)
            result = ANSWER_FAILED;
    }
    if (result == ANSWER_SIGNAL)
        fputc('\n', stderr);
    close(signals);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}

/* Asks again after a signal that did not end the program: a SIGTSTP after which the program is
 * in the foreground again, or an ignored signal. */
static enum answer ask(const char *prompt, struct password *out)
{
    enum answer result;
    do
        result = ask_once(prompt, out);
    while (result == ANSWER_SIGNAL);
    return result;
}

/* Removes a byte order mark, and the CR of CR LF, from the line of a text file. Returns NULL, or
 * why the line cannot be read as text. */
static const char *take_text(struct password *p)
{
    struct span rest = span_of(p->octets, p->n), line = span_of(NULL, 0);
    const char *reason = text_begin(&rest);

    if (reason == NULL && text_take_line(&rest, &line))
        memmove(p->octets, line.p, line.n);
    p->n = line.n;
    return reason;
}

/* Returns whether the password can be used; otherwise writes the reason to problems. typed:
 * on a terminal. */
static bool password_good(enum answer a, struct password *p, const char *command, bool typed,
                          FILE *problems)
{
    const char *reason = NULL;
    struct hidden h;

    if (a == ANSWER_FAILED)
        reason = strerror(errno);
    else if (a == ANSWER_LONG)
        reason = "it is longer than 256 UTF-16 units";
    else if (!typed)
        reason = take_text(p);
    if (reason == NULL && (a == ANSWER_NONE || p->n == 0))
        reason = "it is empty";
    for (size_t i = 0; reason == NULL && i < p->n; i++)
        if (p->octets[i] < 0x20 || p->octets[i] == 0x7f)
            reason = "it contains a control character (a stray key?)";
    if (reason == NULL && hidden_find_at_ends(span_of(p->octets, p->n), &h)) {
        fprintf(
            problems,
            "sstpgate %s: no usable password: it begins or ends with %s, which cannot be seen\n",
            command, h.name);
        return false;
    }
    if (reason != NULL)
        fprintf(problems, "sstpgate %s: no usable password: %s\n", command, reason);
    return reason == NULL;
}

/* Asks a second time, because a line of a users-file shows no mistake. */
static bool ask_terminal(struct password *out, const char *command, bool twice, FILE *problems)
{
    struct password again = {.n = 0};
    bool good = password_good(ask("Password: ", out), out, command, true, problems);

    if (good && twice) {
        good = ask("Again: ", &again) == ANSWER_OK &&
               span_eq(span_of(out->octets, out->n), span_of(again.octets, again.n));
        if (!good)
            fprintf(problems, "sstpgate %s: the two passwords differ\n", command);
    }
    explicit_bzero(&again, sizeof again);
    return good;
}

bool password_get(struct password *out, const char *command, bool twice, FILE *problems)
{
    if (isatty(STDIN_FILENO))
        return ask_terminal(out, command, twice, problems);
    return password_good(read_line(STDIN_FILENO, out, -1), out, command, false, problems);
}

bool password_from_file(struct password *out, const char *command, const char *path, FILE *problems)
{
    const char *reason;
    struct stat st;
    const int fd = file_open(path, &reason);

    out->n = 0;
    if (fd < 0) {
        fprintf(problems, "sstpgate %s: %s: %s\n", command, path, reason);
        return false;
    }
    const bool good = fstat(fd, &st) == 0 && !file_exposed(path, &st, problems) &&
                      password_good(read_line(fd, out, -1), out, command, false, problems);
    close(fd);
    return good;
}

struct nthash *password_md4(const char *command)
{
    struct nthash *md4 = nthash_new();

    if (md4 == NULL)
        fprintf(stderr,
                "sstpgate %s: this OpenSSL has no MD4: its legacy provider (legacy.so) is not "
                "installed\n",
                command);
    return md4;
}

bool password_hash(const struct password *p, const char *command, uint8_t hash_hash[NT_HASH])
{
    struct nthash *md4 = password_md4(command);

    if (md4 == NULL)
        return false;
    const enum err e = nthash_from_password(md4, span_of(p->octets, p->n), hash_hash);
    nthash_free(md4);
    if (e != ERR_OK)
        fprintf(stderr, "sstpgate %s: the password %s\n", command,
                e == ERR_SYNTAX      ? "is not UTF-8"
                : e == ERR_TOO_LARGE ? "is longer than 256 UTF-16 units"
                                     : "could not be hashed");
    return e == ERR_OK;
}
