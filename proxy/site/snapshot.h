/* snapshot: a configuration with the files that all workers share. Immutable and counted: a reload
 * makes a new one, and the old one goes when the last call that started with it has ended. Any
 * thread. */
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

/* Those of one [radius NAME]. */
struct snapshot_secrets {
    struct secret *client, *server;
};

struct snapshot {
    atomic_uint refs;
    struct config *config;
    struct backends_group **servers; /* config->backend_count of them; NULL: config is not sound */
    struct users **users; /* config->backend_count of them, NULL where a backend names no file */
    struct snapshot_secrets *radius; /* config->radius_count of them */
    bool sound; /* false: something is wrong; good for finding more errors only */
};

/* Reads path, what its rules name, and its users files. Every error goes to problems as
 * "file:line: reason\n". NULL when path cannot be read. The caller holds the one reference. */
struct snapshot *snapshot_load(const char *path, struct backends *all, FILE *problems);

struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s); /* NULL is fine */

#endif
