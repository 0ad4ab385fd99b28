#include "policy/ban_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/file.h"
#include "base/insist.h"
#include "policy/limits.h"

/* ---- reading ---- */

/* The longest line is an IPv6 prefix, a blank and 20 digits. */
enum { LINE_SIZE = ADDR_TEXT_MAX + 24, PROBLEMS_MAX = 10 };

/* The time of a line, in seconds since 1970. Fifteen digits last for longer than there are bans. */
static bool parse_end(const char *text, int64_t *end)
{
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 15 || text[digits] != '\0')
        return false;
    *end = strtoll(text, NULL, 10);
    return true;
}

/* NULL, or why the line is skipped. */
static const char *load_line(struct limits *l, char *line, uint64_t now_ms, int64_t wall_s)
{
    struct cidr net;
    int64_t end;

    if (line[0] == '#' || line[0] == '\0')
        return NULL;
    char *blank = strchr(line, ' ');
    if (blank == NULL)
        return "not PREFIX END";
    *blank = '\0';
    if (cidr_parse(line, &net) != ERR_OK)
        return "no prefix";
    if (!parse_end(blank + 1, &end))
        return "no time in seconds since 1970";
    if (end <= wall_s)
        return NULL;
    /* The larger one first: wall_s may be anything, and the difference must not overflow. */
    const uint64_t left_s = (uint64_t)end - (uint64_t)wall_s;
    const uint64_t left_ms = left_s > UINT64_MAX / 1000 ? UINT64_MAX : left_s * 1000;
    if (!limits_restore(l, &net, left_ms, now_ms))
        return "not of the length of address-prefix-ipv4 or -ipv6, which were others then";
    return NULL;
}

/* Returns false at the end. *whole is false for a line without its newline (cut off when the disk
 * was full), with a NUL, or longer than any of ours. */
static bool read_line(FILE *in, char line[LINE_SIZE], bool *whole)
{
    size_t n = 0;
    bool any = false;
    int c;

    *whole = true;
    while ((c = getc(in)) != EOF && c != '\n') {
        any = true;
        if (c == '\0' || n == LINE_SIZE - 1)
            *whole = false;
        else
            line[n++] = (char)c;
    }
    line[n] = '\0';
    if (c == EOF)
        *whole = false;
    return any || c != EOF;
}

static enum err load_lines(struct limits *l, FILE *in, const char *path, uint64_t now_ms,
                           int64_t wall_s, FILE *problems)
{
    char line[LINE_SIZE];
    unsigned skipped = 0;
    bool whole;

    for (unsigned number = 1; read_line(in, line, &whole); number++) {
        const char *reason = whole ? load_line(l, line, now_ms, wall_s) : "damaged";
        if (reason != NULL && skipped++ < PROBLEMS_MAX)
            fprintf(problems, "%s:%u: %s: the line is skipped\n", path, number, reason);
    }
    if (skipped > PROBLEMS_MAX)
        fprintf(problems, "%s: %u more lines are skipped\n", path, skipped - PROBLEMS_MAX);
    if (!ferror(in))
        return ERR_OK;
    fprintf(problems, "%s: cannot be read: %s\n", path, strerror(errno));
    return ERR_SYSTEM;
}

enum err ban_file_load(struct limits *l, const char *path, uint64_t now_ms, int64_t wall_s,
                       FILE *problems)
{
    const char *reason;
    const int fd = file_open(path, &reason);

    if (fd < 0 && errno == ENOENT)
        return ERR_OK;
    if (fd < 0) {
        fprintf(problems, "%s: cannot be opened: %s\n", path, reason);
        return ERR_SYSTEM;
    }
    FILE *in = insist_alloc(fdopen(fd, "r"));
    enum err e = load_lines(l, in, path, now_ms, wall_s, problems);
    fclose(in);
    return e;
}

/* ---- writing ---- */

struct writing {
    FILE *out;
    int64_t wall_s;
};

static void write_ban(void *user, const struct limits_ban *ban)
{
    const struct writing *w = user;
    char text[ADDR_TEXT_MAX];

    fprintf(w->out, "%s %" PRId64 "\n", cidr_format(&ban->net, text),
            w->wall_s + (int64_t)((ban->left_ms + 999) / 1000));
}

static bool write_bans(FILE *out, struct limits *l, uint64_t now_ms, int64_t wall_s)
{
    fputs("# bans of sstpgate: PREFIX END, in seconds since 1970\n", out);
    limits_bans(l, now_ms, write_ban, &(struct writing){.out = out, .wall_s = wall_s});
    return fflush(out) == 0 && !ferror(out) && fsync(fileno(out)) == 0;
}

/* errno says why not. */
static bool write_file(const char *path, struct limits *l, uint64_t now_ms, int64_t wall_s)
{
    const int fd = file_create(path, 0640);
    FILE *out = fd < 0 ? NULL : fdopen(fd, "w");

    if (out == NULL) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    bool good = write_bans(out, l, now_ms, wall_s);
    int reason = errno;
    if (fclose(out) != 0 && good) {
        good = false;
        reason = errno;
    }
    errno = reason;
    return good;
}

enum err ban_file_save(struct limits *l, const char *path, uint64_t now_ms, int64_t wall_s)
{
    char *new_path = NULL;

    if (asprintf(&new_path, "%s.new", path) < 0)
        new_path = NULL;
    insist_alloc(new_path);
    const bool good = write_file(new_path, l, now_ms, wall_s) && rename(new_path, path) == 0;
    const int reason = errno;
    if (!good)
        unlink(new_path);
    free(new_path);
    errno = reason;
    return good ? ERR_OK : ERR_SYSTEM;
}
