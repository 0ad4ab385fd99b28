/* country: in which country an address is, as a MaxMind database says (GeoLite2-Country, and what
 * others make in its form). Needs libmaxminddb when it is built. Any thread may ask. */
#ifndef SSTPGATE_POLICY_COUNTRY_H
#define SSTPGATE_POLICY_COUNTRY_H

#include <stdbool.h>
#include <stdio.h>

#include "base/addr.h"

struct country;

/* False: built without libmaxminddb, and country_open() fails. */
bool country_supported(void);

/* Reads the database into memory of this process, so the file may be replaced, written or truncated
 * at any time. A file that has not changed since the last call shares its memory. Returns NULL with
 * "path: reason\n" written to problems, also for a file that is half written. Main thread only. */
struct country *country_open(const char *path, FILE *problems);

/* Releases a reference; the last one frees the database. Any thread. */
void country_close(struct country *c);

/* The two letters of ISO 3166-1, in capitals; false where the database has none for the address. */
bool country_find(const struct country *c, const struct addr *who, char code[3]);

#endif
