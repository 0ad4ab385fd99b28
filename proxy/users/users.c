#include "users/users.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/ascii.h"
#include "base/file.h"
#include "base/fold.h"
#include "base/hex.h"
#include "base/hidden.h"
#include "base/insist.h"
#include "base/siphash.h"
#include "base/text.h"

/* The table grows only while the file is read, by lines of the administrator. If there is no
 * memory for it, there is none for a call either. */
#define uthash_fatal(msg) insist_failed(msg, __FILE__, __LINE__)
#include <uthash.h>

struct users_entry {
    UT_hash_handle hh;
    unsigned line;
    int64_t until;
    uint8_t hash[USERS_HASH];
    size_t name_len;
    uint8_t name[]; /* folded */
};

struct users {
    char *path;
    struct siphash_key hash_key; /* secret, because users could choose names that share a bucket */
    struct users_entry *table;
    bool has_ends; /* some line has an end */
};

static unsigned name_hash(const struct users *u, const uint8_t *folded, size_t n)
{
    return (unsigned)siphash(&u->hash_key, folded, n);
}

static const struct users_entry *find_entry(const struct users *u, struct span name)
{
    uint8_t folded[FOLD_ROOM(USERS_NAME_MAX)];
    struct users_entry *found = NULL;

    if (name.n == 0 || name.n > USERS_NAME_MAX)
        return NULL;
    const size_t n = fold_case(name, folded);
    HASH_FIND_BYHASHVALUE(hh, u->table, folded, n, name_hash(u, folded, n), found);
    return found;
}

struct users *users_new(const char *path)
{
    struct users *u = NEW(struct users);

    u->path = insist_alloc(strdup(path));
    INSIST(getentropy(&u->hash_key, sizeof u->hash_key) == 0);
    return u;
}

unsigned users_line(const struct users *u, struct span name)
{
    const struct users_entry *e = find_entry(u, name);
    return e == NULL ? 0 : e->line;
}

unsigned users_add(struct users *u, struct span name, const uint8_t hash_hash[USERS_HASH],
                   int64_t until, unsigned line)
{
    const unsigned there = users_line(u, name);
    if (there != 0)
        return there;
    struct users_entry *e = insist_alloc(calloc(1, sizeof *e + FOLD_ROOM(name.n)));
    e->line = line;
    e->until = until;
    u->has_ends |= until != UNTIL_NEVER;
    memcpy(e->hash, hash_hash, USERS_HASH);
    e->name_len = fold_case(name, e->name);
    HASH_ADD_KEYPTR_BYHASHVALUE(hh, u->table, e->name, e->name_len,
                                name_hash(u, e->name, e->name_len), e);
    return 0;
}

void users_free(struct users *u)
{
    struct users_entry *e, *next;

    if (u == NULL)
        return;
    HASH_ITER(hh, u->table, e, next) {
        HASH_DEL(u->table, e);
        explicit_bzero(e->hash, sizeof e->hash);
        free(e);
    }
    free(u->path);
    free(u);
}

size_t users_count(const struct users *u)
{
    return HASH_COUNT(u->table);
}

const char *users_path(const struct users *u)
{
    return u->path;
}

static size_t name_find_last(struct span s, char c)
{
    const uint8_t *at = s.n == 0 ? NULL : memrchr(s.p, c, s.n);
    return at == NULL ? s.n : (size_t)(at - s.p);
}

/* Finds where the account name begins and ends. The domain ends at the last '\', the realm
 * begins at the last '@' after it: a Windows account name contains neither, while domain and
 * realm may contain anything. */
static void name_find_parts(struct span name, size_t *user, size_t *at)
{
    const size_t slash = name_find_last(name, '\\');
    *user = slash == name.n ? 0 : slash + 1;
    *at = *user + name_find_last(span_from(name, *user), '@');
}

struct span users_bare_name(struct span name)
{
    size_t user, at;
    name_find_parts(name, &user, &at);
    return span_sub(name, user, at - user);
}

struct span users_counted_name(struct span name)
{
    const struct span bare = users_bare_name(name);
    const uint8_t *at = bare.n == 0 ? NULL : memchr(bare.p, '@', bare.n);
    return at == NULL ? bare : span_sub(bare, 0, (size_t)(at - bare.p));
}

bool users_same_name(struct span a, struct span b)
{
    const struct span bare_a = users_bare_name(a), bare_b = users_bare_name(b);

    if (bare_a.n == a.n || bare_b.n == b.n)
        return fold_equal(bare_a, bare_b);
    return fold_equal(a, b);
}

bool users_covers(struct span user, struct span name)
{
    const bool plain = users_counted_name(user).n == user.n;
    return fold_equal(user, plain ? users_counted_name(name) : name);
}

size_t users_find(const struct users *u, struct span name,
                  struct users_match found[USERS_MATCH_MAX])
{
    size_t user, at;
    name_find_parts(name, &user, &at);
    const bool domain = user > 0, realm = at < name.n;
    size_t forms = 0, n = 0;
    struct span form[USERS_MATCH_MAX];

    form[forms++] = name;
    if (domain)
        form[forms++] = span_from(name, user);
    if (realm)
        form[forms++] = span_sub(name, 0, at);
    if (domain && realm)
        form[forms++] = span_sub(name, user, at - user);
    for (size_t i = 0; i < forms; i++) {
        const struct users_entry *e = find_entry(u, form[i]);
        if (e != NULL)
            found[n++] =
                (struct users_match){.hash_hash = e->hash, .line = e->line, .until = e->until};
    }
    return n;
}

size_t users_find_current(const struct users *u, struct span name, int64_t now,
                          struct users_match found[USERS_MATCH_MAX])
{
    const size_t lines = users_find(u, name, found);
    size_t n = 0;

    for (size_t i = 0; i < lines; i++)
        if (now < found[i].until)
            found[n++] = found[i];
    return n;
}

bool users_expired(const struct users *u, struct span name, int64_t now, struct users_match *out)
{
    struct users_match found[USERS_MATCH_MAX];
    const size_t n = users_find(u, name, found);

    for (size_t i = 0; i < n; i++)
        if (now < found[i].until)
            return false;
    if (n > 0)
        *out = found[0];
    return n > 0;
}

struct users_ending users_ending(const struct users *u, int64_t from, int64_t to)
{
    struct users_ending e = {.until = UNTIL_NEVER};

    if (!u->has_ends)
        return e;
    for (const struct users_entry *at = u->table; at != NULL; at = at->hh.next) {
        if (at->until <= from || at->until > to)
            continue;
        e.count++;
        if (at->until < e.until || (at->until == e.until && at->line < e.line)) {
            e.until = at->until;
            e.line = at->line;
        }
    }
    return e;
}

const char *users_name_problem(struct span name, char text[USERS_REASON_MAX])
{
    struct hidden h;

    if (name.n == 0)
        return "the name is empty";
    if (name.n > USERS_NAME_MAX)
        return "the name is longer than 256 bytes";
    if (ascii_is_blank(name.p[0]) || ascii_is_blank(name.p[name.n - 1]))
        return "the name begins or ends with a blank";
    if (name.p[0] == '#')
        return "the name begins with '#'";
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] < 0x20 || name.p[i] == 0x7f)
            return "the name contains a control character";
        if (name.p[i] == ':')
            return "the name contains a ':'";
    }
    if (hidden_find(name, &h)) {
        snprintf(text, USERS_REASON_MAX, "the name contains %s, which cannot be seen", h.name);
        return text;
    }
    return text_not_utf8(name, text) ? "the name is not UTF-8" : NULL;
}

bool users_name_valid(struct span name)
{
    char text[USERS_REASON_MAX];
    return users_name_problem(name, text) == NULL;
}

static struct span without_blanks_behind(struct span line)
{
    while (line.n > 0 && ascii_is_blank(line.p[line.n - 1]))
        line.n--;
    return line;
}

static bool is_comment(struct span line)
{
    size_t indent = 0;
    while (indent < line.n && ascii_is_blank(line.p[indent]))
        indent++;
    return indent == line.n || line.p[indent] == '#';
}

/* A line that is not a comment, in its parts. */
struct users_line {
    struct span name;
    uint8_t hash[USERS_HASH];
    int64_t until;
    char text[USERS_REASON_MAX]; /* room for a reason */
};

/* Reads the part behind the name: the hash-hash, and the end if there is one. Returns NULL, or a
 * reason, which may be in l->text. */
static const char *read_rest(struct span rest, struct users_line *l)
{
    const uint8_t *colon = rest.n == 0 ? NULL : memchr(rest.p, ':', rest.n);
    const size_t n = colon == NULL ? rest.n : (size_t)(colon - rest.p);
    struct hidden h;

    if (hidden_find(rest, &h)) {
        snprintf(l->text, sizeof l->text, "the text after ':' contains %s, which cannot be seen",
                 h.name);
        return l->text;
    }
    if (!hex_read(span_sub(rest, 0, n), l->hash, USERS_HASH))
        return "the text after ':' is not a hash-hash of 32 hex digits";
    if (colon != NULL && !until_read(span_from(rest, n + 1), &l->until))
        return "the text after the second ':' is not a date such as 2027-01-31 or a time such as "
               "2027-01-31T18:00Z";
    return NULL;
}

/* Splits a line that is not a comment. Returns NULL, or a reason, which may be in l->text. */
static const char *split_line(struct span line, struct users_line *l)
{
    const uint8_t *colon = memchr(line.p, ':', line.n);
    struct hidden h;
    const bool hidden = hidden_find(line, &h);

    *l = (struct users_line){.until = UNTIL_NEVER};
    if (colon != NULL)
        l->name = span_sub(line, 0, (size_t)(colon - line.p));
    if (!hidden && text_not_utf8(line, l->text))
        return l->text;
    if (colon == NULL && !hidden)
        return "no ':' in the line, which should be name:hash-hash";
    if (colon == NULL) {
        snprintf(l->text, sizeof l->text, "%s, which cannot be seen, and no ':'", h.name);
        return l->text;
    }
    const char *reason = users_name_problem(l->name, l->text);
    return reason != NULL ? reason : read_rest(span_from(line, l->name.n + 1), l);
}

/* Calls on_row with one line without its end. Returns false if the line has a problem. */
static bool read_row(struct users *u, struct span line, unsigned number,
                     void (*on_row)(void *arg, const struct users_row *row), void *arg)
{
    struct users_line l;

    line = without_blanks_behind(line);
    if (is_comment(line))
        return true;
    const char *reason = split_line(line, &l);
    const unsigned same = reason == NULL ? users_add(u, l.name, l.hash, l.until, number) : 0;
    if (same != 0) {
        snprintf(l.text, sizeof l.text,
                 "the name is already on line %u (letter case does not count)", same);
        reason = l.text;
    }
    const struct users_row row = {
        .line = number, .name = l.name, .until = l.until, .problem = reason};
    on_row(arg, &row);
    explicit_bzero(l.hash, sizeof l.hash);
    return reason == NULL;
}

/* Reads the lines of a text into u. Returns whether no line has a problem. */
static bool read_rows(struct users *u, struct span text,
                      void (*on_row)(void *arg, const struct users_row *row), void *arg,
                      FILE *problems)
{
    const char *encoding = text_begin(&text);
    bool good = encoding == NULL;
    struct span line;

    if (!good)
        fprintf(problems, "%s: %s\n", u->path, encoding);
    for (unsigned number = 1; encoding == NULL && text_take_line(&text, &line); number++)
        good &= read_row(u, line, number, on_row, arg);
    return good;
}

/* The target of the problems of users_parse(). */
struct complaints {
    const char *path;
    FILE *to;
};

static void complain(void *arg, const struct users_row *row)
{
    const struct complaints *c = arg;

    if (row->problem != NULL)
        fprintf(c->to, "%s:%u: %s\n", c->path, row->line, row->problem);
}

struct users *users_parse(const char *path, const char *text, size_t len, FILE *problems)
{
    struct users *u = users_new(path);
    struct complaints c = {.path = path, .to = problems};

    if (read_rows(u, span_of(text, len), complain, &c, problems))
        return u;
    users_free(u);
    return NULL;
}

static char *users_read_regular(int fd, size_t size, const char *path, FILE *problems)
{
    const size_t cap = size + 1; /* one more, to detect a file that grows */
    char *text = insist_alloc(malloc(cap));
    const ssize_t len = file_read(fd, text, cap);

    if (len < 0)
        fprintf(problems, "%s: cannot be read: %s\n", path, strerror(errno));
    else if ((size_t)len != size)
        fprintf(problems, "%s: it changed while it was being read\n", path);
    else
        return text;
    explicit_bzero(text, cap);
    free(text);
    return NULL;
}

char *users_read_file(const char *path, size_t *len, FILE *problems)
{
    char *text = NULL;
    const char *reason;
    struct stat st;
    const int fd = file_open(path, &reason);

    if (fd < 0) {
        fprintf(problems, "%s: cannot be opened: %s\n", path, reason);
        return NULL;
    }
    if (fstat(fd, &st) != 0)
        fprintf(problems, "%s: cannot be read: %s\n", path, strerror(errno));
    else if (st.st_size > USERS_FILE_MAX)
        fprintf(problems, "%s: too large for a users file\n", path);
    else if (!file_exposed(path, &st, problems))
        text = users_read_regular(fd, *len = (size_t)st.st_size, path, problems);
    close(fd);
    return text;
}

bool users_list(const char *path, void (*on_row)(void *arg, const struct users_row *row), void *arg,
                FILE *problems)
{
    size_t len = 0;
    char *text = users_read_file(path, &len, problems);

    if (text == NULL)
        return false;
    struct users *u = users_new(path);
    const bool good = read_rows(u, span_of(text, len), on_row, arg, problems);
    users_free(u);
    explicit_bzero(text, len);
    free(text);
    return good;
}

struct users *users_load(const char *path, FILE *problems)
{
    size_t len;
    char *text = users_read_file(path, &len, problems);

    if (text == NULL)
        return NULL;
    struct users *u = users_parse(path, text, len, problems);
    explicit_bzero(text, len);
    free(text);
    return u;
}
