/* probes: asks the servers of a site from time to time whether they would take a call, and reports
 * what they say (policy/backends.h). One worker does it for all; its thread only. */
#ifndef SSTPGATE_UPSTREAM_PROBES_H
#define SSTPGATE_UPSTREAM_PROBES_H

#include <stdint.h>

struct probes;
struct site;
struct worker;

struct probes *probes_new(struct worker *w);
void probes_free(struct probes *all); /* after the worker's loop has ended; NULL is fine */

/* From now on these servers are asked, of the backends that have a `check`. Takes a reference of
 * its own. Servers that were asked before keep their rhythm. */
void probes_switch(struct probes *all, struct site *site);

/* Begins those that are due and ends those that take too long. To be called once a second. */
void probes_sweep(struct probes *all, uint64_t now_ms);

/* No more of them; what is under way is given up. Once, before the worker stops. */
void probes_stop(struct probes *all);

#endif
