/* capabilities: what is left of the power of root. Linux only. */
#ifndef SSTPGATE_CONFINE_CAPABILITIES_H
#define SSTPGATE_CONFINE_CAPABILITIES_H

#include <stdbool.h>
#include <stdint.h>

/* Empties the bounding set except for `keep` (a bit for each number of linux/capability.h), as far
 * as the process may, and lets the permitted capabilities survive a change of the user. Call it
 * first. Returns false with errno. */
bool capabilities_begin(uint64_t keep);

/* Empties the other four sets of the calling thread, except for those of `keep` that it has; these
 * survive execve(2). Threads that are created afterwards inherit the sets. Returns false with
 * errno. */
bool capabilities_end(uint64_t keep);

/* Returns the union of the permitted, effective, inheritable and ambient set. */
uint64_t capabilities_left(void);

/* Returns the bounding set. It has no effect if no_new_privs is set, because execve(2) then adds no
 * capability. */
uint64_t capabilities_bound(void);

#endif
