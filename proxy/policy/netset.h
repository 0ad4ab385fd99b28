/* netset: a file of IPv4 and IPv6 networks, and a fast search for the network of an address. One
 * network or address on each line, comments after '#' or ';', blank lines. Immutable once read,
 * so every thread may search it. A million networks need 24 MB, and a search well under a
 * microsecond (tests/bench/netset.c). */
#ifndef SSTPGATE_POLICY_NETSET_H
#define SSTPGATE_POLICY_NETSET_H

#include <stddef.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/span.h"

struct netset;

/* Loads a file. Returns NULL after an error; every invalid line is written to problems as
 * "path:line: reason\n", a problem of the whole file as "path: reason\n". Only regular files are
 * read, because a FIFO would block a reload. Networks may be duplicate or nested. */
struct netset *netset_load(const char *path, FILE *problems);

/* Does as netset_load for text in memory without a byte order mark. path: for messages only. */
struct netset *netset_parse(struct span text, const char *path, FILE *problems);

void netset_free(struct netset *s);

/* Returns the line of the network that contains the address, the largest of several; 0: none. */
unsigned netset_find(const struct netset *s, const struct addr *addr);

/* Returns the number of networks without nested ones. */
size_t netset_count(const struct netset *s);

#endif
