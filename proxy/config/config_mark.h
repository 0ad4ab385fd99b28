/* config_mark: the lines on which the keys of a configuration were written. */
#ifndef SSTPGATE_CONFIG_CONFIG_MARK_H
#define SSTPGATE_CONFIG_CONFIG_MARK_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config_sections.h"
#include "config/config_type.h"

struct config_mark {
    size_t
        index; /* of the section among those of its kind; no pointer, because their array moves */
    const struct config_key *key;
    unsigned line;
    bool refused; /* the value was invalid */
};

/* Appends a copy of mark. */
void config_mark_add(struct config *c, const struct config_mark *mark);

/* Returns the first or last mark of k in the section with this index. NULL: k is not set there.
 * The pointer is valid until the next config_mark_add(). */
const struct config_mark *config_mark_first(const struct config *c, size_t index,
                                            const struct config_key *k);
const struct config_mark *config_mark_last(const struct config *c, size_t index,
                                           const struct config_key *k);

#endif
