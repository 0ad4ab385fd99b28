#include "policy/sources.h"

#include <string.h>

#include "base/memo.h"

/* ---- how each kind of file becomes an object ---- */

static void *load_netset(const char *const path[FILES_PATHS], FILE *problems)
{
    return netset_load(path[0], problems);
}

static void free_netset(void *set)
{
    netset_free(set);
}

static void *load_country(const char *const path[FILES_PATHS], FILE *problems)
{
    return country_open(path[0], problems);
}

static void free_country(void *country)
{
    country_close(country);
}

static void *load_zone(const char *const name[FILES_PATHS], FILE *problems)
{
    char problem[ZONE_PROBLEM_MAX];
    struct zone *z = zone_load(name[0], problem);

    if (z == NULL)
        fputs(problem, problems);
    return z;
}

static void free_zone(void *zone)
{
    zone_free(zone);
}

static const struct files_kind netset_kind = {.load = load_netset, .free = free_netset},
                               country_kind = {.load = load_country, .free = free_country},
                               zone_kind = {.load = load_zone, .free = free_zone, .fixed = true};

/* ---- look-up ---- */

bool sources_open_country(struct sources *s, const char *path, FILE *problems)
{
    s->country = path == NULL ? NULL : files_get_one(s->files, &country_kind, path, problems);
    return path == NULL || s->country != NULL;
}

const struct netset *sources_netset(struct sources *s, const char *path, FILE *problems)
{
    return files_get_one(s->files, &netset_kind, path, problems);
}

const struct zone *sources_zone(struct sources *s, const char *name, char problem[ZONE_PROBLEM_MAX])
{
    struct memo m;
    const struct zone *z = files_get_one(s->files, &zone_kind, name, memo_open(&m));
    const char *text = memo_text(&m);

    snprintf(problem, ZONE_PROBLEM_MAX, "%s", *text == '\0' ? "see above" : text);
    memo_free(&m);
    return z;
}

bool sources_renewed(const struct files *f)
{
    return files_renewed(f, &netset_kind) || files_renewed(f, &country_kind);
}
