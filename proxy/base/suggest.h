/* suggest: spelling suggestions for unknown words. */
#ifndef SSTPGATE_BASE_SUGGEST_H
#define SSTPGATE_BASE_SUGGEST_H

#include <stddef.h>

struct suggest {
    const char *typed;
    const char *best; /* the nearest name so far; NULL: none is near enough */
    size_t distance;  /* of best */
};

struct suggest suggest_init(const char *typed);

/* Keeps name if it is nearer than all names before. name must outlive s. */
void suggest_offer(struct suggest *s, const char *name);

enum { SUGGEST_TEXT = 96 };

/* Writes "; did you mean 'NAME'?", or nothing if no name is near enough. */
void suggest_text(const struct suggest *s, char out[SUGGEST_TEXT]);

/* Returns the number of letters to insert, remove, replace or swap with their neighbour to turn a
 * into b; case is ignored. SIZE_MAX: a text has more than 64 bytes. */
size_t suggest_distance(const char *a, const char *b);

#endif
