/* zone: how far the clocks of a time zone are from UTC. Its own reader of TZif (RFC 8536): libc's
 * localtime() knows one zone for the whole process and its threads. Immutable once loaded, so every
 * thread may ask. */
#ifndef SSTPGATE_POLICY_ZONE_H
#define SSTPGATE_POLICY_ZONE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct zone;

enum { ZONE_PROBLEM_MAX = 256 };

/* True when name can be asked for: "UTC", "local", or a path below /usr/share/zoneinfo that does
 * not leave it. */
bool zone_name_valid(const char *name);

/* name: "UTC" (needs no file), "local" (/etc/localtime; UTC where there is none, as libc has it),
 * or an IANA name. NULL: problem says why. */
struct zone *zone_load(const char *name, char problem[ZONE_PROBLEM_MAX]);

/* The octets of a TZif file, version 2 or newer, without leap seconds. NULL: they are not. */
struct zone *zone_parse(const void *octets, size_t len);

void zone_free(struct zone *z);

/* Seconds east of UTC at this time (seconds since 1970). */
int32_t zone_offset(const struct zone *z, int64_t now);

#endif
