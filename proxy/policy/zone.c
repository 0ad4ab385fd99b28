#include "policy/zone.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/ascii.h"
#include "base/insist.h"
#include "base/span.h"

/* The largest of Debian's files has 4 kB. */
enum { FILE_MAX = 64 * 1024, NAME_MAX_LENGTH = 64 };

enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };

struct zone_change {
    int64_t at;
    int32_t offset; /* from this time on */
};

/* The day of each year on which the clocks change, and the second of this day (local time, may
 * be negative or more than a day). */
struct zone_yearly {
    enum { JULIAN, ZERO_BASED, MONTH_WEEK_DAY } form;
    int day; /* 1..365 without February 29; 0..365; 0 (Sunday)..6 */
    int month, week;
    int32_t second;
};

/* The rule after the last change of the file (RFC 8536 3.3: a TZ string of POSIX). */
struct zone_rule {
    int32_t standard, summer;
    bool has_summer;
    struct zone_yearly begin, end; /* of summer time */
};

struct zone {
    int32_t first; /* offset before the first change */
    struct zone_change *change;
    size_t count;
    bool has_rule;
    struct zone_rule rule;
};

/* ---- the rule ------------------------------------------------------------------------------- */

static bool skip_char(const char **p, char c)
{
    if (**p != c)
        return false;
    ++*p;
    return true;
}

static bool read_int(const char **p, int min, int max, int *out)
{
    int n = 0;
    const char *start = *p;
    for (; ascii_is_digit(**p); ++*p) {
        n = 10 * n + (**p - '0');
        if (n > max)
            return false;
    }
    *out = n;
    return *p > start && n >= min;
}

/* Reads [+-]hh[:mm[:ss]]; hours up to 167, an extension of RFC 8536 3.3.1. */
static bool read_posix_time(const char **p, int32_t *out)
{
    int h = 0, m = 0, s = 0;
    const bool minus = **p == '-';
    if (minus || **p == '+')
        ++*p;
    if (!read_int(p, 0, 167, &h) || (skip_char(p, ':') && !read_int(p, 0, 59, &m)) ||
        (skip_char(p, ':') && !read_int(p, 0, 59, &s)))
        return false;
    *out = h * HOUR + m * MINUTE + s;
    if (minus)
        *out = -*out;
    return true;
}

/* Skips three letters or more, or any text in <>. */
static bool skip_name(const char **p)
{
    const char *start = *p;
    if (skip_char(p, '<')) {
        *p += strcspn(*p, ">");
        return skip_char(p, '>');
    }
    while (ascii_is_letter(**p))
        ++*p;
    return *p - start >= 3;
}

static bool read_yearly(const char **p, struct zone_yearly *y)
{
    bool good;
    if (skip_char(p, 'M')) {
        y->form = MONTH_WEEK_DAY;
        good = read_int(p, 1, 12, &y->month) && skip_char(p, '.') && read_int(p, 1, 5, &y->week) &&
               skip_char(p, '.') && read_int(p, 0, 6, &y->day);
    } else if (skip_char(p, 'J')) {
        y->form = JULIAN;
        good = read_int(p, 1, 365, &y->day);
    } else {
        y->form = ZERO_BASED;
        good = read_int(p, 0, 365, &y->day);
    }
    y->second = 2 * HOUR;
    return good && (!skip_char(p, '/') || read_posix_time(p, &y->second));
}

static bool read_zone_rule(const char *p, struct zone_rule *r)
{
    /* POSIX counts hours west of UTC. */
    if (!skip_name(&p) || !read_posix_time(&p, &r->standard))
        return false;
    r->standard = -r->standard;
    r->has_summer = *p != '\0';
    if (!r->has_summer)
        return true;
    if (!skip_name(&p))
        return false;
    r->summer = r->standard + HOUR;
    if (*p != ',' && *p != '\0') {
        if (!read_posix_time(&p, &r->summer))
            return false;
        r->summer = -r->summer;
    }
    return skip_char(&p, ',') && read_yearly(&p, &r->begin) && skip_char(&p, ',') &&
           read_yearly(&p, &r->end) && *p == '\0';
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Returns the days from 1970 to January 1 of the year. */
static int64_t new_year(int64_t year)
{
    const int64_t y = year - 1;
    return 365 * (year - 1970) + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400) - 477;
}

static int64_t year_of(int64_t seconds)
{
    const int64_t days = floor_div(seconds, DAY);
    int64_t year = 1970 + floor_div(days * 400, 146097);
    while (new_year(year) > days)
        year--;
    while (new_year(year + 1) <= days)
        year++;
    return year;
}

/* Returns the day of y in this year, in days from 1970. */
static int64_t day_of(const struct zone_yearly *y, int64_t year)
{
    static const int before[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365};
    const int leap = is_leap(year);
    const int64_t first = new_year(year);

    if (y->form == ZERO_BASED)
        return first + y->day;
    if (y->form == JULIAN)
        return first + y->day - 1 + (leap && y->day > 31 + 28);
    const int64_t month = first + before[y->month - 1] + (leap && y->month > 2);
    const int length = before[y->month] - before[y->month - 1] + (leap && y->month == 2);
    const int weekday = (int)((month % 7 + 7 + 4) % 7); /* 1970-01-01 was a Thursday */
    int day = (y->day - weekday + 7) % 7 + 7 * (y->week - 1);
    return month + (day < length ? day : day - 7); /* week 5 is the last */
}

static int32_t rule_offset(const struct zone_rule *r, int64_t now)
{
    /* The last change before now decides. It may belong to the previous year, or, near new year,
     * to the next. */
    int64_t latest = INT64_MIN;
    int32_t offset = r->standard;
    const int64_t this_year = year_of(now + r->standard);
    for (int64_t year = this_year - 1; r->has_summer && year <= this_year + 1; year++) {
        const int64_t end = day_of(&r->end, year) * DAY + r->end.second - r->summer;
        const int64_t begin = day_of(&r->begin, year) * DAY + r->begin.second - r->standard;
        if (end <= now && end >= latest) {
            latest = end;
            offset = r->standard;
        }
        if (begin <= now && begin >= latest) {
            latest = begin;
            offset = r->summer;
        }
    }
    return offset;
}

/* ---- the file ------------------------------------------------------------------------------- */

struct tzif_header {
    uint8_t version;
    uint32_t isutcnt, isstdcnt, leapcnt, timecnt, typecnt, charcnt;
};

/* Reads the header (RFC 8536 3.1). */
static bool read_header(struct cursor *c, struct tzif_header *h)
{
    const bool magic = span_eq(cursor_take(c, 4), span_str("TZif"));
    h->version = cursor_u8(c);
    cursor_take(c, 15);
    h->isutcnt = cursor_u32(c);
    h->isstdcnt = cursor_u32(c);
    h->leapcnt = cursor_u32(c);
    h->timecnt = cursor_u32(c);
    h->typecnt = cursor_u32(c);
    h->charcnt = cursor_u32(c);
    /* Bounds the sizes below; a valid file has no larger count. */
    return magic && h->isutcnt <= FILE_MAX && h->isstdcnt <= FILE_MAX && h->leapcnt <= FILE_MAX &&
           h->timecnt <= FILE_MAX && h->typecnt <= FILE_MAX && h->charcnt <= FILE_MAX;
}

static int64_t read_i64(struct cursor *c)
{
    const uint64_t high = cursor_u32(c);
    return (int64_t)(high << 32 | cursor_u32(c));
}

/* Reads the block with times of eight bytes (RFC 8536 3.2). */
static bool read_changes(struct cursor *c, const struct tzif_header *h, struct zone *z)
{
    const struct span times = cursor_take(c, h->timecnt * 8);
    const struct span indices = cursor_take(c, h->timecnt);
    const struct span types = cursor_take(c, h->typecnt * 6);
    cursor_take(c, h->charcnt);
    cursor_take(c, h->isstdcnt);
    cursor_take(c, h->isutcnt);
    if (c->short_ || h->leapcnt != 0 || h->typecnt == 0)
        return false;

    struct cursor time = cursor_of(times), first = cursor_of(types);
    z->first = (int32_t)cursor_u32(&first);
    z->count = h->timecnt;
    z->change = insist_alloc(calloc(h->timecnt + 1, sizeof *z->change));
    for (size_t i = 0; i < h->timecnt; i++) {
        if (indices.p[i] >= h->typecnt)
            return false;
        struct cursor type = cursor_of(span_from(types, 6 * (size_t)indices.p[i]));
        z->change[i].at = read_i64(&time);
        z->change[i].offset = (int32_t)cursor_u32(&type);
        if (i > 0 && z->change[i].at <= z->change[i - 1].at)
            return false;
    }
    return true;
}

/* Reads the footer: a line feed, the rule or nothing, a line feed (RFC 8536 3.3). */
static bool read_footer(struct cursor *c, struct zone *z)
{
    char text[128];
    if (cursor_u8(c) != '\n' || c->rest.n == 0)
        return false;
    const uint8_t *end = memchr(c->rest.p, '\n', c->rest.n);
    const size_t n = end == NULL ? sizeof text : (size_t)(end - c->rest.p);
    if (n >= sizeof text)
        return false;
    memcpy(text, c->rest.p, n);
    text[n] = '\0';
    z->has_rule = n > 0;
    return n == 0 || (strlen(text) == n && read_zone_rule(text, &z->rule));
}

struct zone *zone_parse(const void *octets, size_t len)
{
    struct cursor c = cursor_of(span_of(octets, len));
    struct tzif_header old, h;
    struct zone *z = NEW(struct zone);

    bool good = read_header(&c, &old) && old.version >= '2';
    if (good) /* skips the block of version 1, with times of four bytes */
        cursor_take(&c, old.timecnt * 5 + old.typecnt * 6 + old.charcnt + old.leapcnt * 8 +
                            old.isstdcnt + old.isutcnt);
    good = good && read_header(&c, &h) && read_changes(&c, &h, z) && read_footer(&c, z);
    if (good)
        return z;
    zone_free(z);
    return NULL;
}

bool zone_name_valid(const char *name)
{
    const size_t n = strlen(name);
    if (n == 0 || n > NAME_MAX_LENGTH || *name == '/' || strstr(name, "..") != NULL)
        return false;
    return strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/.") == n;
}

static struct zone *zone_load_file(const char *path, char problem[ZONE_PROBLEM_MAX])
{
    struct zone *z = NULL;
    char *octets = insist_alloc(malloc(FILE_MAX));
    FILE *f = fopen(path, "re");
    const size_t len = f == NULL ? 0 : fread(octets, 1, FILE_MAX, f);

    if (f == NULL || ferror(f))
        snprintf(problem, ZONE_PROBLEM_MAX, "%s: %s", path, strerror(errno));
    else if ((z = zone_parse(octets, len)) == NULL)
        snprintf(problem, ZONE_PROBLEM_MAX,
                 "%s: not a TZif file of version 2 or newer without leap seconds", path);
    if (f != NULL)
        fclose(f);
    free(octets);
    return z;
}

struct zone *zone_load(const char *name, char problem[ZONE_PROBLEM_MAX])
{
    char path[128];
    INSIST(zone_name_valid(name));
    if (strcmp(name, "UTC") == 0)
        return NEW(struct zone);
    if (strcmp(name, "local") != 0) {
        snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
        return zone_load_file(path, problem);
    }
    FILE *f = fopen("/etc/localtime", "re");
    if (f == NULL && errno == ENOENT)
        return NEW(struct zone);
    if (f != NULL)
        fclose(f);
    return zone_load_file("/etc/localtime", problem);
}

void zone_free(struct zone *z)
{
    if (z == NULL)
        return;
    free(z->change);
    free(z);
}

int32_t zone_offset(const struct zone *z, int64_t now)
{
    size_t from = 0,
           n = z->count; /* changes before `from` are in the past, those from n on are not */
    while (from < n) {
        const size_t middle = from + (n - from) / 2;
        if (z->change[middle].at <= now)
            from = middle + 1;
        else
            n = middle;
    }
    if (from == z->count && z->has_rule)
        return rule_offset(&z->rule, now);
    return from == 0 ? z->first : z->change[from - 1].offset;
}

bool zone_find(const struct zone *z, int64_t local, int64_t *out)
{
    /* No offset is longer than a day, and the larger offset gives the earlier time. */
    const int32_t before = zone_offset(z, local - DAY), after = zone_offset(z, local + DAY);
    const int32_t offset[] = {before > after ? before : after, before > after ? after : before};

    for (size_t i = 0; i < 2; i++) {
        *out = local - offset[i];
        if (*out + zone_offset(z, *out) == local)
            return true;
    }
    return false;
}
