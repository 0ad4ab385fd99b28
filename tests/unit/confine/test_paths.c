/* Each test restricts a child. Needs a kernel with Landlock. */
#include "confine/paths.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "child.h"

static char folder[] = "/tmp/test-paths-XXXXXX";

static const char *at(const char *name)
{
    static char path[4][96];
    static unsigned next;
    char *out = path[next++ % 4];

    snprintf(out, sizeof path[0], "%s/%s", folder, name);
    return out;
}

static int create(const char *path)
{
    const int fd = open(path, O_CREAT | O_WRONLY, 0600);
    if (fd >= 0)
        close(fd);
    return fd;
}

static void restrict_to(const char *file)
{
    no_new_privileges();
    CHECK(paths_restrict(&file, 1) > 0);
}

/* A log is reopened after it has been renamed; a file of bans is replaced by rename. */
static void written_place(void)
{
    restrict_to(at("w/log"));
    CHECK(create(at("w/log")) >= 0);
    CHECK(truncate(at("w/log"), 0) == 0);
    CHECK(rename(at("w/log"), at("w/log.1")) == 0);
    CHECK(create(at("w/log")) >= 0 && create(at("w/log.new")) >= 0);
    CHECK(rename(at("w/log.new"), at("w/log")) == 0);
    CHECK(unlink(at("w/log")) == 0 && unlink(at("w/log.1")) == 0);
    CHECK(open("/dev/null", O_RDWR) >= 0);
}

static void the_place_of_a_file_is_writable(void **state)
{
    (void)state;
    in_child(written_place);
}

/* The device is a copy of /dev/zero, in a mount namespace. */
static void tpm(void)
{
    CHECK(unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
    CHECK(mount("none", "/dev", "tmpfs", 0, NULL) == 0);
    CHECK(mknod("/dev/tpmrm0", S_IFCHR | 0600, makedev(1, 5)) == 0);
    CHECK(mknod("/dev/other", S_IFCHR | 0600, makedev(1, 5)) == 0);
    restrict_to(at("w/log"));
    CHECK(open("/dev/tpmrm0", O_RDWR) >= 0);
    errno = 0;
    CHECK(open("/dev/other", O_RDWR) < 0 && errno == EACCES);
}

/* The provider of a process after an upgrade opens it below the confinement of the old one. */
static void a_tpm_is_writable(void **state)
{
    (void)state;
    in_child(tpm);
}

static void other_places(void)
{
    restrict_to(at("w/log"));
    errno = 0;
    CHECK(create(at("r/new")) < 0 && errno == EACCES);
    CHECK(open(at("r/old"), O_WRONLY) < 0 && errno == EACCES);
    CHECK(unlink(at("r/old")) != 0 && rename(at("r/old"), at("w/old")) != 0);
    CHECK(mkdir(at("w/directory"), 0700) != 0 && symlink("x", at("w/link")) != 0);
    CHECK(mkfifo(at("w/fifo"), 0600) != 0);
    CHECK(open(at("r/old"), O_RDONLY) >= 0); /* reading is not restricted */
}

static void other_places_are_not(void **state)
{
    (void)state;
    in_child(other_places);
}

/* A log may be a link to a file elsewhere. */
static void linked(void)
{
    CHECK(symlink(at("r/old"), at("link")) == 0);
    restrict_to(at("link"));
    CHECK(open(at("link"), O_WRONLY) >= 0);
    CHECK(create(at("r/new")) >= 0 && unlink(at("r/new")) == 0);
}

static void the_target_of_a_link_is_writable(void **state)
{
    (void)state;
    in_child(linked);
    unlink(at("link"));
}

static void a_device(void)
{
    restrict_to("/dev/full");
    CHECK(open("/dev/full", O_WRONLY) >= 0);
    CHECK(open("/dev/zero", O_WRONLY) < 0 && errno == EACCES);
}

static void a_device_is_writable_alone(void **state)
{
    (void)state;
    in_child(a_device);
}

/* The test's own program is in a directory without a shell. */
static void execution(void)
{
    restrict_to(at("w/log"));
    execl("/bin/sh", "sh", "-c", "exit 0", (char *)NULL);
    CHECK(errno == EACCES);
    execl("/proc/self/exe", "test", "again", (char *)NULL);
    _exit(1);
}

static void only_the_program_is_executed(void **state)
{
    (void)state;
    const int status = run_child(execution);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

/* Each upgrade restricts the process again. */
static void many_times(void)
{
    for (int i = 0; i < 40; i++)
        restrict_to(at("w/log"));
    CHECK(create(at("w/log")) >= 0 && create(at("r/new")) < 0);
}

static void many_upgrades_are_restricted(void **state)
{
    (void)state;
    in_child(many_times);
}

static void without_a_promise(void)
{
    CHECK(setuid(65534) == 0); /* root may restrict itself without it */
    CHECK(paths_restrict(NULL, 0) == 0 && errno == EPERM);
}

static void nothing_without_no_new_privileges(void **state)
{
    (void)state;
    in_child(without_a_promise);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_place_of_a_file_is_writable),
        cmocka_unit_test(a_tpm_is_writable),
        cmocka_unit_test(other_places_are_not),
        cmocka_unit_test(the_target_of_a_link_is_writable),
        cmocka_unit_test(a_device_is_writable_alone),
        cmocka_unit_test(only_the_program_is_executed),
        cmocka_unit_test(many_upgrades_are_restricted),
        cmocka_unit_test(nothing_without_no_new_privileges),
    };
    if (argc > 1 && strcmp(argv[1], "again") == 0)
        return 42; /* only_the_program_is_executed */
    if (mkdtemp(folder) == NULL || mkdir(at("w"), 0700) != 0 || mkdir(at("r"), 0700) != 0 ||
        create(at("r/old")) < 0)
        return 1;
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(at("r/old"));
    rmdir(at("r"));
    rmdir(at("w"));
    rmdir(folder);
    return failed;
}
