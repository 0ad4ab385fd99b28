#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka wants the four above before it */
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
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
