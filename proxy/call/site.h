/* site: what a configuration becomes for one worker: TLS contexts and what belongs to them. Built
 * whole or not at all; immutable afterwards. */
#ifndef SSTPGATE_CALL_SITE_H
#define SSTPGATE_CALL_SITE_H

#include <stdio.h>

#include "binding/binding.h"
#include "policy/config.h"

struct tls_ctx;
struct users;

/* The users files, one for each backend that names one (NULL otherwise), shared by all workers. */
struct site_users {
    struct users **of_backend; /* config->backend_count of them */
};

struct site_listener {
    const struct config_listener *config;
    struct tls_ctx *tls;
};

struct site_backend {
    const struct config_backend *config;
    struct tls_ctx *tls; /* NULL: plain HTTP */
    const struct users *users;
    struct binding_leaf told; /* binding-cert-hash; .known == 0: use what the handshake shows */
};

struct site {
    const struct config *config; /* outlives the site */
    struct site_listener *listener;
    struct site_backend *backend;
};

/* Loads all files the configuration names. Every error goes to problems as "file:line: reason\n".
 * False when there was one; nothing is kept then. */
bool site_users_load(struct site_users *u, const struct config *c, FILE *problems);
void site_users_free(struct site_users *u, const struct config *c);

/* NULL when there was an error; all of them are in problems. users may hold NULLs. */
struct site *site_new(const struct config *c, const struct site_users *users, FILE *problems);
void site_free(struct site *s);

#endif
