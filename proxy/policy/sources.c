#include "policy/sources.h"

#include <stdlib.h>
#include <string.h>

#include "base/insist.h"

struct source_file {
    char *path;
    struct netset *set; /* NULL: it has problems, already reported */
};

struct source_zone {
    char *name;
    struct zone *zone;
};

void sources_init(struct sources *s)
{
    *s = (struct sources){.file = NULL};
}

void sources_fini(struct sources *s)
{
    for (size_t i = 0; i < s->file_count; i++) {
        free(s->file[i].path);
        netset_free(s->file[i].set);
    }
    for (size_t i = 0; i < s->zone_count; i++) {
        free(s->zone[i].name);
        zone_free(s->zone[i].zone);
    }
    free(s->file);
    free(s->zone);
    country_close(s->country);
    sources_init(s);
}

const struct netset *sources_netset(struct sources *s, const char *path, FILE *problems)
{
    for (size_t i = 0; i < s->file_count; i++)
        if (strcmp(s->file[i].path, path) == 0)
            return s->file[i].set;
    s->file = insist_alloc(reallocarray(s->file, s->file_count + 1, sizeof *s->file));
    struct source_file *f = &s->file[s->file_count++];
    f->path = insist_alloc(strdup(path));
    f->set = netset_load(path, problems);
    return f->set;
}

const char *sources_file_path(const struct sources *s, size_t i)
{
    return s->file[i].path;
}

const struct zone *sources_zone(struct sources *s, const char *name, char problem[ZONE_PROBLEM_MAX])
{
    for (size_t i = 0; i < s->zone_count; i++)
        if (strcmp(s->zone[i].name, name) == 0)
            return s->zone[i].zone;
    struct zone *z = zone_load(name, problem);
    if (z == NULL)
        return NULL;
    s->zone = insist_alloc(reallocarray(s->zone, s->zone_count + 1, sizeof *s->zone));
    s->zone[s->zone_count++] = (struct source_zone){.name = insist_alloc(strdup(name)), .zone = z};
    return z;
}
