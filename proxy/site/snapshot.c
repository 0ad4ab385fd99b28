#include "site/snapshot.h"

#include <stdlib.h>

#include "base/insist.h"
#include "config/config_load.h"
#include "policy/backends.h"
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

/* Loads the secret of a key. path NULL: the required key is missing, which has been reported. */
static struct secret *load_secret(struct snapshot *s, const struct config_radius *r,
                                  const char *key, const char *path, FILE *problems)
{
    struct secret *secret = path == NULL ? NULL : secret_load(path, problems);

    if (secret == NULL) {
        if (path != NULL)
            fprintf(problems, "%s:%u: %s of radius %s cannot be used, see above\n", s->config->path,
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

static void free_secrets(struct snapshot *s)
{
    for (size_t i = 0; i < s->config->radius_count; i++) {
        if (s->radius[i].server != s->radius[i].client)
            secret_free(s->radius[i].server);
        secret_free(s->radius[i].client);
    }
    free(s->radius);
}

static void load_users(struct snapshot *s, FILE *problems)
{
    const struct config *c = s->config;

    s->users = insist_alloc(calloc(c->backend_count + 1, sizeof *s->users));
    for (size_t i = 0; i < c->backend_count; i++) {
        const struct config_backend *b = &c->backend[i];
        if (b->users_file == NULL)
            continue;
        s->users[i] = users_load(b->users_file, problems);
        if (s->users[i] == NULL) {
            fprintf(problems, "%s:%u: users-file of backend %s cannot be used, see above\n",
                    c->path, config_line(c, b, "users-file"), b->name);
            s->sound = false;
        }
    }
}

struct snapshot *snapshot_load(const char *path, struct backends *all, FILE *problems)
{
    struct config *c = config_load(path, problems);
    if (c == NULL)
        return NULL;

    struct snapshot *s = NEW(struct snapshot);
    atomic_init(&s->refs, 1);
    s->config = c;
    s->sound = c->sound;
    s->sound &= config_open(c, problems);
    if (c->sound)
        s->servers = join_all(all, c);
    load_users(s, problems);
    load_secrets(s, problems);
    return s;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void snapshot_unref(struct snapshot *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    for (size_t i = 0; i < s->config->backend_count; i++)
        users_free(s->users[i]);
    for (size_t i = 0; s->servers != NULL && i < s->config->backend_count; i++)
        backends_leave(s->servers[i]);
    free(s->servers);
    free(s->users);
    free_secrets(s);
    config_free(s->config);
    free(s);
}
