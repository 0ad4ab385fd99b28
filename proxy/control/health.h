/* health: whether the gate can serve calls, for load balancers, containers and scripts. Main
 * thread. */
#ifndef SSTPGATE_CONTROL_HEALTH_H
#define SSTPGATE_CONTROL_HEALTH_H

#include "control/report_query.h"

struct gate;

/* Returns NULL if the gate accepts calls and each listener's backend has a server that is up and
 * not drained; otherwise the reason, which may be in why. */
const char *health_problem(const struct gate *gate, char why[REPORT_WHY_MAX]);

#endif
