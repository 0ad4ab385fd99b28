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

/* A line with its end, in the text. A changed line is written at the end of the text, and the lines
 * keep their order; an empty one was deleted. */
struct edit_line {
    size_t start, n;
    bool put; /* set since the file was read */
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
    char *joined; /* the result of users_edit_text(), joined_n bytes; NULL: none */
    size_t joined_n;
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

static void add_line(struct users_edit *e, size_t start, size_t n, bool put)
{
    if (e->lines == e->line_room) {
        e->line_room = 2 * e->line_room + 64;
        e->line = insist_alloc(reallocarray(e->line, e->line_room, sizeof *e->line));
    }
    e->line[e->lines++] = (struct edit_line){.start = start, .n = n, .put = put};
}

static void find_lines(struct users_edit *e)
{
    for (size_t at = 0; at < e->n;) {
        const char *end = memchr(e->text + at, '\n', e->n - at);
        const size_t n = end == NULL ? e->n - at : (size_t)(end + 1 - (e->text + at));
        add_line(e, at, n, false);
        at += n;
    }
}

static void append_end(struct users_edit *e, const char *until)
{
    if (*until == '\0')
        return;
    text_append(e, ":", 1);
    text_append(e, until, strlen(until));
}

static void put_new(struct users_edit *e, struct span name, const char hex[HEX], const char *until)
{
    const size_t start = e->n;

    text_append(e, name.p, name.n);
    text_append(e, ":", 1);
    text_append(e, hex, HEX);
    append_end(e, until == NULL ? "" : until);
    text_append(e, "\n", 1);
    add_line(e, start, e->n - start, true);
}

/* The parts of a line that was parsed: a name, which contains no ':', 32 digits, perhaps an end,
 * and blanks. Offsets in the line. */
struct parts {
    size_t hash, end, blanks;
};

static struct parts parts_of(const struct users_edit *e, const struct edit_line *line)
{
    const char *text = e->text + line->start;
    const char *colon = memchr(text, ':', line->n);
    struct parts p = {.blanks = line->n};

    INSIST(colon != NULL);
    p.hash = (size_t)(colon + 1 - text);
    p.end = p.hash + HEX;
    while (p.blanks > p.end && strchr(" \t\r\n", text[p.blanks - 1]) != NULL)
        p.blanks--;
    return p;
}

/* Returns whether the line has this end. */
static bool same_end(const struct users_edit *e, const struct edit_line *line,
                     const struct parts *p, const char *until)
{
    int64_t has = UNTIL_NEVER, wanted = UNTIL_NEVER;

    if (until == NULL)
        return true;
    if (p->blanks > p->end)
        INSIST(
            until_read(span_of(e->text + line->start + p->end + 1, p->blanks - p->end - 1), &has));
    if (*until != '\0')
        INSIST(until_read(span_str(until), &wanted));
    return has == wanted;
}

/* Writes the changed line at the end of the text. */
static void rewrite(struct users_edit *e, struct edit_line *line, const struct parts *p,
                    const char hex[HEX], const char *until)
{
    const size_t start = e->n, old = line->start, n = line->n;

    text_grow(e, n + UNTIL_TEXT_MAX + 1); /* so that the bytes of the line do not move */
    text_append(e, e->text + old, p->hash);
    text_append(e, hex, HEX);
    if (until == NULL)
        text_append(e, e->text + old + p->end, p->blanks - p->end);
    else
        append_end(e, until);
    text_append(e, e->text + old + p->blanks, n - p->blanks);
    line->start = start;
    line->n = e->n - start;
}

static enum users_edited replace_line(struct users_edit *e, struct edit_line *line,
                                      const char hex[HEX], const char *until)
{
    const struct parts p = parts_of(e, line);
    const bool same =
        span_eq_nocase(span_of(e->text + line->start + p.hash, HEX), span_of(hex, HEX));

    if (!same && line->put)
        return USERS_TWICE;
    line->put = true;
    if (same && same_end(e, line, &p, until))
        return USERS_SAME;
    rewrite(e, line, &p, hex, until);
    return USERS_REPLACED;
}

enum users_edited users_edit_put(struct users_edit *e, struct span name,
                                 const uint8_t hash_hash[USERS_HASH], const char *until)
{
    enum users_edited result = USERS_ADDED;
    char hex[HEX];

    INSIST(users_name_valid(name) && (until == NULL || strlen(until) < UNTIL_TEXT_MAX));
    hex_write(hex, hash_hash, USERS_HASH);
    /* only the line counts here, so the table has no end of it */
    const unsigned at = users_add(e->users, name, hash_hash, UNTIL_NEVER, (unsigned)e->lines + 1);
    if (at == 0)
        put_new(e, name, hex, until);
    else
        result = replace_line(e, &e->line[at - 1], hex, until);
    e->changed |= result == USERS_ADDED || result == USERS_REPLACED;
    explicit_bzero(hex, sizeof hex);
    return result;
}

bool users_edit_delete(struct users_edit *e, struct span name)
{
    const unsigned at = users_line(e->users, name);

    if (at == 0)
        return false;
    e->line[at - 1].n = 0;
    e->changed = true;
    return true;
}

static void drop_joined(struct users_edit *e)
{
    if (e->joined != NULL)
        explicit_bzero(e->joined, e->joined_n);
    free(e->joined);
    e->joined = NULL;
}

/* Joins the lines in their order. A line that is no longer the last one gets a line end. */
struct span users_edit_text(struct users_edit *e)
{
    size_t n = 0;

    drop_joined(e);
    e->joined = insist_alloc(malloc(e->n + 1));
    for (size_t i = 0; i < e->lines; i++) {
        if (e->line[i].n == 0)
            continue;
        if (n > 0 && e->joined[n - 1] != '\n')
            e->joined[n++] = '\n';
        memcpy(e->joined + n, e->text + e->line[i].start, e->line[i].n);
        n += e->line[i].n;
    }
    e->joined_n = n;
    return span_of(e->joined, n);
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
    drop_joined(e);
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
static const char *replace_file(const struct users_edit *e, struct span text, char *beside)
{
    const int fd = mkostemp(beside, O_CLOEXEC); /* mode 0600 */
    const char *failed = NULL;

    if (fd < 0)
        return "cannot be written";
    if (!file_write(fd, text.p, text.n))
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
    const struct span text = users_edit_text(e);
    if (text.n > USERS_FILE_MAX) {
        fprintf(problems, "%s: would become too large for a users file\n", e->path);
        return false;
    }
    if (asprintf(&beside, "%s.XXXXXX", e->path) < 0)
        beside = NULL;
    insist_alloc(beside);
    sigfillset(&all); /* so that Ctrl-C leaves no temporary file */
    sigprocmask(SIG_SETMASK, &all, &before);
    failed = replace_file(e, text, beside);
    if (failed != NULL)
        fprintf(problems, "%s: %s: %s\n", e->path, failed, strerror(errno));
    sigprocmask(SIG_SETMASK, &before, NULL);
    free(beside);
    return failed == NULL;
}
