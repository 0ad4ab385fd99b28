/* sources: the data that rules look up: files of networks, time zones, the country database.
 * Each is opened once, however many rules name it. Filled by one thread; read-only
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

/* Returns the networks of the file path, owned by s. NULL: it has problems, which are written to
 * problems once for each file. */
const struct netset *sources_netset(struct sources *s, const char *path, FILE *problems);

/* Returns the path of a file that sources_netset() was called with. i < file_count. */
const char *sources_file_path(const struct sources *s, size_t i);

/* Returns the time zone, owned by s. NULL: problem has the reason. */
const struct zone *sources_zone(struct sources *s, const char *name,
                                char problem[ZONE_PROBLEM_MAX]);

#endif
