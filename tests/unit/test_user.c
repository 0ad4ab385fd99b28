#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "ops/user.h"

#define CLIENT_PASS "41c00c584bd2d91c4017a2a12fa59f3f" /* RFC 2759 9.2 */

enum { TEXT_MAX = 8192 };

/* What `sstpgate user` did. */
struct run {
    int status; /* of waitpid */
    char out[TEXT_MAX], err[TEXT_MAX];
};

static void read_to_end(int fd, char out[TEXT_MAX])
{
    size_t n = 0;
    ssize_t got;
    while ((got = read(fd, out + n, TEXT_MAX - 1 - n)) > 0)
        n += (size_t)got;
    out[n] = 0;
    close(fd);
}

/* In the child: the command with these as its 0, 1, 2. */
static _Noreturn void child(const char *const *args, int in, int out, int err)
{
    char *argv[8];
    int argc = 0;

    for (; args[argc] != NULL; argc++)
        argv[argc] = strdup(args[argc]);
    argv[argc] = NULL;
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(99);
    for (int fd = 3; fd < 64; fd++)
        close(fd);
    /* whoever starts the tests in the background has these ignored, and children inherit it */
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    _exit(user_command(argc, argv));
}

static void run(struct run *r, const char *const *args, const char *input, size_t n)
{
    int in[2], out[2], err[2];
    assert_int_equal(pipe(in) | pipe(out) | pipe(err), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child(args, in[0], out[1], err[1]);
    close(in[0]);
    close(out[1]);
    close(err[1]);
    assert_int_equal(write(in[1], input, n), n);
    close(in[1]);
    read_to_end(out[0], r->out);
    read_to_end(err[0], r->err);
    assert_int_equal(waitpid(pid, &r->status, 0), pid);
    assert_true(WIFEXITED(r->status));
    r->status = WEXITSTATUS(r->status);
}

static void run_name(struct run *r, const char *name, const char *input)
{
    const char *const args[] = {"user", name, NULL};
    run(r, args, input, strlen(input));
}

static void from_a_pipe(void **state)
{
    (void)state;
    struct run r;
    run_name(&r, "User", "clientPass\n");
    assert_string_equal(r.out, "User:" CLIENT_PASS "\n");
    assert_string_equal(r.err, "");
    assert_int_equal(r.status, 0);
    run_name(&r, "CORP\\User", "clientPass"); /* no end of line */
    assert_string_equal(r.out, "CORP\\User:" CLIENT_PASS "\n");
    assert_int_equal(r.status, 0);
    run_name(&r, "user@example.com", "clientPass\nnot looked at\n");
    assert_string_equal(r.out, "user@example.com:" CLIENT_PASS "\n");
    run_name(&r, "User", "p\xc3\xa4ss\xe2\x82\xacw\xc3\xb6rd\n");
    assert_string_equal(r.out, "User:9cabf0918d4a3a727881ca41eb4f38c3\n");
}

static void bad_passwords(void **state)
{
    (void)state;
    static char longest[2000];
    const struct {
        const char *input, *says;
    } table[] = {
        {"", "it is empty"},
        {"\n", "it is empty"},
        {"\nclientPass\n", "it is empty"},
        {"client\tPass\n", "control character"},
        {"clientPass\r\n", "control character"},
        {"\x1b[A\n", "control character"},
        {"caf\xe9\n", "not UTF-8"},
        {longest, "longer than 256"},
        {longest + 1200, "longer than 256"}, /* fits the buffer, not the limit */
    };
    memset(longest, 'x', sizeof longest - 1);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct run r;
        run_name(&r, "User", table[i].input);
        assert_int_equal(r.status, 1);
        assert_string_equal(r.out, "");
        assert_non_null(strstr(r.err, table[i].says));
        assert_null(strstr(r.err, "clientPass"));
    }
}

/* The longest password and the longest name make a line. */
static void longest(void **state)
{
    (void)state;
    struct run r;
    char name[257], input[258];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = 0;
    memset(input, 'x', sizeof input - 1);
    input[256] = '\n';
    input[257] = 0;
    run_name(&r, name, input);
    assert_int_equal(r.status, 0);
    assert_int_equal(strlen(r.out), 256 + 1 + 32 + 1);
    assert_memory_equal(r.out, name, 256);
}

static void wrong_usage(void **state)
{
    (void)state;
    static const char *const wrong[][4] = {
        {"user", NULL},        {"user", "a", "b", NULL},
        {"user", "-x", NULL},  {"user", "--password", NULL},
        {"user", "", NULL},    {"user", "a:b", NULL},
        {"user", "#a", NULL},  {"user", " a", NULL},
        {"user", "a\n", NULL},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct run r;
        run(&r, wrong[i], "clientPass\n", 11);
        assert_int_equal(r.status, 2);
        assert_string_equal(r.out, "");
        assert_non_null(strstr(r.err, "sstpgate user"));
    }
}

static void help_and_options(void **state)
{
    (void)state;
    static const char *const asks[][4] = {
        {"user", "-h", NULL},
        {"user", "--help", NULL},
        {"user", "User", "-h", NULL},
    };
    struct run r;
    for (size_t i = 0; i < sizeof asks / sizeof asks[0]; i++) {
        run(&r, asks[i], "", 0);
        assert_int_equal(r.status, 0);
        assert_non_null(strstr(r.out, "users-file"));
        assert_non_null(strstr(r.out, "MS-CHAPv2"));
        assert_non_null(strstr(r.out, "play the server"));
        assert_string_equal(r.err, "");
    }
    static const char *const dashed[] = {"user", "--", "-h", NULL};
    run(&r, dashed, "clientPass\n", 11);
    assert_string_equal(r.out, "-h:" CLIENT_PASS "\n");
}

static void output_fails(void **state)
{
    (void)state;
    const int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    int in[2], err[2], status;
    char text[TEXT_MAX];
    static const char *const args[] = {"user", "User", NULL};

    assert_true(full >= 0);
    assert_int_equal(pipe(in) | pipe(err), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child(args, in[0], full, err[1]);
    close(in[0]);
    close(err[1]);
    close(full);
    assert_int_equal(write(in[1], "clientPass\n", 11), 11);
    close(in[1]);
    read_to_end(err[0], text);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_non_null(strstr(text, "standard output"));
}

/* --- on a terminal --- */

struct terminal {
    int master,
        slave; /* we keep the slave open: its modes can be asked for after the child's end */
    int out;   /* the child's standard output */
    pid_t pid;
    struct termios before;
};

static void terminal_open(struct terminal *t)
{
    int out[2];
    static const char *const args[] = {"user", "User", NULL};

    assert_int_equal(openpty(&t->master, &t->slave, NULL, NULL, NULL), 0);
    assert_int_equal(tcgetattr(t->slave, &t->before), 0);
    assert_true((t->before.c_lflag & ECHO) != 0);
    assert_int_equal(pipe(out), 0);
    t->pid = fork();
    assert_true(t->pid >= 0);
    if (t->pid == 0) {
        setsid();
        if (ioctl(t->slave, TIOCSCTTY, 0) != 0)
            _exit(98);
        child(args, t->slave, out[1], t->slave);
    }
    close(out[1]);
    t->out = out[0];
}

static void terminal_close(struct terminal *t)
{
    close(t->master);
    close(t->slave);
}

/* Reads what the terminal shows until it shows text; all of it is left in shown. */
static void terminal_expect(const struct terminal *t, const char *text, char shown[TEXT_MAX])
{
    size_t n = 0;
    do {
        const ssize_t got = read(t->master, shown + n, TEXT_MAX - 1 - n);
        assert_true(got > 0);
        n += (size_t)got;
        shown[n] = 0;
    } while (strstr(shown, text) == NULL);
}

static bool terminal_echoes(const struct terminal *t)
{
    struct termios now;
    assert_int_equal(tcgetattr(t->slave, &now), 0);
    return (now.c_lflag & ECHO) != 0;
}

static void terminal_type(const struct terminal *t, const char *text)
{
    assert_int_equal(write(t->master, text, strlen(text)), strlen(text));
}

static void assert_restored(const struct terminal *t)
{
    struct termios now;
    assert_int_equal(tcgetattr(t->slave, &now), 0);
    assert_int_equal(now.c_lflag, t->before.c_lflag);
    assert_int_equal(now.c_iflag, t->before.c_iflag);
}

/* Answers both questions and returns the exit code; out and shown are what the child said. */
static int terminal_answer(const char *first, const char *second, char out[TEXT_MAX],
                           char shown[2][TEXT_MAX], char last[TEXT_MAX])
{
    struct terminal t;
    int status;
    terminal_open(&t);
    terminal_expect(&t, "Password: ", shown[0]);
    assert_false(terminal_echoes(&t));
    terminal_type(&t, first);
    terminal_expect(&t, "Again: ", shown[1]);
    assert_false(terminal_echoes(&t));
    terminal_type(&t, second);
    read_to_end(t.out, out);
    assert_int_equal(waitpid(t.pid, &status, 0), t.pid);
    assert_true(WIFEXITED(status));
    assert_restored(&t);
    assert_int_equal(write(t.slave, "end", 3), 3);
    terminal_expect(&t, "end", last);
    terminal_close(&t);
    return WEXITSTATUS(status);
}

static void asks_twice(void **state)
{
    (void)state;
    char out[TEXT_MAX], shown[2][TEXT_MAX], last[TEXT_MAX];
    assert_int_equal(terminal_answer("clientPass\n", "clientPass\n", out, shown, last), 0);
    assert_string_equal(out, "User:" CLIENT_PASS "\n");
    assert_null(strstr(shown[1], "client"));
    assert_null(strstr(last, "client"));
}

static void two_that_differ(void **state)
{
    (void)state;
    char out[TEXT_MAX], shown[2][TEXT_MAX], last[TEXT_MAX];
    assert_int_equal(terminal_answer("clientPass\n", "clientpass\n", out, shown, last), 1);
    assert_string_equal(out, "");
    assert_non_null(strstr(last, "not the same"));
}

/* Signals that end the program end it, and the echo is back. Ctrl-C as the terminal sends it, and
 * one from elsewhere. */
static void signals_restore_the_echo(void **state)
{
    (void)state;
    static const int sent[] = {0, SIGTERM, SIGHUP, SIGQUIT, SIGINT};
    for (size_t i = 0; i < sizeof sent / sizeof sent[0]; i++) {
        struct terminal t;
        char shown[TEXT_MAX], out[TEXT_MAX];
        int status;
        terminal_open(&t);
        terminal_expect(&t, "Password: ", shown);
        terminal_type(&t, "half of it");
        if (sent[i] == 0)
            terminal_type(&t, "\x03");
        else
            assert_int_equal(kill(t.pid, sent[i]), 0);
        read_to_end(t.out, out);
        assert_string_equal(out, "");
        assert_int_equal(waitpid(t.pid, &status, 0), t.pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(WTERMSIG(status), sent[i] == 0 ? SIGINT : sent[i]);
        assert_restored(&t);
        terminal_close(&t);
    }
}

static void ends_without_an_answer(void **state)
{
    (void)state;
    struct terminal t;
    char shown[TEXT_MAX], out[TEXT_MAX];
    int status;
    terminal_open(&t);
    terminal_expect(&t, "Password: ", shown);
    terminal_type(&t, "\x04"); /* end of file */
    read_to_end(t.out, out);
    assert_string_equal(out, "");
    assert_int_equal(waitpid(t.pid, &status, 0), t.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_restored(&t);
    terminal_close(&t);
}

/* A signal that does not end the program (here SIGTSTP, which the kernel does not deliver to a
 * session without a shell to continue it): the question stands again and starts afresh. */
static void asks_again_after_a_stop(void **state)
{
    (void)state;
    struct terminal t;
    char shown[TEXT_MAX], out[TEXT_MAX];
    int status;
    terminal_open(&t);
    terminal_expect(&t, "Password: ", shown);
    terminal_type(&t, "half of it\x1a");
    terminal_expect(&t, "Password: ", shown);
    assert_false(terminal_echoes(&t));
    terminal_type(&t, "clientPass\n");
    terminal_expect(&t, "Again: ", shown);
    terminal_type(&t, "clientPass\n");
    read_to_end(t.out, out);
    assert_string_equal(out, "User:" CLIENT_PASS "\n");
    assert_int_equal(waitpid(t.pid, &status, 0), t.pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_restored(&t);
    terminal_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_a_pipe),
        cmocka_unit_test(bad_passwords),
        cmocka_unit_test(longest),
        cmocka_unit_test(wrong_usage),
        cmocka_unit_test(help_and_options),
        cmocka_unit_test(output_fails),
        cmocka_unit_test(asks_twice),
        cmocka_unit_test(two_that_differ),
        cmocka_unit_test(signals_restore_the_echo),
        cmocka_unit_test(ends_without_an_answer),
        cmocka_unit_test(asks_again_after_a_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
