#include "base/files.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/insist.h"
#include "base/memo.h"

/* An object that several lists may share. */
struct files_object {
    atomic_uint refs;
    const struct files_kind *kind;
    void *made; /* NULL: the files have problems */
};

struct files_entry {
    const struct files_kind *kind;
    char *path[FILES_PATHS];
    struct files_seen seen[FILES_PATHS];
    bool changed[FILES_PATHS]; /* compared with the entry of `last` */
    struct files_object *object;
    bool retried; /* the files have not changed, but their content could not be used before */
    char *stale;  /* as in struct files_item; owned */
};

struct files {
    const struct files *last;
    struct files_entry *entry;
    size_t count;
};

/* ---- objects ---- */

static struct files_object *object_ref(struct files_object *o)
{
    atomic_fetch_add(&o->refs, 1);
    return o;
}

static void object_unref(struct files_object *o)
{
    if (atomic_fetch_sub(&o->refs, 1) > 1)
        return;
    if (o->made != NULL)
        o->kind->free(o->made);
    free(o);
}

static struct files_object *object_load(const struct files_entry *e, FILE *problems)
{
    struct files_object *o = NEW(struct files_object);

    atomic_init(&o->refs, 1);
    o->kind = e->kind;
    o->made = e->kind->load((const char *const *)e->path, problems);
    return o;
}

/* ---- the list ---- */

struct files *files_new(const struct files *last)
{
    struct files *f = NEW(struct files);
    f->last = last;
    return f;
}

static void entry_fini(struct files_entry *e)
{
    for (size_t i = 0; i < FILES_PATHS; i++)
        free(e->path[i]);
    free(e->stale);
    object_unref(e->object);
}

void files_free(struct files *f)
{
    if (f == NULL)
        return;
    for (size_t i = 0; i < f->count; i++)
        entry_fini(&f->entry[i]);
    free(f->entry);
    free(f);
}

void files_settle(struct files *f)
{
    f->last = NULL;
}

static bool same_path(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static struct files_entry *files_find(const struct files *f, const struct files_kind *kind,
                                      const char *const path[FILES_PATHS])
{
    for (size_t i = 0; f != NULL && i < f->count; i++) {
        struct files_entry *e = &f->entry[i];
        size_t k = 0;
        while (k < FILES_PATHS && same_path(e->path[k], path[k]))
            k++;
        if (k == FILES_PATHS && e->kind == kind)
            return e;
    }
    return NULL;
}

/* ---- changes ---- */

struct files_seen files_look(const char *path)
{
    struct files_seen seen = {.exists = false};
    seen.exists = stat(path, &seen.st) == 0;
    return seen;
}

bool files_same(const struct files_seen *a, const struct files_seen *b)
{
    if (!a->exists || !b->exists)
        return a->exists == b->exists;
    /* The mode and the owner are not compared: a change of them changes st_ctim. */
    return file_same(&a->st, &b->st);
}

/* Records the status of the files before they are read, so that a later change is detected. Returns
 * whether the status of a file differs from that in `before`; true if before is NULL. */
static bool entry_record_status(struct files_entry *e, const struct files_entry *before)
{
    bool changed = before == NULL;

    for (size_t i = 0; i < FILES_PATHS; i++) {
        if (e->path[i] == NULL || e->kind->fixed)
            continue;
        e->seen[i] = files_look(e->path[i]);
        e->changed[i] = before == NULL || !files_same(&e->seen[i], &before->seen[i]);
        changed |= e->changed[i];
    }
    return changed;
}

static void entry_keep(struct files_entry *e, const struct files_entry *before, const char *stale)
{
    e->object = object_ref(before->object);
    e->stale = stale == NULL ? NULL : insist_alloc(strdup(stale));
}

/* Reads the changed files; if they cannot be used, the old object stays in force. Keeps only the
 * first problem, because a file with the wrong content has one on each line. */
static void entry_read_again(struct files_entry *e, const struct files_entry *before)
{
    struct memo m;
    struct files_object *o = object_load(e, memo_open(&m));
    char *text = memo_take(&m);

    text[strcspn(text, "\n")] = '\0';
    if (o->made != NULL) {
        e->object = o;
    } else {
        object_unref(o);
        entry_keep(e, before, text);
    }
    free(text);
}

static struct files_entry *files_add(struct files *f, const struct files_kind *kind,
                                     const char *const path[FILES_PATHS])
{
    f->entry = insist_alloc(reallocarray(f->entry, f->count + 1, sizeof *f->entry));
    struct files_entry *e = &f->entry[f->count++];

    *e = (struct files_entry){.kind = kind};
    for (size_t i = 0; i < FILES_PATHS; i++)
        e->path[i] = path[i] == NULL ? NULL : insist_alloc(strdup(path[i]));
    return e;
}

const void *files_get(struct files *f, const struct files_kind *kind,
                      const char *const path[FILES_PATHS], FILE *problems)
{
    struct files_entry *e = files_find(f, kind, path);
    if (e != NULL)
        return e->object->made;

    const struct files_entry *before = files_find(f->last, kind, path);
    e = files_add(f, kind, path);
    const bool changed = entry_record_status(e, before);
    e->retried = !changed && before->stale != NULL;
    if (!changed && !e->retried)
        entry_keep(e, before, NULL);
    else if (before == NULL)
        e->object = object_load(e, problems);
    else
        entry_read_again(e, before);
    return e->object->made;
}

const void *files_get_one(struct files *f, const struct files_kind *kind, const char *path,
                          FILE *problems)
{
    return files_get(f, kind, (const char *const[FILES_PATHS]){path}, problems);
}

bool files_revert(struct files *f, const struct files_kind *kind,
                  const char *const path[FILES_PATHS], const char *reason)
{
    struct files_entry *e = files_find(f, kind, path);
    const struct files_entry *before = files_find(f->last, kind, path);

    if (e == NULL || before == NULL || e->object == before->object)
        return false;
    object_unref(e->object);
    entry_keep(e, before, reason);
    return true;
}

bool files_revert_retried(struct files *f, const struct files_kind *kind,
                          const char *const path[FILES_PATHS])
{
    const struct files_entry *e = files_find(f, kind, path);

    return e != NULL && e->retried &&
           files_revert(f, kind, path, files_find(f->last, kind, path)->stale);
}

bool files_is_retried(const struct files *f, const struct files_kind *kind,
                      const char *const path[FILES_PATHS])
{
    const struct files_entry *e = files_find(f, kind, path);

    return e != NULL && e->retried && e->stale == NULL;
}

bool files_renewed(const struct files *f, const struct files_kind *kind)
{
    for (size_t i = 0; i < f->count; i++) {
        const struct files_entry *e = &f->entry[i];
        const struct files_entry *before =
            files_find(f->last, e->kind, (const char *const *)e->path);
        if (e->kind == kind && (before == NULL || before->object != e->object))
            return true;
    }
    return false;
}

/* ---- all files ---- */

/* Adds the status of path to *item. Returns false if path is not a file of the entry. */
static bool entry_describe(const struct files_entry *e, const char *path, struct files_item *item)
{
    for (size_t i = 0; i < FILES_PATHS && !e->kind->fixed; i++) {
        if (e->path[i] == NULL || strcmp(e->path[i], path) != 0)
            continue;
        item->seen = item->seen == NULL ? &e->seen[i] : item->seen;
        item->changed |= e->changed[i] || (e->retried && e->stale == NULL);
        item->stale = item->stale == NULL ? e->stale : item->stale;
        return true;
    }
    return false;
}

/* Calls on_item, unless an entry before the one with this index has the same file. */
static void item_visit(const struct files *f, size_t index, const char *path,
                       void (*on_item)(void *arg, const struct files_item *item), void *arg)
{
    struct files_item item = {.path = path};

    for (size_t i = 0; i < index; i++)
        if (entry_describe(&f->entry[i], path, &item))
            return;
    for (size_t i = index; i < f->count; i++)
        entry_describe(&f->entry[i], path, &item);
    on_item(arg, &item);
}

void files_each(const struct files *f, void (*on_item)(void *arg, const struct files_item *item),
                void *arg)
{
    for (size_t i = 0; i < f->count; i++)
        for (size_t k = 0; k < FILES_PATHS && !f->entry[i].kind->fixed; k++)
            if (f->entry[i].path[k] != NULL)
                item_visit(f, i, f->entry[i].path[k], on_item, arg);
}
