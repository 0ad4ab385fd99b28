/* report_kinds: the views, one function for each. For report.c. */
#ifndef SSTPGATE_GATE_REPORT_KINDS_H
#define SSTPGATE_GATE_REPORT_KINDS_H

#include "config/config_sections.h"
#include "gate/report.h"

typedef void report_kind_write(struct gate *gate, const struct report_query *q,
                               enum report_form form, FILE *out);

report_kind_write report_status, report_tunnels, report_failures, report_listeners, report_servers,
    report_certificates, report_bans, report_limits;

/* Returns the word of a kind of health check. */
const char *report_check_word(enum config_check check);

#endif
