#include "users/until.h"

#include <stdio.h>
#include <time.h>

enum { DAY = 24 * 60 * 60 };

/* Reads n digits at the start of s, and removes them. */
static bool take_number(struct span *s, size_t n, int *out)
{
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        if (i >= s->n || s->p[i] < '0' || s->p[i] > '9')
            return false;
        *out = 10 * *out + (s->p[i] - '0');
    }
    *s = span_from(*s, n);
    return true;
}

static bool take_char(struct span *s, char c)
{
    if (s->n == 0 || s->p[0] != (uint8_t)c)
        return false;
    *s = span_from(*s, 1);
    return true;
}

static bool take_date(struct span *s, struct tm *tm)
{
    return take_number(s, 4, &tm->tm_year) && take_char(s, '-') && take_number(s, 2, &tm->tm_mon) &&
           take_char(s, '-') && take_number(s, 2, &tm->tm_mday);
}

/* Reads the time of day to the end of the text. */
static bool take_clock(struct span *s, struct tm *tm)
{
    return take_char(s, 'T') && take_number(s, 2, &tm->tm_hour) && take_char(s, ':') &&
           take_number(s, 2, &tm->tm_min) &&
           (!take_char(s, ':') || take_number(s, 2, &tm->tm_sec)) && take_char(s, 'Z') && s->n == 0;
}

bool until_read(struct span text, int64_t *out)
{
    struct tm tm = {0};

    if (!take_date(&text, &tm) || tm.tm_year < 1970)
        return false;
    const bool whole_day = text.n == 0;
    if (!whole_day && !take_clock(&text, &tm))
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    struct tm same = tm;
    *out = timegm(&same) + (whole_day ? DAY : 0);
    /* timegm turns an impossible date into another one */
    return same.tm_mday == tm.tm_mday && same.tm_mon == tm.tm_mon && same.tm_hour == tm.tm_hour &&
           same.tm_min == tm.tm_min && same.tm_sec == tm.tm_sec;
}

const char *until_print(int64_t until, char text[UNTIL_TEXT_MAX])
{
    const time_t when = (time_t)until;
    struct tm tm = {0};

    (void)gmtime_r(&when, &tm);
    (void)strftime(text, UNTIL_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
    return text;
}
