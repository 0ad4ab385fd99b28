/* report_calls: the views of calls. For report.c. */
#ifndef SSTPGATE_CONTROL_REPORT_CALLS_H
#define SSTPGATE_CONTROL_REPORT_CALLS_H

#include "call/filter.h"
#include "control/report_rows.h"

report_write_kind report_tunnels, report_failures;

/* ---- the tunnels of this gate, for lists with those of others ---- */

enum { REPORT_TUNNEL_COLUMNS = 25, REPORT_TUNNEL_DURATION = 8 /* its index */ };

/* The names of the columns, with NULL at the end, and their types. A new one goes to the end: see
 * report_pages.h. */
extern const char *const report_tunnel_columns[REPORT_TUNNEL_COLUMNS + 1];
extern const enum report_type report_tunnel_types[REPORT_TUNNEL_COLUMNS];

struct report_tunnels {
    struct tunnels_part *part;
    size_t parts;
    const struct tunnel_facts **item; /* oldest first */
    size_t count;
    int64_t now;
    uint64_t shift_ms; /* the durations are those of this time ago */
};

/* Collects the tunnels that match. since_ms: the durations are those at this time of uv_hrtime, so
 * that the lists of several gates, which are collected one after the other, fit together; 0:
 * now. */
void report_tunnels_collect(struct report_tunnels *t, struct gate *gate,
                            const struct call_filter *filter, uint64_t since_ms);
void report_tunnels_fini(struct report_tunnels *t);

/* Returns the duration of a tunnel in ms, minus shift_ms. */
uint64_t report_tunnels_age(const struct report_tunnels *t, size_t i);

/* Calls use() with the fields of a tunnel. */
void report_tunnels_row(const struct report_tunnels *t, size_t i,
                        void (*use)(void *to, const struct report_field *row), void *to);

#endif
