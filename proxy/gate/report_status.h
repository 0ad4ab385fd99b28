/* report_status: the view `status`. For report.c. */
#ifndef SSTPGATE_GATE_REPORT_STATUS_H
#define SSTPGATE_GATE_REPORT_STATUS_H

#include "gate/report_rows.h"

report_write_kind report_status;

#endif
