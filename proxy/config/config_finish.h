/* config_finish: the steps that need the whole file: defaults, references between sections,
 * contradictions. */
#ifndef SSTPGATE_CONFIG_CONFIG_FINISH_H
#define SSTPGATE_CONFIG_CONFIG_FINISH_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config_sections.h"
#include "config/config_type.h"

struct config_sources;

/* A configuration while it is being read. */
struct config_builder {
    struct config *c;
    struct config_sources *sources;
    struct config_input input;
    bool included;     /* the file being read is included by another one */
    bool section_lost; /* an unreadable header may be that of a section that seems to be missing */
    bool any_section;
    enum config_section in; /* kind of the section being read, and its index in its array */
    size_t index;
    bool skip; /* keys up to the next header are ignored */
};

/* Completes and checks b->c after the last line has been read. Problems go to b->input. */
void config_finish(struct config_builder *b);

#endif
