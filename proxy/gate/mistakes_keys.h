/* mistakes_keys: warnings about keys that have no effect because of other keys, and the conditions
 * of these warnings. For the files that implement mistakes.h only. section: a struct
 * config_listener or config_backend of c. */
#ifndef SSTPGATE_GATE_MISTAKES_KEYS_H
#define SSTPGATE_GATE_MISTAKES_KEYS_H

#include <stdbool.h>

#include "gate/mistakes_section.h"

struct config;
struct config_backend;

/* Warns about each key of the section that is not at its default and has no effect. */
void mistakes_idle_keys(const struct mistakes_section *s);

/* Returns whether the rules of a listener deny no client. */
bool mistakes_denies_nobody(const struct config *c, const void *section);

/* Returns whether a listener has the backend as its fallback. */
bool mistakes_is_fallback(const struct config *c, const struct config_backend *b);

/* Returns whether the backend is a fallback and gets no calls. */
bool mistakes_is_only_fallback(const struct config *c, const void *section);

/* Returns whether the backend gets calls whose crypto-binding is never re-signed. */
bool mistakes_signs_nothing(const struct config *c, const void *section);

#endif
