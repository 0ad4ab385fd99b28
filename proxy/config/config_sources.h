/* config_sources: the texts of a configuration: its file, and the files that its `include` lines
 * name. They are kept, so that the configuration can be built again without reading a file that has
 * changed since, and compared with the files. Counted references; the last one may be released in
 * any thread, everything else is for the main thread. */
#ifndef SSTPGATE_CONFIG_CONFIG_SOURCES_H
#define SSTPGATE_CONFIG_CONFIG_SOURCES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config/config_variables.h"

struct config_source {
    char *path;
    unsigned from; /* line of the `include` in the first file; 0: this is the first file */
    char *text;    /* NULL: problem */
    size_t len;
    char *problem; /* why the line `from` cannot include it, or anything */
};

struct config_sources {
    atomic_uint refs;
    struct config_source *item; /* the first is the configuration file; the others in their order */
    size_t count;
    struct config_variables variables; /* grows while the texts are parsed for the first time */
};

/* Far more than a configuration has; bounds the memory for a wrong pattern. */
enum { CONFIG_SOURCES_MAX = 1000 };

/* Reads the file path and the files that it includes. Files that cannot be included are problems of
 * their items. NULL: path cannot be read, "path: reason\n" was written to problems. */
struct config_sources *config_sources_read(const char *path, FILE *problems);

/* Returns sources without an included file, with a copy of text. */
struct config_sources *config_sources_of(const char *path, const char *text, size_t len);

/* Appends a file that the line `from` of the first one includes, with a copy of text. */
void config_sources_add(struct config_sources *s, const char *path, unsigned from, const char *text,
                        size_t len);

/* Returns whether the files, their number or a variable are others now. */
bool config_sources_changed(const struct config_sources *s);

struct config_sources *config_sources_ref(struct config_sources *s);
void config_sources_unref(struct config_sources *s); /* NULL: no-op */

/* Returns the absolute path of the directory of path, to be freed; NULL with errno: the current
 * directory is unknown. */
char *config_sources_dir(const char *path);

#endif
