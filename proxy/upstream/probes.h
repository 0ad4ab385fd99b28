/* probes: health checks: regularly asks the servers of a site whether they would take a call,
 * and reports the results (policy/backends.h). One worker probes for all workers; its thread
 * only. */
#ifndef SSTPGATE_UPSTREAM_PROBES_H
#define SSTPGATE_UPSTREAM_PROBES_H

#include <stdint.h>

struct probes;
struct site;
struct worker;

struct probes *probes_new(struct worker *w);

/* Frees `all`. Call it after the worker's loop has ended. NULL: no-op. */
void probes_free(struct probes *all);

/* Replaces the servers that are probed by those of the site's backends that have a `check`. Takes a
 * counted reference to the site. A server that was probed before keeps its schedule. */
void probes_switch(struct probes *all, struct site *site);

/* Starts the probes that are due, and ends those that have passed their deadline. Call once a
 * second. */
void probes_sweep(struct probes *all, uint64_t now_ms);

/* Stops all probes, including those in progress. Call once, before the worker stops. */
void probes_stop(struct probes *all);

#endif
