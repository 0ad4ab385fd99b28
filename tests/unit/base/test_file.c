#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/file.h"

static char folder[] = "/tmp/test-file-XXXXXX";

static void refused(const char *path, int error, const char *why)
{
    const char *reason = NULL;
    assert_int_equal(file_open(path, &reason), -1);
    assert_int_equal(errno, error);
    assert_string_equal(reason, why);
}

/* A reader that waited for these would hang here. */
static void only_regular_files(void **state)
{
    char path[64];

    (void)state;
    refused("/", EISDIR, "Is a directory");
    refused("/dev/zero", EINVAL, "not a regular file");
    refused("/dev/null/x", ENOTDIR, "Not a directory");
    snprintf(path, sizeof path, "%s/none", folder);
    refused(path, ENOENT, "No such file or directory");
    snprintf(path, sizeof path, "%s/fifo", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(path, EINVAL, "not a regular file");
    unlink(path);
}

static void a_regular_file_is_read(void **state)
{
    const char *reason = NULL;
    char path[] = "/tmp/test-file-XXXXXX", octets[8];

    (void)state;
    const int out = mkstemp(path);
    assert_true(out >= 0);
    assert_int_equal(write(out, "text", 4), 4);
    const int fd = file_open(path, &reason);
    assert_true(fd >= 0);
    assert_null(reason);
    assert_int_equal(read(fd, octets, sizeof octets), 4);
    close(fd);
    close(out);
    unlink(path);
}

/* One read of a pipe returns the bytes in it, which may be fewer than requested. */
static void reads_go_on_until_the_end(void **state)
{
    int ends[2];
    char in[100];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_true(file_write(ends[1], "first ", 6));
    assert_true(file_write(ends[1], "second", 6));
    assert_int_equal(file_read(ends[0], in, 4), 4);
    assert_memory_equal(in, "firs", 4);
    close(ends[1]);
    assert_int_equal(file_read(ends[0], in, sizeof in), 8);
    assert_memory_equal(in, "t second", 8);
    assert_int_equal(file_read(ends[0], in, sizeof in), 0);
    close(ends[0]);
    assert_int_equal(file_read(ends[0], in, sizeof in), -1);
    assert_int_equal(errno, EBADF);
    assert_false(file_write(ends[0], "x", 1));
    assert_int_equal(errno, EBADF);
}

/* ---- copies ---- */

/* A change of the file right after its first read. */
static struct {
    const char *path; /* NULL: nothing */
    void (*change)(const char *path);
} meanwhile;

ssize_t __real_pread(int fd, void *octets, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *octets, size_t n, off_t at);
ssize_t __wrap_pread(int fd, void *octets, size_t n, off_t at)
{
    const ssize_t got = __real_pread(fd, octets, n, at);
    const char *path = meanwhile.path;
    meanwhile.path = NULL;
    if (path != NULL)
        meanwhile.change(path);
    return got;
}

static void make_file(const char *path, size_t size)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (size_t i = 0; i < size; i++)
        fputc((int)(i % 251), f);
    assert_int_equal(fclose(f), 0);
}

static int copy_of(const char *path, const char **reason)
{
    const int fd = file_open(path, reason);
    assert_true(fd >= 0);
    const int copy = file_copy(fd, reason);
    close(fd);
    return copy;
}

static void a_copy_is_whole_and_cannot_change(void **state)
{
    static const size_t sizes[] = {0, 1, 65535, 65536, 65537, 300000};
    char path[64], *octets = malloc(300001);

    (void)state;
    snprintf(path, sizeof path, "%s/copied", folder);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const char *reason = NULL;
        struct stat st;
        make_file(path, sizes[i]);
        const int copy = copy_of(path, &reason);
        assert_true(copy >= 0);
        assert_int_equal(truncate(path, 0), 0);
        assert_int_equal(fstat(copy, &st), 0);
        assert_int_equal(st.st_size, sizes[i]);
        assert_int_equal(read(copy, octets, sizes[i] + 1), sizes[i]);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal((uint8_t)octets[k], k % 251);
        assert_int_equal(write(copy, "x", 1), -1);
        assert_int_equal(ftruncate(copy, (off_t)sizes[i] + 1), -1);
        if (sizes[i] > 0)
            assert_int_equal(ftruncate(copy, 0), -1);
        assert_int_equal(fcntl(copy, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
        close(copy);
    }
    free(octets);
    unlink(path);
}

static void shorten(const char *path)
{
    assert_int_equal(truncate(path, 100), 0);
}

static void lengthen(const char *path)
{
    assert_int_equal(truncate(path, 1 << 20), 0);
}

static void overwrite(const char *path)
{
    const int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "other", 5, 0), 5);
    /* the clock of a file system may be coarse: this time differs on all of them */
    assert_int_equal(futimens(fd, (struct timespec[]){{.tv_sec = 1}, {.tv_sec = 1}}), 0);
    close(fd);
}

static void a_file_that_changes_meanwhile_is_refused(void **state)
{
    static void (*const change[])(const char *) = {shorten, lengthen, overwrite};
    char path[64];

    (void)state;
    snprintf(path, sizeof path, "%s/changed", folder);
    for (size_t i = 0; i < sizeof change / sizeof *change; i++) {
        const char *reason = NULL;
        make_file(path, 200000);
        meanwhile.path = path;
        meanwhile.change = change[i];
        assert_int_equal(copy_of(path, &reason), -1);
        assert_null(meanwhile.path);
        assert_string_equal(reason, "it changed while it was being read");
    }
    unlink(path);
}

static void a_file_without_end_is_refused(void **state)
{
    const char *reason = NULL;
    char path[64];

    (void)state;
    snprintf(path, sizeof path, "%s/huge", folder);
    make_file(path, 1);
    assert_int_equal(truncate(path, FILE_COPY_MAX + 1), 0); /* a hole: no disk is filled */
    assert_int_equal(copy_of(path, &reason), -1);
    assert_string_equal(reason, "larger than 512 MiB");
    unlink(path);
}

/* ---- new files ---- */

static void plant_link(const char *path, const char *victim)
{
    assert_int_equal(symlink(victim, path), 0);
}

static void plant_hard_link(const char *path, const char *victim)
{
    assert_int_equal(link(victim, path), 0);
}

/* Opening it for writing would wait for a reader. */
static void plant_fifo(const char *path, const char *victim)
{
    (void)victim;
    assert_int_equal(mkfifo(path, 0666), 0);
}

static void plant_nothing(const char *path, const char *victim)
{
    (void)path, (void)victim;
}

static void a_new_file_is_nothing_that_was_there(void **state)
{
    static void (*const plant[])(const char *, const char *) = {plant_link, plant_hard_link,
                                                                plant_fifo, plant_nothing};
    char path[64], victim[64];
    struct stat st;

    (void)state;
    snprintf(path, sizeof path, "%s/new", folder);
    snprintf(victim, sizeof victim, "%s/victim", folder);
    make_file(victim, 10);
    const mode_t mask = umask(022);
    for (size_t i = 0; i < sizeof plant / sizeof *plant; i++) {
        plant[i](path, victim);
        const int fd = file_create(path, 0664);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "new", 3), 3);
        close(fd);
        assert_int_equal(lstat(path, &st), 0);
        assert_true(S_ISREG(st.st_mode));
        assert_int_equal(st.st_mode & 07777, 0644);
        assert_int_equal(st.st_nlink, 1);
        assert_int_equal(st.st_size, 3);
        assert_int_equal(stat(victim, &st), 0);
        assert_int_equal(st.st_size, 10);
        unlink(path);
    }
    umask(mask);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(file_create(path, 0600), -1);
    rmdir(path);
    unlink(victim);
}

static bool write_text(FILE *out, void *arg)
{
    return fputs(arg, out) >= 0;
}

static bool write_nothing(FILE *out, void *arg)
{
    (void)out, (void)arg;
    errno = EDOM;
    return false;
}

static void content_is(const char *path, const char *text)
{
    char have[100];
    const int fd = open(path, O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(file_read(fd, have, sizeof have), strlen(text));
    assert_memory_equal(have, text, strlen(text));
    close(fd);
}

static void a_replacement_is_whole_or_nothing(void **state)
{
    char path[64], beside[80];
    struct stat st;

    (void)state;
    snprintf(path, sizeof path, "%s/replaced", folder);
    snprintf(beside, sizeof beside, "%s.new", path);
    assert_true(file_replace(path, 0600, write_text, (void *)"one"));
    content_is(path, "one");
    assert_true(file_replace(path, 0640, write_text, (void *)"two and more"));
    content_is(path, "two and more");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    assert_false(file_replace(path, 0640, write_nothing, NULL));
    assert_int_equal(errno, EDOM);
    content_is(path, "two and more");
    assert_int_equal(access(beside, F_OK), -1);
    unlink(path);

    assert_int_equal(mkdir(path, 0700), 0); /* no file can have this name */
    assert_false(file_replace(path, 0640, write_text, (void *)"one"));
    assert_int_equal(errno, EISDIR);
    assert_int_equal(access(beside, F_OK), -1);
    rmdir(path);
    snprintf(path, sizeof path, "%s/none/file", folder);
    assert_false(file_replace(path, 0640, write_text, (void *)"one"));
    assert_int_equal(errno, ENOENT);
}

/* The check leaves no file. */
static void may_replace_needs_the_directory(void **state)
{
    char path[100];

    (void)state;
    snprintf(path, sizeof path, "%s/bans", folder);
    assert_true(file_may_replace(path)); /* folder_remove shows that nothing is left */
    assert_int_equal(access(path, F_OK), -1);
    snprintf(path, sizeof path, "%s/none/file", folder);
    assert_false(file_may_replace(path));
    assert_int_equal(errno, ENOENT);
}

static int folder_make(void **state)
{
    (void)state;
    return mkdtemp(folder) == NULL;
}

static int folder_remove(void **state)
{
    (void)state;
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_regular_files),
        cmocka_unit_test(a_regular_file_is_read),
        cmocka_unit_test(reads_go_on_until_the_end),
        cmocka_unit_test(a_copy_is_whole_and_cannot_change),
        cmocka_unit_test(a_file_that_changes_meanwhile_is_refused),
        cmocka_unit_test(a_file_without_end_is_refused),
        cmocka_unit_test(a_new_file_is_nothing_that_was_there),
        cmocka_unit_test(a_replacement_is_whole_or_nothing),
        cmocka_unit_test(may_replace_needs_the_directory),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
