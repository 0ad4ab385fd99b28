/* config_table: the sections a configuration may have, and one row for each key of them: name,
 * type, where its value goes, default, help. The reader, -T, the manual page and the sample file
 * come from it; a new key touches the table and its user. */
#ifndef SSTPGATE_CONFIG_CONFIG_TABLE_H
#define SSTPGATE_CONFIG_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config_type.h"

struct config;

struct config_section_kind {
    const char *word;
    const char *title; /* as it is written */
    bool named;        /* then there may be more than one, in an array */
    size_t items;      /* where in struct config: the section itself, or the pointer to the array */
    size_t count;      /* where in struct config the array's length is */
    size_t size;       /* of one of the array */
};

/* Every named section begins so. */
struct config_head {
    char *name;
    unsigned line;
};

extern const struct config_section_kind config_sections[SECTION_COUNT];
extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* NULL: there is none. */
const struct config_key *config_key_find(enum config_section in, const char *name);

size_t config_section_count(const struct config *c, enum config_section in);
void *config_section_at(const struct config *c, enum config_section in, size_t index);
const char *config_section_name(const struct config *c, enum config_section in,
                                size_t index); /* NULL for [gate] */
unsigned config_section_line(const struct config *c, enum config_section in, size_t index);

/* One more of a named kind, all zeros but name, which becomes its own, and line. */
void config_section_add(struct config *c, enum config_section in, char *name, unsigned line);

#endif
