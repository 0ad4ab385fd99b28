/* snapshot: a configuration with the files that all workers share. Immutable and
 * reference-counted: a reload builds a new one, and the old one is freed when the last call that
 * began with it is up or has ended. Any thread, except where a comment says otherwise. */
#ifndef SSTPGATE_SITE_SNAPSHOT_H
#define SSTPGATE_SITE_SNAPSHOT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/files.h"
#include "config/config.h"

struct backends;
struct backends_group;
struct secret;
struct sessions;
struct users;

/* The secrets of one [radius NAME]. Owned by the files, like the users. */
struct snapshot_secrets {
    const struct secret *client, *server;
};

struct snapshot {
    atomic_uint refs;
    struct config *config;
    struct files *files;             /* also those of certificates: site_new() adds them */
    struct backends_group **servers; /* config->backend_count; NULL: config is not sound */
    struct sessions **sessions; /* config->backend_count, each NULL if its backend keeps none; NULL:
                                   as servers */
    const struct users **users; /* config->backend_count; NULL: the backend has no users-file */
    struct snapshot_secrets *radius;        /* config->radius_count */
    const struct secret *status_token;      /* NULL: none */
    const struct secret *shared_password;   /* NULL: none */
    const struct secret *sentinel_password; /* NULL: none */
    const struct secret *shared_secret;     /* NULL: none */
    unsigned rules; /* number of the rules: another one if they, or a list of theirs, were loaded */
    bool sound;     /* false: it has errors, use it only to find more of them */
};

/* Loads the configuration path, the files that its rules name, its users files and its secrets.
 * Every error is written to problems as "file:line: reason\n". Returns NULL if path cannot be
 * read. The caller holds the only reference. Main thread. */
struct snapshot *snapshot_load(const char *path, struct backends *all, FILE *problems);

/* Builds the configuration of `last` again, with the files that have changed since: base/files.h
 * has the rules. The caller calls files_settle() before it releases last. Main thread. */
struct snapshot *snapshot_read_again(const struct snapshot *last, struct backends *all,
                                     FILE *problems);

/* Returns whether the configuration file, or one that it includes, has another content now than
 * when it was loaded, or a variable another value. */
bool snapshot_is_outdated(const struct snapshot *s);

struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s); /* NULL: no-op */

#endif
