#include "gate/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/memo.h"

enum { FIRST = 3 };

/* All that the new process needs, because it must not allocate: another thread may have held a lock
 * of malloc at the fork. */
struct start {
    const char *program;
    char *const *argv;
    char **envp;
    char *pid_text; /* of LISTEN_PID in envp: room for the digits of a pid */
    int *from;      /* copies of the descriptors, above the numbers FIRST, FIRST + 1, ... of the new
                       process */
    size_t count;
    int errors, report; /* report: receives the pid */
    int idle;           /* -1, or a descriptor to wait for instead of executing the program */
};

/* ---- the new process ---- */

static void signals_default(void)
{
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int number = 1; number < NSIG; number++)
        (void)sigaction(number, &by_default, NULL); /* fails for KILL, STOP and those of libc */
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Writes at most as many digits as the text has. */
static void write_number(char *text, unsigned long number)
{
    size_t n = 1;

    for (unsigned long rest = number; rest > 9; rest /= 10)
        n++;
    text[n] = '\0';
    for (; n > 0; number /= 10)
        text[--n] = (char)('0' + number % 10);
}

static _Noreturn void idle_main(int fd)
{
    char byte;

    (void)dup2(fd, 0);
    (void)close_range(1, UINT32_MAX, 0); /* a copy of a socket would keep it open */
    while (read(0, &byte, 1) < 0 && errno == EINTR)
        ;
    _exit(0);
}

static _Noreturn void program_main(const struct start *s)
{
    static const char failed[] = "the program cannot be executed\n";

    for (size_t i = 0; i < s->count; i++)
        if (dup2(s->from[i], FIRST + (int)i) < 0)
            _exit(126);
    if (s->errors >= 0 && dup2(s->errors, STDERR_FILENO) < 0)
        _exit(126);
    write_number(s->pid_text, (unsigned long)getpid());
    (void)execve(s->program, s->argv, s->envp);
    (void)!write(STDERR_FILENO, failed, sizeof failed - 1);
    _exit(127);
}

static _Noreturn void start_main(const struct start *s)
{
    const pid_t pid = getpid();

    signals_default();
    if (write(s->report, &pid, sizeof pid) != (ssize_t)sizeof pid)
        _exit(126);
    (void)close(s->report);
    if (s->idle >= 0)
        idle_main(s->idle);
    program_main(s);
}

/* Forks twice, and collects the process between: the second one has no parent then. */
static bool fork_twice(const struct start *s)
{
    const pid_t between = fork();
    int status;

    if (between == 0) {
        const pid_t second = fork();
        if (second == 0)
            start_main(s);
        _exit(second < 0);
    }
    if (between < 0)
        return false;
    while (waitpid(between, &status, 0) < 0)
        INSIST(errno == EINTR);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    errno = EAGAIN;
    return false;
}

/* Returns the process id; -1 with errno. */
static pid_t start(struct start *s)
{
    sigset_t all, before;
    pid_t pid = -1;
    int report[2];

    if (pipe2(report, O_CLOEXEC) != 0)
        return -1;
    s->report = report[1];
    /* The new process must not run a handler of this one, which would write to a pipe of libuv. */
    sigfillset(&all);
    INSIST(pthread_sigmask(SIG_SETMASK, &all, &before) == 0);
    const bool forked = fork_twice(s);
    int error = errno;
    INSIST(pthread_sigmask(SIG_SETMASK, &before, NULL) == 0);
    close(report[1]);
    if (forked && read(report[0], &pid, sizeof pid) != (ssize_t)sizeof pid) {
        pid = -1;
        error = ECHILD;
    }
    close(report[0]);
    errno = error;
    return pid;
}

/* ---- before it ---- */

static bool is_variable(const char *setting, const char *name)
{
    const size_t n = strlen(name);
    return strncmp(setting, name, n) == 0 && setting[n] == '=';
}

static char *names_of(const struct spawn *s)
{
    struct memo m;
    FILE *out = memo_open(&m);

    fputs("LISTEN_FDNAMES=", out);
    for (size_t i = 0; i < s->count; i++)
        fprintf(out, "%s%s", i == 0 ? "" : ":", s->pass[i].name);
    (void)memo_text(&m);
    return memo_take(&m);
}

/* Returns the environment: allocated, as are its last three entries. */
static char **environment_new(const struct spawn *s, size_t *count)
{
    static const char *const ours[] = {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
                                       "WATCHDOG_PID"};
    size_t n = 0, kept = 0;

    while (environ[n] != NULL)
        n++;
    char **envp = insist_alloc(calloc(n + 4, sizeof *envp));
    for (size_t i = 0; i < n; i++) {
        bool skip = false;
        for (size_t k = 0; k < sizeof ours / sizeof *ours; k++)
            skip |= is_variable(environ[i], ours[k]);
        if (!skip)
            envp[kept++] = environ[i];
    }
    char fds[sizeof "LISTEN_FDS=" + 20];
    snprintf(fds, sizeof fds, "LISTEN_FDS=%zu", s->count);
    envp[kept++] = insist_alloc(strdup(fds));
    envp[kept++] = names_of(s);
    envp[kept++] = insist_alloc(strdup("LISTEN_PID=0000000000"));
    *count = kept;
    return envp;
}

static void environment_free(char **envp, size_t count)
{
    for (size_t i = count - 3; i < count; i++)
        free(envp[i]);
    free(envp);
}

/* Duplicates the descriptors to numbers above all numbers that the new process uses. Returns the
 * number of copies. */
static size_t fds_lift(const struct spawn *s, int *from)
{
    size_t n = 0;

    for (; n < s->count; n++) {
        from[n] = fcntl(s->pass[n].fd, F_DUPFD_CLOEXEC, FIRST + (int)s->count);
        if (from[n] < 0)
            break;
    }
    return n;
}

pid_t spawn(const struct spawn *s)
{
    size_t variables;
    char **envp = environment_new(s, &variables);
    int *from = insist_alloc(calloc(s->count + 1, sizeof *from));
    pid_t pid = -1;

    const size_t lifted = fds_lift(s, from);
    if (lifted == s->count && access(s->program, X_OK) == 0) {
        struct start all = {.program = s->program,
                            .argv = s->argv,
                            .envp = envp,
                            .pid_text = envp[variables - 1] + sizeof "LISTEN_PID=" - 1,
                            .from = from,
                            .count = s->count,
                            .errors = s->errors,
                            .idle = -1};
        pid = start(&all);
    }
    const int error = errno;
    for (size_t i = 0; i < lifted; i++)
        close(from[i]);
    free(from);
    environment_free(envp, variables);
    errno = error;
    return pid;
}

pid_t spawn_idle(int *end)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) != 0)
        return -1;
    struct start all = {.idle = fds[0]};
    const pid_t pid = start(&all);
    const int error = errno;
    close(fds[0]);
    if (pid < 0)
        close(fds[1]);
    *end = fds[1];
    errno = error;
    return pid;
}
