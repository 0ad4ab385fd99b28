/* netset: a file of networks, IPv4 and IPv6, that answers quickly whether an address is in one of
 * them. One network or single address in each line, comments behind '#' or ';', blank lines.
 * Immutable once read, so every thread may ask. A million networks take 24 MB and
 * answer in well under a microsecond (tests/bench/netset.c). */
#ifndef SSTPGATE_POLICY_NETSET_H
#define SSTPGATE_POLICY_NETSET_H

#include <stddef.h>
#include <stdio.h>

#include "base/addr.h"

struct netset;

/* Every wrong line is written to problems as "path:line: reason\n", what is wrong with the whole
 * file as "path: reason\n"; NULL when there was an error. Nothing but a regular file is read: a
 * FIFO would stop a reload. Networks may stand twice or inside of each other. */
struct netset *netset_load(const char *path, FILE *problems);

/* The same from an open file; path is used for messages only. */
struct netset *netset_read(FILE *in, const char *path, FILE *problems);

void netset_free(struct netset *s);

/* The line of a network that has the address (of several, the largest); 0: none has. */
unsigned netset_find(const struct netset *s, const struct addr *who);

/* Networks that are left without those inside of others. */
size_t netset_count(const struct netset *s);

#endif
