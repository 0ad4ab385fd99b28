#include "call/snapshot.h"

#include <stdlib.h>

#include "base/check.h"
#include "policy/backends.h"
#include "policy/users.h"

/* A configuration that is not sound is for finding errors; nobody will call its servers. */
static struct backends_group **join_all(struct backends *all, const struct config *c)
{
    struct backends_group **group = check_alloc(calloc(c->backend_count + 1, sizeof *group));
    for (size_t i = 0; i < c->backend_count; i++)
        group[i] = backends_join(all, &c->backend[i]);
    return group;
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
    s->users = check_alloc(calloc(c->backend_count, sizeof *s->users));
    for (size_t i = 0; i < c->backend_count; i++) {
        const struct config_backend *b = &c->backend[i];
        if (b->users_file == NULL)
            continue;
        s->users[i] = users_load(b->users_file, problems);
        if (s->users[i] == NULL) {
            fprintf(problems, "%s:%u: users-file of backend %s cannot be used\n", c->path,
                    config_line(c, b, "users-file"), b->name);
            s->sound = false;
        }
    }
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
    config_free(s->config);
    free(s);
}
