/* files: the objects that are built from the files of a configuration; each file is read once. A
 * file that changes is read again alone: all other objects are shared with the previous list, and a
 * file whose new content cannot be used keeps its old object. Main thread only, except
 * files_free(). */
#ifndef SSTPGATE_BASE_FILES_H
#define SSTPGATE_BASE_FILES_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>

enum { FILES_PATHS = 3 }; /* maximum for one object: certificate, key, passphrase */

/* A kind of object that is built from files. */
struct files_kind {
    /* Returns an object; NULL: "PATH: reason\n" or "PATH:LINE: reason\n" was written to problems.
     * Paths that are not used are NULL. */
    void *(*load)(const char *const path[FILES_PATHS], FILE *problems);
    void (*free)(void *object); /* any thread */
    bool fixed;                 /* path[0] is a name and not a path: never read again */
};

struct files;

/* Returns an empty list, to be filled by files_get(). last: the files in force, whose objects are
 * shared as long as their files are unchanged; they must exist until files_settle(). Files whose
 * content could not be used are read again, because the reason may have been in another file. NULL:
 * every file is read, and each problem is an error. */
struct files *files_new(const struct files *last);

/* Frees the list, and the objects that no other list shares. Any thread. NULL: no-op. */
void files_free(struct files *f);

/* Returns the object of these files, owned by f. The first call for the same files reads them.
 * NULL: the problems are written to problems once. Never NULL if `last` has the object. */
const void *files_get(struct files *f, const struct files_kind *kind,
                      const char *const path[FILES_PATHS], FILE *problems);

/* Does as files_get for an object of one file. */
const void *files_get_one(struct files *f, const struct files_kind *kind, const char *path,
                          FILE *problems);

/* Replaces an object that was read from changed files by the one of `last`, because the new one
 * does not fit together with others. Returns false, and changes nothing, if there is no other. */
bool files_revert(struct files *f, const struct files_kind *kind,
                  const char *const path[FILES_PATHS], const char *reason);

/* Returns whether the content is new although the files have not changed: it could not be used in
 * `last`, and was read again. */
bool files_is_retried(const struct files *f, const struct files_kind *kind,
                      const char *const path[FILES_PATHS]);

/* Does as files_revert if files_is_retried; the reason remains that of `last`. */
bool files_revert_retried(struct files *f, const struct files_kind *kind,
                          const char *const path[FILES_PATHS]);

/* Returns whether an object of this kind has new content, compared with `last`. */
bool files_renewed(const struct files *f, const struct files_kind *kind);

/* Forgets `last`. */
void files_settle(struct files *f);

/* Status of a file. */
struct files_seen {
    bool exists;
    struct stat st;
};

/* Returns the status now, of the target if path is a symbolic link. */
struct files_seen files_look(const char *path);
bool files_same(const struct files_seen *a, const struct files_seen *b);

/* A file of the list. */
struct files_item {
    const char *path;
    const struct files_seen *seen; /* before the file was read the last time */
    bool changed;                  /* since `last`, or usable since then */
    const char *stale;             /* the reason why its old content is in force; NULL: it is not */
};

/* Calls on_item for each path once. */
void files_each(const struct files *f, void (*on_item)(void *arg, const struct files_item *item),
                void *arg);

#endif
