/* report_status: the view `status`. For report.c. */
#ifndef SSTPGATE_CONTROL_REPORT_STATUS_H
#define SSTPGATE_CONTROL_REPORT_STATUS_H

#include "control/report_rows.h"

report_write_kind report_status;

#endif
