#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "users/users_edit.h"

#define ONE "10000000000000000000000000000000"
#define TWO "20000000000000000000000000000000"
#define BIG "ABCDEF00000000000000000000000000"
#define LOW "abcdef00000000000000000000000000"

static const uint8_t one[USERS_HASH] = {0x10}, two[USERS_HASH] = {0x20},
                     letters[USERS_HASH] = {0xab, 0xcd, 0xef};

static char dir[] = "/tmp/test-users-edit-XXXXXX";
static char path[64];

static void write_file(const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void assert_file(const char *name, const char *want)
{
    char have[4096];
    FILE *f = fopen(name, "r");
    assert_non_null(f);
    have[fread(have, 1, sizeof have - 1, f)] = '\0';
    fclose(f);
    assert_string_equal(have, want);
}

static size_t files(void)
{
    DIR *d = opendir(dir);
    size_t n = 0;
    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

static struct stat stat_of(const char *name)
{
    struct stat st;
    assert_int_equal(stat(name, &st), 0);
    return st;
}

static struct users_edit *open_it(void)
{
    struct users_edit *e = users_edit_open(path, stderr);
    assert_non_null(e);
    return e;
}

static void put(struct users_edit *e, const char *name, const uint8_t hash[USERS_HASH],
                enum users_edited want)
{
    assert_int_equal(users_edit_put(e, span_str(name), hash, NULL), want);
}

static void save(struct users_edit *e)
{
    assert_true(users_edit_save(e, stderr));
    users_edit_free(e);
}

/* Asserts that the problems are "path" (or another path) and this rest. */
static void refused(const char *name, const char *says)
{
    char *said = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&said, &n);
    struct users_edit *e = users_edit_open(name, f);
    assert_int_equal(fclose(f), 0);
    assert_null(e);
    assert_int_equal(strncmp(said, name, strlen(name)), 0);
    assert_string_equal(said + strlen(name), says);
    free(said);
}

static void without_a_file(void **state)
{
    (void)state;
    struct users_edit *e = users_edit_open(NULL, stderr);
    assert_non_null(e);
    assert_int_equal(users_edit_text(e).n, 0);
    put(e, "alice", one, USERS_ADDED);
    put(e, "Bob", letters, USERS_ADDED);
    put(e, "ALICE", one, USERS_SAME);
    put(e, "ALICE", two, USERS_TWICE);
    assert_true(span_eq(users_edit_text(e), span_str("alice:" ONE "\nBob:" LOW "\n")));
    assert_true(users_edit_delete(e, span_str("aLICE")));
    assert_true(span_eq(users_edit_text(e), span_str("Bob:" LOW "\n")));
    users_edit_free(e);
    users_edit_free(NULL);
}

/* Comments, order, unusual line ends and blanks are preserved. */
static void the_rest_stays(void **state)
{
    (void)state;
    write_file("\xef\xbb\xbf# staff\n\n  # more\r\nAlice:" ONE " \t\r\nbob:" BIG "\nx:" ONE, 0600);
    struct users_edit *e = open_it();
    put(e, "alice", two, USERS_REPLACED);
    put(e, "bob", letters, USERS_SAME);
    put(e, "dave", one, USERS_ADDED);
    put(e, "alice", two, USERS_SAME);
    put(e, "alice", one, USERS_TWICE);
    put(e, "dave", two, USERS_TWICE);
    put(e, "CORP\\alice", one, USERS_ADDED); /* another name */
    save(e);
    assert_file(path, "\xef\xbb\xbf# staff\n\n  # more\r\nAlice:" TWO " \t\r\nbob:" BIG "\nx:" ONE
                      "\ndave:" ONE "\nCORP\\alice:" ONE "\n");
    assert_int_equal(files(), 1);
    unlink(path);
}

static void put_until(struct users_edit *e, const char *name, const uint8_t hash[USERS_HASH],
                      const char *until, enum users_edited want)
{
    assert_int_equal(users_edit_put(e, span_str(name), hash, until), want);
}

/* A line gets an end, another one, or none; without one in the call it keeps its own. */
static void ends_of_lines(void **state)
{
    (void)state;
    write_file("a:" ONE "\nb:" ONE ":2027-01-31 \r\n#\nc:" ONE ":2027-01-31\nd:" ONE
               ":2027-01-31\nlast:" ONE ":2027-01-31",
               0600);
    struct users_edit *e = open_it();
    put_until(e, "A", one, "2028-02-29", USERS_REPLACED);
    put_until(e, "b", two, NULL, USERS_REPLACED);
    put_until(e, "c", two, "", USERS_REPLACED);
    put_until(e, "d", one, "2027-02-01T00:00Z", USERS_SAME); /* the same time */
    put_until(e, "last", two, "2027-01-31T18:00Z", USERS_REPLACED);
    put_until(e, "new", one, "2027-01-31", USERS_ADDED);
    put_until(e, "new", two, "", USERS_TWICE);
    put_until(e, "newer", one, "", USERS_ADDED);
    put_until(e, "newest", one, NULL, USERS_ADDED);
    save(e);
    assert_file(path, "a:" ONE ":2028-02-29\nb:" TWO ":2027-01-31 \r\n#\nc:" TWO "\nd:" ONE
                      ":2027-01-31\nlast:" TWO ":2027-01-31T18:00Z\nnew:" ONE
                      ":2027-01-31\nnewer:" ONE "\nnewest:" ONE "\n");
    e = open_it();
    put_until(e, "a", one, "", USERS_REPLACED);
    put_until(e, "newer", one, "", USERS_SAME);
    assert_true(users_edit_delete(e, span_str("b")));
    assert_true(users_edit_delete(e, span_str("newest")));
    save(e);
    assert_file(path, "a:" ONE "\n#\nc:" TWO "\nd:" ONE ":2027-01-31\nlast:" TWO
                      ":2027-01-31T18:00Z\nnew:" ONE ":2027-01-31\nnewer:" ONE "\n");
    unlink(path);
}

static void deleted(void **state)
{
    (void)state;
    static const char *const names[] = {"a", "b", "c"};
    static const char *const left[] = {"#\nb:" TWO "\n#\nc:" ONE, "#\na:" ONE "\n#\nc:" ONE,
                                       "#\na:" ONE "\nb:" TWO "\n#\n"};
    for (size_t i = 0; i < 3; i++) {
        write_file("#\na:" ONE "\nb:" TWO "\n#\nc:" ONE, 0600);
        struct users_edit *e = open_it();
        assert_false(users_edit_delete(e, span_str("d")));
        assert_true(users_edit_delete(e, span_str(names[i])));
        save(e);
        assert_file(path, left[i]);
    }
    unlink(path);
}

static void a_new_file(void **state)
{
    (void)state;
    const mode_t before = umask(0);
    struct users_edit *e = open_it();
    assert_int_equal(files(), 0); /* nothing is written before it is saved */
    put(e, "alice", one, USERS_ADDED);
    save(e);
    umask(before);
    assert_file(path, "alice:" ONE "\n");
    assert_int_equal(stat_of(path).st_mode & 07777, 0600);
    assert_int_equal(files(), 1);
    unlink(path);

    /* a path without a directory */
    char *here = getcwd(NULL, 0);
    assert_int_equal(chdir(dir), 0);
    e = users_edit_open("users", stderr);
    assert_non_null(e);
    put(e, "alice", one, USERS_ADDED);
    save(e);
    assert_int_equal(chdir(here), 0);
    free(here);
    assert_file(path, "alice:" ONE "\n");
    unlink(path);
}

static void nothing_to_do(void **state)
{
    (void)state;
    write_file("alice:" ONE "\n", 0600);
    const ino_t inode = stat_of(path).st_ino;
    struct users_edit *e = open_it();
    put(e, "alice", one, USERS_SAME);
    save(e);
    assert_int_equal(stat_of(path).st_ino, inode);
    unlink(path);
}

static void owner_and_mode_stay(void **state)
{
    (void)state;
    static const mode_t modes[] = {0600, 0400, 0640, 0660, 0440};
    const uid_t owner = getuid() == 0 ? 12345 : getuid();
    const gid_t group = getuid() == 0 ? 54321 : getgid();
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        write_file("alice:" ONE "\n", modes[i]);
        assert_int_equal(chown(path, owner, group), 0);
        const ino_t inode = stat_of(path).st_ino;
        struct users_edit *e = open_it();
        put(e, "alice", two, USERS_REPLACED);
        save(e);
        const struct stat st = stat_of(path);
        assert_int_equal(st.st_mode & 07777, modes[i]);
        assert_int_equal(st.st_uid, owner);
        assert_int_equal(st.st_gid, group);
        assert_int_not_equal(st.st_ino,
                             inode); /* a new file, so readers of the old one are not disturbed */
        unlink(path);
    }
}

static const char list_name[] = "system.posix_acl_access";

/* user::rw- user:N:r-- group::--- mask::r-- other::---, in the format of the kernel
 * (linux/posix_acl_xattr.h) */
static const uint8_t list[] = {
    2,    0, 0, 0,                         /**/
    0x01, 0, 6, 0, 0xff, 0xff, 0xff, 0xff, /**/
    0x02, 0, 4, 0, 0x39, 0x30, 0,    0,    /**/
    0x04, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, /**/
    0x10, 0, 4, 0, 0xff, 0xff, 0xff, 0xff, /**/
    0x20, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,
};

/* Mode 0640 with this list allows user N to read, but not the group. Without the list the group
 * could. */
static void access_list_stays(void **state)
{
    (void)state;
    uint8_t have[256];
    write_file("alice:" ONE "\n", 0600);
    if (setxattr(path, list_name, list, sizeof list, 0) != 0 && errno == EOPNOTSUPP)
        return; /* a file system without access lists */
    assert_int_equal(stat_of(path).st_mode & 0777, 0640);
    struct users_edit *e = open_it();
    put(e, "alice", two, USERS_REPLACED);
    save(e);
    assert_int_equal(stat_of(path).st_mode & 0777, 0640);
    assert_int_equal(getxattr(path, list_name, have, sizeof have), sizeof list);
    assert_memory_equal(have, list, sizeof list);
    unlink(path);

    /* the default list of the directory is not inherited */
    write_file("alice:" ONE "\n", 0640);
    assert_int_equal(setxattr(dir, "system.posix_acl_default", list, sizeof list, 0), 0);
    e = open_it();
    put(e, "alice", two, USERS_REPLACED);
    save(e);
    assert_int_equal(stat_of(path).st_mode & 0777, 0640);
    assert_int_equal(getxattr(path, list_name, have, sizeof have), -1);
    assert_int_equal(removexattr(dir, "system.posix_acl_default"), 0);
    unlink(path);
}

static void links_are_followed(void **state)
{
    (void)state;
    char link[80], other[80], target[100];
    struct stat st;
    snprintf(link, sizeof link, "%s/link", dir);
    snprintf(other, sizeof other, "%s/other", dir);
    snprintf(target, sizeof target, "%s/users", other);
    assert_int_equal(mkdir(other, 0700), 0);
    assert_int_equal(symlink("other/users", link), 0);
    refused(link, ": cannot be opened: No such file or directory\n");
    write_file("alice:" ONE "\n", 0640);
    assert_int_equal(rename(path, target), 0);
    struct users_edit *e = users_edit_open(link, stderr);
    assert_non_null(e);
    put(e, "alice", two, USERS_REPLACED);
    save(e);
    assert_int_equal(lstat(link, &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_file(target, "alice:" TWO "\n");
    unlink(link);
    unlink(target);
    rmdir(other);
}

static void files_that_will_not_do(void **state)
{
    (void)state;
    char name[100];
    write_file("alice:" ONE "\n", 0644);
    refused(
        path,
        ": accessible to other users (mode 0644), but it contains secrets: run chmod o= on it (a "
        "mounted secret: defaultMode: 0440 and fsGroup in Kubernetes, mode: 0440 and gid in "
        "Swarm)\n");
    write_file("alice:00\n", 0600);
    refused(path, ":1: the text after ':' is not a hash-hash of 32 hex digits\n");
    write_file("alice:" ONE "\nALICE:" ONE, 0600);
    refused(path, ":2: the name is already on line 1 (letter case does not count)\n");
    assert_file(path, "alice:" ONE "\nALICE:" ONE);
    refused(dir, ": cannot be opened: Is a directory\n");
    snprintf(name, sizeof name, "%s/none/users", dir);
    refused(name, ": cannot be opened: No such file or directory\n");
    snprintf(name, sizeof name, "%s/users", path);
    refused(name, ": cannot be opened: Not a directory\n");
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    refused(path, ": cannot be opened: not a regular file\n");
    unlink(path);
}

/* A failed save changes nothing and leaves no temporary file. */
static void no_room(void **state)
{
    (void)state;
    char *said = NULL;
    size_t n = 0;

    write_file("alice:" ONE "\n", 0600);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct users_edit *e = users_edit_open(path, stderr);
        FILE *f = open_memstream(&said, &n);
        if (e == NULL || users_edit_put(e, span_str("alice"), two, NULL) != USERS_REPLACED)
            _exit(2);
        /* the name of the temporary file is too long */
        char longest[64 + 256], *end = stpcpy(longest, dir);
        memset(end, 'x', 256);
        end[0] = '/';
        end[255] = '\0';
        if (rename(path, longest) != 0)
            _exit(3);
        users_edit_free(e);
        e = users_edit_open(longest, stderr);
        if (e == NULL || users_edit_put(e, span_str("alice"), two, NULL) != USERS_REPLACED)
            _exit(4);
        const bool good = users_edit_save(e, f);
        fclose(f);
        if (good || strstr(said, ": cannot be written: File name too long\n") == NULL)
            _exit(5);
        users_edit_free(e);
        free(said);
        _exit(rename(longest, path) == 0 ? 0 : 6);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_file(path, "alice:" ONE "\n");
    assert_int_equal(files(), 1);
    unlink(path);
}

/* A user who may write to the directory, but not change owners, does not become the owner. */
static void owner_cannot_be_kept(void **state)
{
    (void)state;
    if (getuid() != 0)
        return; /* only root can create such a file */
    write_file("alice:" ONE "\n", 0640);
    assert_int_equal(chown(path, 0, 54321), 0);
    assert_int_equal(chown(dir, 12345, 54321), 0);
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char *said = NULL;
        size_t n = 0;
        FILE *f = open_memstream(&said, &n);
        if (setgid(54321) != 0 || setuid(12345) != 0)
            _exit(2);
        struct users_edit *e = users_edit_open(path, stderr);
        if (e == NULL || users_edit_put(e, span_str("alice"), two, NULL) != USERS_REPLACED)
            _exit(3);
        const bool good = users_edit_save(e, f);
        fclose(f);
        users_edit_free(e);
        const bool reported = strstr(said, "its owner, group and mode cannot be kept: ") != NULL;
        free(said);
        _exit(good || !reported ? 4 : 0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(chown(dir, 0, 0), 0);
    assert_file(path, "alice:" ONE "\n");
    assert_int_equal(files(), 1);
    unlink(path);
}

/* Two concurrent edits lose no line. */
static void many_at_once(void **state)
{
    (void)state;
    enum { WRITERS = 8, EACH = 10 };
    pid_t pid[WRITERS];

    for (int w = 0; w < WRITERS; w++) {
        pid[w] = fork();
        assert_true(pid[w] >= 0);
        if (pid[w] != 0)
            continue;
        for (int i = 0; i < EACH; i++) {
            char name[32];
            snprintf(name, sizeof name, "user-%d-%d", w, i);
            struct users_edit *e = users_edit_open(path, stderr);
            if (e == NULL || users_edit_put(e, span_str(name), one, NULL) != USERS_ADDED ||
                !users_edit_save(e, stderr))
                _exit(1);
            users_edit_free(e);
        }
        _exit(0);
    }
    for (int w = 0; w < WRITERS; w++) {
        int status;
        assert_int_equal(waitpid(pid[w], &status, 0), pid[w]);
        assert_int_equal(status, 0);
    }
    struct users *u = users_load(path, stderr);
    assert_non_null(u);
    assert_int_equal(users_count(u), WRITERS * EACH);
    users_free(u);
    assert_int_equal(files(), 1);
    unlink(path);
}

static int begin(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(path, sizeof path, "%s/users", dir);
    return 0;
}

static int end(void **state)
{
    (void)state;
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_file),
        cmocka_unit_test(the_rest_stays),
        cmocka_unit_test(ends_of_lines),
        cmocka_unit_test(deleted),
        cmocka_unit_test(a_new_file),
        cmocka_unit_test(nothing_to_do),
        cmocka_unit_test(owner_and_mode_stay),
        cmocka_unit_test(access_list_stays),
        cmocka_unit_test(links_are_followed),
        cmocka_unit_test(files_that_will_not_do),
        cmocka_unit_test(no_room),
        cmocka_unit_test(owner_cannot_be_kept),
        cmocka_unit_test(many_at_once),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
