/* dial_report: the result of `sstpgate dial`, as text and as JSON. */
#ifndef SSTPGATE_CLI_DIAL_REPORT_H
#define SSTPGATE_CLI_DIAL_REPORT_H

#include <stdio.h>

#include "cli/gate_view.h"
#include "client/dial.h"

struct dial_report {
    const char *target; /* as the user has written it */
    const char *user;
    const struct dial_settings *settings;
    const struct dial_result *result;
    const struct gate_view *gate; /* the gate's view; NULL: not queried */
    int exit;                     /* the exit code */
};

/* Writes a line for each step and, after a failure, what to look at. */
void dial_report_text(const struct dial_report *r, FILE *out);

/* Writes one JSON object and a line end. */
void dial_report_json(const struct dial_report *r, FILE *out);

#endif
