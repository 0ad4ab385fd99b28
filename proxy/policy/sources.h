/* sources: the data that rules look up: files of networks, time zones, the country database.
 * Each is opened once, however many rules name it. Filled by one thread; read-only
 * afterwards. */
#ifndef SSTPGATE_POLICY_SOURCES_H
#define SSTPGATE_POLICY_SOURCES_H

#include <stdbool.h>
#include <stdio.h>

#include "base/files.h"
#include "policy/country.h"
#include "policy/netset.h"
#include "policy/zone.h"

struct sources {
    struct files *files;           /* owns everything; not owned */
    const struct country *country; /* NULL: none */
};

/* Sets country. path NULL: there is none. Returns false with the reason in problems. */
bool sources_open_country(struct sources *s, const char *path, FILE *problems);

/* Returns the networks of the file path. NULL: it has problems, which are written to problems once
 * for each file. */
const struct netset *sources_netset(struct sources *s, const char *path, FILE *problems);

/* Returns the time zone. NULL: problem has the reason. */
const struct zone *sources_zone(struct sources *s, const char *name,
                                char problem[ZONE_PROBLEM_MAX]);

/* Returns whether a file of networks or the country database has new content, as files_renewed().
 */
bool sources_renewed(const struct files *f);

#endif
