/* The lines are read back from a file in a directory of the test. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static char folder[] = "/tmp/sstpgate-log-XXXXXX";
static char path[64], moved[64];

static int setup(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/log", folder);
    snprintf(moved, sizeof moved, "%s/log.1", folder);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (log_open("stderr", LOG_LEVEL_INFO, LOG_FORMAT_TEXT) != ERR_OK)
        return -1;
    unlink(path);
    unlink(moved);
    return rmdir(folder);
}

static void open_new(enum log_level level)
{
    unlink(path);
    assert_int_equal(log_open(path, level, LOG_FORMAT_TEXT), ERR_OK);
}

/* Returns the content of the file. */
static const char *read_all(const char *file)
{
    static char text[512 * 1024];
    FILE *f = fopen(file, "r");
    assert_non_null(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    fclose(f);
    text[n] = '\0';
    return text;
}

/* Returns the only line of the file, without its time and its end. */
static const char *the_line(void)
{
    static char line[4096];
    const char *text = read_all(path), *end = strchr(text, '\n');
    int n = 0;
    assert_non_null(end);
    assert_int_equal(end[1], '\0');
    assert_int_equal(sscanf(text, "%*4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ %n", &n), 0);
    assert_int_equal(n, 25);
    snprintf(line, sizeof line, "%.*s", (int)(end - text - n), text + n);
    return line;
}

static void a_line_has_time_level_event_and_keys(void **state)
{
    (void)state;
    struct log_line l;
    open_new(LOG_LEVEL_INFO);
    log_begin(&l, LOG_LEVEL_WARNING, "call");
    log_str(&l, "user", "bob");
    log_str(&l, "host", NULL);
    log_str(&l, "sni", "");
    log_num(&l, "octets", UINT64_MAX);
    log_fmt(&l, "id", "%u-%d", 3u, 7);
    log_end(&l);
    assert_string_equal(the_line(),
                        "warning call user=bob host=- sni=- octets=18446744073709551615 id=3-7");
}

static void values_are_quoted(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        size_t n;
        const char *want;
    } cases[] = {
        {"plain:value/%s", 14, "plain:value/%s"},
        {"two words", 9, "\"two words\""},
        {" ", 1, "\" \""},
        {"\"", 1, "\"\\\"\""},
        {"CORP\\alice", 10, "CORP\\alice"},
        {"\0", 1, "\"\\u0000\""},
        {"a\r\nb", 4, "\"a\\u000d\\u000ab\""},
        {"\x7f\x80\xff", 3, "\"\\u007f\\udc80\\udcff\""},
        {"gr\xc3\xbc\xc3\x9f", 6, "gr\xc3\xbc\xc3\x9f"},
        {"a=b", 3, "\"a=b\""},
        {"-", 1, "\"-\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct log_line l;
        char want[128];
        open_new(LOG_LEVEL_INFO);
        log_begin(&l, LOG_LEVEL_INFO, "e");
        log_span(&l, "k", span_of(cases[i].value, cases[i].n));
        log_end(&l);
        snprintf(want, sizeof want, "info e k=%s", cases[i].want);
        assert_string_equal(the_line(), want);
    }
}

static void a_stranger_cannot_forge_a_line(void **state)
{
    (void)state;
    static const char evil[] = "x\n2026-01-01T00:00:00.000Z error call user=root\n";
    struct log_line l;
    open_new(LOG_LEVEL_INFO);
    log_begin(&l, LOG_LEVEL_INFO, "call");
    log_str(&l, "user", evil);
    log_fmt(&l, "a", "%s", evil);
    log_end(&l);
    assert_null(strchr(the_line(), '\n')); /* and that there is one line */
    open_new(LOG_LEVEL_INFO);
    log_msg(LOG_LEVEL_INFO, "call", "%s", evil);
    assert_null(strchr(the_line(), '\n'));
}

/* Any content that becomes too long, at any place, gives one line that ends in "...", with an end
 * of its quotes and without a part of a character. */
static void lines_that_do_not_fit_are_cut(void **state)
{
    (void)state;
    static const char *const pieces[] = {"v", "\n", "\xc3\xbc", "ab c"};
    char value[4200];
    for (size_t n = 3900; n < 4100; n++) {
        for (size_t kind = 0; kind < sizeof pieces / sizeof *pieces; kind++) {
            struct log_line l;
            const size_t piece = strlen(pieces[kind]);
            open_new(LOG_LEVEL_INFO);
            for (size_t i = 0; i < n; i++)
                value[i] = pieces[kind][i % piece];
            value[n] = '\0';
            log_begin(&l, LOG_LEVEL_INFO, "e");
            log_str(&l, "k", value);
            log_str(&l, "after", "b");
            log_end(&l);
            const char *line = the_line();
            const size_t len = strlen(line);
            assert_in_range(25 + len + 1, 3900, sizeof l.text); /* time and newline */
            if (strcmp(line + len - 3, "...") == 0)
                line = strrchr(line, ' '); /* the cut was behind the value */
            else if (strcmp(line + len - 8, " after=b") != 0)
                assert_string_equal(line + len - 4, "...\"");
            if (kind == 2 && n % 2 == 0)
                assert_null(strstr(line, "\\udc"));
        }
    }
}

static void levels(void **state)
{
    (void)state;
    open_new(LOG_LEVEL_WARNING);
    assert_true(log_wanted(LOG_LEVEL_ERROR));
    assert_true(log_wanted(LOG_LEVEL_WARNING));
    assert_false(log_wanted(LOG_LEVEL_INFO));
    log_msg(LOG_LEVEL_INFO, "e", "no");
    log_msg(LOG_LEVEL_DEBUG, "e", "no");
    struct log_line l;
    log_begin(&l, LOG_LEVEL_INFO, "e");
    log_end(&l);
    assert_string_equal(read_all(path), "");
    log_msg(LOG_LEVEL_ERROR, "e", "%s", "yes");
    assert_string_equal(the_line(), "error e msg=yes");
}

/* The lines about a change are written while the more verbose of the two levels is in force. */
static void the_level_changes_at_run_time(void **state)
{
    (void)state;
    open_new(LOG_LEVEL_INFO);
    assert_int_equal(log_level(), LOG_LEVEL_INFO);
    log_set_level(LOG_LEVEL_DEBUG, "me");
    assert_true(log_wanted(LOG_LEVEL_DEBUG));
    assert_string_equal(the_line(), "info log log-level=debug was=info by=me");
    log_set_level(LOG_LEVEL_DEBUG, "again");
    assert_null(strstr(read_all(path), "again"));
    open_new(LOG_LEVEL_INFO);
    log_set_level(LOG_LEVEL_ERROR, "you");
    assert_false(log_wanted(LOG_LEVEL_WARNING));
    assert_string_equal(the_line(), "info log log-level=error was=info by=you");
}

static void levels_have_names(void **state)
{
    (void)state;
    static const char *const names[] = {"error", "warning", "info", "debug"};
    enum log_level level;
    for (int i = 0; i < 4; i++) {
        assert_string_equal(log_level_name((enum log_level)i), names[i]);
        assert_true(log_level_parse(names[i], &level));
        assert_int_equal(level, i);
    }
    assert_false(log_level_parse("Info", &level));
    assert_false(log_level_parse("", &level));
}

static void the_file_is_not_for_everybody(void **state)
{
    (void)state;
    struct stat st;
    mode_t mask = umask(0);
    open_new(LOG_LEVEL_INFO);
    umask(mask);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0640);
    /* appended to, not emptied */
    log_msg(LOG_LEVEL_INFO, "one", "1");
    assert_int_equal(log_open(path, LOG_LEVEL_INFO, LOG_FORMAT_TEXT), ERR_OK);
    log_msg(LOG_LEVEL_INFO, "two", "2");
    assert_non_null(strstr(read_all(path), "info one"));
    assert_non_null(strstr(read_all(path), "info two"));
}

static void a_target_that_cannot_be_opened_changes_nothing(void **state)
{
    (void)state;
    char nowhere[80];
    snprintf(nowhere, sizeof nowhere, "%s/none/log", folder);
    open_new(LOG_LEVEL_INFO);
    assert_int_equal(log_open(nowhere, LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT), ERR_SYSTEM);
    assert_int_equal(errno, ENOENT);
    assert_false(log_wanted(LOG_LEVEL_DEBUG));
    log_msg(LOG_LEVEL_INFO, "still", "here");
    assert_string_equal(the_line(), "info still msg=here");
}

static void reopen_after_rotation(void **state)
{
    (void)state;
    open_new(LOG_LEVEL_INFO);
    log_msg(LOG_LEVEL_INFO, "old", "1");
    assert_int_equal(rename(path, moved), 0);
    log_msg(LOG_LEVEL_INFO, "old", "2");
    assert_int_equal(log_reopen(), ERR_OK);
    log_msg(LOG_LEVEL_INFO, "new", "3");
    assert_string_equal(the_line(), "info new msg=3");
    assert_non_null(strstr(read_all(moved), "msg=1"));
    assert_non_null(strstr(read_all(moved), "msg=2"));
    assert_null(strstr(read_all(moved), "msg=3"));

    /* the directory was removed: the old file remains in use */
    char elsewhere[64];
    snprintf(elsewhere, sizeof elsewhere, "%s.away", folder);
    assert_int_equal(rename(folder, elsewhere), 0);
    assert_int_equal(log_reopen(), ERR_SYSTEM);
    assert_int_equal(errno, ENOENT);
    log_msg(LOG_LEVEL_INFO, "kept", "4");
    assert_int_equal(rename(elsewhere, folder), 0);
    assert_non_null(strstr(read_all(path), "msg=4"));
    assert_int_equal(log_open("stderr", LOG_LEVEL_INFO, LOG_FORMAT_TEXT), ERR_OK);
    assert_int_equal(log_reopen(), ERR_OK); /* nothing to open again */
}

/* Allows files of at most size bytes: the kernel cuts a write there, as a full disk does. */
static void disk_ends_at(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_line_that_a_full_disk_cuts_is_ended(void **state)
{
    enum { FIRST = 25 + sizeof "info first msg=1", HALF = 10 };
    char want[64];

    (void)state;
    signal(SIGXFSZ, SIG_IGN);
    open_new(LOG_LEVEL_INFO);
    log_msg(LOG_LEVEL_INFO, "first", "1");
    disk_ends_at(FIRST + HALF);
    log_msg(LOG_LEVEL_INFO, "cut", "2");
    log_msg(LOG_LEVEL_INFO, "lost", "3");
    disk_ends_at(FIRST + HALF + 1); /* room for the line end, and for nothing else */
    log_msg(LOG_LEVEL_INFO, "lost", "4");
    disk_ends_at(RLIM_INFINITY);
    log_msg(LOG_LEVEL_INFO, "room", "5");
    log_msg(LOG_LEVEL_INFO, "room", "6");

    const char *text = read_all(path);
    assert_int_equal(text[FIRST - 1], '\n');
    assert_int_equal(text[FIRST + HALF], '\n');
    const char *line = text + FIRST + HALF + 1;
    for (size_t i = 0; i < 3; i++) {
        static const char *const rest[] = {"warning log dropped=3", "info room msg=5",
                                           "info room msg=6"};
        snprintf(want, sizeof want, "%s\n", rest[i]);
        assert_int_equal(strncmp(line + 25, want, strlen(want)), 0);
        line += 25 + strlen(want);
    }
    assert_string_equal(line, "");
}

/* A previous process found the disk full. */
static void a_file_that_ends_within_a_line_gets_its_end(void **state)
{
    static const struct {
        const char *before, *between;
    } cases[] = {{"half a li", "\n"}, {"a line\n", ""}, {"", ""}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int reopen = 0; reopen < 2; reopen++) {
            open_new(LOG_LEVEL_INFO);
            unlink(path); /* the log writes to another file now */
            FILE *f = fopen(path, "w");
            assert_non_null(f);
            fputs(cases[i].before, f);
            assert_int_equal(fclose(f), 0);
            assert_int_equal(
                reopen ? log_reopen() : log_open(path, LOG_LEVEL_INFO, LOG_FORMAT_TEXT), ERR_OK);
            log_msg(LOG_LEVEL_INFO, "e", "1");
            log_msg(LOG_LEVEL_INFO, "e", "2");
            const char *text = read_all(path);
            const size_t n = strlen(cases[i].before), gap = strlen(cases[i].between);
            assert_int_equal(strncmp(text, cases[i].before, n), 0);
            assert_int_equal(strncmp(text + n, cases[i].between, gap), 0);
            assert_int_equal(strncmp(text + n + gap + 25, "info e msg=1\n", 13), 0);
            assert_string_equal(text + n + gap + 25 + 13 + 25, "info e msg=2\n");
        }
    }
}

/* A thread may be in the middle of its line: a write that crosses a page grows the file twice. */
static void a_line_under_way_is_not_cut(void **state)
{
    (void)state;
    for (int reopen = 0; reopen < 2; reopen++) {
        open_new(LOG_LEVEL_INFO);
        FILE *thread = fopen(path, "a");
        assert_non_null(thread);
        fputs("half a li", thread);
        assert_int_equal(fflush(thread), 0);
        assert_int_equal(reopen ? log_reopen() : log_open(path, LOG_LEVEL_INFO, LOG_FORMAT_TEXT),
                         ERR_OK);
        fputs("ne\n", thread);
        assert_int_equal(fclose(thread), 0);
        log_msg(LOG_LEVEL_INFO, "e", "1");
        const char *text = read_all(path);
        assert_int_equal(strncmp(text, "half a line\n", 12), 0);
        assert_string_equal(text + 12 + 25, "info e msg=1\n");
    }
}

enum { LINES = 200, THREADS = 4 };

/* Fills a pipe that is not read, and then reads it. reader must not block. */
static void fill_and_read(int reader)
{
    static char text[1 << 20];
    struct log_line l;
    enum { FULL = 400 }; /* lines, far more than a pipe holds */
    const uint64_t before = log_dropped();
    unsigned written = 0, dropped = 0;
    ssize_t n;

    for (unsigned i = 0; i < FULL; i++) {
        log_begin(&l, LOG_LEVEL_INFO, "full");
        log_fmt(&l, "filler", "%01000u", i);
        log_end(&l);
    }
    assert_true((n = read(reader, text, sizeof text - 1)) > 0);
    text[n] = '\0';
    assert_int_equal(text[n - 1], '\n');
    for (const char *at = text; (at = strstr(at, " info full ")) != NULL; at++)
        written++;
    assert_true(written > 0 && written < FULL);
    assert_null(strstr(text, "dropped"));

    log_msg(LOG_LEVEL_INFO, "again", "there is room");
    log_msg(LOG_LEVEL_INFO, "again", "and still");
    assert_true((n = read(reader, text, sizeof text - 1)) > 0);
    text[n] = '\0';
    const char *line = strstr(text, " warning log dropped=");
    assert_non_null(line);
    assert_int_equal(sscanf(line, " warning log dropped=%u\n", &dropped), 1);
    assert_int_equal(written + dropped, FULL);
    assert_int_equal(log_dropped() - before, dropped);
    assert_non_null(strstr(line, " info again msg=\"there is room\"\n"));
    assert_non_null(strstr(line, " info again msg=\"and still\"\n"));
    assert_null(strstr(line + sizeof " warning log dropped", "dropped"));
}

static void a_fifo_without_a_reader_blocks_no_thread(void **state)
{
    (void)state;
    unlink(path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(log_open(path, LOG_LEVEL_INFO, LOG_FORMAT_TEXT), ERR_SYSTEM);
    assert_int_equal(errno, ENXIO);
    const int reader = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_int_equal(log_open(path, LOG_LEVEL_INFO, LOG_FORMAT_TEXT), ERR_OK);
    fill_and_read(reader);
    close(reader);
    open_new(LOG_LEVEL_INFO);
}

/* The pipe remains blocking, because other programs may share it. */
static void a_full_pipe_as_standard_error_blocks_no_thread(void **state)
{
    int pipes[2];

    (void)state;
    const int kept = dup(STDERR_FILENO);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(fcntl(pipes[0], F_SETFL, O_NONBLOCK), 0);
    assert_int_equal(dup2(pipes[1], STDERR_FILENO), STDERR_FILENO);
    assert_int_equal(log_open("stderr", LOG_LEVEL_INFO, LOG_FORMAT_TEXT), ERR_OK);
    fill_and_read(pipes[0]);
    assert_int_equal(fcntl(pipes[1], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(dup2(kept, STDERR_FILENO), STDERR_FILENO);
    close(kept);
    close(pipes[0]);
    close(pipes[1]);
    open_new(LOG_LEVEL_INFO);
}

static void *write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_msg(LOG_LEVEL_INFO, "thread", "%s%d", (const char *)arg, i);
    return NULL;
}

/* Lines of several threads do not mix and none is lost, rotations or not. */
static void any_thread_may_log_while_the_file_changes(void **state)
{
    (void)state;
    static char names[THREADS][2] = {"a", "b", "c", "d"};
    pthread_t thread[THREADS];
    size_t lines = 0;

    open_new(LOG_LEVEL_INFO);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, write_lines, names[i]), 0);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(log_reopen(), ERR_OK);
        log_set_level(LOG_LEVEL_INFO, "main");
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    for (const char *p = read_all(path); *p != '\0'; p = strchr(p, '\n') + 1, lines++)
        assert_int_equal(strncmp(p + 25, "info thread msg=", 16), 0);
    assert_int_equal(lines, THREADS * LINES);
}

static int descriptors(void)
{
    int count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void no_descriptor_is_left_behind(void **state)
{
    (void)state;
    open_new(LOG_LEVEL_INFO);
    int before = descriptors();
    for (int i = 0; i < 3; i++) {
        assert_int_equal(log_open(path, LOG_LEVEL_INFO, LOG_FORMAT_TEXT), ERR_OK);
        assert_int_equal(log_reopen(), ERR_OK);
    }
    assert_int_equal(descriptors(), before);
}

static void a_long_message_shows_its_cut(void **state)
{
    (void)state;
    char text[1500];
    memset(text, 'm', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    open_new(LOG_LEVEL_INFO);
    log_msg(LOG_LEVEL_INFO, "e", "%s", text);
    const char *line = the_line();
    if (strlen(line) < sizeof text)
        assert_string_equal(line + strlen(line) - 3, "...");
}

static void the_limiter_counts_what_it_leaves_out(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    unsigned missed = 99, passed = 0;

    for (int i = 0; i < 10; i++)
        passed += log_limit_pass(&limit, 5000 + (uint64_t)i, 3, &missed);
    assert_int_equal(passed, 3);
    assert_int_equal(missed, 0);
    assert_false(log_limit_pass(&limit, 5999, 3, &missed));
    assert_true(log_limit_pass(&limit, 6000, 3, &missed));
    assert_int_equal(missed, 8);
    assert_true(log_limit_pass(&limit, 6000, 3, &missed));
    assert_int_equal(missed, 0);
    /* a long silence does not add to the allowance */
    passed = 0;
    for (int i = 0; i < 10; i++)
        passed += log_limit_pass(&limit, 100000, 3, &missed);
    assert_int_equal(passed, 3);
    struct log_limit never = {0};
    assert_false(log_limit_pass(&never, 0, 0, &missed));
}

static void a_limited_line_says_how_many_were_left_out(void **state)
{
    (void)state;
    struct log_limit limit = {0};
    struct log_line l;

    open_new(LOG_LEVEL_INFO);
    assert_true(log_begin_limited(&l, LOG_LEVEL_INFO, "e", &limit, 1000, 1));
    log_num(&l, "n", 1);
    log_end(&l);
    assert_string_equal(the_line(), "info e n=1");
    for (int i = 0; i < 3; i++)
        assert_false(log_begin_limited(&l, LOG_LEVEL_INFO, "e", &limit, 1500, 1));
    open_new(LOG_LEVEL_INFO);
    assert_true(log_begin_limited(&l, LOG_LEVEL_INFO, "e", &limit, 2000, 1));
    log_num(&l, "n", 2);
    log_end(&l);
    assert_string_equal(the_line(), "info e n=2 lines-left-out=3");
}

/* ---- JSON ---- */

static void open_json(void)
{
    unlink(path);
    assert_int_equal(log_open(path, LOG_LEVEL_INFO, LOG_FORMAT_JSON), ERR_OK);
}

/* Returns the only line of the file from its level on, after checking its start. */
static const char *the_object(void)
{
    static char line[8192];
    const char *text = read_all(path), *end = strchr(text, '\n');
    int n = 0;
    assert_non_null(end);
    assert_int_equal(end[1], '\0');
    assert_true(end - text + 1 < 4096); /* PIPE_BUF */
    assert_int_equal(sscanf(text, "{\"time\":\"%*4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ\",%n", &n), 0);
    assert_int_equal(n, 35);
    snprintf(line, sizeof line, "%.*s", (int)(end - text - n), text + n);
    return line;
}

static void a_line_is_an_object_with_the_same_fields(void **state)
{
    (void)state;
    struct log_line l;
    open_json();
    log_begin(&l, LOG_LEVEL_WARNING, "call");
    log_str(&l, "user", "bob");
    log_str(&l, "host", NULL);
    log_str(&l, "sni", "");
    log_str(&l, "dash", "-");
    log_num(&l, "octets", UINT64_MAX);
    log_seconds(&l, "duration", 12005);
    log_fmt(&l, "id", "%u-%d", 3u, 7);
    log_span(&l, "k", span_of("a\0\"\xff\n\xc3\xbc", 7));
    l.left_out = 3;
    log_end(&l);
    assert_string_equal(
        the_object(),
        "\"level\":\"warning\",\"event\":\"call\",\"user\":\"bob\",\"host\":null,\"sni\":null,"
        "\"dash\":\"-\",\"octets\":18446744073709551615,\"duration\":12.005,\"id\":\"3-7\","
        "\"k\":\"a\\u0000\\\"\\uefff\\u000a\xc3\xbc\",\"lines-left-out\":3}");
    open_json();
    log_msg(LOG_LEVEL_INFO, "e", "%d words", 2);
    assert_string_equal(the_object(), "\"level\":\"info\",\"event\":\"e\",\"msg\":\"2 words\"}");
}

static void seconds_are_text_too(void **state)
{
    (void)state;
    struct log_line l;
    open_new(LOG_LEVEL_INFO);
    log_begin(&l, LOG_LEVEL_INFO, "e");
    log_seconds(&l, "duration", 31);
    log_end(&l);
    assert_string_equal(the_line(), "info e duration=0.031");
}

/* Skips a string of JSON, strictly. */
static const char *skip_string(const char *at)
{
    assert_int_equal(*at++, '"');
    for (; *at != '"'; at++) {
        assert_true((unsigned char)*at >= ' ');
        if (*at != '\\')
            continue;
        at++;
        assert_non_null(strchr("\"\\u", *at));
        if (*at == 'u')
            for (int i = 0; i < 4; i++)
                assert_non_null(strchr("0123456789abcdef", *++at));
    }
    return at + 1;
}

/* Checks that the rest of an object consists of whole members, and returns whether the last one is
 * "cut":true. */
static bool check_members(const char *at)
{
    static const char mark[] = "\"cut\":true}";
    for (;;) {
        if (strcmp(at, mark) == 0)
            return true;
        at = skip_string(at);
        assert_int_equal(*at++, ':');
        at = *at == '"' ? skip_string(at) : at + strspn(at, "0123456789.nul");
        if (strcmp(at, "}") == 0)
            return false;
        assert_int_equal(*at++, ',');
    }
}

/* Any content that becomes too long, at any place, gives an object that is marked as cut. */
static void objects_that_do_not_fit_are_cut(void **state)
{
    (void)state;
    static const char *const pieces[] = {"v",    "\n",    "\xc3\xbc",
                                         "\xff", "ab \"", "\xf3\xa0\x81\x81"};
    char value[4200];
    unsigned cuts = 0, whole = 0;
    for (size_t kind = 0; kind < sizeof pieces / sizeof *pieces; kind++) {
        const size_t piece = strlen(pieces[kind]);
        for (size_t n = kind == 0 || kind == 2 ? 3800 : 600; n < 4100; n += kind == 0 ? 1 : 7) {
            struct log_line l;
            for (size_t i = 0; i < n; i++)
                value[i] = pieces[kind][i % piece];
            value[n] = '\0';
            open_json();
            log_begin(&l, LOG_LEVEL_INFO, "e");
            log_str(&l, "k", value);
            log_num(&l, "number", UINT64_MAX);
            log_str(&l, "word", "b");
            log_str(&l, "unknown", NULL);
            log_end(&l);
            const char *line = the_object();
            const bool cut = check_members(line);
            if (!cut)
                assert_non_null(strstr(line, ",\"word\":\"b\",\"unknown\":null}"));
            *(cut ? &cuts : &whole) += 1;
        }
    }
    assert_true(cuts > 100 && whole > 100);
}

static void dropped_lines_are_reported_in_json(void **state)
{
    (void)state;
    enum {
        FIRST = sizeof "{\"time\":\"2026-01-01T00:00:00.000Z\",\"level\":\"info\",\"event\":"
                       "\"first\",\"msg\":\"1\"}"
    };
    signal(SIGXFSZ, SIG_IGN);
    open_json();
    log_msg(LOG_LEVEL_INFO, "first", "1");
    disk_ends_at(FIRST);
    log_msg(LOG_LEVEL_INFO, "lost", "2");
    disk_ends_at(RLIM_INFINITY);
    log_msg(LOG_LEVEL_INFO, "room", "3");
    const char *text = read_all(path);
    assert_int_equal(text[FIRST - 1], '\n');
    const char *line = text + FIRST + 35;
    static const char want[] = "\"level\":\"warning\",\"event\":\"log\",\"dropped\":1}\n";
    assert_int_equal(strncmp(line, want, strlen(want)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_event_and_keys),
        cmocka_unit_test(values_are_quoted),
        cmocka_unit_test(a_stranger_cannot_forge_a_line),
        cmocka_unit_test(lines_that_do_not_fit_are_cut),
        cmocka_unit_test(levels),
        cmocka_unit_test(the_level_changes_at_run_time),
        cmocka_unit_test(levels_have_names),
        cmocka_unit_test(the_file_is_not_for_everybody),
        cmocka_unit_test(a_target_that_cannot_be_opened_changes_nothing),
        cmocka_unit_test(reopen_after_rotation),
        cmocka_unit_test(a_line_that_a_full_disk_cuts_is_ended),
        cmocka_unit_test(a_file_that_ends_within_a_line_gets_its_end),
        cmocka_unit_test(a_line_under_way_is_not_cut),
        cmocka_unit_test(a_fifo_without_a_reader_blocks_no_thread),
        cmocka_unit_test(a_full_pipe_as_standard_error_blocks_no_thread),
        cmocka_unit_test(any_thread_may_log_while_the_file_changes),
        cmocka_unit_test(no_descriptor_is_left_behind),
        cmocka_unit_test(a_long_message_shows_its_cut),
        cmocka_unit_test(the_limiter_counts_what_it_leaves_out),
        cmocka_unit_test(a_limited_line_says_how_many_were_left_out),
        cmocka_unit_test(a_line_is_an_object_with_the_same_fields),
        cmocka_unit_test(seconds_are_text_too),
        cmocka_unit_test(objects_that_do_not_fit_are_cut),
        cmocka_unit_test(dropped_lines_are_reported_in_json),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
