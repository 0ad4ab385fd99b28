/* A program that is no child, with passed descriptors: a shell that says what it has. */
#include "gate/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

/* Runs a script with one passed descriptor, the write end of a pipe. Returns what it wrote there,
 * and its exit code. */
static int shell(const char *script, char out[500])
{
    char sh[] = "sh", dash_c[] = "-c";
    char *argv[] = {sh, dash_c, (char *)(uintptr_t)script, NULL};
    int fds[2], status;
    size_t n = 0;
    ssize_t more;

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    const struct spawn_fd pass[] = {{fds[1], "first"}, {fds[1], "second"}};
    const struct spawn s = {
        .program = "/bin/sh", .argv = argv, .pass = pass, .count = 2, .errors = fds[1]};
    const pid_t pid = spawn(&s);
    assert_true(pid > 0);
    close(fds[1]);
    while ((more = read(fds[0], out + n, 499 - n)) > 0)
        n += (size_t)more;
    out[n] = '\0';
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid); /* this process collects orphans */
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void descriptors_and_variables(void **state)
{
    char out[500], expected[500];
    long pid;

    (void)state;
    setenv("WATCHDOG_PID", "77", 1);
    setenv("LISTEN_FDS", "88", 1);
    setenv("OF_THE_TEST", "kept", 1);
    assert_int_equal(
        shell("echo $$ $((LISTEN_PID - $$)) $LISTEN_FDS $LISTEN_FDNAMES ${WATCHDOG_PID-none} "
              "$OF_THE_TEST >&4; echo error >&2; exit 5",
              out),
        5);
    assert_int_equal(sscanf(out, "%ld", &pid), 1);
    snprintf(expected, sizeof expected, "%ld 0 2 first:second none kept\nerror\n", pid);
    assert_string_equal(out, expected);
}

static void signals_are_those_of_a_new_program(void **state)
{
    char out[500];
    sigset_t all, none;

    (void)state;
    sigfillset(&all);
    sigemptyset(&none);
    assert_ptr_not_equal(signal(SIGPIPE, SIG_IGN), SIG_ERR);
    assert_int_equal(sigprocmask(SIG_BLOCK, &all, NULL), 0);
    assert_int_equal(shell("kill -PIPE $$; exit 5", out), -SIGPIPE);
    assert_int_equal(sigprocmask(SIG_SETMASK, &none, NULL), 0);
}

static void programs_that_cannot_start(void **state)
{
    char name[] = "x", *argv[] = {name, NULL};
    char path[] = "/tmp/test-spawn-XXXXXX", out[100];
    int fds[2], status;

    (void)state;
    assert_int_equal(spawn(&(struct spawn){.program = "/nowhere", .argv = argv, .errors = -1}), -1);
    assert_int_equal(errno, ENOENT);
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "#!/nowhere\n", 11), 11);
    assert_int_equal(fchmod(fd, 0700), 0);
    close(fd);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    const pid_t pid = spawn(&(struct spawn){.program = path, .argv = argv, .errors = fds[1]});
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 127);
    const ssize_t n = read(fds[0], out, sizeof out - 1);
    assert_true(n > 0);
    out[n] = '\0';
    assert_string_equal(out, "the program cannot be executed\n");
    close(fds[0]);
    close(fds[1]);
    unlink(path);
}

/* The idle process holds no copy of a descriptor, and ends when it shall. */
static void idle(void **state)
{
    int fds[2], end, status;
    char byte;

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    const pid_t pid = spawn_idle(&end);
    assert_true(pid > 0);
    close(fds[1]);
    assert_int_equal(read(fds[0], &byte, 1), 0);
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    close(end);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    close(fds[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(descriptors_and_variables),
        cmocka_unit_test(signals_are_those_of_a_new_program),
        cmocka_unit_test(programs_that_cannot_start),
        cmocka_unit_test(idle),
    };
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
