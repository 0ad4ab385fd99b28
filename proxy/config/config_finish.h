/* config_finish: what only the whole file shows: defaults, references between sections, and what
 * contradicts itself. For config.c, which takes the lines, and nobody else. */
#ifndef SSTPGATE_CONFIG_CONFIG_FINISH_H
#define SSTPGATE_CONFIG_CONFIG_FINISH_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "config/config_type.h"

/* Where a key was written. */
struct config_mark {
    size_t index; /* which of its kind; by number, since their array moves while it grows */
    const struct config_key *key;
    unsigned line;
    bool refused; /* the value was no good */
};

/* A configuration while it is being read. */
struct config_builder {
    struct config *c;
    struct config_input input;
    bool section_lost; /* some header could not be read: what seems missing may stand below it */
    bool any_section;
    enum config_section in; /* the section being read, and which one of its kind */
    size_t index;
    bool skip; /* keys up to the next header belong to nothing */
};

/* Where k stands in this section: the first place, or the last; NULL when nowhere. */
const struct config_mark *config_mark_find(const struct config *c, size_t index,
                                           const struct config_key *k, bool last);

/* After the last line. */
void config_finish(struct config_builder *b);

#endif
