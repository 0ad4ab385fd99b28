/* descriptors: counts the file descriptors that the program needs, and the calls for which the
 * limit of open files (RLIMIT_NOFILE) has room. */
#ifndef SSTPGATE_GATE_DESCRIPTORS_H
#define SSTPGATE_GATE_DESCRIPTORS_H

#include <stddef.h>

struct config;

/* Sockets that are open besides those of calls. */
struct descriptors_open {
    size_t workers;
    size_t listening; /* for each worker */
    size_t radius;
    size_t status;
};

/* Returns the number of descriptors that the program needs besides those of its calls: sockets,
 * logs, loops, health checks, RADIUS. Pure. */
size_t descriptors_needed(const struct config *c, const struct descriptors_open *open);

/* Returns the number of calls for which `limit` has room, at least 1: a call needs two
 * descriptors. needed: the result of descriptors_needed. Pure. */
size_t descriptors_calls(unsigned long long limit, size_t needed);

/* Raises the limit of this process as far as the system allows. Returns the limit;
 * ULLONG_MAX: unknown or none. */
unsigned long long descriptors_raise(void);

#endif
