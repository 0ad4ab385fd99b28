/* certificates_report: the certificates of a configuration, as text and as JSON. */
#ifndef SSTPGATE_CLI_CERTIFICATES_REPORT_H
#define SSTPGATE_CLI_CERTIFICATES_REPORT_H

#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "config/config.h"
#include "tls/tls_inspect.h"

struct certificates_report;

/* Inspects the certificates of the listener and all that belongs to it; listener NULL: of all
 * listeners and backends. warn_days: as in tls_inspect(). */
struct certificates_report *certificates_report_new(const struct config *c,
                                                    const struct config_listener *listener,
                                                    time_t now, int warn_days);
void certificates_report_free(struct certificates_report *r);

/* Returns the worst level of all findings; TLS_REMARK: nothing worse. */
enum tls_level certificates_report_level(const struct certificates_report *r);

/* Writes a line with the result, as monitoring systems show it, then a paragraph for each listener
 * and backend. */
void certificates_report_text(const struct certificates_report *r, FILE *out);

/* Writes one JSON object and a line end. */
void certificates_report_json(const struct certificates_report *r, FILE *out);

#endif
