/* ending: ends tunnels for an administrator. In the worker's thread. */
#ifndef SSTPGATE_CALL_ENDING_H
#define SSTPGATE_CALL_ENDING_H

#include <stdbool.h>
#include <stddef.h>

#include "call/filter.h"
#include "call/reason.h"

struct call_set;

/* Number of tunnels that ending_run ends at once. The end of a call takes some 20 us, and thousands
 * of ends must not delay other tunnels. */
enum { ENDING_AT_ONCE = 64 };

struct ending {
    const struct call_filter *filter;
    const char *detail; /* for the log */
    size_t left;        /* tunnels that may still be ended */
    size_t ended;       /* so far */
    bool more;          /* ENDING_AT_ONCE were ended: call ending_run again */
};

/* Returns the number of tunnels that match. */
size_t ending_count(const struct call_set *set, const struct call_filter *filter);

/* Ends matching tunnels, in the order of their last packets, the longest silence first: each peer
 * gets an SSTP Call Disconnect after the packets that are queued. */
void ending_run(struct call_set *set, struct ending *e);

#endif
