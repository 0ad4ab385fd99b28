/* config_finish: what needs the whole file: defaults, references between sections,
 * contradictions. */
#ifndef SSTPGATE_CONFIG_CONFIG_FINISH_H
#define SSTPGATE_CONFIG_CONFIG_FINISH_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config_sections.h"
#include "config/config_type.h"

/* A configuration while it is being read. */
struct config_builder {
    struct config *c;
    struct config_input input;
    bool
        section_lost; /* a header could not be read: a section that seems missing may be that one */
    bool any_section;
    enum config_section in; /* the section being read, and its index among those of its kind */
    size_t index;
    bool skip; /* ignore keys up to the next header */
};

/* Completes and checks b->c after the last line has been read. Problems go to b->input. */
void config_finish(struct config_builder *b);

#endif
