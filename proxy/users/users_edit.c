#include "users/users_edit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hex.h"
#include "base/insist.h"

enum { HEX = 2 * USERS_HASH };

struct edit_line {
    size_t start; /* in the text */
    bool put;     /* set since the file was read */
};

struct users_edit {
    char *path; /* without symbolic links; NULL: no file */
    int dir;    /* its directory, locked; -1: none */
    bool exists, changed;
    struct users *users; /* in the text; their lines count from 1, line[] from 0 */
    struct edit_line *line;
    size_t lines, line_room;
    char *text;
    size_t n, room;
};

/* ---- the text ------------------------------------------------------------------------------- */

/* Grows the text, without realloc(), which may leave a copy that is not wiped. */
static void text_grow(struct users_edit *e, size_t more)
{
    if (e->room - e->n >= more)
        return;
    const size_t room = 2 * (e->n + more);
    char *text = insist_alloc(malloc(room));
    if (e->n > 0) {
        memcpy(text, e->text, e->n);
        explicit_bzero(e->text, e->n);
    }
    free(e->text);
    e->text = text;
    e->room = room;
}

static void text_append(struct users_edit *e, const void *bytes, size_t n)
{
    text_grow(e, n);
    memcpy(e->text + e->n, bytes, n);
    e->n += n;
}

static void begin_line(struct users_edit *e, size_t start, bool put)
{
    if (e->lines == e->line_room) {
        e->line_room = 2 * e->line_room + 64;
        e->line = insist_alloc(reallocarray(e->line, e->line_room, sizeof *e->line));
    }
    e->line[e->lines++] = (struct edit_line){.start = start, .put = put};
}

static void find_lines(struct users_edit *e)
{
    for (size_t at = 0; at < e->n;) {
        const char *end = memchr(e->text + at, '\n', e->n - at);
        begin_line(e, at, false);
        at = end == NULL ? e->n : (size_t)(end + 1 - e->text);
    }
}

static void add_line(struct users_edit *e, struct span name, const char hex[HEX])
{
    if (e->n > 0 && e->text[e->n - 1] != '\n')
        text_append(e, "\n", 1);
    begin_line(e, e->n, true);
    text_append(e, name.p, name.n);
    text_append(e, ":", 1);
    text_append(e, hex, HEX);
    text_append(e, "\n", 1);
}

static enum users_edited replace_line(struct users_edit *e, struct edit_line *line,
                                      const char hex[HEX])
{
    /* a name contains no ':', and 32 digits follow it, which were parsed */
    char *old = memchr(e->text + line->start, ':', e->n - line->start);
    INSIST(old != NULL);
    const bool same = span_eq_nocase(span_of(old + 1, HEX), span_of(hex, HEX));
    if (!same && line->put)
        return USERS_TWICE;
    if (!same)
        memcpy(old + 1, hex, HEX);
    line->put = true;
    return same ? USERS_SAME : USERS_REPLACED;
}

enum users_edited users_edit_put(struct users_edit *e, struct span name,
                                 const uint8_t hash_hash[USERS_HASH])
{
    enum users_edited result = USERS_ADDED;
    char hex[HEX];

    INSIST(users_name_valid(name));
    hex_write(hex, hash_hash, USERS_HASH);
    const unsigned at = users_add(e->users, name, hash_hash, (unsigned)e->lines + 1);
    if (at == 0)
        add_line(e, name, hex);
    else
        result = replace_line(e, &e->line[at - 1], hex);
    e->changed |= result == USERS_ADDED || result == USERS_REPLACED;
    explicit_bzero(hex, sizeof hex);
    return result;
}

bool users_edit_delete(struct users_edit *e, struct span name)
{
    const unsigned at = users_line(e->users, name);

    if (at == 0)
        return false;
    const size_t start = e->line[at - 1].start;
    const size_t end = at < e->lines ? e->line[at].start : e->n;
    memmove(e->text + start, e->text + end, e->n - end);
    explicit_bzero(e->text + e->n - (end - start), end - start);
    e->n -= end - start;
    e->changed = true;
    return true;
}

struct span users_edit_text(const struct users_edit *e)
{
    return span_of(e->text, e->n);
}

/* ---- opening -------------------------------------------------------------------------------- */

/* Returns path without symbolic links, to be freed. NULL with errno. */
static char *real_path(const char *path)
{
    char *real = realpath(path, NULL);
    struct stat st;

    if (real != NULL || errno != ENOENT)
        return real;
    /* A dangling link is an error, because it may lead to a directory of another user. Any
     * other file was created in the meantime. */
    if (lstat(path, &st) == 0) {
        errno = ENOENT;
        return S_ISLNK(st.st_mode) ? NULL : realpath(path, NULL);
    }
    const char *slash = strrchr(path, '/');
    char *above = slash == NULL   ? strdup(".")
                  : slash == path ? strdup("/")
                                  : strndup(path, (size_t)(slash - path));
    char *dir = realpath(insist_alloc(above), NULL);
    const char *name = slash == NULL ? path : slash + 1;
    if (dir != NULL && asprintf(&real, "%s/%s", dir, name) < 0)
        real = NULL;
    free(dir);
    free(above);
    return real;
}

/* Locks the directory, because each save replaces the file. Returns its descriptor; -1 with
 * errno. */
static int lock_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *dir = insist_alloc(strndup(path, slash == path ? 1 : (size_t)(slash - path)));
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;

    free(dir);
    if (fd >= 0)
        while ((rc = flock(fd, LOCK_EX)) != 0 && errno == EINTR)
            ;
    if (rc != 0) {
        const int reason = errno;
        close(fd);
        errno = reason;
        fd = -1;
    }
    return fd;
}

static bool edit_read_file(struct users_edit *e, const char *path, FILE *problems)
{
    struct stat st;

    e->exists = lstat(e->path, &st) == 0;
    if (e->exists) {
        e->text = users_read_file(path, &e->n, problems);
        if (e->text == NULL)
            return false;
        e->room = e->n;
    }
    e->users = users_parse(path, e->text, e->n, problems);
    find_lines(e);
    return e->users != NULL;
}

struct users_edit *users_edit_open(const char *path, FILE *problems)
{
    struct users_edit *e = NEW(struct users_edit);

    e->dir = -1;
    if (path == NULL) {
        e->users = users_new("");
        return e;
    }
    if ((e->path = real_path(path)) == NULL) {
        fprintf(problems, "%s: cannot be opened: %s\n", path, strerror(errno));
        goto fail;
    }
    if ((e->dir = lock_dir(e->path)) < 0) {
        fprintf(problems, "%s: its directory cannot be locked: %s\n", path, strerror(errno));
        goto fail;
    }
    if (edit_read_file(e, path, problems))
        return e;

fail:
    users_edit_free(e);
    return NULL;
}

void users_edit_free(struct users_edit *e)
{
    if (e == NULL)
        return;
    if (e->text != NULL)
        explicit_bzero(e->text, e->n);
    free(e->text);
    free(e->line);
    users_free(e->users);
    if (e->dir >= 0)
        close(e->dir);
    free(e->path);
    free(e);
}

/* ---- saving --------------------------------------------------------------------------------- */

/* Copies the access list of the old file, without which the group bits of its mode mean
 * something else. Removes a list that fd has inherited from the directory. */
static bool keep_access_list(int old, int fd)
{
    static const char name[] = "system.posix_acl_access";
    char list[4096];
    const ssize_t n = fgetxattr(old, name, list, sizeof list);

    if (n > 0)
        return fsetxattr(fd, name, list, (size_t)n, 0) == 0;
    if (n < 0 && errno != ENODATA && errno != EOPNOTSUPP)
        return false;
    return fremovexattr(fd, name) == 0 || errno == ENODATA || errno == EOPNOTSUPP;
}

/* Copies owner, group and mode of the old file to fd, which has mode 0600. The owner first,
 * because changing it clears bits of the mode. */
static bool keep_access(const char *path, int fd)
{
    struct stat was, is;
    const int old = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const bool good = old >= 0 && fstat(old, &was) == 0 && fstat(fd, &is) == 0 &&
                      ((was.st_uid == is.st_uid && was.st_gid == is.st_gid) ||
                       fchown(fd, was.st_uid, was.st_gid) == 0) &&
                      keep_access_list(old, fd) && fchmod(fd, was.st_mode & 0770) == 0;
    const int reason = errno;

    if (old >= 0)
        close(old);
    errno = reason;
    return good;
}

/* Writes the text to a new file, named by the template `beside`, and renames it to e->path.
 * Returns NULL, or what failed, with errno. */
static const char *replace_file(const struct users_edit *e, char *beside)
{
    const int fd = mkostemp(beside, O_CLOEXEC); /* mode 0600 */
    const char *failed = NULL;

    if (fd < 0)
        return "cannot be written";
    if (!file_write(fd, e->text, e->n))
        failed = "cannot be written";
    else if (e->exists && !keep_access(e->path, fd))
        failed = "its owner, group and mode cannot be kept";
    else if (fsync(fd) != 0 || rename(beside, e->path) != 0)
        failed = "cannot be written";
    const int reason = errno;
    close(fd);
    if (failed != NULL)
        unlink(beside);
    else
        (void)fsync(e->dir); /* makes the name durable, where the file system can */
    errno = reason;
    return failed;
}

bool users_edit_save(struct users_edit *e, FILE *problems)
{
    const char *failed;
    char *beside = NULL;
    sigset_t all, before;

    if (!e->changed)
        return true;
    if (e->n > USERS_FILE_MAX) {
        fprintf(problems, "%s: would become too large for a users file\n", e->path);
        return false;
    }
    if (asprintf(&beside, "%s.XXXXXX", e->path) < 0)
        beside = NULL;
    insist_alloc(beside);
    sigfillset(&all); /* so that Ctrl-C leaves no temporary file */
    sigprocmask(SIG_SETMASK, &all, &before);
    failed = replace_file(e, beside);
    if (failed != NULL)
        fprintf(problems, "%s: %s: %s\n", e->path, failed, strerror(errno));
    sigprocmask(SIG_SETMASK, &before, NULL);
    free(beside);
    return failed == NULL;
}
