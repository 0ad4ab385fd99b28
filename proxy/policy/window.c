#include "policy/window.h"

#include <stddef.h>
#include <string.h>

#include "base/ascii.h"
#include "base/span.h"

enum { DAY_MINUTES = 24 * 60, DAY_SECONDS = 60 * DAY_MINUTES };

static const char names[7][4] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

/* Reads the name of a day at *p. Returns 0 for Monday; -1: not a day. */
static int read_day(const char **p)
{
    const size_t n = strnlen(*p, 3);
    for (int i = 0; i < 7; i++) {
        if (span_eq_nocase(span_of(*p, n), span_str(names[i]))) {
            *p += n;
            return i;
        }
    }
    return -1;
}

static bool read_days(const char *p, uint8_t *out)
{
    *out = 0;
    for (;; p++) {
        int from = read_day(&p), to = from;
        if (from >= 0 && *p == '-') {
            p++;
            to = read_day(&p);
        }
        if (from < 0 || to < 0)
            return false;
        for (int day = from; day != to; day = (day + 1) % 7)
            *out |= (uint8_t)(1 << day);
        *out |= (uint8_t)(1 << to);
        if (*p == '\0')
            return true;
        if (*p != ',')
            return false;
    }
}

/* Reads HH:MM at *p, at most 24:00. */
static bool read_clock(const char **p, uint16_t *out)
{
    const char *c = *p;
    if (!ascii_is_digit(c[0]) || !ascii_is_digit(c[1]) || c[2] != ':' || !ascii_is_digit(c[3]) ||
        !ascii_is_digit(c[4]))
        return false;
    const int hour = 10 * (c[0] - '0') + c[1] - '0', minute = 10 * (c[3] - '0') + c[4] - '0';
    *out = (uint16_t)(60 * hour + minute);
    *p += 5;
    return minute < 60 && *out <= DAY_MINUTES;
}

static bool read_hours(const char *p, struct window *w)
{
    return read_clock(&p, &w->from) && w->from < DAY_MINUTES && *p++ == '-' &&
           read_clock(&p, &w->to) && *p == '\0';
}

const char *window_parse(const char *days, const char *hours, struct window *out)
{
    if (!read_days(days, &out->days))
        return "write days as Mon-Fri, or Mon,Wed,Sat-Sun";
    if (!read_hours(hours, out))
        return "write hours as 08:00-18:00";
    if (out->from == out->to)
        return "the start equals the end; write 00:00-24:00 for the whole day";
    return NULL;
}

/* Returns the day of the week, 0 for Monday, and the minute of the day. */
static int day_of(int64_t local, int *minute)
{
    const int64_t day = local / DAY_SECONDS - (local % DAY_SECONDS < 0);

    *minute = (int)((local - day * DAY_SECONDS) / 60);
    return (int)((day % 7 + 7 + 3) % 7); /* 1970-01-01 was a Thursday */
}

bool window_has(const struct window *w, int64_t local)
{
    int minute;
    const int today = day_of(local, &minute), yesterday = (today + 6) % 7;
    const bool begins = w->days >> today & 1;

    if (w->to > w->from)
        return begins && minute >= w->from && minute < w->to;
    return (begins && minute >= w->from) || ((w->days >> yesterday & 1) && minute < w->to);
}

static bool has_day(const struct window *w, int day)
{
    return (w->days >> day & 1) != 0;
}

void window_print(const struct window *w, FILE *out)
{
    for (int day = 0, last; day < 7; day = last + 1) {
        for (last = day; last < 6 && has_day(w, day) && has_day(w, last + 1);)
            last++;
        if (has_day(w, day))
            fprintf(out, "%s%s", (w->days & ((1 << day) - 1)) == 0 ? "" : ",", names[day]);
        if (last > day)
            fprintf(out, "-%s", names[last]);
    }
    fprintf(out, " %02d:%02d-%02d:%02d", w->from / 60, w->from % 60, w->to / 60, w->to % 60);
}

void window_print_time(int64_t local, FILE *out)
{
    int minute;
    const int day = day_of(local, &minute);

    fprintf(out, "%s %02d:%02d", names[day], minute / 60, minute % 60);
}
