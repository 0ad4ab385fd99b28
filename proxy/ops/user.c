#include "ops/user.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include "base/err.h"
#include "base/span.h"
#include "binding/nthash.h"
#include "policy/users.h"

/* NT_PASSWORD_MAX units take at most three octets of UTF-8 each. */
enum { PASSWORD_MAX = 3 * NT_PASSWORD_MAX };

struct password {
    uint8_t octets[PASSWORD_MAX];
    size_t n;
};

enum answer { ANSWER_OK, ANSWER_NONE, ANSWER_LONG, ANSWER_FAILED, ANSWER_SIGNAL };

static const char usage[] = "usage: sstpgate user NAME\n";

static const char help[] =
    "usage: sstpgate user NAME\n"
    "\n"
    "Asks for the password of NAME and prints the line for the users-file of a backend:\n"
    "\n"
    "    sstpgate user NAME >> /etc/sstpgate/users\n"
    "\n"
    "NAME is the user name as the VPN client sends it: name, DOMAIN\\name or name@realm. A line\n"
    "for the bare name serves all three; letter case does not count. On a terminal the password\n"
    "is asked for twice and not shown; otherwise it is the first line of standard input (UTF-8).\n"
    "\n"
    "The line holds NtPasswordHashHash (RFC 2759), not the password. Nobody can log in with it by\n"
    "MS-CHAPv2, but it lets its holder play the server towards that user, read the keys out of\n"
    "recorded logins and test guesses of the password. Protect the file: mode 0640 at the most,\n"
    "owner root. The line has to be made again when the password changes.\n"
    "\n"
    "  -h, --help  this text\n";

/* One line from standard input, without its end. An octet at a time: what follows the line is for
 * the next reader. signals: a signalfd to give up for, or -1. */
static enum answer read_line(struct password *out, int signals)
{
    struct pollfd wait[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                            {.fd = signals, .events = POLLIN}};
    enum answer result = ANSWER_OK;

    for (out->n = 0;;) {
        uint8_t c;
        const int ready = poll(wait, 2, -1);
        if (ready > 0 && wait[1].revents != 0)
            return ANSWER_SIGNAL;
        const ssize_t n = ready < 0 ? -1 : read(STDIN_FILENO, &c, 1);
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
    do /* TCSAFLUSH: what was typed for the other mode, or is left of a line, goes nowhere */
        rc = tcsetattr(STDIN_FILENO, TCSAFLUSH, t);
    while (rc != 0 && errno == EINTR);
    return rc;
}

/* Between the two calls of set_terminal every signal that a user or the system sends to stop us is
 * blocked, and seen through a signalfd, which is not read: it is still pending when the echo is
 * back, and does then what it always does. */
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
        result = read_line(out, signals);
        if (set_terminal(&shown) != 0 && result == ANSWER_OK)
            result = ANSWER_FAILED;
    }
    if (result == ANSWER_SIGNAL)
        fputc('\n', stderr);
    close(signals);
    sigprocmask(SIG_SETMASK, &before, NULL);
    return result;
}

/* A signal that did not end us was SIGTSTP, and we are back in the foreground, or one that is
 * ignored: the question stands again. */
static enum answer ask(const char *prompt, struct password *out)
{
    enum answer result;
    do
        result = ask_once(prompt, out);
    while (result == ANSWER_SIGNAL);
    return result;
}

/* Tells what is wrong with the password, if anything. */
static bool password_good(enum answer a, const struct password *p)
{
    const char *reason = NULL;

    if (a == ANSWER_FAILED)
        reason = strerror(errno);
    else if (a == ANSWER_LONG)
        reason = "longer than 256 UTF-16 units";
    else if (a == ANSWER_NONE || p->n == 0)
        reason = "it is empty";
    for (size_t i = 0; reason == NULL && i < p->n; i++)
        if (p->octets[i] < 0x20 || p->octets[i] == 0x7f)
            reason = "a control character in it (a stray key, or a line end of DOS?)";
    if (reason != NULL)
        fprintf(stderr, "sstpgate user: no usable password: %s\n", reason);
    return reason == NULL;
}

static bool ask_twice(struct password *out)
{
    struct password again;
    bool good = password_good(ask("Password: ", out), out);

    if (good) {
        good = ask("Again: ", &again) == ANSWER_OK &&
               span_eq(span_of(out->octets, out->n), span_of(again.octets, again.n));
        if (!good)
            fputs("sstpgate user: the two are not the same\n", stderr);
    }
    explicit_bzero(&again, sizeof again);
    return good;
}

static bool get_password(struct password *out)
{
    if (isatty(STDIN_FILENO))
        return ask_twice(out);
    return password_good(read_line(out, -1), out);
}

/* Not with stdio: its buffer would keep a copy. */
static bool write_all(const char *text, size_t n)
{
    while (n > 0) {
        const ssize_t done = write(STDOUT_FILENO, text, n);
        if (done < 0 && errno != EINTR) {
            fprintf(stderr, "sstpgate user: standard output: %s\n", strerror(errno));
            return false;
        }
        if (done > 0) {
            text += done;
            n -= (size_t)done;
        }
    }
    return true;
}

static bool write_line(const char *name, const uint8_t hash_hash[NT_HASH])
{
    static const char digit[] = "0123456789abcdef";
    char line[USERS_NAME_MAX + 2 * NT_HASH + 2];
    size_t n = strlen(name);

    memcpy(line, name, n); /* users_name_valid: it fits */
    line[n++] = ':';
    for (size_t i = 0; i < NT_HASH; i++) {
        line[n++] = digit[hash_hash[i] >> 4];
        line[n++] = digit[hash_hash[i] & 0xf];
    }
    line[n++] = '\n';
    const bool good = write_all(line, n);
    explicit_bzero(line, sizeof line);
    return good;
}

static bool hash_password(const struct password *p, uint8_t hash_hash[NT_HASH])
{
    struct nthash *md4 = nthash_new();
    const enum err e =
        md4 == NULL ? ERR_TLS : nthash_from_password(md4, span_of(p->octets, p->n), hash_hash);

    nthash_free(md4);
    switch (e) {
    case ERR_OK: return true;
    case ERR_SYNTAX: fputs("sstpgate user: the password is not UTF-8\n", stderr); break;
    case ERR_TOO_LARGE:
        fputs("sstpgate user: the password is longer than 256 UTF-16 units\n", stderr);
        break;
    default:
        fputs("sstpgate user: this OpenSSL has no MD4: its legacy provider (legacy.so) is not "
              "installed\n",
              stderr);
    }
    return false;
}

static bool make_line(const char *name)
{
    struct password password;
    uint8_t hash_hash[NT_HASH];
    const bool good = get_password(&password) && hash_password(&password, hash_hash) &&
                      write_line(name, hash_hash);

    explicit_bzero(&password, sizeof password);
    explicit_bzero(hash_hash, sizeof hash_hash);
    return good;
}

int user_command(int argc, char **argv)
{
    static const struct option options[] = {{"help", no_argument, NULL, 'h'}, {0}};

    optind = 0; /* glibc: start afresh, main has read its own options before */
    opterr = 0;
    const int option = getopt_long(argc, argv, "h", options, NULL);
    if (option == 'h') {
        fputs(help, stdout);
        return fflush(stdout) == 0 ? 0 : 1;
    }
    if (option != -1 || optind != argc - 1) {
        fputs(usage, stderr);
        return 2;
    }
    const char *name = argv[optind];
    if (!users_name_valid(span_str(name))) {
        fputs("sstpgate user: NAME must have 1 to 256 octets, no control character, no ':', no '#' "
              "in front and no blank at either end\n",
              stderr);
        return 2;
    }
    return make_line(name) ? 0 : 1;
}
