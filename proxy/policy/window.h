/* window: hours that come again each week, as `Mon-Fri 08:00-18:00`. */
#ifndef SSTPGATE_POLICY_WINDOW_H
#define SSTPGATE_POLICY_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct window {
    uint8_t days;      /* bit 0 is Monday: the days on which it begins */
    uint16_t from, to; /* minutes of the day; to <= from: it ends on the day after */
};

/* days: names of three letters in any case, ranges (Sat-Mon goes over the end of the week), and
 * lists of both joined by ','. hours: HH:MM-HH:MM, the end not included, 24:00 an end only. What
 * ends before it begins goes on after midnight: Fri 22:00-06:00 is Saturday morning too. Returns
 * what is wrong, for a message; NULL: nothing, and *out is set. */
const char *window_parse(const char *days, const char *hours, struct window *out);

/* local: seconds since 1970 as the clocks of the place show them (UTC plus zone_offset()). */
bool window_has(const struct window *w, int64_t local);

#endif
