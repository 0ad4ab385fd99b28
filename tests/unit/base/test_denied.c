/* Needs root, which becomes the user nobody in a child. */
#include "base/denied.h"

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
#include <sys/wait.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "base/file.h"

enum { NOBODY = 65534 };

static char folder[] = "/tmp/test-denied-XXXXXX";

/* Opens path as nobody, and compares the reason. */
static void denied(const char *path, const char *expected)
{
    int status;
    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        const char *reason = "";
        if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0 || file_open(path, &reason) >= 0 ||
            errno != EACCES)
            _exit(2);
        if (strcmp(reason, expected) != 0)
            fprintf(stderr, "%s\n", reason);
        _exit(strcmp(reason, expected) != 0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_file_that_the_user_may_not_read(void **state)
{
    char path[64];

    (void)state;
    snprintf(path, sizeof path, "%s/key", folder);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    denied(path,
           "Permission denied: the user nobody may not read it: run chgrp nogroup and chmod g+r "
           "on it");
    unlink(path);
}

static void a_directory_that_the_user_may_not_search(void **state)
{
    char directory[64], path[128], expected[256];

    (void)state;
    snprintf(directory, sizeof directory, "%s/closed", folder);
    snprintf(path, sizeof path, "%s/deep/key", directory);
    assert_int_equal(mkdir(directory, 0700), 0);
    snprintf(
        expected, sizeof expected,
        "Permission denied: the user nobody may not search the directory %s: run chgrp nogroup "
        "and chmod g+x on it",
        directory);
    denied(path, expected);
    rmdir(directory);
}

static void other_errors_are_those_of_the_system(void **state)
{
    (void)state;
    assert_string_equal(denied_reason("/x", ENOENT), "No such file or directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_the_user_may_not_read),
        cmocka_unit_test(a_directory_that_the_user_may_not_search),
        cmocka_unit_test(other_errors_are_those_of_the_system),
    };
    if (mkdtemp(folder) == NULL || chmod(folder, 0755) != 0)
        return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rmdir(folder);
    return failed;
}
