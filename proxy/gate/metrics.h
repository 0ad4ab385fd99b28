/* metrics: the counters of the program in the text format of Prometheus, for the status listener
 * and `sstpgate ctl metrics`. conf/OPERATION.md describes each metric. Main thread. */
#ifndef SSTPGATE_GATE_METRICS_H
#define SSTPGATE_GATE_METRICS_H

#include <stdio.h>

struct gate;
struct tally;

/* Writes all metrics. Asks no worker: it reads counters that their threads write. */
void metrics_print(struct gate *gate, FILE *out);

/* Starts the timer that adds a point to gate->history every HISTORY_STEP seconds, the
 * first one at once. */
void metrics_start(struct gate *gate);

/* Adds up the counters of all workers. The caller frees *sum with tally_fini. */
void metrics_sum(const struct gate *gate, struct tally *sum);

#endif
