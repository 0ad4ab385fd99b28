/* dial: from a host and a port to the addresses to try, one after the other. Names are resolved by
 * the C library in threads of their own, so nothing blocks: each once at a time in a worker, for
 * all who wait for it. Worker's thread only. */
#ifndef SSTPGATE_NET_DIAL_H
#define SSTPGATE_NET_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

struct dial;
struct worker;

/* host: an address or a name. on_resolved comes once, later, never from inside dial_new; status: 0
 * or a libuv error. */
struct dial *dial_new(struct worker *w, const char *host, uint16_t port,
                      void (*on_resolved)(void *arg, int status), void *arg);

/* The next address to try; false: there is none left. */
bool dial_next(struct dial *d, struct addr *out);

/* At any time; on_resolved will not come any more. */
void dial_free(struct dial *d);

/* For worker_stop: there is no dial left. Nobody waits for look-ups that still run. */
void dial_stop(struct worker *w);
void dial_fini(struct worker *w); /* for worker_fini */

#endif
