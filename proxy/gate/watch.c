#include "gate/watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/insist.h"
#include "config/config.h"

enum { LOOK_MS = 2000 };

struct watched {
    char *path;
    bool exists;
    struct timespec changed;
    ino_t inode;
    dev_t device;
    off_t size;
    bool wanted; /* in the new list, while watch_files compares */
};

struct watch {
    uv_timer_t timer;
    void (*on_change)(void *arg);
    void *arg;
    struct watched *file;
    size_t count;
    bool pending; /* a file had changed at the last look; on_change follows a look without change */
};

static void watched_look(struct watched *f)
{
    struct stat st;

    f->exists = stat(f->path, &st) == 0;
    if (!f->exists)
        return;
    f->changed = st.st_mtim;
    f->inode = st.st_ino;
    f->device = st.st_dev;
    f->size = st.st_size;
}

static bool watched_differ(const struct watched *a, const struct watched *b)
{
    if (!a->exists || !b->exists)
        return a->exists != b->exists;
    return a->inode != b->inode || a->device != b->device || a->size != b->size ||
           a->changed.tv_sec != b->changed.tv_sec || a->changed.tv_nsec != b->changed.tv_nsec;
}

static void on_watch_timer(uv_timer_t *timer)
{
    struct watch *w = timer->data;
    bool changed = false;

    for (size_t i = 0; i < w->count; i++) {
        struct watched before = w->file[i];
        watched_look(&w->file[i]);
        changed |= watched_differ(&before, &w->file[i]);
    }
    const bool settled = w->pending && !changed;
    w->pending = changed;
    if (settled)
        w->on_change(w->arg);
}

struct watch *watch_new(uv_loop_t *loop, void (*on_change)(void *arg), void *arg)
{
    struct watch *w = NEW(struct watch);

    w->on_change = on_change;
    w->arg = arg;
    INSIST_UV(uv_timer_init(loop, &w->timer));
    w->timer.data = w;
    INSIST_UV(uv_timer_start(&w->timer, on_watch_timer, LOOK_MS, LOOK_MS));
    return w;
}

static void watch_drop_files(struct watch *w)
{
    for (size_t i = 0; i < w->count; i++)
        free(w->file[i].path);
    free(w->file);
    w->file = NULL;
    w->count = 0;
}

static void watch_add(struct watch *w, const char *path)
{
    if (path == NULL)
        return;
    for (size_t i = 0; i < w->count; i++)
        if (strcmp(w->file[i].path, path) == 0) {
            w->file[i].wanted = true;
            return;
        }
    w->file = insist_alloc(realloc(w->file, (w->count + 1) * sizeof *w->file));
    w->file[w->count] = (struct watched){.path = insist_alloc(strdup(path)), .wanted = true};
    watched_look(&w->file[w->count++]);
}

static void watch_drop_unwanted(struct watch *w)
{
    size_t kept = 0;

    for (size_t i = 0; i < w->count; i++) {
        if (w->file[i].wanted)
            w->file[kept++] = w->file[i];
        else
            free(w->file[i].path);
    }
    w->count = kept;
}

void watch_mark(struct watch *w)
{
    w->pending = false;
    for (size_t i = 0; i < w->count; i++)
        watched_look(&w->file[i]);
}

void watch_files(struct watch *w, const struct config *c)
{
    for (size_t i = 0; i < w->count; i++)
        w->file[i].wanted = false;
    for (size_t i = 0; i < c->listener_count; i++) {
        const struct config_listener *l = &c->listener[i];
        for (size_t k = 0; k < l->certificate_count; k++) {
            watch_add(w, l->certificate[k].file);
            watch_add(w, l->certificate[k].key);
            watch_add(w, l->certificate[k].passphrase_file);
            watch_add(w, l->certificate[k].ocsp_file);
        }
    }
    for (size_t i = 0; i < c->backend_count; i++)
        watch_add(w, c->backend[i].users_file);
    for (size_t i = 0; i < c->radius_count; i++) {
        watch_add(w, c->radius[i].secret_file);
        watch_add(w, c->radius[i].server_secret_file);
    }
    for (size_t i = 0; i < c->sources.file_count; i++)
        watch_add(w, sources_file_path(&c->sources, i));
    watch_add(w, c->gate.country_file);
    watch_drop_unwanted(w);
}

static void on_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    watch_drop_files(w);
    free(w);
}

void watch_free(struct watch *w)
{
    if (w != NULL)
        uv_close((uv_handle_t *)&w->timer, on_closed);
}
