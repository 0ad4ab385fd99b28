#include "site/snapshot.h"

#include <stdlib.h>
#include <string.h>

#include "base/insist.h"
#include "binding/vault.h"
#include "config/config_load.h"
#include "config/config_sources.h"
#include "policy/backends.h"
#include "policy/sources.h"
#include "site/sessions.h"
#include "users/secret.h"
#include "users/users.h"

/* Joins a group for each backend. Only for a sound configuration, because no other gets
 * calls. */
static struct backends_group **join_all(struct backends *all, const struct config *c)
{
    struct backends_group **group = insist_alloc(calloc(c->backend_count + 1, sizeof *group));
    for (size_t i = 0; i < c->backend_count; i++)
        group[i] = backends_join(all, &c->backend[i].servers);
    return group;
}

/* Returns whether health checks of a backend see the certificates of its servers, and calls may
 * resume their sessions. */
static bool keeps_sessions(const struct config_backend *b)
{
    return b->tls && b->resume && b->check != CONFIG_CHECK_NO && b->check != CONFIG_CHECK_TCP;
}

static struct sessions **sessions_of(const struct config *c)
{
    struct sessions **all = insist_alloc(calloc(c->backend_count + 1, sizeof *all));
    for (size_t i = 0; i < c->backend_count; i++)
        if (keeps_sessions(&c->backend[i]))
            all[i] = sessions_new(c->backend[i].servers.count);
    return all;
}

/* ---- files ---- */

static void *read_secret(const char *const path[FILES_PATHS], FILE *problems)
{
    return secret_load(path[0], problems);
}

static void drop_secret(void *secret)
{
    secret_free(secret);
}

static void *read_users(const char *const path[FILES_PATHS], FILE *problems)
{
    return users_load(path[0], problems);
}

static void drop_users(void *users)
{
    users_free(users);
}

static const struct files_kind secret_kind = {.load = read_secret, .free = drop_secret},
                               users_kind = {.load = read_users, .free = drop_users};

/* path NULL: the key is required but missing, which is reported. */
static const struct secret *load_secret(struct snapshot *s, const struct config_radius *r,
                                        const char *key, const char *path, FILE *problems)
{
    const struct secret *secret =
        path == NULL ? NULL : files_get_one(s->files, &secret_kind, path, problems);

    if (secret == NULL) {
        if (path != NULL)
            fprintf(problems, "%s:%u: %s of radius %s cannot be used, see above\n", r->file,
                    config_line(s->config, r, key), key, r->name);
        s->sound = false;
    }
    return secret;
}

static void load_secrets(struct snapshot *s, FILE *problems)
{
    s->radius = insist_alloc(calloc(s->config->radius_count + 1, sizeof *s->radius));
    for (size_t i = 0; i < s->config->radius_count; i++) {
        const struct config_radius *r = &s->config->radius[i];
        const bool own = r->server_secret_file != NULL;
        s->radius[i].client = load_secret(s, r, "secret-file", r->secret_file, problems);
        s->radius[i].server =
            own ? load_secret(s, r, "server-secret-file", r->server_secret_file, problems)
                : s->radius[i].client;
    }
}

/* Loads the secret of a key of [gate]; path NULL: it is not set. */
static const struct secret *load_gate_secret(struct snapshot *s, const char *key, const char *path,
                                             FILE *problems)
{
    const struct config_gate *g = &s->config->gate;

    if (path == NULL)
        return NULL;
    const struct secret *secret = files_get_one(s->files, &secret_kind, path, problems);
    if (secret == NULL) {
        fprintf(problems, "%s:%u: %s cannot be used, see above\n", g->file,
                config_line(s->config, g, key), key);
        s->sound = false;
    }
    return secret;
}

/* Refuses a secret that is short: whoever reads the store could find it by trying. */
static void load_shared_secret(struct snapshot *s, FILE *problems)
{
    const struct config_gate *g = &s->config->gate;
    const struct secret *secret =
        load_gate_secret(s, "shared-secret-file", g->shared_secret_file, problems);

    if (secret != NULL && secret->n < VAULT_SECRET_MIN) {
        fprintf(problems,
                "%s:%u: shared-secret-file: %s has %zu bytes in its first line; at least %d are "
                "required, such as those of `openssl rand -base64 32`\n",
                g->file, config_line(s->config, g, "shared-secret-file"), g->shared_secret_file,
                secret->n, VAULT_SECRET_MIN);
        s->sound = false;
    }
    s->shared_secret = secret;
}

static void load_gate_secrets(struct snapshot *s, FILE *problems)
{
    const struct config_gate *g = &s->config->gate;

    s->status_token = load_gate_secret(s, "status-token-file", g->status_token_file, problems);
    s->shared_password =
        load_gate_secret(s, "shared-password-file", g->shared_password_file, problems);
    s->sentinel_password =
        load_gate_secret(s, "shared-sentinel-password-file", g->sentinel_password_file, problems);
    load_shared_secret(s, problems);
}

static void load_users(struct snapshot *s, FILE *problems)
{
    const struct config *c = s->config;

    s->users = insist_alloc(calloc(c->backend_count + 1, sizeof *s->users));
    for (size_t i = 0; i < c->backend_count; i++) {
        const struct config_backend *b = &c->backend[i];
        if (b->users_file == NULL)
            continue;
        s->users[i] = files_get_one(s->files, &users_kind, b->users_file, problems);
        if (s->users[i] == NULL) {
            fprintf(problems, "%s:%u: users-file of backend %s cannot be used, see above\n",
                    b->file, config_line(c, b, "users-file"), b->name);
            s->sound = false;
        }
    }
}

/* ---- loading ---- */

/* Returns a number that no other rules have. */
static unsigned new_rules(void)
{
    static unsigned number;
    return ++number;
}

/* last: NULL, or what is in force. */
static struct snapshot *snapshot_new(struct config_sources *sources, const struct snapshot *last,
                                     struct backends *all, FILE *problems)
{
    struct config *c = config_parse_sources(sources, problems);
    if (c == NULL)
        return NULL;

    struct snapshot *s = NEW(struct snapshot);
    atomic_init(&s->refs, 1);
    s->config = c;
    s->files = files_new(last == NULL ? NULL : last->files);
    s->sound = c->sound;
    s->sound &= config_open(c, s->files, problems);
    s->rules = last == NULL || sources_renewed(s->files) ? new_rules() : last->rules;
    if (c->sound) {
        s->servers = join_all(all, c);
        s->sessions = sessions_of(c);
    }
    load_users(s, problems);
    load_secrets(s, problems);
    load_gate_secrets(s, problems);
    return s;
}

struct snapshot *snapshot_load(const char *path, struct backends *all, FILE *problems)
{
    struct config_sources *sources = config_sources_read(path, problems);
    struct snapshot *s = sources == NULL ? NULL : snapshot_new(sources, NULL, all, problems);

    config_sources_unref(sources);
    return s;
}

struct snapshot *snapshot_read_again(const struct snapshot *last, struct backends *all,
                                     FILE *problems)
{
    return snapshot_new(last->config->sources, last, all, problems);
}

bool snapshot_is_outdated(const struct snapshot *s)
{
    return config_sources_changed(s->config->sources);
}

/* ---- references ---- */

struct snapshot *snapshot_ref(struct snapshot *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void snapshot_unref(struct snapshot *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    files_free(s->files);
    for (size_t i = 0; s->servers != NULL && i < s->config->backend_count; i++)
        backends_leave(s->servers[i]);
    for (size_t i = 0; s->sessions != NULL && i < s->config->backend_count; i++) {
        sessions_close(s->sessions[i]);
        sessions_unref(s->sessions[i]);
    }
    free(s->servers);
    free(s->sessions);
    free(s->users);
    free(s->radius);
    config_free(s->config);
    free(s);
}
