/* snapshot: a configuration with the files that all workers share. Immutable and
 * reference-counted: a reload builds a new one, and the old one is freed when the last call that
 * began with it has ended. Any thread. */
#ifndef SSTPGATE_SITE_SNAPSHOT_H
#define SSTPGATE_SITE_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "config/config.h"

struct backends;
struct backends_group;
struct secret;
struct users;

/* The secrets of one [radius NAME]. */
struct snapshot_secrets {
    struct secret *client, *server;
};

struct snapshot {
    atomic_uint refs;
    struct config *config;
    struct backends_group **servers; /* config->backend_count; NULL: config is not sound */
    struct users **users; /* config->backend_count; NULL: the backend has no `users-file` */
    struct snapshot_secrets *radius; /* config->radius_count */
    bool sound;                      /* false: it has errors, use it only to find more of them */
};

/* Loads the configuration path, the files that its rules name, its users files and its secrets.
 * Every error is written to problems as "file:line: reason\n". Returns NULL if path cannot be
 * read. The caller holds the only reference. */
struct snapshot *snapshot_load(const char *path, struct backends *all, FILE *problems);

struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s); /* NULL: no-op */

#endif
