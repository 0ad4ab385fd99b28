/* report_calls: the views of calls. For report.c. */
#ifndef SSTPGATE_CONTROL_REPORT_CALLS_H
#define SSTPGATE_CONTROL_REPORT_CALLS_H

#include "control/report_rows.h"

report_write_kind report_tunnels, report_failures;

#endif
