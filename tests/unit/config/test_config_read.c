#include "config/config_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

#include "config/config_fixture.h"

/* Lines that libinih would cut, join or skip silently are reported. */
static void what_inih_hides_is_found(void **state)
{
    (void)state;
#define LONG_LINE                                                                                  \
    ": this line is longer than 198 bytes: repeat the key instead of writing a list, and write "   \
    "comments on lines of their own\n"
#define CONTROL ": this line contains a control character (or a lone CR)\n"
#define EXPECTED ": expected `key = value` or [section]\n"
    static const struct {
        const char *text;
        size_t len; /* 0: all of it */
        const char *problems;
    } table[] = {
        /* a line may have 198 bytes, blanks and line ends not counted, but not 199 */
        {MINIMAL "users-file = /" X50 X50 "x ;" X50 X10 X10 X10 "x\r\n", 0, ""},
        {MINIMAL "  users-file = /" X50 X50 "x ;" X50 X10 X10 X10 "x\t \n", 0, ""},
        {MINIMAL "users-file = /" X50 X50 "x ;" X50 X10 X10 X10 "xx\n", 0, "7" LONG_LINE},
        /* the line after a full one is read */
        {MINIMAL "users-file = /" X50 X50 "x ;" X50 X10 X10 X10 "x\nwait\n[gate]\n", 0,
         "8" EXPECTED},
        {"[gate] ;" X50 X50 X50 X50 "\nbanana = 1\n" MINIMAL, 0, "1" LONG_LINE},
        {";" X50 X50 X50 X50 X50 "\n  #" X50 X50 X50 X50 X50 "\n" MINIMAL, 0, ""},
        {MINIMAL "users-file = /" X50 X50 X50 X10 X10 "xxxxx\n", 0, ""},
        {MINIMAL "users-file = /" X50 X50 X50 X10 X10 "xxxxxx\n", 0,
         "7: a value is longer than 176 bytes\n"},
        /* a relative path grows by "/etc/gate/" */
        {MINIMAL "users-file = " X50 X50 X50 X10 "xxxxxx\n", 0, ""},
        {MINIMAL "users-file = " X50 X50 X50 X10 "xxxxxxx\n", 0,
         "7: users-file: '/etc/gate/" X50 X50 X50 X10 "xxxxxxx' does not fit into one value (at "
         "most 176 bytes, no comment): use an absolute path\n"},
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
        {LISTENER_TEXT "\xef\xbb\xbf[gate]\n" BACKEND_TEXT, 0, "4" EXPECTED},
        /* control characters */
        {MINIMAL "users-file = a\rb\n", 0, "7" CONTROL},
        {MINIMAL "users-file = a\033b\n; \177\n", 0, "7" CONTROL "8" CONTROL},
        {MINIMAL "users-file = a\0b\n", sizeof MINIMAL "users-file = a\0b", "7" CONTROL},
        {"[ga\vte]\nbanana = 1\n" MINIMAL, 0, "1" CONTROL},
        /* comments */
        {"[gate] ; x\nworkers = 1 ; x\nlog-level = info\t; x\n;x\n#x\n" MINIMAL, 0, ""},
        {"[gate]# x\n" MINIMAL, 0, ""},
        {MINIMAL "users-file = a # b\n", 0,
         "7: ` #` after a value would be part of it: a comment after a value starts with ` ;`\n"},
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_inih_hides_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
