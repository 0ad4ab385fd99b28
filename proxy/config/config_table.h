/* config_table: the sections that a configuration may have, and one row for each of their keys:
 * name, type, field, default, help. The reader, -T, the manual page and the sample file derive
 * from it; a new key is a new row, and the code that obeys it. */
#ifndef SSTPGATE_CONFIG_CONFIG_TABLE_H
#define SSTPGATE_CONFIG_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config/config_sections.h"
#include "config/config_type.h"

struct config_section_kind {
    const char *word;
    const char *title; /* as in the file: "[listener NAME]" */
    bool named;        /* the file may have several; an array holds them */
    size_t items;      /* offset in struct config of the section, or of the pointer to the array */
    size_t count;      /* offset in struct config of the array's length */
    size_t size;       /* of an item of the array */
};

/* The start of the struct of every named section. */
struct config_head {
    char *name;
    unsigned line;
    const char *file;
};

extern const struct config_section_kind config_sections[SECTION_COUNT];
extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* Returns the row of a key. NULL: none. */
const struct config_key *config_key_find(enum config_section in, const char *name);

/* Return the number of sections of one kind, and the struct, name, line and file of one of them.
 * [gate] always exists once; its name is NULL. */
size_t config_section_count(const struct config *c, enum config_section in);
void *config_section_at(const struct config *c, enum config_section in, size_t index);
const char *config_section_name(const struct config *c, enum config_section in, size_t index);
unsigned config_section_line(const struct config *c, enum config_section in, size_t index);
const char *config_section_file(const struct config *c, enum config_section in, size_t index);

/* Appends a section of a named kind, all zeros but name, of which it takes ownership, line and
 * file. */
void config_section_add(struct config *c, enum config_section in, char *name, unsigned line,
                        const char *file);

/* Writes the table, for --keys and the manual page: each key with its section, type, help and
 * default. */
void config_print_reference(FILE *out);

#endif
