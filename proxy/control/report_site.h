/* report_site: the views of what is configured. For report.c. */
#ifndef SSTPGATE_CONTROL_REPORT_SITE_H
#define SSTPGATE_CONTROL_REPORT_SITE_H

#include "config/config_sections.h"
#include "control/report_rows.h"

report_write_kind report_listeners, report_certificates, report_servers, report_bans, report_limits;

/* Returns the word of a kind of health check. */
const char *report_check_word(enum config_check check);

#endif
