/* site: a snapshot as one worker uses it: with TLS contexts. The main thread builds it, completely
 * or not at all; afterwards it belongs to its worker. Immutable and reference-counted: calls
 * keep the site with which they began until their tunnel is up. */
#ifndef SSTPGATE_SITE_SITE_H
#define SSTPGATE_SITE_SITE_H

#include <stdio.h>

#include "binding/binding.h"
#include "config/config.h"

struct backends_group;
struct leaves;
struct sessions;
struct snapshot;
struct tls_ctx;
struct users;

struct site_listener {
    const struct config_listener *config;
    struct tls_ctx *tls;
};

struct site_backend {
    const struct config_backend *config;
    struct backends_group *servers; /* of the snapshot */
    struct tls_ctx *tls;            /* NULL: plain HTTP */
    struct sessions *sessions;      /* of the snapshot; NULL: keeps none */
    const struct users *users;
    struct binding_leaf
        configured_leaf; /* binding-cert-hash; .known == 0: the hashes of the handshake */
};

struct site {
    unsigned refs;
    unsigned rules; /* of the snapshot */
    struct snapshot *snapshot;
    const struct config *config; /* of the snapshot */
    struct site_listener *listener;
    struct site_backend *backend;
};

/* Builds a site, with a reference to `from`, which need not be sound: then call this to find
 * more errors. Reads the files of certificates, once for all sites of a snapshot. Returns NULL
 * after an error; all of them are written to problems as "file:line: reason\n". The caller holds
 * the only reference. Main thread. */
struct site *site_new(struct snapshot *from, FILE *problems);

/* Calls leaves_show() with the certificates of the listeners. */
void site_show_leaves(const struct site *s, struct leaves *leaves);

struct site *site_ref(struct site *s);
void site_unref(struct site *s); /* NULL: no-op */

#endif
