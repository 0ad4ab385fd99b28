/* status_api: the objects and actions of /api/v1/ as HTTP answers in JSON. Main thread. */
#ifndef SSTPGATE_CONTROL_STATUS_API_H
#define SSTPGATE_CONTROL_STATUS_API_H

#include <stdio.h>

#include "status/status_ops.h"

struct gate;

/* Writes the object that the question names. Returns the HTTP status: 200, or 400 for a parameter
 * that is unknown or has no such value. */
unsigned status_api_view(struct gate *gate, const struct status_question *q, FILE *out);

/* Carries out the action that the question names, whose sender may do so, and logs it. Returns the
 * HTTP status: 200; 400 as above; 409 if the action has failed. */
unsigned status_api_act(struct gate *gate, const struct status_question *q, FILE *out);

#endif
