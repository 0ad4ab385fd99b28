#include "config/config_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "config/config_fixture.h"

/* Lines that libinih would cut, join or skip silently are reported. */
static void lines_that_inih_hides_are_reported(void **state)
{
    (void)state;
#define LONG_VALUE ": a value is longer than 1024 bytes: a key with a list may be repeated\n"
#define UNSEEN(byte, name)                                                                         \
    ": " name " at byte " byte " of this line cannot be seen: type that part again\n"
#define CONTROL ": this line contains a control character (or a lone CR)\n"
#define AFTER_VALUE                                                                                \
    ": ` #` after a value would be part of it: a comment after a value starts with ` ;`\n"
#define ENCODING ": UTF-16, as PowerShell and some editors of Windows write it: save it as UTF-8\n"
#define EXPECTED ": expected `key = value` or [section]\n"
    static const struct {
        const char *text;
        size_t len; /* 0: all of it */
        const char *problems;
    } table[] = {
        /* of a long line, inih reads the start; a comment may have any length */
        {MINIMAL "users-file = /" X50 X50 X50 X50 X10 X10 X10 " ;" X50 "\r\n", 0, ""},
        {MINIMAL "users-file = a ;" X50 X50 X50 X10 X10 X10 "x\n[gate]\nworkers = 1\n", 0, ""},
        {MINIMAL "users-file = a ;" X50 X50 X50 X10 X10 X10 "xx\nwait\n[gate]\n", 0, "8" EXPECTED},
        {"[gate] ;" X50 X50 X50 X50 "\nbanana = 1\n" MINIMAL, 0,
         "2: unknown key 'banana' in [gate]\n"},
        {";" X50 X50 X50 X50 X50 "\n  #" X50 X50 X50 X50 X50 "\n" MINIMAL, 0, ""},
        {MINIMAL X50 X50 X50 X50 " = 1\n", 0, "7" EXPECTED},
        {MINIMAL X50 X50 X50 " = " X50 X50 "\n", 0, "7: a key's name is longer than 49 bytes\n"},
        {MINIMAL "users-file = /" X1000 X10 X10 "xxx\n", 0, ""},
        {MINIMAL "users-file = /" X1000 X10 X10 "xxx \t;" X50 "\n", 0, ""},
        {MINIMAL "users-file = /" X1000 X10 X10 "xxxx\n", 0, "7" LONG_VALUE},
        {MINIMAL "users-file = /" X1000 " # " X10 "\n", 0, "7" AFTER_VALUE},
        /* a relative path grows by "/etc/gate/" */
        {MINIMAL "users-file = " X1000 X10 "xxxx\n", 0, ""},
        {MINIMAL "users-file = " X1000 X10 "xxxxx\n", 0,
         "7: users-file: '/etc/gate/" X1000 X10 "xxxxx' does not fit into one value (at "
         "most 1024 bytes, no comment): use an absolute path\n"},
        {"[" X50 "]\nfoo = bar\n" MINIMAL, 0, "1: a section's name is longer than 49 bytes\n"},
        {MINIMAL X50 " = 1\n", 0, "7: a key's name is longer than 49 bytes\n"},
        /* no continuation lines: blanks before a key are ignored */
        {"[gate]\n  workers = 1\n\tlog-level = debug\n  " MINIMAL, 0, ""},
        {"[gate]\nworkers = 1\n  2\n" MINIMAL, 0, "3" EXPECTED},
        /* lines that are neither a key nor a section */
        {MINIMAL "users-file\n", 0, "7" EXPECTED},
        {MINIMAL "= x\n", 0, "7" EXPECTED},
        {MINIMAL "server 127.0.0.1:443\n", 0, "7" EXPECTED},
        {MINIMAL "users-file ; = x", 0, "7" EXPECTED},
        /* ends of lines and of files */
        {"\xef\xbb\xbf[gate]\r\nworkers = 1\r\n" MINIMAL "users-file = x\r", 0, ""},
        {"\xef\xbb\xbf" MINIMAL "users-file = x", 0, ""},
        /* hidden characters, except in comments */
        {LISTENER_TEXT "\xef\xbb\xbf[gate]\nworkers = 1\n" BACKEND_TEXT, 0,
         "4" UNSEEN("1", "U+FEFF ZERO WIDTH NO-BREAK SPACE (a byte order mark)")},
        {MINIMAL "users-file\xc2\xa0= a\n", 0, "7" UNSEEN("11", "U+00A0 NO-BREAK SPACE")},
        {MINIMAL "\xc2\xa0users-file = a\n", 0, "7" UNSEEN("1", "U+00A0 NO-BREAK SPACE")},
        {MINIMAL "  \xc2\xa0\n", 0, "7" UNSEEN("3", "U+00A0 NO-BREAK SPACE")},
        {"[listener\xc2\xa0"
         "a]\nlisten = x\n" MINIMAL,
         0, "1" UNSEEN("10", "U+00A0 NO-BREAK SPACE")},
        {"[gate]\xe2\x80\x8b\n" MINIMAL, 0, "1" UNSEEN("7", "U+200B ZERO WIDTH SPACE")},
        {MINIMAL "pin-sha256 = \xe2\x80\x8e" SHA1 "\n", 0,
         "7" UNSEEN("14", "U+200E LEFT-TO-RIGHT MARK")},
        {MINIMAL "users-file = a\xa0\n", 0,
         "7" UNSEEN("15", "byte A0 (NO-BREAK SPACE in Windows-1252)")},
        {LISTENER_TEXT "deny = user alice\xc2\xa0\ndeny = user a\xc2\xad"
                       "b ; c\n" BACKEND_TEXT,
         0, "4" UNSEEN("18", "U+00A0 NO-BREAK SPACE") "5" UNSEEN("14", "U+00AD SOFT HYPHEN")},
        {"\xc2\xa0; x\n" MINIMAL, 0, "1" UNSEEN("1", "U+00A0 NO-BREAK SPACE")},
        {"; \xc2\xa0\n\t#\xe2\x80\x8e\n[gate]#\xc2\xa0\nworkers = 1 ;\xc2\xa0\n" MINIMAL, 0, ""},
        {LISTENER_TEXT "deny = user J\xc3\xbcrgen\n" BACKEND_TEXT, 0, ""},
    /* other encodings; a comment may have any */
#define FOREIGN(byte, hex)                                                                         \
    ": byte " byte " of this line (0x" hex ") is not UTF-8: save the file as UTF-8\n"
        {LISTENER_TEXT "deny = user j\xfcrgen\n" BACKEND_TEXT, 0, "4" FOREIGN("14", "FC")},
        {MINIMAL "users-file = caf\xe9\n[gate\xe9]\nbanana = 1\n", 0,
         "7" FOREIGN("17", "E9") "8" FOREIGN("6", "E9")},
        {MINIMAL "k\xf6y = 1\n", 0, "7" FOREIGN("2", "F6")},
        {"# j\xfcrgen\n" MINIMAL "users-file = a ; j\xfcrgen\n", 0, ""},
        {"\xff\xfe[\0g\0", 6, "1" ENCODING},
        {"[\0g\0a\0\n\0", 8, "1" ENCODING},
        /* control characters */
        {MINIMAL "users-file = a\rb\n", 0, "7" CONTROL},
        {MINIMAL "users-file = a\033b\n; \177\n", 0, "7" CONTROL "8" CONTROL},
        {MINIMAL "users-file = a\0b\n", sizeof MINIMAL "users-file = a\0b", "7" CONTROL},
        {"[ga\vte]\nbanana = 1\n" MINIMAL, 0, "1" CONTROL},
        /* comments */
        {"[gate] ; x\nworkers = 1 ; x\nlog-level = info\t; x\n;x\n#x\n" MINIMAL, 0, ""},
        {"[gate]# x\n" MINIMAL, 0, ""},
        {MINIMAL "users-file = a # b\n", 0, "7" AFTER_VALUE},
        {MINIMAL "users-file = # b\n", 0, "7" AFTER_VALUE},
        {MINIMAL "users-file = a#b;c\n", 0, ""},
        {MINIMAL "users-file = \"a\"\n", 0, "7: values are written without quotes\n"},
        /* other forms that inih accepts */
        {MINIMAL "users-file: a\n", 0, ""},
        {"[  gate  ]\n" MINIMAL, 0, ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        size_t len = table[i].len != 0 ? table[i].len : strlen(table[i].text);
        char *problems = problems_of(table[i].text, len);
        if (strcmp(problems, table[i].problems) != 0)
            fail_msg("%s\n%s", table[i].text, problems);
        free(problems);
    }
}

struct seen {
    char text[512];
    size_t n;
};

static void on_section(void *user, unsigned line, const char *name)
{
    struct seen *s = user;
    s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, "%u [%s]\n", line,
                             name == NULL ? "-" : name);
}

static void on_key(void *user, unsigned line, const char *key, const char *value)
{
    struct seen *s = user;
    s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, "%u %s=%s\n", line, key, value);
}

static void on_problem(void *user, unsigned line, const char *reason)
{
    struct seen *s = user;
    s->n += (size_t)snprintf(s->text + s->n, sizeof s->text - s->n, "%u %s\n", line, reason);
}

/* inih chooses the key and the separator; config_read finds the end of the value. */
static void values_end_where_inih_ends_them(void **state)
{
    (void)state;
    static const char text[] = "[gate]\n"
                               "a=b\n"
                               "a:b=c\n"
                               "a = b:c \n"
                               "\ta\t:\tb ; c\n"
                               "a =;b\n"
                               "a = ;b\n"
                               "a = b;c ;d ;e\n"
                               "a == b\n"
                               "a =";
    struct seen s = {.n = 0};
    const struct config_events to = {
        .user = &s, .on_section = on_section, .on_key = on_key, .on_problem = on_problem};
    config_read(span_str(text), &to);
    assert_string_equal(s.text, "1 [gate]\n"
                                "2 a=b\n"
                                "3 a=b=c\n"
                                "4 a=b:c\n"
                                "5 a=b\n"
                                "6 a=;b\n"
                                "7 a=\n"
                                "8 a=b;c\n"
                                "9 a== b\n"
                                "10 a=\n");
}

/* Reads a file of n bytes. Returns its length, or -1 if `problems` has the reason. */
static long length_read(size_t n, char problems[256])
{
    char path[] = "/tmp/test_config_read.XXXXXX";
    const int fd = mkstemp(path);
    size_t len = 0;
    FILE *f = fmemopen(problems, 256, "w");

    assert_true(fd >= 0);
    assert_non_null(f);
    assert_int_equal(ftruncate(fd, (off_t)n), 0);
    char *text = config_read_file(path, &len, f);
    fclose(f);
    close(fd);
    unlink(path);
    const bool read = text != NULL;
    free(text);
    return read ? (long)len : -1;
}

static void length_is_bounded(void **state)
{
    (void)state;
    enum { MOST = 1 << 20 };
    char problems[256];
    const size_t good[] = {0, 1, 65536, MOST};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(length_read(good[i], problems), (long)good[i]);
    assert_int_equal(length_read(MOST + 1, problems), -1);
    assert_non_null(
        strstr(problems, " cannot be read: larger than 1 MiB: not a configuration file\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_that_inih_hides_are_reported),
        cmocka_unit_test(values_end_where_inih_ends_them),
        cmocka_unit_test(length_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
