/* checks: asks the servers of a site from time to time whether they would take a call, and reports
 * what they say (policy/backends.h). One worker does it for all; its thread only. */
#ifndef SSTPGATE_CALL_CHECKS_H
#define SSTPGATE_CALL_CHECKS_H

#include <stdint.h>

struct checks;
struct site;
struct worker;

struct checks *checks_new(struct worker *w);
void checks_free(struct checks *all); /* after the worker's loop has ended; NULL is fine */

/* From now on these servers are asked, of the backends that have a `check`. Takes a reference of
 * its own. Servers that were asked before keep their rhythm. */
void checks_switch(struct checks *all, struct site *site);

/* Begins those that are due and ends those that take too long. To be called once a second. */
void checks_sweep(struct checks *all, uint64_t now_ms);

/* No more of them; what is under way is given up. Once, before the worker stops. */
void checks_stop(struct checks *all);

#endif
