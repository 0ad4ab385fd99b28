#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"
#include "policy/ban_file.h"
#include "policy/limits.h"
#include "policy/limits_bans.h"

enum { SECOND = 1000, MINUTE = 60 * SECOND, START = 5 * MINUTE };

static const struct limits_settings with_bans = {.prefix_ipv4 = 32,
                                                 .prefix_ipv6 = 64,
                                                 .ban_points = 10,
                                                 .ban_time = 10 * MINUTE,
                                                 .ban_reset = 10 * MINUTE};

enum { WALL = 1800000000 };

struct ban_dir {
    char path[64], file[80], problems[4000];
};

static int make_dir(void **state)
{
    struct ban_dir *f = calloc(1, sizeof *f);
    if (f == NULL)
        return -1;
    strcpy(f->path, "/tmp/test-ban-file-XXXXXX");
    if (mkdtemp(f->path) == NULL)
        return -1;
    snprintf(f->file, sizeof f->file, "%s/bans", f->path);
    *state = f;
    return 0;
}

static int remove_dir(void **state)
{
    struct ban_dir *f = *state;
    unlink(f->file);
    const int failed = rmdir(f->path); /* fails if a file is left */
    free(f);
    return failed;
}

static void write_text(const struct ban_dir *f, const char *text, size_t n)
{
    FILE *out = fopen(f->file, "w");
    assert_non_null(out);
    assert_int_equal(fwrite(text, 1, n, out), n);
    assert_int_equal(fclose(out), 0);
}

static void assert_text(const struct ban_dir *f, const char *want)
{
    char text[2000];
    FILE *in = fopen(f->file, "r");
    assert_non_null(in);
    text[fread(text, 1, sizeof text - 1, in)] = '\0';
    fclose(in);
    assert_string_equal(text, want);
}

/* Loads the file. The problems are in f->problems, without the path. */
static enum err load(struct ban_dir *f, struct limits *l, uint64_t now, int64_t wall)
{
    FILE *problems = fmemopen(f->problems, sizeof f->problems, "w");
    assert_non_null(problems);
    f->problems[0] = '\0';
    const enum err e = ban_file_load(l, f->file, now, wall, problems);
    fclose(problems);
    return e;
}

#define HEAD                                                                                       \
    "# bans of sstpgate: PREFIX END [manual], or user:NAME END; END in seconds since 1970\n"

static enum err save(const struct ban_dir *f, struct limits *l, uint64_t now, int64_t wall)
{
    return ban_file_save(l, f->file, now, wall);
}

static void ban(struct limits *l, const char *text, uint64_t left_ms, uint64_t now)
{
    struct cidr net;
    assert_int_equal(cidr_parse(text, &net), ERR_OK);
    assert_true(limits_restore(l, &net, left_ms, now));
}

/* Compares the bans with the text that is written at START and WALL. */
static void assert_bans(const struct ban_dir *f, struct limits *l, const char *want)
{
    assert_int_equal(save(f, l, START, WALL), ERR_OK);
    assert_text(f, want);
}

static void saved_and_loaded(void **state)
{
    struct ban_dir *f = *state;
    struct limits *l = limits_new(&with_bans);

    assert_int_equal(load(f, l, START, WALL), ERR_OK); /* the file does not exist yet */
    assert_string_equal(f->problems, "");
    ban(l, "192.0.2.1", 10 * MINUTE, START);
    ban(l, "2001:db8:1:2::/64", 10 * MINUTE, START + 500);
    assert_int_equal(save(f, l, START + 1000, WALL + 1), ERR_OK);
    assert_text(f, HEAD "192.0.2.1 1800000600\n2001:db8:1:2::/64 1800000601\n");
    limits_free(l);

    /* another process, another monotonic clock */
    l = limits_new(&with_bans);
    assert_int_equal(load(f, l, 77, WALL + 100), ERR_OK);
    assert_string_equal(f->problems, "");
    assert_int_equal(save(f, l, 77, WALL + 100), ERR_OK);
    assert_text(f, HEAD "192.0.2.1 1800000600\n2001:db8:1:2::/64 1800000601\n");
    /* expired bans are not written */
    assert_int_equal(save(f, l, 77 + 500000, WALL + 600), ERR_OK);
    assert_text(f, HEAD "2001:db8:1:2::/64 1800000601\n");
    assert_int_equal(limits_lift(l, NULL, 77), 2);
    assert_int_equal(save(f, l, 77, WALL), ERR_OK);
    assert_text(f, HEAD);
    limits_free(l);
}

static void clocks_that_were_set(void **state)
{
    struct ban_dir *f = *state;
    static const char text[] = "192.0.2.1 1800000601\n192.0.2.2 999999999999999\n"
                               "192.0.2.3 1800000001\n192.0.2.4 1800000000\n192.0.2.5 0\n";
    struct limits *l = limits_new(&with_bans);
    struct limits_settings without = with_bans;

    write_text(f, text, sizeof text - 1);
    assert_int_equal(load(f, l, START, WALL), ERR_OK);
    assert_string_equal(f->problems, "");
    assert_bans(f, l, HEAD "192.0.2.1 1800000600\n192.0.2.2 1800000600\n192.0.2.3 1800000001\n");
    limits_free(l);

    l = limits_new(&with_bans);
    write_text(f, text, sizeof text - 1);
    assert_int_equal(load(f, l, START, INT64_MIN), ERR_OK);
    assert_int_equal(limits_lift(l, NULL, START), 5);
    limits_free(l);

    without.ban_points = 0;
    l = limits_new(&without);
    assert_int_equal(load(f, l, START, WALL), ERR_OK);
    assert_bans(f, l, HEAD);
    limits_free(l);
}

static void files_of_other_systems(void **state)
{
    struct ban_dir *f = *state;
    static const char dos[] = "\xef\xbb\xbf# x\xc2\xa0\r\n192.0.2.1 1800000600\r\n",
                      hidden[] = "192.0.2.1\xc2\xa0 1800000600\n192.0.2.2 1800000600\n",
                      wide[] = "\xff\xfe#\0\n\0";
    struct limits *l = limits_new(&with_bans);

    write_text(f, dos, sizeof dos - 1);
    assert_int_equal(load(f, l, START, WALL), ERR_OK);
    assert_string_equal(f->problems, "");
    assert_bans(f, l, HEAD "192.0.2.1 1800000600\n");
    assert_int_equal(limits_lift(l, NULL, START), 1);
    write_text(f, hidden, sizeof hidden - 1);
    assert_int_equal(load(f, l, START, WALL), ERR_OK);
    assert_string_equal(f->problems + strlen(f->file), ":1: U+00A0 NO-BREAK SPACE; line skipped\n");
    assert_bans(f, l, HEAD "192.0.2.2 1800000600\n");
    write_text(f, wide, sizeof wide - 1);
    assert_int_equal(load(f, l, START, WALL), ERR_SYSTEM);
    assert_non_null(strstr(f->problems, ": UTF-16"));
    limits_free(l);
}

static void damaged_lines(void **state)
{
    struct ban_dir *f = *state;
    struct limits *l = limits_new(&with_bans);
    static const char *const bad[] = {
        "192.0.2.1",
        "192.0.2.1  1800000100",
        "192.0.2.1 1800000100 ",
        "192.0.2.1 -5",
        "192.0.2.1 1800000100x",
        "192.0.2.1 1800000000000000000",
        "192.0.2.256 1800000100",
        "vpn.example.com 1800000100",
        "192.0.2.0/24 1800000100",
        "2001:db8::/48 1800000100",
        "2001:db8::1 1800000100",
        " 1800000100",
        " ",
    };
    char text[2000] = "# comment\n\n";
    char want[4000] = "";

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\n", bad[i]);
        if (i < 10)
            snprintf(want + strlen(want), sizeof want - strlen(want), "%s:%zu: ", f->file, i + 3);
    }
    strcat(text, "192.0.2.7 1800000100\n");
    write_text(f, text, strlen(text));
    assert_int_equal(load(f, l, START, WALL), ERR_OK);
    assert_bans(f, l, HEAD "192.0.2.7 1800000100\n");
    const char *at = f->problems;
    for (unsigned i = 0; i < 10; i++) {
        char place[100];
        const int n = snprintf(place, sizeof place, "%s:%u: ", f->file, i + 3);
        assert_memory_equal(at, place, (size_t)n);
        at = strchr(at, '\n') + 1;
    }
    char last[120];
    snprintf(last, sizeof last, "%s: 3 more lines skipped\n", f->file);
    assert_string_equal(at, last);
    limits_free(l);
}

static void cut_and_odd_files(void **state)
{
    struct ban_dir *f = *state;
    static const char text[] = "192.0.2.1 1800000100\n192.0.2.2 1800000100\n";
    static const char nul[] = "192.0.2.1 1800000100\0junk\n192.0.2.2 1800000100\n";
    char big[3000];
    struct limits *l;

    /* a truncated line is never a ban */
    for (size_t cut = 0; cut < sizeof text; cut++) {
        l = limits_new(&with_bans);
        write_text(f, text, cut);
        assert_int_equal(load(f, l, START, WALL), ERR_OK);
        const size_t whole = (cut >= 21) + (cut >= 42);
        assert_int_equal(limits_lift(l, NULL, START), whole);
        assert_int_equal(f->problems[0] == '\0', cut % 21 == 0);
        limits_free(l);
    }
    l = limits_new(&with_bans);
    write_text(f, nul, sizeof nul - 1);
    assert_int_equal(load(f, l, START, WALL), ERR_OK);
    assert_bans(f, l, HEAD "192.0.2.2 1800000100\n");
    assert_non_null(strstr(f->problems, ":1: damaged"));
    memset(big, 'x', sizeof big);
    memcpy(big + sizeof big - 23, "\n192.0.2.3 1800000100\n", 22);
    big[sizeof big - 1] = '\n';
    write_text(f, big, sizeof big);
    assert_int_equal(load(f, l, START, WALL), ERR_OK);
    assert_non_null(strstr(f->problems, ":1: damaged"));
    assert_bans(f, l, HEAD "192.0.2.2 1800000100\n192.0.2.3 1800000100\n");
    limits_free(l);
}

static void files_that_fail(void **state)
{
    struct ban_dir *f = *state;
    struct limits *l = limits_new(&with_bans);
    char path[200];

    assert_int_equal(mkdir(f->file, 0700), 0);
    assert_int_equal(load(f, l, START, WALL), ERR_SYSTEM);
    assert_non_null(strstr(f->problems, "Is a directory"));
    ban(l, "192.0.2.1", 10 * MINUTE, START);
    assert_int_equal(save(f, l, START, WALL), ERR_SYSTEM); /* does not replace a directory */
    assert_int_equal(errno, EISDIR);
    assert_int_equal(rmdir(f->file), 0);
    snprintf(path, sizeof path, "%s/nowhere/bans", f->path);
    assert_int_equal(ban_file_save(l, path, START, WALL), ERR_SYSTEM);
    assert_int_equal(errno, ENOENT);
    /* a link that another user planted is removed, not followed */
    struct stat st;
    snprintf(path, sizeof path, "%s.new", f->file);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_int_equal(save(f, l, START, WALL), ERR_OK);
    assert_int_equal(lstat(f->file, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_text(f, HEAD "192.0.2.1 1800000600\n");
    limits_free(l);
}

/* The text for another process is that of the file. */
static void printed_and_read(void **state)
{
    struct ban_dir *f = *state;
    struct limits *l = limits_new(&with_bans), *m = limits_new(&with_bans);
    char *text = NULL;
    size_t n;

    ban(l, "192.0.2.1", 10 * MINUTE, START);
    FILE *out = open_memstream(&text, &n);
    ban_file_print(l, out, START, WALL);
    assert_int_equal(fclose(out), 0);
    assert_string_equal(text, HEAD "192.0.2.1 1800000600\n");
    FILE *problems = fmemopen(f->problems, sizeof f->problems, "w");
    ban_file_read(m, span_of(text, n), "text", START, WALL, problems);
    ban_file_read(m, span_str("nonsense\n"), "text", START, WALL, problems);
    assert_int_equal(fclose(problems), 0);
    assert_string_equal(f->problems, "text:1: not PREFIX END; line skipped\n");
    assert_int_equal(save(f, m, START, WALL), ERR_OK);
    assert_text(f, HEAD "192.0.2.1 1800000600\n");
    free(text);
    limits_free(l);
    limits_free(m);
}

#define WITH_DIR(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)

/* Bans of an administrator need no ban-points, may be longer than ban-time, and have any length. */
static void bans_of_an_administrator(void **state)
{
    struct ban_dir *f = *state;
    static const char text[] =
        "10.0.0.0/8 1800086400 manual\nuser:j%c3%bcrgen%20100%25 1800003600\n";
    struct limits_settings without = with_bans;
    struct limits *l;
    struct addr who;

    without.ban_points = 0;
    l = limits_new(&without);
    write_text(f, text, sizeof text - 1);
    assert_int_equal(load(f, l, START, WALL), ERR_OK);
    assert_string_equal(f->problems, "");
    assert_int_equal(addr_parse("10.9.8.7:1", 0, &who), ERR_OK);
    assert_int_equal(limits_enter(l, &who, START), LIMITS_BANNED);
    const struct span name = span_str("J\xc3\xbcrgen 100%");
    assert_true(limits_user_banned(l, name, name, START));
    assert_false(limits_user_banned(l, name, name, START + 3600000));
    assert_bans(f, l, HEAD "10.0.0.0/8 1800086400 manual\nuser:j%c3%bcrgen%20100%25 1800003600\n");
    assert_int_equal(limits_lift(l, &(struct limits_target){.user = "J\xc3\x9cRGEN 100%"}, START),
                     1);
    assert_bans(f, l, HEAD "10.0.0.0/8 1800086400 manual\n");
    limits_free(l);
}

static void damaged_bans_of_an_administrator(void **state)
{
    struct ban_dir *f = *state;
    static char long_name[2 * LIMITS_USER_MAX];
    memset(long_name, 'x', LIMITS_USER_MAX + 1);
    const struct limits_target longer = {.user = long_name}, fits = {.user = long_name + 1};
    static const char text[] = "user: 1800003600\nuser:%zz 1800003600\nuser:a%00b 1800003600\n"
                               "user:bob soon\n10.0.0.0/8 1800086400 automatic\n";
    struct limits *l = limits_new(&with_bans);

    write_text(f, text, sizeof text - 1);
    assert_int_equal(load(f, l, START, WALL), ERR_OK);
    assert_non_null(strstr(f->problems, ":1: not a user's name; line skipped\n"));
    assert_non_null(strstr(f->problems, ":2: not a user's name; line skipped\n"));
    assert_non_null(strstr(f->problems, ":3: not a user's name; line skipped\n"));
    assert_non_null(strstr(f->problems, ":4: not a time in seconds since 1970; line skipped\n"));
    assert_non_null(strstr(f->problems, ":5: not a time in seconds since 1970; line skipped\n"));
    assert_bans(f, l, HEAD);
    assert_int_equal(limits_ban(l, &longer, 1000, START), LIMITS_BAN_LONG);
    assert_int_equal(limits_ban(l, &fits, 1000, START), LIMITS_BAN_DONE);
    limits_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIR(saved_and_loaded),
        WITH_DIR(clocks_that_were_set),
        WITH_DIR(damaged_lines),
        WITH_DIR(files_of_other_systems),
        WITH_DIR(cut_and_odd_files),
        WITH_DIR(files_that_fail),
        WITH_DIR(printed_and_read),
        WITH_DIR(bans_of_an_administrator),
        WITH_DIR(damaged_bans_of_an_administrator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
