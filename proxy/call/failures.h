/* failures: the latest calls that were refused or have failed, for the views of an administrator.
 * Bounded: FAILURES_MAX calls with a few hundred bytes each, whose texts record.h bounds. One
 * object for the whole gate; any thread. A call takes the lock once, at its end, for a few
 * instructions. */
#ifndef SSTPGATE_CALL_FAILURES_H
#define SSTPGATE_CALL_FAILURES_H

#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "call/reason.h"

enum { FAILURES_MAX = 1000 };

/* A call that has ended. A text is NULL if the fact is unknown. */
struct failure {
    int64_t time_ms; /* wall clock, since 1970 */
    unsigned worker; /* with number: the id */
    uint64_t number;
    enum reason reason;
    enum reason_outcome outcome;
    const char *stage;  /* a literal */
    struct addr client; /* family 0: unknown */
    const char *listener, *user, *host, *sni, *detail, *backend, *server;
};

struct failures;

struct failures *failures_new(void);
void failures_free(struct failures *all); /* NULL: no-op */

/* Copies a failure; the oldest one is forgotten when there are FAILURES_MAX. */
void failures_add(struct failures *all, const struct failure *failure);

/* Returns the number of all failures since the start, for charts. */
uint64_t failures_count(struct failures *all);

/* Calls each() with every failure, newest first, without the lock. One thread at a time. */
void failures_each(struct failures *all, void (*each)(void *arg, const struct failure *failure),
                   void *arg);

#endif
