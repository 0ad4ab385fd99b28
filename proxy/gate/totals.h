/* totals: the counters of all workers, and their history. Main thread. */
#ifndef SSTPGATE_GATE_TOTALS_H
#define SSTPGATE_GATE_TOTALS_H

struct gate;
struct tally;

/* Adds up the counters of all workers, without asking them. The caller frees *sum with
 * tally_fini. */
void totals_sum(const struct gate *gate, struct tally *sum);

/* Starts the timer that adds a point to gate->history every HISTORY_STEP seconds, the
 * first one at once. */
void totals_start(struct gate *gate);

#endif
