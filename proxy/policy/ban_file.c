#include "policy/ban_file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/addr.h"
#include "base/file.h"
#include "base/hidden.h"
#include "base/text.h"
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

/* Restores the ban of a line. Returns NULL, or why the line is skipped, which may be in h. */
static const char *ban_load_line(struct limits *l, char *line, uint64_t now_ms, int64_t wall_s,
                                 struct hidden *h)
{
    struct cidr net;
    int64_t end;

    if (line[0] == '#' || line[0] == '\0')
        return NULL;
    if (hidden_find(span_str(line), h))
        return h->name;
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

/* Copies a line. Returns false if it is damaged: without an end (the disk was full), with a NUL,
 * or longer than any line that ban_file_save() writes. */
static bool ban_copy_line(struct span line, bool ended, char out[LINE_SIZE])
{
    if (!ended || line.n >= LINE_SIZE || (line.n > 0 && memchr(line.p, '\0', line.n) != NULL))
        return false;
    if (line.n > 0)
        memcpy(out, line.p, line.n);
    out[line.n] = '\0';
    return true;
}

static void ban_load_lines(struct limits *l, struct span rest, const char *path, uint64_t now_ms,
                           int64_t wall_s, FILE *problems)
{
    const bool ended = rest.n > 0 && rest.p[rest.n - 1] == '\n';
    char text[LINE_SIZE];
    struct hidden h;
    struct span line;
    unsigned skipped = 0;

    for (unsigned number = 1; text_take_line(&rest, &line); number++) {
        const char *reason = ban_copy_line(line, ended || rest.n > 0, text)
                                 ? ban_load_line(l, text, now_ms, wall_s, &h)
                                 : "damaged";
        if (reason != NULL && skipped++ < PROBLEMS_MAX)
            fprintf(problems, "%s:%u: %s; line skipped\n", path, number, reason);
    }
    if (skipped > PROBLEMS_MAX)
        fprintf(problems, "%s: %u more lines skipped\n", path, skipped - PROBLEMS_MAX);
}

enum err ban_file_load(struct limits *l, const char *path, uint64_t now_ms, int64_t wall_s,
                       FILE *problems)
{
    const char *reason;
    const int fd = file_open(path, &reason);
    struct text text;

    if (fd < 0 && errno == ENOENT)
        return ERR_OK;
    if (fd < 0) {
        fprintf(problems, "%s: cannot be opened: %s\n", path, reason);
        return ERR_SYSTEM;
    }
    const bool good = text_read(fd, path, &text, problems);
    close(fd);
    if (!good)
        return ERR_SYSTEM;
    ban_load_lines(l, text.bytes, path, now_ms, wall_s, problems);
    text_free(&text);
    return ERR_OK;
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
