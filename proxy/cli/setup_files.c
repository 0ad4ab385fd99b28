#include "cli/setup_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/insist.h"

enum { DIRECTORY_MODE = 0750 };

void setup_files_add(struct setup_files *s, const char *path, struct span text, mode_t mode)
{
    INSIST(s->count < SETUP_FILES_MAX);
    struct setup_file *f = &s->file[s->count++];
    *f = (struct setup_file){.path = insist_alloc(strdup(path)),
                             .text = insist_alloc(malloc(text.n + 1)),
                             .n = text.n,
                             .mode = mode,
                             .directory = -1};
    memcpy(f->text, text.p, text.n);
}

static bool complain(FILE *problems, const char *path, size_t n, const char *why)
{
    fprintf(problems, "%.*s: %s\n", (int)n, path, why);
    return false;
}

static bool exists(const char *path, FILE *problems)
{
    return complain(problems, path, strlen(path),
                    "exists, and setup overwrites nothing: move the file away, or choose another "
                    "directory with --out");
}

bool setup_files_absent(const char *path, FILE *problems)
{
    struct stat st;

    return lstat(path, &st) != 0 || exists(path, problems);
}

/* ---- the directories of a path ---- */

/* A path, as far as it is opened. */
struct walk {
    const char *path;
    size_t done; /* bytes of path whose directory is `at` */
    int at;
    FILE *problems;
};

/* Returns the length of the next directory, at path + done; 0: the rest is the name of the file. */
static size_t next_directory(struct walk *w)
{
    w->done += strspn(w->path + w->done, "/");
    const size_t n = strcspn(w->path + w->done, "/");
    return w->path[w->done + n] == '\0' ? 0 : n;
}

static bool is_last(const struct walk *w)
{
    struct walk copy = *w;
    return next_directory(&copy) == 0;
}

/* Returns why other users could replace the files of a directory; NULL: they could not. */
static const char *unsafe(const struct stat *st, bool last)
{
    const mode_t others = S_IWOTH | (st->st_gid == 0 || st->st_gid == getegid() ? 0 : S_IWGRP);

    if (st->st_uid != 0 && st->st_uid != geteuid())
        return "belongs to another user, who could replace the files: choose a directory of root "
               "or "
               "of your own";
    if ((st->st_mode & others) != 0 && (last || (st->st_mode & S_ISVTX) == 0))
        return "other users may write to this directory: choose another one, or a new directory in "
               "it";
    return NULL;
}

/* Returns why a directory could not be opened. */
static const char *open_problem(const struct walk *w, const char *name, int error)
{
    struct stat st;

    if (fstatat(w->at, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
        return "is a symbolic link: write the path of its target";
    return strerror(error);
}

/* Creates the last directory of a path, which ends at w->done. Returns its descriptor, or -1 with
 * errno. The directory above is safe, so no other user can replace the new one. */
static int make_directory(const struct walk *w, struct setup_files *s, const char *name)
{
    if (mkdirat(w->at, name, DIRECTORY_MODE) != 0)
        return -1;
    s->made = insist_alloc(strndup(w->path, w->done));
    if (fchownat(w->at, name, (uid_t)-1, s->group, AT_SYMLINK_NOFOLLOW) != 0 ||
        fchmodat(w->at, name, DIRECTORY_MODE, 0) != 0) /* whatever the umask is */
        return -1;
    return openat(w->at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Opens the next directory, which has n bytes. */
static bool enter(struct walk *w, struct setup_files *s, size_t n)
{
    char name[NAME_MAX + 1];
    struct stat st;
    const size_t end = w->done + n;

    if (n > NAME_MAX)
        return complain(w->problems, w->path, end, strerror(ENAMETOOLONG));
    memcpy(name, w->path + w->done, n);
    name[n] = '\0';
    int fd = openat(w->at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    w->done = end;
    if (fd < 0 && errno == ENOENT && is_last(w) && s->made == NULL)
        fd = make_directory(w, s, name);
    if (fd < 0)
        return complain(w->problems, w->path, end, open_problem(w, name, errno));
    close(w->at);
    w->at = fd;
    const char *why = fstat(fd, &st) != 0 ? strerror(errno) : unsafe(&st, is_last(w));
    return why == NULL || complain(w->problems, w->path, end, why);
}

/* Opens the directory of f. */
static bool open_directory(struct setup_files *s, struct setup_file *f, FILE *problems)
{
    struct walk w = {
        .path = f->path, .at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC), .problems = problems};
    bool ok = w.at >= 0 || complain(problems, "/", 1, strerror(errno));
    size_t n;

    while (ok && (n = next_directory(&w)) > 0)
        ok = enter(&w, s, n);
    if (ok)
        f->directory = w.at;
    else if (w.at >= 0)
        close(w.at);
    return ok;
}

/* ---- the files ---- */

static const char *name_of(const struct setup_file *f)
{
    return strrchr(f->path, '/') + 1;
}

static bool write_content(const struct setup_files *s, const struct setup_file *f, int fd)
{
    return fchown(fd, (uid_t)-1, s->group) == 0 && fchmod(fd, f->mode) == 0 &&
           file_write(fd, f->text, f->n) && fsync(fd) == 0;
}

static bool write_file(const struct setup_files *s, struct setup_file *f, FILE *problems)
{
    const int fd = openat(f->directory, name_of(f),
                          O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0 && errno == EEXIST)
        return exists(f->path, problems);
    f->written = fd >= 0;
    const bool ok = fd >= 0 && write_content(s, f, fd);
    if (!ok)
        complain(problems, f->path, strlen(f->path), strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok;
}

bool setup_files_write(struct setup_files *s, FILE *problems)
{
    bool ok = true;

    for (size_t i = 0; ok && i < s->count; i++)
        ok = open_directory(s, &s->file[i], problems);
    for (size_t i = 0; ok && i < s->count; i++)
        ok = write_file(s, &s->file[i], problems);
    if (!ok)
        setup_files_undo(s);
    return ok;
}

void setup_files_undo(struct setup_files *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct setup_file *f = &s->file[i];
        if (f->written)
            (void)unlinkat(f->directory, name_of(f), 0);
        f->written = false;
    }
    if (s->made != NULL)
        (void)rmdir(s->made);
    free(s->made);
    s->made = NULL;
}

void setup_files_fini(struct setup_files *s)
{
    for (size_t i = 0; i < s->count; i++) {
        struct setup_file *f = &s->file[i];
        explicit_bzero(f->text, f->n);
        free(f->text);
        free(f->path);
        if (f->directory >= 0)
            close(f->directory);
    }
    free(s->made);
    *s = (struct setup_files){.group = (gid_t)-1};
}
