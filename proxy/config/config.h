/* config: a configuration that has been read (config_load.h). It is immutable, so every thread
 * may read it. */
#ifndef SSTPGATE_CONFIG_CONFIG_H
#define SSTPGATE_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdio.h>

#include "base/suggest.h"
#include "config/config_sections.h"

/* Frees c with all that it owns. NULL: no-op. */
void config_free(struct config *c);

/* Writes the effective configuration, every key with its value in force, in a form that
 * config_load reads back, as one file: a comment before each section names the file that it comes
 * from, if that is another one. It contains no secrets, only the names of their files. */
void config_print(const struct config *c, FILE *out);

/* Returns whether some listener sends calls to b: its backend, or one of its use-backend lines. */
bool config_has_calls(const struct config *c, const struct config_backend *b);

/* Finds a listener by its name. NULL: there is none; suggestion then has the most similar name, as
 * suggest_text writes it. */
const struct config_listener *config_find_listener(const struct config *c, const char *name,
                                                   char suggestion[SUGGEST_TEXT]);

/* Returns whether key is set in section, which is as in config_line(), and not to its default. */
bool config_differs(const struct config *c, const void *section, const char *key);

/* Returns the line of the last appearance of key in section, or the section's own line if the
 * key is not set: for messages about the file that the key names. section: a config_gate,
 * config_listener, config_backend or config_radius of c. */
unsigned config_line(const struct config *c, const void *section, const char *key);

#endif
