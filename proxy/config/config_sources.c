#include "config/config_sources.h"

#include <errno.h>
#include <glob.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/insist.h"
#include "base/memo.h"
#include "config/config_read.h"

static struct config_source *add(struct config_sources *s, const char *path, unsigned from)
{
    s->item = insist_alloc(reallocarray(s->item, s->count + 1, sizeof *s->item));
    s->item[s->count] = (struct config_source){.path = insist_alloc(strdup(path)), .from = from};
    return &s->item[s->count++];
}

__attribute__((format(printf, 4, 5))) static void
add_problem(struct config_sources *s, const char *path, unsigned from, const char *format, ...)
{
    struct config_source *item = add(s, path, from);
    va_list args;

    va_start(args, format);
    if (vasprintf(&item->problem, format, args) < 0)
        item->problem = NULL;
    va_end(args);
    insist_alloc(item->problem);
}

void config_sources_add(struct config_sources *s, const char *path, unsigned from, const char *text,
                        size_t len)
{
    struct config_source *item = add(s, path, from);

    item->text = insist_alloc(malloc(len + 1));
    memcpy(item->text, text, len);
    item->text[len] = '\0';
    item->len = len;
}

static struct config_sources *sources_new(void)
{
    struct config_sources *s = NEW(struct config_sources);
    atomic_init(&s->refs, 1);
    return s;
}

struct config_sources *config_sources_of(const char *path, const char *text, size_t len)
{
    struct config_sources *s = sources_new();
    config_sources_add(s, path, 0, text, len);
    return s;
}

char *config_sources_dir(const char *path)
{
    const char *slash = strrchr(path, '/');
    const size_t n = slash == NULL ? 0 : (size_t)(slash - path);
    char *dir = NULL;

    if (*path == '/')
        return insist_alloc(strndup(path, n));
    char *here = getcwd(NULL, 0);
    if (here == NULL)
        return NULL;
    if (asprintf(&dir, "%s%s%.*s", here, n == 0 ? "" : "/", (int)n, path) < 0)
        dir = NULL;
    free(here);
    return insist_alloc(dir);
}

/* ---- include ---- */

static char *join(const char *a, const char *b)
{
    char *both = NULL;

    if (asprintf(&both, "%s%s", a, b) < 0)
        both = NULL;
    return insist_alloc(both);
}

struct including {
    struct config_sources *s;
    char *dir; /* of the configuration file */
    const char *path;
};

/* Reads a file. Its problem is the text that config_read_file() writes. */
static void include_file(struct config_sources *s, const char *path, unsigned from)
{
    struct memo problems;
    size_t len;
    char *text = config_read_file(path, &len, memo_open(&problems));

    if (text == NULL) {
        char *reason = memo_text(&problems);
        add_problem(s, path, from, "%.*s", (int)strcspn(reason, "\n"), reason);
    } else {
        struct config_source *item = add(s, path, from);
        item->text = text;
        item->len = len;
    }
    memo_free(&problems);
}

/* For glob(): a directory that does not exist has no file that matches; any other error counts. */
static int on_glob_error(const char *path, int error)
{
    (void)path;
    return error != ENOENT && error != ENOTDIR;
}

static bool is_pattern(const char *text)
{
    return strpbrk(text, "*?[") != NULL;
}

/* Returns whether path is the configuration file, under its own name. */
static bool is_first(const struct including *in, const char *path)
{
    const char *slash = strrchr(in->path, '/'), *name = slash == NULL ? in->path : slash + 1;
    const size_t n = strlen(in->dir);

    return strncmp(path, in->dir, n) == 0 && path[n] == '/' && strcmp(path + n + 1, name) == 0;
}

/* Returns dir with a backslash before each character that glob() would not take literally, and its
 * slash. */
static char *quoted_dir(const char *dir)
{
    struct memo m;

    memo_open(&m);
    for (; *dir != '\0'; dir++)
        fprintf(m.file, "%s%c", strchr("*?[\\", *dir) == NULL ? "" : "\\", *dir);
    fputc('/', m.file);
    return memo_take(&m);
}

/* name: the pattern as it is written. */
static void include_matches(const struct including *in, const char *pattern, const char *name,
                            unsigned line)
{
    glob_t found;
    const int result = glob(pattern, 0, on_glob_error, &found);

    if (result != 0 && result != GLOB_NOMATCH)
        add_problem(in->s, name, line, "%s: cannot be read: %s", name, strerror(errno));
    for (size_t i = 0; result == 0 && i < found.gl_pathc; i++) {
        if (in->s->count > CONFIG_SOURCES_MAX) {
            add_problem(in->s, name, line, "%s: more than %d files", name, (int)CONFIG_SOURCES_MAX);
            break;
        }
        if (is_first(in, found.gl_pathv[i]))
            add_problem(in->s, name, line, "%s matches this file, too", name);
        else
            include_file(in->s, found.gl_pathv[i], line);
    }
    if (result == 0)
        globfree(&found);
}

/* Adds the files of an include line: all files that match its pattern, in the order of their names,
 * or the file that it names, which must exist. */
static void on_key(void *user, unsigned line, const char *key, const char *value)
{
    const struct including *in = user;
    struct config_expanded e;
    if (strcmp(key, "include") != 0 || *value == '\0')
        return;
    if (!config_variables_expand(&in->s->variables, value, &e)) {
        add_problem(in->s, value, line, "%s", e.reason);
        return;
    }
    const bool pattern = is_pattern(e.text);
    char *dir = *e.text == '/' ? join("", "") : pattern ? quoted_dir(in->dir) : join(in->dir, "/");
    char *path = join(dir, e.text);
    free(dir);
    if (pattern)
        include_matches(in, path, e.text, line);
    else if (is_first(in, path))
        add_problem(in->s, path, line, "a file cannot include itself");
    else
        include_file(in->s, path, line);
    free(path);
}

static void on_section(void *user, unsigned line, const char *name)
{
    (void)user, (void)line, (void)name;
}

static void on_problem(void *user, unsigned line, const char *reason)
{
    (void)user, (void)line, (void)reason; /* the parser will report it */
}

struct config_sources *config_sources_read(const char *path, FILE *problems)
{
    size_t len;
    char *text = config_read_file(path, &len, problems);
    if (text == NULL)
        return NULL;
    struct config_sources *s = sources_new();
    struct config_source *first = add(s, path, 0);
    first->text = text;
    first->len = len;
    struct including in = {.s = s, .dir = config_sources_dir(path), .path = path};
    const struct config_events to = {
        .user = &in, .on_section = on_section, .on_key = on_key, .on_problem = on_problem};
    if (in.dir != NULL) /* otherwise the parser reports it */
        config_read(span_of(text, len), &to);
    free(in.dir);
    return s;
}

/* ---- comparing ---- */

static bool same_source(const struct config_source *a, const struct config_source *b)
{
    return strcmp(a->path, b->path) == 0 && a->from == b->from && a->text != NULL &&
           b->text != NULL && a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

bool config_sources_changed(const struct config_sources *s)
{
    struct memo problems;
    struct config_sources *now = config_sources_read(s->item[0].path, memo_open(&problems));
    bool same = now != NULL && now->count == s->count && !config_variables_changed(&s->variables);

    for (size_t i = 0; same && i < s->count; i++)
        same = same_source(&s->item[i], &now->item[i]);
    memo_free(&problems);
    config_sources_unref(now);
    return !same;
}

/* ---- references ---- */

struct config_sources *config_sources_ref(struct config_sources *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void config_sources_unref(struct config_sources *s)
{
    if (s == NULL || atomic_fetch_sub(&s->refs, 1) > 1)
        return;
    for (size_t i = 0; i < s->count; i++) {
        free(s->item[i].path);
        free(s->item[i].text);
        free(s->item[i].problem);
    }
    free(s->item);
    config_variables_fini(&s->variables);
    free(s);
}
