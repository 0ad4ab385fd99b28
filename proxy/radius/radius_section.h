/* radius_section: what one [radius NAME] does: requests of its clients go to its servers, answers
 * come back, each signed anew; what is not as it must be is dropped, counted and told. The RADIUS
 * thread only, but for radius_section_print. */
#ifndef SSTPGATE_RADIUS_RADIUS_SECTION_H
#define SSTPGATE_RADIUS_RADIUS_SECTION_H

#include <stdbool.h>
#include <stdio.h>

#include "base/span.h"

struct keyring;
struct radius_section;
struct snapshot;
struct udp;
struct udp_path;
struct worker;

/* To be configured before it is used. worker and keyring outlive it. */
struct radius_section *radius_section_new(struct worker *w, struct keyring *keyring,
                                          const char *name);
void radius_section_free(struct radius_section *s);

const char *radius_section_name(const struct radius_section *s);

/* It is section number `index` of this snapshot from now on, which stays until the next call. Where
 * its servers and secrets are what they were, what waits goes on waiting; otherwise it is
 * forgotten, and its clients ask again. */
void radius_section_configure(struct radius_section *s, const struct snapshot *snapshot,
                              size_t index);

/* A datagram came in at u, where accounting, or access, is asked. */
void radius_section_take(struct radius_section *s, struct udp *u, bool accounting,
                         struct span octets, const struct udp_path *path);

/* Forgets what came in at u, which is about to close. */
void radius_section_forget(struct radius_section *s, const struct udp *u);

/* Once a second. */
void radius_section_sweep(struct radius_section *s, uint64_t now_ms);

/* A line "radius NAME: ..." with what was counted. Any thread, while nobody configures or frees it.
 */
void radius_section_print(struct radius_section *s, FILE *out);

#endif
