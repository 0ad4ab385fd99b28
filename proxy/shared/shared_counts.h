/* shared_counts: the counts of this gate by subject. Not thread-safe. */
#ifndef SSTPGATE_SHARED_SHARED_COUNTS_H
#define SSTPGATE_SHARED_SHARED_COUNTS_H

#include <stddef.h>

#include "base/siphash.h"

struct shared_count;

struct shared_counts {
    struct shared_count *table;
    struct siphash_key key; /* users and addresses choose the subjects */
};

void shared_counts_init(struct shared_counts *c);

/* Adds to the count of a subject, and returns it. by: 1 or -1. */
unsigned shared_counts_add(struct shared_counts *c, const char *subject, int by);
unsigned shared_counts_get(const struct shared_counts *c, const char *subject);
size_t shared_counts_size(const struct shared_counts *c);

/* Calls each() with every subject. */
void shared_counts_each(const struct shared_counts *c,
                        void (*each)(void *to, const char *subject, unsigned n), void *to);
void shared_counts_fini(struct shared_counts *c);

#endif
