/* config_variables: `${NAME}` in the values of a configuration. NAME is a credential of systemd,
 * the file $CREDENTIALS_DIRECTORY/NAME without the line end at its end, or else a variable of the
 * environment; `$${` is a literal `${`. A variable is read once, so that a configuration that is
 * built again from the same text has the same values. Main thread. */
#ifndef SSTPGATE_CONFIG_CONFIG_VARIABLES_H
#define SSTPGATE_CONFIG_CONFIG_VARIABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/value.h"

struct config_variable {
    char *name, *value;
    bool secret; /* a credential: no message contains its value */
};

/* Initially all zeros. */
struct config_variables {
    struct config_variable *item;
    size_t count;
};

enum { CONFIG_EXPAND_REASON = 320 };

/* A value with its variables replaced. */
struct config_expanded {
    char text[VALUE_TEXT_MAX + 1];
    bool secret;                       /* a credential is part of it */
    char reason[CONFIG_EXPAND_REASON]; /* of a failure: a sentence, without any value */
};

/* Replaces each variable in value. Returns false with e->reason if one is not defined, or if the
 * result cannot be a value. */
bool config_variables_expand(struct config_variables *v, const char *value,
                             struct config_expanded *e);

/* Returns whether a variable has another value now. */
bool config_variables_changed(const struct config_variables *v);

/* Writes text with `${NAME}` in place of the value of each credential. */
void config_variables_scrub(const struct config_variables *v, const char *text, FILE *out);

/* Writes text with `$${` in place of each `${`, so that it is read back as it is. */
void config_variables_escape(const char *text, FILE *out);

void config_variables_fini(struct config_variables *v);

#endif
