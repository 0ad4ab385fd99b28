#include "cli/setup_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memo.h"

static char place[] = "/tmp/sstpgate-setup-XXXXXX";
static struct setup_files files;
static struct memo problems;
static char path_text[PATH_MAX];

static int set_up(void **state)
{
    (void)state;
    strcpy(place, "/tmp/sstpgate-setup-XXXXXX");
    files = (struct setup_files){.group = (gid_t)-1};
    memo_open(&problems);
    return mkdtemp(place) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
    char command[PATH_MAX];

    (void)state;
    setup_files_fini(&files);
    memo_free(&problems);
    snprintf(command, sizeof command, "rm -rf %s", place);
    return system(command);
}

static const char *path(const char *name)
{
    snprintf(path_text, sizeof path_text, "%s/%s", place, name);
    return path_text;
}

static void add(const char *name, const char *text, mode_t mode)
{
    setup_files_add(&files, path(name), span_str(text), mode);
}

static void expect_mode(const char *name, mode_t mode)
{
    struct stat st;
    assert_int_equal(lstat(path(name), &st), 0);
    assert_int_equal(st.st_mode & 07777, mode);
}

static void expect_text(const char *name, const char *text)
{
    char content[64] = "";
    const int fd = open(path(name), O_RDONLY);
    assert_true(fd >= 0);
    assert_true(read(fd, content, sizeof content - 1) >= 0);
    close(fd);
    assert_string_equal(content, text);
}

/* Nothing is written, and the reason contains `why`. */
static void expect_refusal(const char *why)
{
    assert_false(setup_files_write(&files, problems.file));
    if (strstr(memo_text(&problems), why) == NULL)
        fail_msg("'%s' is not in: %s", why, problems.text);
}

static void expect_missing(const char *name)
{
    assert_int_not_equal(access(path(name), F_OK), 0);
}

static void files_have_their_text_and_mode_whatever_the_umask(void **state)
{
    (void)state;
    const mode_t before = umask(0777);
    add("new/users", "alice\n", 0640);
    add("new/conf", "", 0600);
    const bool ok = setup_files_write(&files, problems.file);
    umask(before);
    assert_true(ok);
    expect_text("new/users", "alice\n");
    expect_text("new/conf", "");
    expect_mode("new", 0750);
    expect_mode("new/users", 0640);
    expect_mode("new/conf", 0600);
}

static void group_is_that_of_the_service(void **state)
{
    struct stat st;

    (void)state;
    if (geteuid() == 0)
        files.group = 4711;
    else
        files.group = getegid();
    add("new/users", "x", 0640);
    assert_true(setup_files_write(&files, problems.file));
    assert_int_equal(stat(path("new/users"), &st), 0);
    assert_int_equal(st.st_gid, files.group);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(stat(path("new"), &st), 0);
    assert_int_equal(st.st_gid, files.group);
}

static void existing_file_stays_and_the_others_are_removed(void **state)
{
    (void)state;
    add("old", "old", 0600);
    assert_true(setup_files_write(&files, problems.file));
    setup_files_fini(&files);

    add("first", "1", 0600);
    add("new/second", "2", 0600);
    add("old", "3", 0600);
    expect_refusal("old: exists");
    expect_text("old", "old");
    expect_missing("first");
    expect_missing("new");
}

static void link_in_the_place_of_a_file_is_a_file_that_exists(void **state)
{
    (void)state;
    assert_int_equal(symlink("nowhere", path("link")), 0);
    assert_false(setup_files_absent(path("link"), problems.file));
    assert_true(setup_files_absent(path("other"), problems.file));
    add("link", "x", 0600);
    expect_refusal("link: exists");
    expect_missing("nowhere");
}

static void directory_that_is_a_link(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path("real"), 0700), 0);
    assert_int_equal(symlink("real", path("link")), 0);
    add("link/users", "x", 0600);
    expect_refusal("link: is a symbolic link");
    expect_missing("real/users");
}

static void directory_that_others_may_write(void **state)
{
    static const mode_t modes[] = {0777, 01777, 0702};

    (void)state;
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        assert_int_equal(mkdir(path("shared"), 0700), 0);
        assert_int_equal(chmod(path("shared"), modes[i]), 0);
        add("shared/users", "x", 0600);
        assert_false(setup_files_write(&files, problems.file));
        expect_missing("shared/users");
        setup_files_fini(&files);
        assert_int_equal(rmdir(path("shared")), 0);
    }
    assert_non_null(strstr(memo_text(&problems), "shared: other users may write"));
}

/* As /tmp, in which this test has its own directory. */
static void sticky_directory_may_be_on_the_way(void **state)
{
    (void)state;
    assert_int_equal(mkdir(path("sticky"), 0700), 0);
    assert_int_equal(chmod(path("sticky"), 01777), 0);
    add("sticky/own/users", "x", 0600);
    assert_true(setup_files_write(&files, problems.file));
    setup_files_fini(&files);
    assert_int_equal(chmod(path("sticky"), 0777), 0);
    add("sticky/own/more", "x", 0600);
    expect_refusal("sticky: other users may write");
    expect_missing("sticky/own/more");
}

static void directory_of_another_user(void **state)
{
    (void)state;
    if (geteuid() != 0)
        return;
    assert_int_equal(mkdir(path("foreign"), 0700), 0);
    assert_int_equal(chown(path("foreign"), 4711, 0), 0);
    add("foreign/users", "x", 0600);
    expect_refusal("foreign: belongs to another user");
    expect_missing("foreign/users");
}

static void only_one_directory_is_created(void **state)
{
    (void)state;
    add("a/b/users", "x", 0600);
    expect_refusal("a: No such file or directory");
    expect_missing("a");
}

static void file_on_the_way(void **state)
{
    (void)state;
    add("file", "x", 0600);
    assert_true(setup_files_write(&files, problems.file));
    setup_files_fini(&files);
    add("file/users", "x", 0600);
    expect_refusal("file: Not a directory");
}

static void undo_removes_what_was_written_only(void **state)
{
    (void)state;
    add("new/users", "x", 0600);
    assert_true(setup_files_write(&files, problems.file));
    assert_int_equal(symlink("users", path("new/other")), 0);
    setup_files_undo(&files);
    expect_missing("new/users");
    expect_mode("new", 0750); /* it is not empty */
    setup_files_undo(&files); /* a no-op */
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(files_have_their_text_and_mode_whatever_the_umask),
        TEST(group_is_that_of_the_service),
        TEST(existing_file_stays_and_the_others_are_removed),
        TEST(link_in_the_place_of_a_file_is_a_file_that_exists),
        TEST(directory_that_is_a_link),
        TEST(directory_that_others_may_write),
        TEST(sticky_directory_may_be_on_the_way),
        TEST(directory_of_another_user),
        TEST(only_one_directory_is_created),
        TEST(file_on_the_way),
        TEST(undo_removes_what_was_written_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
