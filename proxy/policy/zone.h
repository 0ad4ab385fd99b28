/* zone: the offset of a time zone from UTC. Reads TZif (RFC 8536) itself, because localtime() of
 * libc has one zone for the whole process. Immutable once loaded, so every thread may use it. */
#ifndef SSTPGATE_POLICY_ZONE_H
#define SSTPGATE_POLICY_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zone;

enum { ZONE_PROBLEM_MAX = 256 };

/* Returns whether zone_load() accepts name: "UTC", "local", or a path that stays below
 * /usr/share/zoneinfo. */
bool zone_name_valid(const char *name);

/* Loads a zone. name: "UTC" (needs no file), "local" (/etc/localtime; UTC if it does not exist,
 * as in libc), or an IANA name. NULL: the reason is in problem. */
struct zone *zone_load(const char *name, char problem[ZONE_PROBLEM_MAX]);

/* Parses a TZif file of version 2 or newer without leap seconds. NULL: it is not such a file. */
struct zone *zone_parse(const void *octets, size_t len);

void zone_free(struct zone *z);

/* Returns the seconds east of UTC at a time. now: seconds since 1970. */
int32_t zone_offset(const struct zone *z, int64_t now);

/* Finds the time, in seconds since 1970, that clocks of the zone show as local; of two such times
 * (when summer ends) the first. Returns false if there is none (when summer begins). */
bool zone_find(const struct zone *z, int64_t local, int64_t *out);

#endif
