/* mistakes_section: a section of the configuration, and the warnings about it. For the files that
 * implement mistakes.h only. */
#ifndef SSTPGATE_GATE_MISTAKES_SECTION_H
#define SSTPGATE_GATE_MISTAKES_SECTION_H

#include <stddef.h>
#include <stdio.h>

#include "config/config_table.h"

struct config;

struct mistakes_section {
    const struct config *c;
    enum config_section in;
    const void *at;
    const char *name; /* NULL: [gate] */
    const char *file;
    FILE *to;
};

/* Returns a section; `to` receives its warnings. */
struct mistakes_section mistakes_section_of(const struct config *c, enum config_section in,
                                            size_t index, FILE *to);

/* Writes a warning about a line of the section's file. */
__attribute__((format(printf, 3, 4))) void mistakes_warn(const struct mistakes_section *s,
                                                         unsigned line, const char *format, ...);

/* Returns the line of a key; without the key, that of the section. */
unsigned mistakes_line(const struct mistakes_section *s, const char *key);

#endif
