/* suggest: what somebody probably meant to type. */
#ifndef SSTPGATE_BASE_SUGGEST_H
#define SSTPGATE_BASE_SUGGEST_H

#include <stddef.h>

struct suggest {
    const char *typed;
    const char *best; /* NULL as long as nothing is near enough */
    size_t distance;  /* of best */
};

struct suggest suggest_init(const char *typed);

/* Looks whether name is nearer than what was offered before. name must outlive s. */
void suggest_offer(struct suggest *s, const char *name);

/* Letters to insert, to remove, to replace or to swap with their neighbour until a is b, without
 * regard to case. Texts over 64 octets count as far apart. */
size_t suggest_distance(const char *a, const char *b);

#endif
