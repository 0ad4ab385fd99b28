/* site: what a snapshot becomes for one worker: TLS contexts and what belongs to them. Built whole
 * or not at all, by any thread; then its worker's, immutable and counted: calls keep the one they
 * began with. */
#ifndef SSTPGATE_SITE_SITE_H
#define SSTPGATE_SITE_SITE_H

#include <stdio.h>

#include "binding/binding.h"
#include "config/config.h"

struct backends_group;
struct leaves;
struct snapshot;
struct tls_ctx;
struct users;

struct site_listener {
    const struct config_listener *config;
    struct tls_ctx *tls;
};

struct site_backend {
    const struct config_backend *config;
    struct backends_group *servers; /* the snapshot's */
    struct tls_ctx *tls;            /* NULL: plain HTTP */
    const struct users *users;
    struct binding_leaf told; /* binding-cert-hash; .known == 0: use what the handshake shows */
};

struct site {
    unsigned refs;
    struct snapshot *snapshot;
    const struct config *config; /* the snapshot's */
    struct site_listener *listener;
    struct site_backend *backend;
};

/* Takes a reference of its own to the snapshot, which need not be sound: then it is for the errors.
 * NULL when there was an error; all of them are in problems as "file:line: reason\n". The caller
 * holds the one reference. */
struct site *site_new(struct snapshot *from, FILE *problems);

/* Tells leaves what this site's listeners show. */
void site_show_leaves(const struct site *s, struct leaves *leaves);

struct site *site_ref(struct site *s);
void site_unref(struct site *s); /* NULL is fine */

#endif
