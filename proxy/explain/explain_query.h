/* explain_query: the question of `explain`, as words: --listener NAME --address A [--user U] ... */
#ifndef SSTPGATE_EXPLAIN_EXPLAIN_QUERY_H
#define SSTPGATE_EXPLAIN_EXPLAIN_QUERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/addr.h"
#include "base/span.h"

struct rules;

/* Text NULL: the fact is unknown; empty: the client does not send it. */
struct explain_query {
    const char *listener;
    struct addr address; /* of the client */
    const char *user, *host, *sni, *tenant;
    const char *at;       /* NULL: now */
    const char *new_file; /* alone: which tunnels would this configuration end? */
    bool json;
};

enum { EXPLAIN_ERROR_MAX = 256 };

/* Reads the options, which are words[0..n). The strings of *out are those of words. Returns false
 * with a reason in error. */
bool explain_query_read(char *const *words, size_t n, struct explain_query *out,
                        char error[EXPLAIN_ERROR_MAX]);

/* Reads a time: RFC 3339 with an offset, or YYYY-MM-DD HH:MM[:SS] (or with a T) in the zone of the
 * first rule with a `time`; without such a rule in the machine's zone. Returns false with a reason
 * in error. */
bool explain_query_time(const char *text, const struct rules *rules, int64_t *out,
                        char error[EXPLAIN_ERROR_MAX]);

/* Returns the name of the i-th option, "--user"; NULL: there are fewer. */
const char *explain_query_option(size_t i);

/* Writes the list of options for a help text. */
void explain_query_help(FILE *out);

#endif
