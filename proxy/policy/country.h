/* country: the country of an address, from a MaxMind database (GeoLite2-Country, or another in
 * this format). Needs libmaxminddb at build time. Any thread may call country_find(). */
#ifndef SSTPGATE_POLICY_COUNTRY_H
#define SSTPGATE_POLICY_COUNTRY_H

#include <stdbool.h>
#include <stdio.h>

#include "base/addr.h"

struct country;

/* Returns false if the program was built without libmaxminddb: then country_open() fails. */
bool country_supported(void);

/* Reads the database into memory of this process, so the file may be replaced, written or
 * truncated at any time. Returns NULL with "path: reason\n" written to problems, also for an
 * incomplete file. */
struct country *country_open(const char *path, FILE *problems);

/* Frees the database. NULL: no-op. */
void country_close(struct country *c);

/* Writes the two letters of ISO 3166-1, in capitals. Returns false if the database has no
 * country for the address. */
bool country_find(const struct country *c, const struct addr *addr, char code[3]);

#endif
