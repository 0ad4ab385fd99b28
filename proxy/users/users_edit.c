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

#include "base/hex.h"
#include "base/insist.h"

enum { HEX = 2 * USERS_HASH };

struct line {
    size_t start; /* in the text */
    bool put;
};

struct users_edit {
    char *path; /* without symbolic links; NULL: there is no file */
    int folder; /* locked while we are here; -1 */
    bool exists, changed;
    struct users *users; /* what is in the text; its lines count from 1, those here from 0 */
    struct line *line;
    size_t lines, line_room;
    char *text;
    size_t n, room;
};

/* ---- the text ------------------------------------------------------------------------------- */

/* Not with realloc(), which may leave what it copied where it was. */
static void grow(struct users_edit *e, size_t more)
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

static void append(struct users_edit *e, const void *octets, size_t n)
{
    grow(e, n);
    memcpy(e->text + e->n, octets, n);
    e->n += n;
}

static void begin_line(struct users_edit *e, size_t start, bool put)
{
    if (e->lines == e->line_room) {
        e->line_room = 2 * e->line_room + 64;
        e->line = insist_alloc(reallocarray(e->line, e->line_room, sizeof *e->line));
    }
    e->line[e->lines++] = (struct line){.start = start, .put = put};
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
        append(e, "\n", 1);
    begin_line(e, e->n, true);
    append(e, name.p, name.n);
    append(e, ":", 1);
    append(e, hex, HEX);
    append(e, "\n", 1);
}

static enum users_edited put_again(struct users_edit *e, struct line *line, const char hex[HEX])
{
    /* a name holds no ':', and what is behind it was parsed: 32 digits */
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
    const unsigned there = users_add(e->users, name, hash_hash, (unsigned)e->lines + 1);
    if (there == 0)
        add_line(e, name, hex);
    else
        result = put_again(e, &e->line[there - 1], hex);
    e->changed |= result == USERS_ADDED || result == USERS_REPLACED;
    explicit_bzero(hex, sizeof hex);
    return result;
}

bool users_edit_delete(struct users_edit *e, struct span name)
{
    const unsigned there = users_line(e->users, name);

    if (there == 0)
        return false;
    const size_t start = e->line[there - 1].start;
    const size_t behind = there < e->lines ? e->line[there].start : e->n;
    memmove(e->text + start, e->text + behind, e->n - behind);
    explicit_bzero(e->text + e->n - (behind - start), behind - start);
    e->n -= behind - start;
    e->changed = true;
    return true;
}

struct span users_edit_text(const struct users_edit *e)
{
    return span_of(e->text, e->n);
}

/* ---- opening -------------------------------------------------------------------------------- */

/* To be freed; NULL: errno says why not. */
static char *real_path(const char *path)
{
    char *real = realpath(path, NULL);
    struct stat st;

    if (real != NULL || errno != ENOENT)
        return real;
    /* a link to nothing stays a problem: who knows whose folder it leads to; anything else was made
     * in the meantime */
    if (lstat(path, &st) == 0) {
        errno = ENOENT;
        return S_ISLNK(st.st_mode) ? NULL : realpath(path, NULL);
    }
    const char *slash = strrchr(path, '/');
    char *above = slash == NULL   ? strdup(".")
                  : slash == path ? strdup("/")
                                  : strndup(path, (size_t)(slash - path));
    char *folder = realpath(insist_alloc(above), NULL);
    const char *name = slash == NULL ? path : slash + 1;
    if (folder != NULL && asprintf(&real, "%s/%s", folder, name) < 0)
        real = NULL;
    free(folder);
    free(above);
    return real;
}

/* The folder, not the file: that is another one each time. */
static int lock_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = insist_alloc(strndup(path, slash == path ? 1 : (size_t)(slash - path)));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = 0;

    free(folder);
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

static bool read_file(struct users_edit *e, const char *path, FILE *problems)
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

    e->folder = -1;
    if (path == NULL) {
        e->users = users_new("");
        return e;
    }
    if ((e->path = real_path(path)) == NULL) {
        fprintf(problems, "%s: cannot be opened: %s\n", path, strerror(errno));
        goto fail;
    }
    if ((e->folder = lock_folder(e->path)) < 0) {
        fprintf(problems, "%s: its folder cannot be locked: %s\n", path, strerror(errno));
        goto fail;
    }
    if (read_file(e, path, problems))
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
    if (e->folder >= 0)
        close(e->folder);
    free(e->path);
    free(e);
}

/* ---- saving --------------------------------------------------------------------------------- */

static bool write_all(int fd, const char *text, size_t n)
{
    while (n > 0) {
        const ssize_t done = write(fd, text, n);
        if (done < 0 && errno != EINTR)
            return false;
        if (done > 0) {
            text += done;
            n -= (size_t)done;
        }
    }
    return true;
}

/* An access list stands behind the mode: without it the bits of the group would mean another thing.
 * And one that the folder gives to new files must not open this one. */
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

/* fd is still ours alone, mode 0600. Owner first: that of another would take the mode back. */
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

/* NULL, or what could not be done; errno says why. */
static const char *replace(const struct users_edit *e, char *beside)
{
    const int fd = mkostemp(beside, O_CLOEXEC); /* mode 0600 */
    const char *failed = NULL;

    if (fd < 0)
        return "cannot be written";
    if (!write_all(fd, e->text, e->n))
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
        (void)fsync(
            e->folder); /* the name, too; where it cannot, it is as with any other program */
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
    sigfillset(&all); /* who is stopped by hand leaves nothing beside the file */
    sigprocmask(SIG_SETMASK, &all, &before);
    failed = replace(e, beside);
    if (failed != NULL)
        fprintf(problems, "%s: %s: %s\n", e->path, failed, strerror(errno));
    sigprocmask(SIG_SETMASK, &before, NULL);
    free(beside);
    return failed == NULL;
}
