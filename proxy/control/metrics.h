/* metrics: the counters of the program in the text format of Prometheus, for the status listener
 * and `sstpgate ctl metrics`. conf/OPERATION.md describes each metric. Main thread. */
#ifndef SSTPGATE_CONTROL_METRICS_H
#define SSTPGATE_CONTROL_METRICS_H

#include <stdio.h>

struct gate;

/* Writes all metrics. Asks no worker: it reads counters that their threads write. */
void metrics_print(struct gate *gate, FILE *out);

#endif
