#include "policy/zone.h"

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

/* A TZif file of version 2 in memory: an offset, changes, and a rule for the time after the
 * changes. */
struct image {
    uint8_t octets[1024];
    size_t len;
};

static void put(struct image *m, uint64_t value, size_t octets)
{
    while (octets-- > 0)
        m->octets[m->len++] = (uint8_t)(value >> 8 * octets);
}

static void put_header(struct image *m, char version, uint32_t leaps, uint32_t times,
                       uint32_t types)
{
    memcpy(m->octets + m->len, "TZif", 4);
    m->len += 4;
    put(m, (uint8_t)version, 1);
    m->len += 15;
    put(m, 0, 4);
    put(m, 0, 4);
    put(m, leaps, 4);
    put(m, times, 4);
    put(m, types, 4);
    put(m, 4, 4);
}

static struct image image(uint32_t count, const int64_t at[], const char *rule)
{
    struct image m = {.len = 0};
    put_header(&m, '2', 0, 0, 1);
    m.len += 6 + 4;
    put_header(&m, '2', 0, count, 2);
    for (uint32_t i = 0; i < count; i++)
        put(&m, (uint64_t)at[i], 8);
    for (uint32_t i = 0; i < count; i++)
        put(&m, (i + 1) % 2, 1);
    put(&m, 3600, 4);
    put(&m, 0, 2);
    put(&m, 7200, 4);
    put(&m, 256, 2);
    memcpy(m.octets + m.len, "AAA", 4);
    m.len += 4;
    m.len += (size_t)sprintf((char *)m.octets + m.len, "\n%s\n", rule);
    return m;
}

static struct zone *with_rule(const char *rule)
{
    const struct image m = image(0, NULL, rule);
    return zone_parse(m.octets, m.len);
}

static void changes_of_the_file(void **state)
{
    (void)state;
    const int64_t at[] = {-1000, 1000};
    struct image m = image(2, at, "");
    struct zone *z = zone_parse(m.octets, m.len);
    assert_non_null(z);
    assert_int_equal(zone_offset(z, -1001), 3600);
    assert_int_equal(zone_offset(z, -1000), 7200);
    assert_int_equal(zone_offset(z, 999), 7200);
    assert_int_equal(zone_offset(z, 1000), 3600);
    assert_int_equal(zone_offset(z, 5000000000), 3600);
    zone_free(z);
    /* a rule applies after the last change */
    m = image(2, at, "<-03>3");
    z = zone_parse(m.octets, m.len);
    assert_non_null(z);
    assert_int_equal(zone_offset(z, 999), 7200);
    assert_int_equal(zone_offset(z, 1000), -10800);
    zone_free(z);
}

static void rules_of_posix(void **state)
{
    (void)state;
    static const struct {
        const char *rule, *utc;
        int offset;
    } table[] = {
        {"UTC0", "2024-07-01 00:00:00", 0},
        {"<+0545>-5:45", "2024-07-01 00:00:00", 20700},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2024-01-01 00:00:00", 0},
        {"IST-1GMT0,M10.5.0,M3.5.0/1", "2024-07-01 00:00:00", 3600},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2050-03-27 00:59:59", 3600},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2050-03-27 01:00:00", 7200},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2050-10-30 00:59:59", 7200},
        {"CET-1CEST,M3.5.0,M10.5.0/3", "2050-10-30 01:00:00", 3600},
        /* in the southern hemisphere summer time includes new year */
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2024-12-31 23:59:59", 39600},
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2024-04-06 15:59:59", 39600},
        {"AEST-10AEDT,M10.1.0,M4.1.0/3", "2024-04-06 16:00:00", 36000},
        /* hours before the day, and more than 24 */
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31 00:59:59", -7200},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2024-03-31 01:00:00", -3600},
        {"IST-2IDT,M3.4.4/26,M10.5.0", "2024-03-28 23:59:59", 7200},
        {"IST-2IDT,M3.4.4/26,M10.5.0", "2024-03-29 00:00:00", 10800},
        /* days of the year: J60 is March 1, 59 is February 29 of a leap year */
        {"AAA0BBB,J60/0,J300/0", "2024-02-29 23:59:59", 0},
        {"AAA0BBB,J60/0,J300/0", "2024-03-01 00:00:00", 3600},
        {"AAA0BBB,59/0,300/0", "2024-02-29 00:00:00", 3600},
        {"AAA0BBB,59/0,300/0", "2023-02-28 23:59:59", 0},
        {"AAA0BBB,59/0,300/0", "2023-03-01 00:00:00", 3600},
        /* all the year */
        {"EST5EDT,0/0,J365/25", "2024-01-01 03:00:00", -14400},
        {"EST5EDT,0/0,J365/25", "2024-12-31 23:00:00", -14400},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct zone *z = with_rule(table[i].rule);
        if (z == NULL || zone_offset(z, utc(table[i].utc)) != table[i].offset)
            fail_msg("%s %s", table[i].rule, table[i].utc);
        zone_free(z);
    }
}

static void broken_files_are_none(void **state)
{
    (void)state;
    const int64_t at[] = {-1000, 1000}, unsorted[] = {5, 5};
    const struct image good = image(2, at, "CET-1CEST,M3.5.0,M10.5.0/3");
    for (size_t n = 0; n < good.len; n++) {
        uint8_t *octets = malloc(n + 1); /* so that a sanitizer knows its end */
        memcpy(octets, good.octets, n);
        assert_null(zone_parse(octets, n));
        free(octets);
    }
    struct image m = image(2, unsorted, "");
    assert_null(zone_parse(m.octets, m.len));
    m = good;
    m.octets[4] = 0; /* version 1 */
    assert_null(zone_parse(m.octets, m.len));
    m = good;
    m.octets[44 + 10 + 31] = 1; /* a leap second */
    assert_null(zone_parse(m.octets, m.len));
    m = good;
    m.octets[44 + 10 + 44 + 16] = 2; /* a type that does not exist */
    assert_null(zone_parse(m.octets, m.len));
    static const char *const rules[] = {"CET",
                                        "AA0",
                                        "CET-1CEST",
                                        "CET-1CEST,M3.5.0",
                                        "CET-1CEST,M13.5.0,M10.5.0",
                                        "CET-1CEST,M3.6.0,M10.5.0",
                                        "CET-1CEST,M3.5.7,M10.5.0",
                                        "CET-1CEST,J0,J1",
                                        "CET-1CEST,366,1",
                                        "CET-168",
                                        "CET-1:60",
                                        "<CET-1",
                                        "CET-1CEST,M3.5.0,M10.5.0/3x"};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (with_rule(rules[i]) != NULL)
            fail_msg("%s", rules[i]);
}

/* libc reads the same files: both must agree, before the first change and long after the last. */
static void libc_says_the_same(void **state)
{
    (void)state;
    static const char *const names[] = {
        "Europe/Berlin",    "Europe/Dublin",       "America/New_York",  "America/Sao_Paulo",
        "Asia/Kathmandu",   "Australia/Lord_Howe", "Africa/Casablanca", "America/Nuuk",
        "Pacific/Auckland", "Asia/Gaza",           "Etc/GMT+12",        "UTC"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char problem[ZONE_PROBLEM_MAX] = "", tz[64];
        struct zone *z = zone_load(names[i], problem);
        assert_string_equal(problem, "");
        snprintf(tz, sizeof tz, ":%s", names[i]);
        setenv("TZ", tz, 1);
        tzset();
        for (int64_t now = utc("1900-01-01 00:00:00"); now < utc("2100-01-01 00:00:00");
             now += 100003) {
            struct tm tm;
            const time_t t = (time_t)now;
            assert_non_null(localtime_r(&t, &tm));
            if (tm.tm_gmtoff != zone_offset(z, now))
                fail_msg("%s %lld: %ld, %d", names[i], (long long)now, tm.tm_gmtoff,
                         zone_offset(z, now));
        }
        zone_free(z);
    }
    unsetenv("TZ");
    tzset();
}

/* Every time of a zone is found by what the clocks show, and none in the hour that they skip. */
static void the_time_that_clocks_show(void **state)
{
    char problem[ZONE_PROBLEM_MAX];

    (void)state;
    struct zone *z = zone_load("Europe/Berlin", problem);
    int64_t found;
    assert_non_null(z);
    for (int64_t t = 1700000000; t < 1740000000; t += 1801) {
        const int64_t local = t + zone_offset(z, t);
        assert_true(zone_find(z, local, &found));
        assert_int_equal(found + zone_offset(z, found), local);
        assert_true(found <= t); /* of two such times the first */
        assert_true(found == t || found == t - 3600);
    }
    assert_false(zone_find(z, 1711850400, &found)); /* 2024-03-31 02:00 */
    assert_false(zone_find(z, 1711853999, &found)); /* 02:59:59 */
    assert_true(zone_find(z, 1711850399, &found));  /* 01:59:59 */
    assert_int_equal(found, 1711846799);
    assert_true(zone_find(z, 1711854000, &found)); /* 03:00 */
    assert_int_equal(found, 1711846800);
    assert_true(zone_find(z, 1729996200, &found)); /* 2024-10-27 02:30, twice */
    assert_int_equal(found, 1729989000);
    zone_free(z);
}

static void names_of_zones(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool valid;
    } table[] = {
        {"UTC", true},           {"local", true}, {"America/Argentina/Buenos_Aires", true},
        {"Etc/GMT-14", true},    {"", false},     {"/etc/localtime", false},
        {"../localtime", false}, {"a b", false},  {"Europe/Berlin\n", false},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_int_equal(zone_name_valid(table[i].name), table[i].valid);
    char problem[ZONE_PROBLEM_MAX];
    struct zone *z = zone_load("local", problem);
    assert_non_null(z);
    zone_free(z);
    assert_null(zone_load("zone.tab", problem));
    assert_string_equal(problem, "/usr/share/zoneinfo/zone.tab: not a TZif file of version 2 or "
                                 "newer without leap seconds");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_of_the_file),   cmocka_unit_test(rules_of_posix),
        cmocka_unit_test(broken_files_are_none), cmocka_unit_test(libc_says_the_same),
        cmocka_unit_test(names_of_zones),        cmocka_unit_test(the_time_that_clocks_show),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
