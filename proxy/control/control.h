/* control: what an administrator can see and do: the commands of the admin socket and the answers
 * of the status listener. Both have the same views (report.h) and actions (actions.h). */
#ifndef SSTPGATE_CONTROL_CONTROL_H
#define SSTPGATE_CONTROL_CONTROL_H

#include "gate/gate.h"

/* For gate_run. */
extern const struct gate_control control;

#endif
