/* config_load: reads a configuration file into a struct config. */
#ifndef SSTPGATE_CONFIG_CONFIG_LOAD_H
#define SSTPGATE_CONFIG_CONFIG_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"
#include "config/config.h"

struct config_sources;
struct files;

/* Reads the file path. Writes every error, not only the first, to problems as "path:line:
 * reason\n", with a suggestion for a misspelt key, section or value. Returns NULL if path
 * itself cannot be read. Otherwise returns a configuration, to be freed with config_free();
 * after an error it is incomplete and not `sound`, and is useful only to find the problems of
 * the files that it names. Opens none of these files: config_open() opens those of rules,
 * gate/preflight.h the others. Relative paths in a file start at the directory of that file. Files
 * that `include` names are read, too, and problems name the file that has them. */
struct config *config_load(const char *path, FILE *problems);

/* Reads the same from text in memory. path: for messages and relative paths only. */
struct config *config_parse(const char *path, const char *text, size_t len, FILE *problems);

/* Reads the same from texts that were read before (config_sources.h), and keeps a reference. */
struct config *config_parse_sources(struct config_sources *sources, FILE *problems);

/* Opens what the rules of c name: files of networks, time zones, the country database; files owns
 * them. Rules that name one must not be evaluated before, nor after files_free(). Returns false
 * after a problem; each is written as above. */
bool config_open(struct config *c, struct files *files, FILE *problems) MUST_CHECK;

/* Returns the value of `admin` in the file path, to be freed, even if the rest of the file has
 * errors, so that `ctl` reaches a running gate while its file is being edited. NULL: not set,
 * or the file cannot be read; problems has the reason. */
char *config_find_admin(const char *path, FILE *problems);

#endif
