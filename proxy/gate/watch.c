#include "gate/watch.h"

#include <stdlib.h>
#include <string.h>

#include "base/files.h"
#include "base/insist.h"

enum {
    LOOK_MS = 2000,
    PATIENCE = 5, /* consecutive polls with a change, until a file that changes all the time is
                   * read */
};

struct watched {
    char *path;
    struct files_seen seen; /* at the last poll */
};

struct watch {
    uv_timer_t timer;
    void (*on_change)(void *arg);
    void *arg;
    struct watched *file;
    size_t count;
    unsigned waiting; /* consecutive polls with a change; a poll without one calls on_change */
};

static void on_watch_timer(uv_timer_t *timer)
{
    struct watch *w = timer->data;
    bool changed = false;

    for (size_t i = 0; i < w->count; i++) {
        const struct files_seen now = files_look(w->file[i].path);
        changed |= !files_same(&w->file[i].seen, &now);
        w->file[i].seen = now;
    }
    const bool settled = w->waiting > 0 && (!changed || w->waiting == PATIENCE);
    w->waiting = changed && !settled ? w->waiting + 1 : 0;
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

static void watch_add(void *arg, const struct files_item *item)
{
    struct watch *w = arg;

    w->file = insist_alloc(reallocarray(w->file, w->count + 1, sizeof *w->file));
    w->file[w->count++] =
        (struct watched){.path = insist_alloc(strdup(item->path)), .seen = *item->seen};
}

void watch_files(struct watch *w, const struct files *files)
{
    watch_drop_files(w);
    files_each(files, watch_add, w);
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
