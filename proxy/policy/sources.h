/* sources: what rules look into besides their own words: files of networks, time zones, the country
 * database. Each is opened once, however many rules name it. Filled by one thread; read-only
 * afterwards. */
#ifndef SSTPGATE_POLICY_SOURCES_H
#define SSTPGATE_POLICY_SOURCES_H

#include <stddef.h>
#include <stdio.h>

#include "policy/country.h"
#include "policy/netset.h"
#include "policy/zone.h"

struct sources {
    struct source_file *file; /* owned */
    size_t file_count;
    struct source_zone *zone; /* owned */
    size_t zone_count;
    struct country *country; /* owned; NULL: none */
};

void sources_init(struct sources *s);
void sources_fini(struct sources *s);

/* NULL: it cannot be used; why was written to problems, once for each file. What is returned lives
 * as long as s. */
const struct netset *sources_netset(struct sources *s, const char *path, FILE *problems);

/* Of all files of networks that were asked for, the one at i < file_count. */
const char *sources_file_path(const struct sources *s, size_t i);

/* NULL: problem says why. */
const struct zone *sources_zone(struct sources *s, const char *name,
                                char problem[ZONE_PROBLEM_MAX]);

#endif
