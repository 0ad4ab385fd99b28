/* site: a snapshot as one worker uses it: with TLS contexts. Any thread may build it, completely
 * or not at all; afterwards it belongs to its worker. Immutable and reference-counted: calls
 * keep the site with which they began. */
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
    struct backends_group *servers; /* of the snapshot */
    struct tls_ctx *tls;            /* NULL: plain HTTP */
    const struct users *users;
    struct binding_leaf told; /* binding-cert-hash; .known == 0: the hashes of the handshake */
};

struct site {
    unsigned refs;
    struct snapshot *snapshot;
    const struct config *config; /* of the snapshot */
    struct site_listener *listener;
    struct site_backend *backend;
};

/* Builds a site, with a reference to `from`. If `from` is not sound, the only use is to find
 * more errors. Returns NULL after an error; all of them are written to problems as "file:line:
 * reason\n". The caller holds the only reference. */
struct site *site_new(struct snapshot *from, FILE *problems);

/* Calls leaves_show() with the certificates of the listeners. */
void site_show_leaves(const struct site *s, struct leaves *leaves);

struct site *site_ref(struct site *s);
void site_unref(struct site *s); /* NULL: no-op */

#endif
