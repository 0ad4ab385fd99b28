/* All layers together. Needs root and a kernel with Landlock and seccomp. */
#include "confine/confine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "child.h"

static struct confine c;
static struct confine_settings s;

static void everything(void)
{
    s = (struct confine_settings){.mode = CONFINE_REQUIRE, .user = "nobody", .low_ports = true};
    CHECK(confine_enter(&s, &c) == NULL);
    CHECK(strncmp(c.text,
                  "user nobody, capability net_bind_service, no new privileges, files by "
                  "Landlock ",
                  79) == 0);
    CHECK(strstr(c.text, ", system calls by seccomp") != NULL && *c.missing == '\0' && c.paths);
    CHECK(getuid() == 65534 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
    CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
    CHECK(open("/tmp/none", O_CREAT | O_WRONLY, 0600) < 0);
}

static void all_layers(void **state)
{
    (void)state;
    in_child(everything);
}

static void nothing(void)
{
    s = (struct confine_settings){.mode = CONFINE_NO};
    CHECK(confine_enter(&s, &c) == NULL);
    CHECK(strncmp(c.text, "user root, capabilities 0x", 26) == 0);
    CHECK(strstr(c.text, ", nothing else (sandbox = no)") != NULL);
    CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
    CHECK(mkdir("/tmp/none", 0700) == 0 && rmdir("/tmp/none") == 0);
}

static void none(void **state)
{
    (void)state;
    in_child(nothing);
}

/* user alone gives up root without the other layers. */
static void user_alone(void)
{
    s = (struct confine_settings){.mode = CONFINE_NO, .user = "nobody"};
    CHECK(confine_enter(&s, &c) == NULL);
    CHECK(strcmp(c.text, "user nobody, no capabilities, nothing else (sandbox = no)") == 0);
    CHECK(setuid(0) != 0);
}

static void the_user_without_a_sandbox(void **state)
{
    (void)state;
    in_child(user_alone);
}

static char folder[] = "/tmp/test-confine-XXXXXX";

/* The start of a gate creates its log as root; a file with content is not the start's. */
static void owned(void)
{
    char log[64], old[64], link[64];
    const char *files[] = {log, old, link};
    struct stat st;

    snprintf(log, sizeof log, "%s/log", folder);
    snprintf(old, sizeof old, "%s/old", folder);
    snprintf(link, sizeof link, "%s/link", folder);
    close(open(log, O_CREAT | O_WRONLY, 0640));
    const int fd = open(old, O_CREAT | O_WRONLY, 0640);
    CHECK(pwrite(fd, "x", 1, 0) == 1 && symlink("/etc/passwd", link) == 0);
    s = (struct confine_settings){
        .mode = CONFINE_AUTO, .user = "nobody", .write = files, .write_count = 3};
    CHECK(confine_enter(&s, &c) == NULL);
    CHECK(stat(log, &st) == 0 && st.st_uid == 65534);
    CHECK(stat(old, &st) == 0 && st.st_uid == 0);
    CHECK(lstat(link, &st) == 0 && st.st_uid == 0);
    CHECK(stat("/etc/passwd", &st) == 0 && st.st_uid == 0);
}

static void new_files_belong_to_the_user(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chmod(folder, 0755), 0);
    in_child(owned);
    char command[96];
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(system(command), 0);
}

/* As a new version of the program does below the sandbox of the old one. */
static void again(void)
{
    s = (struct confine_settings){.mode = CONFINE_REQUIRE, .user = "nobody"};
    CHECK(confine_enter(&s, &c) == NULL && confine_enter(&s, &c) == NULL);
    CHECK(strncmp(c.text, "user nobody, no capabilities, no new privileges, ", 49) == 0);
}

static void a_sandbox_below_a_sandbox(void **state)
{
    (void)state;
    in_child(again);
}

static void errors(void)
{
    s = (struct confine_settings){.mode = CONFINE_NO, .user = "no-such"};
    CHECK(strncmp(confine_enter(&s, &c), "user: ", 6) == 0);
    s = (struct confine_settings){.mode = CONFINE_NO, .group = "daemon"};
    CHECK(strncmp(confine_enter(&s, &c), "group: ", 7) == 0);
}

static void reasons_name_the_key(void **state)
{
    (void)state;
    in_child(errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_layers),
        cmocka_unit_test(none),
        cmocka_unit_test(the_user_without_a_sandbox),
        cmocka_unit_test(new_files_belong_to_the_user),
        cmocka_unit_test(a_sandbox_below_a_sandbox),
        cmocka_unit_test(reasons_name_the_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
