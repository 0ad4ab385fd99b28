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
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli_user.h"

#define CLIENT_PASS "41c00c584bd2d91c4017a2a12fa59f3f" /* RFC 2759 9.2 */
#define OTHER "4b2306d5f9de7256cbef065893cbda35"       /* of "other" */

enum { TEXT_MAX = 8192 };

/* The outcome of `sstpgate user`. */
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

/* Runs the command in the child, with these descriptors as 0, 1 and 2. */
static _Noreturn void child(const char *const *args, int in, int out, int err)
{
    char *argv[12];
    int argc = 0;

    for (; args[argc] != NULL; argc++)
        argv[argc] = strdup(args[argc]);
    argv[argc] = NULL;
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(99);
    for (int fd = 3; fd < 64; fd++)
        close(fd);
    /* A shell that starts the tests in the background, or nohup, ignores these signals, and
     * children inherit that. */
    signal(SIGINT, SIG_DFL);
    signal(SIGQUIT, SIG_DFL);
    signal(SIGHUP, SIG_DFL);
    _exit(cli_user(argc, argv, NULL));
}

static void run(struct run *r, const char *const *args, const char *input, size_t n)
{
    int in[2], out[2], err[2];
    assert_int_equal(pipe(in) | pipe(out) | pipe(err), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child(args, in[0], out[1], err[1]);
    close(out[1]);
    close(err[1]);
    /* The pipe has room for the input. If the child has ended, the write still succeeds,
     * because this process has the reading end open, too. */
    assert_int_equal(write(in[1], input, n), n);
    close(in[0]);
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
    run_name(&r, "User", "clientPass\r\n");
    assert_string_equal(r.out, "User:" CLIENT_PASS "\n");
    run_name(&r, "User",
             "\xef\xbb\xbf"
             "clientPass\r\n");
    assert_string_equal(r.out, "User:" CLIENT_PASS "\n");
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
        {"client\rPass\n", "control character"},
        {"clientPass\r\r\n", "control character"},
        {"\xef\xbb\xbf\r\n", "it is empty"},
        {"clientPass\xc2\xa0\n", "it begins or ends with U+00A0 NO-BREAK SPACE"},
        {"\xe2\x80\x8e"
         "clientPass\n",
         "it begins or ends with U+200E LEFT-TO-RIGHT MARK"},
        {"\xff\xfe"
         "c",
         "UTF-16, as PowerShell"},
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

/* The longest password and the longest name are accepted. */
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
    static const char *const wrong[][8] = {
        {"user", NULL},
        {"user", "a", "b", NULL},
        {"user", "-x", NULL},
        {"user", "--password", NULL},
        {"user", "", NULL},
        {"user", "a:b", NULL},
        {"user", "#a", NULL},
        {"user", " a", NULL},
        {"user", "a\n", NULL},
        {"user", "-f", NULL},
        {"user", "-D", "a", NULL},
        {"user", "-f", "/nonexistent", NULL},
        {"user", "--import", "chap-secrets", NULL},
        {"user", "--import", "passwd", "/nonexistent", NULL},
        {"user", "--import", "chap-secrets", "--machines", "/nonexistent", NULL},
        {"user", "--machines", "a", NULL},
        {"user", "-D", "-f", "/nonexistent", "--import", "smbpasswd", "a", NULL},
        {"user", "--check", "a", NULL},
        {"user", "--list", NULL},
        {"user", "--list", "-f", "/nonexistent", "a", NULL},
        {"user", "--json", "a", NULL},
        {"user", "--until", "tomorrow", "a", NULL},
        {"user", "--until", "", "a", NULL},
        {"user", "--until", "2027-02-29", "a", NULL},
        {"user", "--list", "--until", "2027-01-31", "-f", "/nonexistent", NULL},
        {"user", "-D", "--until", "2027-01-31", "-f", "/nonexistent", "a", NULL},
        {"user", "--check", "--until", "2027-01-31", "-f", "/nonexistent", "a", NULL},
        {"user", "--check", "-f", "/nonexistent", NULL},
        {"user", "--check", "--delete", "-f", "/nonexistent", "a", NULL},
        {"user", "--import", "pppd", "--encrypted", "1", "/nonexistent", NULL},
        {"user", "--import", "accel-ppp", "--encrypted", "2", "/nonexistent", NULL},
        {"user", "--import", "accel-ppp", "--encrypted", "10", "/nonexistent", NULL},
        {"user", "--encrypted", "1", "a", NULL},
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
        assert_non_null(strstr(r.out, "users file"));
        assert_non_null(strstr(r.out, "MS-CHAPv2"));
        assert_non_null(strstr(r.out, "impersonate the server"));
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
    close(err[1]);
    close(full);
    assert_int_equal(write(in[1], "clientPass\n", 11), 11);
    close(in[0]);
    close(in[1]);
    read_to_end(err[0], text);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
    assert_non_null(strstr(text, "standard output"));
}

/* --- files --- */

static char folder[] = "/tmp/test-user-XXXXXX";
static char users[64], foreign[64];

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fchmod(fileno(f), 0600), 0);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void assert_users(const char *want)
{
    char have[TEXT_MAX];
    const int fd = open(users, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    read_to_end(fd, have);
    assert_string_equal(have, want);
}

/* Runs the command with these arguments; "USERS" and "FILE" are replaced by the two files. */
static void run_words(struct run *r, const char *words, const char *input)
{
    static char text[200];
    const char *args[10] = {"user"};
    size_t n = 1;

    strcpy(text, words);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        args[n++] = strcmp(word, "USERS") == 0 ? users : strcmp(word, "FILE") == 0 ? foreign : word;
    run(r, args, input, strlen(input));
}

/* Asserts that standard error is "sstpgate user: USERS: " and this text. */
static void assert_did(const char *words, const char *input, const char *says)
{
    struct run r;
    char want[TEXT_MAX];
    run_words(&r, words, input);
    snprintf(want, sizeof want, "sstpgate user: %s: %s\n", users, says);
    assert_string_equal(r.err, want);
    assert_string_equal(r.out, "");
    assert_int_equal(r.status, 0);
}

static void into_a_file(void **state)
{
    (void)state;
    struct run r;
    assert_did("-f USERS User", "clientPass\n", "User added");
    assert_users("User:" CLIENT_PASS "\n");
    assert_did("--file USERS bob", "sesame\n", "bob added");
    assert_did("-f USERS USER", "clientPass\n", "USER unchanged");
    assert_did("bob -f USERS", "clientPass\n", "bob replaced");
    assert_users("User:" CLIENT_PASS "\nbob:" CLIENT_PASS "\n");
    assert_did("-f USERS --delete user", "", "user deleted");
    run_words(&r, "-D -f USERS user", "");
    assert_int_equal(r.status, 1);
    assert_non_null(strstr(r.err, "no user user"));
    assert_users("bob:" CLIENT_PASS "\n");

    /* an unusable file is reported before the question */
    assert_int_equal(chmod(users, 0644), 0);
    run_words(&r, "-f USERS User", "\n");
    assert_int_equal(r.status, 1);
    assert_non_null(strstr(r.err, "chmod o= on it"));
    assert_null(strstr(r.err, "password"));
    assert_users("bob:" CLIENT_PASS "\n");
    unlink(users);
}

static void import_secrets(void **state)
{
    (void)state;
    struct run r;
    static const char secrets[] = "# client server secret\n"
                                  "User * clientPass *\n"
                                  "bob vpn \"b\xe4r\"\n"
                                  "* * x\n";
    write_text(foreign, secrets);
    run_words(&r, "--import chap-secrets FILE", "");
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, "User:" CLIENT_PASS "\nbob:7400cc9d00f28c45cb5ebead88e78959\n");
    assert_non_null(strstr(r.err, "/secrets:4: *: skipped: it applies to every client"));
    assert_non_null(strstr(r.err, "sstpgate user: 2 users, 1 skipped\n"));
    assert_null(strstr(r.err, "clientPass"));

    assert_did("-f USERS bob", "clientPass\n", "bob added");
    run_words(&r, "--import chap-secrets -f USERS -", secrets);
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, "");
    assert_non_null(strstr(r.err, "standard input:4: *: skipped: "));
    assert_non_null(strstr(r.err, ": 1 added, 1 replaced, 0 unchanged, 1 skipped\n"));
    assert_users("bob:7400cc9d00f28c45cb5ebead88e78959\nUser:" CLIENT_PASS "\n");

    /* the same user once more, and one whose secret is too long for MS-CHAP */
    char text[400] = "User * clientPass\nuser * other\nbob * ";
    memset(text + strlen(text), 'x', 257);
    write_text(foreign, text);
    run_words(&r, "--import chap-secrets -f USERS FILE", "");
    assert_int_equal(r.status, 0);
    assert_non_null(
        strstr(r.err, ":2: user: skipped: an earlier line for this name has a different secret\n"));
    assert_non_null(strstr(r.err, ":3: bob: skipped: its secret is longer than 256 bytes\n"));
    assert_non_null(strstr(r.err, ": 0 added, 0 replaced, 1 unchanged, 2 skipped\n"));

    /* a bad line does not lose the others */
    write_text(foreign, "carol * clientPass\nUser * other\nbob\nit's * x\n");
    run_words(&r, "--import chap-secrets -f USERS FILE", "");
    assert_int_equal(r.status, 3);
    assert_non_null(strstr(r.err, "/secrets:3: not a line of three words"));
    assert_non_null(strstr(r.err, "/secrets:4: pppd and accel-ppp read this line differently"));
    assert_non_null(strstr(r.err, ": 1 added, 1 replaced, 0 unchanged, 0 skipped\n"));
    assert_non_null(strstr(r.err, "sstpgate user: 2 lines were not imported, see above\n"));
    assert_users("bob:7400cc9d00f28c45cb5ebead88e78959\nUser:" OTHER "\ncarol:" CLIENT_PASS "\n");
    run_words(&r, "--import chap-secrets -", "carol * clientPass\nbob\n");
    assert_int_equal(r.status, 3);
    assert_string_equal(r.out, "carol:" CLIENT_PASS "\n");
    assert_non_null(strstr(r.err, "sstpgate user: 1 line was not imported, see above\n"));
    /* nothing else is written if no line is good */
    write_text(foreign, "\xff\xfe"
                        "c");
    run_words(&r, "--import chap-secrets -f USERS FILE", "");
    assert_int_equal(r.status, 1);
    assert_non_null(strstr(r.err, "/secrets:1: UTF-16"));
    assert_non_null(strstr(r.err, "sstpgate user: nothing was imported\n"));
    run_words(&r, "--import chap-secrets -", "bob\n");
    assert_int_equal(r.status, 1);
    assert_string_equal(r.out, "");
    unlink(users);
    unlink(foreign);
}

static void import_of_one_program(void **state)
{
    (void)state;
    struct run r;
    static const char secrets[] = "'User' * client\\Pass *\n";
    run_words(&r, "--import accel-ppp -", "\"User\" * client\\Pass *\n");
    assert_int_equal(r.status, 0);
    char *accel = strdup(r.out);
    run_words(&r, "--import pppd -", secrets); /* \P is P */
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, "User:" CLIENT_PASS "\n");
    assert_string_not_equal(r.out, accel);
    run_name(&r, "User", "client\\Pass\n");
    assert_string_equal(r.out, accel);
    free(accel);
    /* encrypted=1: NT hashes */
    static const char hashes[] = "User * 44EBBA8D5312B8D611474411F56989AE *\n";
    run_words(&r, "--import accel-ppp --encrypted 1 -", hashes);
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, "User:" CLIENT_PASS "\n");
    run_words(&r, "--import accel-ppp -", hashes);
    assert_int_equal(r.status, 1);
    assert_non_null(
        strstr(r.err, "write --encrypted 1 (an NT hash) or --encrypted 0 (a password)"));
    run_words(&r, "--import accel-ppp --encrypted 0 -", hashes);
    assert_int_equal(r.status, 0);
    assert_string_not_equal(r.out, "User:" CLIENT_PASS "\n");
}

static void names_are_listed(void **state)
{
    (void)state;
    struct run r;
    write_text(users, "\xef\xbb\xbf# staff\r\n\r\nUser:" CLIENT_PASS "\r\n"
                      "CORP\\J\xc3\xbcrgen:" OTHER "\n");
    run_words(&r, "-f USERS --list", "");
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, "User\nCORP\\J\xc3\xbcrgen\n");
    assert_string_equal(r.err, "");
    write_text(users, "User:" CLIENT_PASS "\nbob\n");
    run_words(&r, "-f USERS --list", "");
    assert_int_equal(r.status, 1);
    assert_string_equal(r.out, "User\n");
    assert_non_null(strstr(r.err, "/users:2: no ':' in the line"));
    write_text(users, "a:" OTHER ":2099-12-31\nb:" OTHER ":2020-02-29T18:30Z\nA:" OTHER "\n");
    run_words(&r, "-f USERS --list", "");
    assert_int_equal(r.status, 1);
    assert_string_equal(r.out, "a\tuntil 2100-01-01T00:00:00Z\n"
                               "b\tuntil 2020-02-29T18:30:00Z\texpired\n");
    assert_non_null(strstr(r.err, "/users:3: the name is already on line 1"));
    run_words(&r, "-f USERS --list --json", "");
    assert_int_equal(r.status, 1);
    assert_string_equal(r.err, "");
    assert_non_null(
        strstr(r.out, "\"users\":[{\"line\":1,\"name\":\"a\",\"until\":\"2100-01-01T00:00:00Z\","
                      "\"expired\":false,\"problem\":null},{\"line\":2,\"name\":\"b\",\"until\":"
                      "\"2020-02-29T18:30:00Z\",\"expired\":true,\"problem\":null},{\"line\":3,"
                      "\"name\":\"A\",\"until\":null,\"expired\":false,\"problem\":\"the name is "
                      "already on line 1 (letter case does not count)\"}]}\n"));
    assert_null(strstr(r.out, OTHER));
    unlink(users);
    run_words(&r, "-f USERS --list", "");
    assert_int_equal(r.status, 1);
    assert_non_null(strstr(r.err, "No such file"));
}

/* --until sets, keeps and removes the end of a line, also for imported users. */
static void lines_get_an_end(void **state)
{
    (void)state;
    static const struct {
        const char *words, *input, *text, *says;
    } table[] = {
        {"-f USERS --until 2027-01-31 User", "clientPass\n", "User:" CLIENT_PASS ":2027-01-31\n",
         "User added"},
        {"-f USERS User", "other\n", "User:" OTHER ":2027-01-31\n", "User replaced"},
        {"-f USERS --until 2027-01-31T18:00Z User", "other\n", "User:" OTHER ":2027-01-31T18:00Z\n",
         "User replaced"},
        {"-f USERS --until never User", "other\n", "User:" OTHER "\n", "User replaced"},
        {"-f USERS --until never User", "other\n", "User:" OTHER "\n", "User unchanged"},
        {"-f USERS --until 2027-01-31 --import pppd -", "User * other *\nnew * clientPass *\n",
         "User:" OTHER ":2027-01-31\nnew:" CLIENT_PASS ":2027-01-31\n", "1 added, 1 replaced"},
    };
    struct run r;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char have[256];
        run_words(&r, table[i].words, table[i].input);
        assert_int_equal(r.status, 0);
        assert_non_null(strstr(r.err, table[i].says));
        FILE *f = fopen(users, "r");
        assert_non_null(f);
        have[fread(have, 1, sizeof have - 1, f)] = '\0';
        fclose(f);
        assert_string_equal(have, table[i].text);
    }
    run_words(&r, "--until 2027-01-31 User", "clientPass\n");
    assert_string_equal(r.out, "User:" CLIENT_PASS ":2027-01-31\n");
    unlink(users);
}

static void passwords_are_checked(void **state)
{
    (void)state;
    struct run r;
    const struct {
        const char *name, *input;
        int status;
        const char *says;
    } table[] = {
        {"User", "clientPass\n", 0, "/users:2: this is the password of User\n"},
        {"USER", "clientPass\r\n", 0, "/users:2: this is the password of USER\n"},
        {"CORP\\User", "clientPass\n", 0, "/users:2: this is the password of CORP\\User\n"},
        {"CORP\\User", "other\n", 0, "/users:3: this is the password of CORP\\User\n"},
        {"User", "other\n", 3, "/users: this is not the password of User\n"},
        {"User", "clientpass\n", 3, "/users: this is not the password of User\n"},
        {"carol", "clientPass\n", 3, "/users: no user carol\n"},
        {"User", "other\n", 3,
         "/users:2: if the VPN server accepts this password, the line is stale; sstpgate user "},
        {"nt", "clientPass\n", 3,
         "/users:4: the line has the NT hash of this password instead of the hash of it; "
         "sstpgate "},
        {"nt", "other\n", 3, "/users:4: if the VPN server accepts this password"},
        {"old", "clientPass\n", 4, "/users:5: this is the password of old\n"},
        {"old", "clientPass\n", 4,
         "/users:5: the line ended at 2020-03-01T00:00:00Z: the gate refuses the user\n"},
        {"old", "other\n", 3, "/users: this is not the password of old\n"},
        {"CORP\\old", "clientPass\n", 0, "/users:6: this is the password of CORP\\old\n"},
        {"CORP\\old", "clientPass\n", 0, "/users:6: the line ends at 2100-01-01T00:00:00Z\n"},
        {"User", "\n", 1, "it is empty"},
        {" User", "clientPass\n", 2, "NAME: the name begins or ends with a blank"},
    };
    write_text(users, "# staff\nUser:" CLIENT_PASS "\nCORP\\User:" OTHER
                      "\nnt:44EBBA8D5312B8D611474411F56989AE\nold:" CLIENT_PASS
                      ":2020-02-29\nCORP\\old:" CLIENT_PASS ":2099-12-31\n");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        const char *const args[] = {"user", "-f", users, "--check", table[i].name, NULL};
        run(&r, args, table[i].input, strlen(table[i].input));
        assert_int_equal(r.status, table[i].status);
        assert_non_null(strstr(r.err, table[i].says));
        assert_string_equal(r.out, "");
        assert_null(strstr(r.err, "clientPass\n"));
        assert_null(strstr(r.err, CLIENT_PASS));
    }
    write_text(users, "broken\n");
    run_words(&r, "-f USERS --check User", "clientPass\n");
    assert_int_equal(r.status, 1);
    unlink(users);
}

static void import_accounts(void **state)
{
    (void)state;
    /* the NT hash of clientPass (RFC 2759 9.2) */
    static const char accounts[] =
        "User:1000:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:44EBBA8D5312B8D611474411F56989AE:[U          ]:"
        "LCT-5D8B1C2A:\n"
        "pc$:1001:XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX:44EBBA8D5312B8D611474411F56989AE:[W          ]:"
        "LCT-5D8B1C2A:\n";
    struct run r;
    run_words(&r, "--import smbpasswd -", accounts);
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, "User:" CLIENT_PASS "\n");
    assert_non_null(strstr(r.err, "standard input:2: pc$: skipped: "));
    assert_null(strstr(r.err, "44EBBA"));
    run_words(&r, "--import smbpasswd --machines -", accounts);
    assert_int_equal(r.status, 0);
    assert_string_equal(r.out, "User:" CLIENT_PASS "\npc$:" CLIENT_PASS "\n");
    run_words(&r, "--import smbpasswd FILE", "");
    assert_int_equal(r.status, 1);
    assert_non_null(strstr(r.err, "No such file"));
    run_words(&r, "--import smbpasswd /", "");
    assert_int_equal(r.status, 1);
    assert_non_null(strstr(r.err, "/: Is a directory"));
}

static int folder_make(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(users, sizeof users, "%s/users", folder);
    snprintf(foreign, sizeof foreign, "%s/secrets", folder);
    return 0;
}

static int folder_remove(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* --- on a terminal --- */

struct terminal {
    int master, slave; /* slave: kept open, so that its modes can be read after the child's end */
    int out;           /* the child's standard output */
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

/* Reads the terminal until it shows the text; shown receives all of it. */
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

/* Answers both questions. Returns the exit code; out and shown receive the output. */
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
    assert_non_null(strstr(last, "passwords differ"));
}

/* Signals that end the program end it, after the echo is restored: Ctrl-C from the terminal,
 * and a signal from another process. */
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
 * session without a shell to continue it): the question is printed again and the typed part is
 * discarded. */
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
        cmocka_unit_test(into_a_file),
        cmocka_unit_test(import_secrets),
        cmocka_unit_test(import_of_one_program),
        cmocka_unit_test(names_are_listed),
        cmocka_unit_test(lines_get_an_end),
        cmocka_unit_test(passwords_are_checked),
        cmocka_unit_test(import_accounts),
        cmocka_unit_test(asks_twice),
        cmocka_unit_test(two_that_differ),
        cmocka_unit_test(signals_restore_the_echo),
        cmocka_unit_test(ends_without_an_answer),
        cmocka_unit_test(asks_again_after_a_stop),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
