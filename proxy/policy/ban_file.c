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

/* Reads the time of a line, in seconds since 1970. Fifteen digits are enough for any ban. */
static bool parse_end(const char *text, int64_t *end)
{
    const size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 15 || text[digits] != '\0')
        return false;
    *end = strtoll(text, NULL, 10);
    return true;
}

/* Restores the ban of a line. Returns NULL, or why the line is skipped. */
static const char *ban_load_line(struct limits *l, char *line, uint64_t now_ms, int64_t wall_s)
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
        return "not a prefix";
    if (!parse_end(blank + 1, &end))
        return "not a time in seconds since 1970";
    if (end <= wall_s)
        return NULL;
    /* Unsigned, because wall_s may have any value, and the difference must not overflow. */
    const uint64_t left_s = (uint64_t)end - (uint64_t)wall_s;
    const uint64_t left_ms = left_s > UINT64_MAX / 1000 ? UINT64_MAX : left_s * 1000;
    if (!limits_restore(l, &net, left_ms, now_ms))
        return "its length is not address-prefix-ipv4 or -ipv6, which have changed";
    return NULL;
}

/* Reads a line without its newline. Returns false at the end. *whole is false for a line without
 * a newline (the disk was full), with a NUL, or longer than any line that ban_file_save()
 * writes. */
static bool ban_read_line(FILE *in, char line[LINE_SIZE], bool *whole)
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

static enum err ban_load_lines(struct limits *l, FILE *in, const char *path, uint64_t now_ms,
                               int64_t wall_s, FILE *problems)
{
    char line[LINE_SIZE];
    unsigned skipped = 0;
    bool whole;

    for (unsigned number = 1; ban_read_line(in, line, &whole); number++) {
        const char *reason = whole ? ban_load_line(l, line, now_ms, wall_s) : "damaged";
        if (reason != NULL && skipped++ < PROBLEMS_MAX)
            fprintf(problems, "%s:%u: %s; line skipped\n", path, number, reason);
    }
    if (skipped > PROBLEMS_MAX)
        fprintf(problems, "%s: %u more lines skipped\n", path, skipped - PROBLEMS_MAX);
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
    enum err e = ban_load_lines(l, in, path, now_ms, wall_s, problems);
    fclose(in);
    return e;
}

/* ---- writing ---- */

struct ban_writer {
    struct limits *limits;
    uint64_t now_ms;
    int64_t wall_s;
    FILE *out;
};

static void write_ban(void *user, const struct limits_ban *ban)
{
    const struct ban_writer *w = user;
    char text[ADDR_TEXT_MAX];

    fprintf(w->out, "%s %" PRId64 "\n", cidr_format(&ban->net, text),
            w->wall_s + (int64_t)((ban->left_ms + 999) / 1000));
}

static bool write_bans(FILE *out, void *arg)
{
    struct ban_writer *w = arg;

    w->out = out;
    fputs("# bans of sstpgate: PREFIX END, in seconds since 1970\n", out);
    limits_bans(w->limits, w->now_ms, write_ban, w);
    return true; /* file_replace() finds the errors of out */
}

enum err ban_file_save(struct limits *l, const char *path, uint64_t now_ms, int64_t wall_s)
{
    struct ban_writer w = {.limits = l, .now_ms = now_ms, .wall_s = wall_s};
    return file_replace(path, 0640, write_bans, &w) ? ERR_OK : ERR_SYSTEM;
}
