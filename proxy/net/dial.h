/* dial: resolves a host and a port to the addresses to try, one after the other. Names are resolved
 * by the C library in threads of their own, so nothing blocks: a worker has one look-up for each
 * name, which all dials to it share. No dial may exist when the worker ends; the worker does not
 * wait for look-ups that still run. Worker's thread only. */
#ifndef SSTPGATE_NET_DIAL_H
#define SSTPGATE_NET_DIAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

struct dial;
struct worker;

/* Starts to resolve host, an address or a name. on_resolved is called once, later, never from
 * inside dial_new; its status is 0 or a libuv error. */
struct dial *dial_new(struct worker *w, const char *host, uint16_t port,
                      void (*on_resolved)(void *arg, int status), void *arg);

/* Writes the next address to try to *out. Returns false if none is left. */
bool dial_next(struct dial *d, struct addr *out);

/* Ends the dial and frees it, at any time; on_resolved is not called after this. NULL: no-op. */
void dial_free(struct dial *d);

#endif
