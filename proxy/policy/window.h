/* window: weekly time windows such as `Mon-Fri 08:00-18:00`. */
#ifndef SSTPGATE_POLICY_WINDOW_H
#define SSTPGATE_POLICY_WINDOW_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct window {
    uint8_t days;      /* days on which the window begins; bit 0: Monday */
    uint16_t from, to; /* minutes of the day; to <= from: it ends on the next day */
};

/* Reads a window. days: names of three letters in any case, ranges (Sat-Mon crosses the end of
 * the week), and lists of both separated by ','. hours: HH:MM-HH:MM, the end excluded, 24:00
 * only as an end. A window whose end is before its start continues after midnight: Fri
 * 22:00-06:00 includes Saturday morning. Returns NULL after setting *out, or a reason for a
 * message. */
const char *window_parse(const char *days, const char *hours, struct window *out);

/* Returns whether w contains a time. local: seconds since 1970 in local time, which is UTC plus
 * zone_offset(). */
bool window_has(const struct window *w, int64_t local);

/* Writes a window in the form that window_parse() reads: "Mon-Fri,Sun 08:00-18:00". */
void window_print(const struct window *w, FILE *out);

/* Writes the day and the minute of a time: "Mon 08:00". local: as for window_has(). */
void window_print_time(int64_t local, FILE *out);

#endif
