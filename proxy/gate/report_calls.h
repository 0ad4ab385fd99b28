/* report_calls: the views of calls. For report.c. */
#ifndef SSTPGATE_GATE_REPORT_CALLS_H
#define SSTPGATE_GATE_REPORT_CALLS_H

#include "gate/report_rows.h"

report_write_kind report_tunnels, report_failures;

#endif
