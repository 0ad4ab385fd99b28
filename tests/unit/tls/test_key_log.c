/* The file with the keys of connections: which files are refused, and what is written. */
#include "tls/key_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "tls_fixture.h"

static const char *path;

static void file_make(mode_t mode)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

/* Returns the content of the file, which the caller frees. */
static char *content(const char *name)
{
    FILE *f = fopen(name, "r");
    char *text = calloc(1, 65536);
    assert_non_null(f);
    assert_non_null(text);
    (void)!fread(text, 1, 65535, f);
    fclose(f);
    return text;
}

static void assert_content(const char *name, const char *expected)
{
    char *text = content(name);
    assert_string_equal(text, expected);
    free(text);
}

static void use(void)
{
    const char *reason;
    const int fd = key_log_open(path, geteuid(), &reason);
    assert_true(fd >= 0);
    key_log_use(fd, path, geteuid());
}

static void a_new_file_belongs_to_its_owner_alone(void **state)
{
    (void)state;
    struct stat st;
    const mode_t mask = umask(0);

    use();
    umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void lines_are_appended(void **state)
{
    (void)state;
    key_log_write(NULL, "before there is a file");
    use();
    key_log_write(NULL, "CLIENT_RANDOM 1 2");
    use();
    key_log_write(NULL, "CLIENT_RANDOM 3 4");
    assert_content(path, "CLIENT_RANDOM 1 2\nCLIENT_RANDOM 3 4\n");
    key_log_use(-1, NULL, 0);
    key_log_write(NULL, "after it");
    assert_content(path, "CLIENT_RANDOM 1 2\nCLIENT_RANDOM 3 4\n");
}

static void a_rotated_file_is_opened_again(void **state)
{
    (void)state;
    const char *reason, *old = certs_path(&certs, "keys.1");

    assert_true(key_log_reopen(&reason)); /* there is none */
    use();
    key_log_write(NULL, "1");
    assert_int_equal(rename(path, old), 0);
    key_log_write(NULL, "2");
    assert_true(key_log_reopen(&reason));
    key_log_write(NULL, "3");
    assert_content(old, "1\n2\n");
    assert_content(path, "3\n");
    assert_int_equal(chmod(path, 0604), 0);
    assert_false(key_log_reopen(&reason));
    assert_non_null(strstr(reason, "chmod 600"));
    key_log_write(NULL, "4");
    assert_content(path, "3\n"); /* others may read it */
    assert_int_equal(chmod(path, 0600), 0);
    assert_true(key_log_reopen(&reason));
    key_log_write(NULL, "5");
    assert_int_equal(rename(path, old), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_false(key_log_reopen(&reason));
    key_log_write(NULL, "6");
    assert_content(old, "3\n5\n6\n"); /* the descriptor from before */
    assert_int_equal(rmdir(path), 0);
}

static void a_file_of_others_is_refused(void **state)
{
    (void)state;
    static const mode_t shared[] = {0640, 0620, 0610, 0604, 0602, 0601, 0644, 0666};
    const char *reason;

    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        file_make(shared[i]);
        assert_int_equal(key_log_open(path, geteuid(), &reason), -1);
        assert_non_null(strstr(reason, "chmod 600"));
        assert_int_equal(unlink(path), 0);
    }
    file_make(0600);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    st.st_uid = geteuid() + 7;
    assert_non_null(strstr(key_log_flaw(&st, geteuid()), "another user"));
    assert_null(key_log_flaw(&st, geteuid() + 7));
    st.st_uid = 0;
    assert_null(key_log_flaw(&st, geteuid()));
}

static void only_a_regular_file_is_used(void **state)
{
    (void)state;
    const char *reason, *target = certs_path(&certs, "target");

    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(key_log_open(path, geteuid(), &reason), -1);
    assert_string_equal(reason, "a symbolic link");
    assert_int_equal(access(target, F_OK), -1);
    assert_int_equal(unlink(path), 0);

    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(key_log_open(path, geteuid(), &reason), -1);
    assert_string_equal(reason, "not a regular file");
    const int reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_int_equal(key_log_open(path, geteuid(), &reason), -1);
    assert_string_equal(reason, "not a regular file");
    close(reader);
    assert_int_equal(unlink(path), 0);

    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(key_log_open(path, geteuid(), &reason), -1);
    assert_string_equal(reason, "Is a directory");
    assert_int_equal(rmdir(path), 0);

    assert_int_equal(key_log_open("/nowhere/keys", geteuid(), &reason), -1);
    assert_string_equal(reason, "No such file or directory");
}

enum { THREADS = 4, LINES = 200 };

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        key_log_write(NULL, arg);
    return NULL;
}

static void lines_of_threads_never_mix(void **state)
{
    (void)state;
    static const char line[] = "0123456789abcdef0123456789abcdef";
    const char *reason;
    pthread_t thread[THREADS];

    use();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, write_lines, (void *)(uintptr_t)line), 0);
    for (int i = 0; i < 50; i++)
        assert_true(key_log_reopen(&reason));
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    char *text = content(path);
    size_t n = 0;
    for (char *at = text; *at != '\0'; at += sizeof line, n++)
        assert_int_equal(strncmp(at, "0123456789abcdef0123456789abcdef\n", sizeof line), 0);
    assert_int_equal(n, THREADS * LINES);
    free(text);
}

/* ---- the lines of OpenSSL ---- */

static char *lines;

static void collect(void *arg, const char *line)
{
    char *more;
    (void)arg;
    assert_true(asprintf(&more, "%s%s\n", lines == NULL ? "" : lines, line) >= 0);
    free(lines);
    lines = more;
}

/* The second certificate has a context of its own. */
static void each_connection_of_a_listener_is_logged(void **state)
{
    (void)state;
    static const struct {
        int version;
        const char *name, *line;
    } cases[] = {
        {TLS1_2_VERSION, "vpn.test", "CLIENT_RANDOM "},
        {TLS1_3_VERSION, "vpn.test", "CLIENT_TRAFFIC_SECRET_0 "},
        {TLS1_2_VERSION, "two.test", "CLIENT_RANDOM "},
        {TLS1_3_VERSION, "two.test", "SERVER_TRAFFIC_SECRET_0 "},
    };
    const struct tls_certificate both[] = {{.file = ec.pem}, {.file = two.pem}};
    struct tls_ctx *ctx = good_ctx(&modern, both, 2, false);

    tls_ctx_set_keylog(ctx, collect, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct shown shown =
            meet(ctx, &(struct ask){.sni = cases[i].name, .version = cases[i].version});
        assert_true(shown.ok);
        X509_free(shown.leaf);
        assert_non_null(lines);
        assert_non_null(strstr(lines, cases[i].line));
        free(lines);
        lines = NULL;
    }
    tls_ctx_free(ctx);
}

static int begin(void **state)
{
    (void)state;
    path = certs_path(&certs, "keys");
    return 0;
}

static int end(void **state)
{
    (void)state;
    key_log_use(-1, NULL, 0);
    (void)unlink(path);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_belongs_to_its_owner_alone),
        TEST(lines_are_appended),
        TEST(a_rotated_file_is_opened_again),
        TEST(a_file_of_others_is_refused),
        TEST(only_a_regular_file_is_used),
        TEST(lines_of_threads_never_mix),
        TEST(each_connection_of_a_listener_is_logged),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
