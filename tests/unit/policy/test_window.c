#include "policy/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
/* cmocka.h needs the four headers above it */
#include <cmocka.h>

static int64_t utc(const char *text)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
    assert_true(end != NULL && *end == '\0');
    return timegm(&tm);
}

static void windows(void **state)
{
    (void)state;
    static const struct {
        const char *days, *hours;
        const char *local; /* 2024-01-01 was a Monday */
        bool has;
    } table[] = {
        {"Mon", "08:00-18:00", "2024-01-01 08:00:00", true},
        {"Mon", "08:00-18:00", "2024-01-01 07:59:59", false},
        {"Mon", "08:00-18:00", "2024-01-01 17:59:59", true},
        {"Mon", "08:00-18:00", "2024-01-01 18:00:00", false},
        {"mon", "00:00-24:00", "2024-01-01 00:00:00", true},
        {"MON", "00:00-24:00", "2024-01-01 23:59:59", true},
        {"Mon", "00:00-24:00", "2024-01-02 00:00:00", false},
        {"Mon", "00:00-24:00", "1969-12-29 12:00:00", true},
        {"Mon", "00:00-24:00", "1969-12-28 23:59:59", false},
        {"Tue-Thu", "00:00-24:00", "2024-01-01 12:00:00", false},
        {"Tue-Thu", "00:00-24:00", "2024-01-04 12:00:00", true},
        {"Tue-Thu", "00:00-24:00", "2024-01-05 12:00:00", false},
        {"Sat-Mon", "00:00-24:00", "2024-01-01 12:00:00", true},
        {"Sat-Mon", "00:00-24:00", "2024-01-07 12:00:00", true},
        {"Sat-Mon", "00:00-24:00", "2024-01-02 12:00:00", false},
        {"Sat-Mon", "00:00-24:00", "2024-01-05 12:00:00", false},
        {"Mon,Wed-Thu,Sun", "00:00-24:00", "2024-01-03 12:00:00", true},
        {"Mon,Wed-Thu,Sun", "00:00-24:00", "2024-01-02 12:00:00", false},
        {"Mon-Sun", "00:00-24:00", "2024-01-06 12:00:00", true},
        {"Tue-Mon", "00:00-24:00", "2024-01-01 12:00:00", true},
        {"Mon", "22:00-06:00", "2024-01-01 05:59:59", false},
        {"Mon", "22:00-06:00", "2024-01-01 22:00:00", true},
        {"Mon", "22:00-06:00", "2024-01-02 05:59:59", true},
        {"Mon", "22:00-06:00", "2024-01-02 06:00:00", false},
        {"Sun", "22:00-06:00", "2024-01-01 05:00:00", true},
        {"Mon", "22:00-00:00", "2024-01-01 23:59:59", true},
        {"Mon", "22:00-00:00", "2024-01-02 00:00:00", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct window w;
        assert_null(window_parse(table[i].days, table[i].hours, &w));
        if (window_has(&w, utc(table[i].local)) != table[i].has)
            fail_msg("%s %s %s", table[i].days, table[i].hours, table[i].local);
    }
}

static void windows_in_words(void **state)
{
    static const struct {
        const char *days, *hours, *printed;
    } table[] = {
        {"mon", "08:00-18:00", "Mon 08:00-18:00"},
        {"Mon,Tue,Wed", "00:00-24:00", "Mon-Wed 00:00-24:00"},
        {"Sat-Mon", "22:00-06:05", "Mon,Sat-Sun 22:00-06:05"},
        {"Mon-Sun", "00:00-24:00", "Mon-Sun 00:00-24:00"},
        {"Tue,Thu,Sun", "09:30-09:31", "Tue,Thu,Sun 09:30-09:31"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct window w;
        char text[64];
        FILE *f = fmemopen(text, sizeof text, "w");
        assert_non_null(f);
        assert_null(window_parse(table[i].days, table[i].hours, &w));
        window_print(&w, f);
        fclose(f);
        assert_string_equal(text, table[i].printed);
    }
}

static void a_time_in_words(void **state)
{
    static const struct {
        const char *local, *printed;
    } table[] = {
        {"2024-01-01 08:05:59", "Mon 08:05"},
        {"2024-01-07 23:59:59", "Sun 23:59"},
        {"1969-12-31 00:00:00", "Wed 00:00"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char text[32];
        FILE *f = fmemopen(text, sizeof text, "w");
        assert_non_null(f);
        window_print_time(utc(table[i].local), f);
        fclose(f);
        assert_string_equal(text, table[i].printed);
    }
}

static void bad_windows(void **state)
{
    (void)state;
    static const struct {
        const char *days, *hours, *problem;
    } table[] = {
        {"", "08:00-18:00", "write days"},
        {"Mo", "08:00-18:00", "write days"},
        {"Monday", "08:00-18:00", "write days"},
        {"Mon-", "08:00-18:00", "write days"},
        {"Mon,", "08:00-18:00", "write days"},
        {"Mon-Wed-Fri", "08:00-18:00", "write days"},
        {"Mon", "", "write hours"},
        {"Mon", "08:00", "write hours"},
        {"Mon", "8:00-18:00", "write hours"},
        {"Mon", "08:60-18:00", "write hours"},
        {"Mon", "08:00-24:01", "write hours"},
        {"Mon", "24:00-08:00", "write hours"},
        {"Mon", "08:00-18:00x", "write hours"},
        {"Mon", "08:00-18:0", "write hours"},
        {"Mon", "08:00-08:00", "the start equals"},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct window w;
        const char *problem = window_parse(table[i].days, table[i].hours, &w);
        if (problem == NULL || strncmp(problem, table[i].problem, strlen(table[i].problem)) != 0)
            fail_msg("%s %s: %s", table[i].days, table[i].hours, problem);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows),
        cmocka_unit_test(windows_in_words),
        cmocka_unit_test(a_time_in_words),
        cmocka_unit_test(bad_windows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
