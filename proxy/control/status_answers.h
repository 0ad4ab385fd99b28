/* status_answers: what the gate answers to the requests of the status listener: health, readiness,
 * metrics, the views and the actions of the API. */
#ifndef SSTPGATE_CONTROL_STATUS_ANSWERS_H
#define SSTPGATE_CONTROL_STATUS_ANSWERS_H

#include "status/status_ops.h"

/* The argument of the functions is the struct gate. */
extern const struct status_ops status_answers;

#endif
