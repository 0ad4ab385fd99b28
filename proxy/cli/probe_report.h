/* probe_report: the result of `sstpgate probe`, as text, as JSON, and as the section of a
 * configuration. */
#ifndef SSTPGATE_CLI_PROBE_REPORT_H
#define SSTPGATE_CLI_PROBE_REPORT_H

#include <stdio.h>
#include <time.h>

#include "client/probe.h"

struct probe_report {
    const char *target; /* as the user has written it */
    const struct probe_settings *settings;
    const struct probe_result *result;
    time_t now;
    int exit; /* the exit code */
};

void probe_report_text(const struct probe_report *r, FILE *out);

/* Writes the same without the section. */
void probe_report_facts(const struct probe_report *r, FILE *out);

/* Writes one JSON object and a line end. */
void probe_report_json(const struct probe_report *r, FILE *out);

/* Writes the section `[backend NAME]` that fits the server. */
void probe_report_section(const struct probe_report *r, FILE *out);

/* Writes the same without the lines about the crypto-binding. */
void probe_report_server(const struct probe_report *r, FILE *out);

#endif
